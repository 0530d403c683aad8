from __future__ import annotations

from importlib import resources
from pathlib import Path

import boto3
import pytest

from jobs.runtime.configuration import load_configuration
from jobs.runtime.errors import ArgumentError, StorageError
from schemas.problems import SchemaError


def text_of(folder: str, name: str) -> str:
    return resources.files(f"schemas.{folder}").joinpath(f"{name}.toml").read_text(encoding="utf-8")


OWN_TABLE = """
name = "{name}"
comment = "Mine"
[columns.email]
comment = "hash"
personal_data = "email"
[columns.city]
comment = "{comment}"
"""
OWN_FEEDS = """
name = "mine"
comment = "Mine"
[feeds.people]
files = ["people*"]
table = "own_people"
[feeds.profiles]
files = ["profiles*"]
table = "customer_profile"
"""


def write_own(folder: Path, connector: str, *tables: str) -> str:
    """Write a connector and tables beside it; return the connector's URI."""
    for name in ("connectors", "tables"):
        (folder / name).mkdir()
    (folder / "connectors" / "mine.toml").write_text(connector)
    for name in tables:
        (folder / "tables" / f"{name}.toml").write_text(OWN_TABLE.format(name=name, comment="own"))
    return f"file://{folder}/connectors/mine.toml"


def test_packaged_files_are_named() -> None:
    connector, tables = load_configuration("aep_profiles", None)
    (feed,) = connector.feeds
    assert (connector.name, feed.name, feed.table) == ("aep_profiles", "aep_profiles", "customer_profile")
    assert {name: table.name for name, table in tables.items()} == {"aep_profiles": "customer_profile"}
    assert load_configuration("aep_profiles", "customer_profile") == (connector, tables)


def test_every_feed_of_a_packaged_connector_has_its_table() -> None:
    connector, tables = load_configuration("sfmc_tracking", None)
    assert len(tables) == len(connector.feeds) > 1
    for feed in connector.feeds:
        assert tables[feed.name].name == feed.table
        assert set(feed.fields) <= set(tables[feed.name].fields)


def test_ones_own_files_are_given_by_uri(tmp_path: Path, bucket: str) -> None:
    connector = text_of("connectors", "aep_profiles").replace('name    = "aep_profiles"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(connector)
    boto3.client("s3").put_object(Bucket=bucket, Key="t.toml", Body=text_of("tables", "customer_profile").encode())
    found, tables = load_configuration(f"file://{tmp_path}/mine.toml", f"s3://{bucket}/t.toml")
    _, packaged = load_configuration("aep_profiles", None)
    assert (found.name, tables) == ("mine", {"mine": packaged["aep_profiles"]})


def test_ones_own_table_may_have_another_name_than_the_connector_says(tmp_path: Path) -> None:
    table = text_of("tables", "customer_profile")
    assert table.count('"customer_profile"') == 1
    (tmp_path / "t.toml").write_text(table.replace('"customer_profile"', '"people_again"'))
    _, packaged = load_configuration("aep_profiles", None)
    connector, tables = load_configuration("aep_profiles", f"file://{tmp_path}/t.toml")
    assert connector.feeds[0].table == tables["aep_profiles"].name == "people_again"
    assert tables["aep_profiles"].columns == packaged["aep_profiles"].columns


def test_tables_are_looked_for_beside_ones_own_connector_first(tmp_path: Path) -> None:
    connector, tables = load_configuration(write_own(tmp_path, OWN_FEEDS, "own_people"), None)
    assert {name: table.name for name, table in tables.items()} == {
        "people": "own_people",
        "profiles": "customer_profile",  # a packaged one
    }
    assert tables["people"].column("city").comment == "own"
    assert [feed.table for feed in connector.feeds] == ["own_people", "customer_profile"]


def test_a_table_beside_the_connector_hides_a_packaged_one(tmp_path: Path) -> None:
    _, tables = load_configuration(write_own(tmp_path, OWN_FEEDS, "own_people", "customer_profile"), None)
    assert [column.name for column in tables["profiles"].columns] == ["email", "city"]
    # A packaged connector is not the user's, wherever there are tables.
    assert load_configuration("aep_profiles", None)[1]["aep_profiles"] != tables["profiles"]


def test_tables_beside_a_connector_in_a_bucket(bucket: str) -> None:
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="a/connectors/mine.toml", Body=OWN_FEEDS.encode())
    own = OWN_TABLE.format(name="own_people", comment="own").encode()
    client.put_object(Bucket=bucket, Key="a/tables/own_people.toml", Body=own)
    _, tables = load_configuration(f"s3://{bucket}/a/connectors/mine.toml", None)
    assert [table.name for table in tables.values()] == ["own_people", "customer_profile"]


def test_a_table_that_is_neither_beside_the_connector_nor_packaged(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no packaged file schemas/tables/own_people\.toml"):
        load_configuration(write_own(tmp_path, OWN_FEEDS), None)


def test_a_problem_of_a_table_beside_the_connector_names_its_file(tmp_path: Path) -> None:
    uri = write_own(tmp_path, OWN_FEEDS)
    (tmp_path / "tables" / "own_people.toml").write_text('name = "own_people"')
    with pytest.raises(SchemaError, match=f"^file://{tmp_path}/tables/own_people.toml: "):
        load_configuration(uri, None)


def test_one_table_cannot_stand_for_several() -> None:
    with pytest.raises(
        ArgumentError, match=r"^--table: connector sfmc_tracking fills \d+ tables, and names them itself"
    ):
        load_configuration("sfmc_tracking", "sfmc_sent")


@pytest.mark.parametrize(
    ("connector", "table", "message"),
    [
        ("aep_profile", None, r"connectors/aep_profile\.toml .*; did you mean aep_profiles\?"),
        ("aep_profiles", "customer_profil", r"tables/customer_profil\.toml .*; did you mean customer_profile\?"),
        ("__init__", None, "no packaged file"),
        ("../tables/customer_profile", None, "no packaged file"),
        ("", None, "no packaged file"),
        ("http://x/y.toml", None, "no URI of a store"),
    ],
)
def test_a_name_that_leads_nowhere(connector: str, table: str | None, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        load_configuration(connector, table)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff")
    with pytest.raises(ArgumentError, match="is not UTF-8 text"):
        load_configuration(f"file://{tmp_path}/x.toml", None)
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        load_configuration(f"file://{tmp_path}/y.toml", None)


def test_problems_name_the_file_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('name = "x"')
    with pytest.raises(SchemaError, match=f"^file://{tmp_path}/x.toml: table: missing$"):
        load_configuration(f"file://{tmp_path}/x.toml", None)
