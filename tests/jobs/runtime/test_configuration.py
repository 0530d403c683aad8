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


def test_packaged_files_are_named() -> None:
    connector, table = load_configuration("aep_profiles", None)
    assert (connector.name, connector.table, table.name) == ("aep_profiles", "customer_profile", "customer_profile")
    assert load_configuration("aep_profiles", "customer_profile") == (connector, table)


def test_ones_own_files_are_given_by_uri(tmp_path: Path, bucket: str) -> None:
    connector = text_of("connectors", "aep_profiles").replace('name    = "aep_profiles"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(connector)
    boto3.client("s3").put_object(Bucket=bucket, Key="t.toml", Body=text_of("tables", "customer_profile").encode())
    found, table = load_configuration(f"file://{tmp_path}/mine.toml", f"s3://{bucket}/t.toml")
    assert (found.name, table) == ("mine", load_configuration("aep_profiles", None)[1])


@pytest.mark.parametrize(
    ("connector", "table", "message"),
    [
        ("aep_profile", None, r"connectors/aep_profile\.toml .*; did you mean aep_profiles\?"),
        ("aep_profiles", "customers", r"tables/customers\.toml .*(did you mean|valid:) customer_"),
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
