"""Every source that connectors are shipped for: from what it puts into landing to a table, by the pipeline command.

What is expected of each delivery is known to the generator from how it has drawn the rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import re
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from jobs import pipeline
from jobs.runtime.args import parse_args
from jobs.runtime.errors import BadFilesError
from tests.fixtures.aep_dataset_delivery import write_dataset_export
from tests.fixtures.aep_delivery import Keys, make_keys
from tests.fixtures.aep_incremental_delivery import write_incremental
from tests.fixtures.amperity_delivery import Dialect, TableName, write_delivery
from tests.fixtures.google_delivery import write_customers, write_events
from tests.fixtures.sfmc_delivery import (
    MEMBERS,
    Delivered,
    World,
    broken_extract,
    extract_with_stranger,
    name_used_twice,
    write_appflow,
    write_data_extension,
    write_sfmc,
    zip_bytes,
)
from tests.jobs.own_source import published_rows

pytestmark = pytest.mark.usefixtures("spark")


class Site:
    """A company's folder with keys, and packaged connectors run on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.keys: Keys = make_keys(folder / "keys")
        self._definitions = folder / "definitions"

    def landing(self, connector: str) -> Path:
        folder = self.root / "landing" / connector
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, connector: str, *more: str, settings: str = "") -> dict[str, Any]:
        """Run the pipeline; return the run's report. ``settings`` replace lines of the connector's [format]."""
        named = f"file://{self._changed(connector, settings)}" if settings else connector
        arguments = [
            f"--connector={named}",
            f"--root=file://{self.root}",
            f"--hash-key=file:{self.keys.hash_key}",
            f"--pgp-key=file:{self.keys.pgp_secret}",
            f"--pgp-passphrase=file:{self.keys.pgp_passphrase}",
            "--quiet-seconds=0",
            *more,
        ]
        pipeline.main(parse_args(pipeline.Args, arguments))
        reports = (self.root / "state" / connector).glob("run=*/report.json")
        report: dict[str, Any] = json.loads(max(reports, key=lambda path: path.stat().st_mtime).read_text())
        for each in report["files"]:
            said = each["published"] + each["duplicates"] + each["deletes"] + sum(each["rejected"].values())
            assert each["read"] == said, each
        return report

    def _changed(self, connector: str, settings: str) -> Path:
        text = (resources.files("schemas.connectors") / f"{connector}.toml").read_text(encoding="utf-8")
        for line in settings.splitlines():
            key = line.partition(" ")[0]
            text = re.sub(rf"(?m)^{key} *= .*\n", "", text)
        path = self._definitions / "connectors" / f"{connector}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"(?m)^\[format\].*\n", lambda found: found[0] + settings, text), encoding="utf-8")
        return path

    def rows(self, table: str) -> list[dict[str, Any]]:
        return published_rows(json.loads((self.root / "state" / "catalog" / f"{table}.json").read_text()))

    def digest(self, value: str) -> str:
        return hmac.new(self.keys.hash_key.read_bytes().strip(), value.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def table_of(member: str) -> str:
    return "sfmc_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", member).lower()


def test_marketing_clouds_extracts_become_nineteen_tables(site: Site) -> None:
    delivered = write_sfmc(site.landing("sfmc_tracking"), rows=1_000, days=2, seed=4, keys=site.keys)
    report = site.run("sfmc_tracking")
    assert report["rows"]["read"] == sum(delivered.files.values())
    assert report["quarantined"] == []
    for member, expected in delivered.tables.items():
        rows = site.rows(table_of(member))
        assert len(rows) == expected.rows, member
        if MEMBERS[member].time:
            days = Counter(str(row["event_day"]) for row in rows)
            assert dict(days) == {str(day): count for day, count in expected.partitions.items()}, member
    subscribers = {row["subscriber_id"]: row["status"] for row in site.rows("sfmc_subscribers")}
    wanted = {site.digest(identity): status for identity, status in delivered.statuses()}
    assert subscribers == wanted
    attributes = {column for row in site.rows("sfmc_attributes") for column in row}
    assert set(delivered.attribute_columns) <= attributes


def test_a_name_that_is_used_twice_is_two_deliveries(site: Site) -> None:
    world = World(5, 200, days=92)
    twice = name_used_twice(world)
    extracts = tuple(replace(extract, members=("Sent", "Subscribers")) for extract in twice.extracts)
    contents = [zip_bytes(world, extract) for extract in extracts]
    for content in contents:
        (site.landing("sfmc_tracking") / twice.name).write_bytes(content)
        site.run("sfmc_tracking")
    archived = (site.root / "archive" / "sfmc_tracking").rglob(twice.name)
    assert {path.read_bytes() for path in archived} == set(contents)
    delivered = Delivered(world, extracts)
    days = Counter(str(row["event_day"]) for row in site.rows("sfmc_sent"))
    assert days == {str(day): count for day, count in delivered.tables["Sent"].partitions.items()}
    statuses = {row["subscriber_id"]: row["status"] for row in site.rows("sfmc_subscribers")}
    assert statuses == {site.digest(identity): status for identity, status in delivered.statuses()}


def test_an_extract_is_loaded_wholly_or_not_at_all(site: Site) -> None:
    world = World(5, 100, days=92)
    broken = broken_extract()
    (site.landing("sfmc_tracking") / broken.name).write_bytes(zip_bytes(world, broken))
    with pytest.raises(BadFilesError, match=r"missing_column: member 1, .Sent\.csv.: no column for batch_id"):
        site.run("sfmc_tracking")
    assert not (site.root / "state" / "catalog").exists()
    (site.landing("sfmc_tracking") / broken.name).unlink()
    stranger = replace(extract_with_stranger(), members=("Sent", "Lists"))
    (site.landing("sfmc_tracking") / stranger.name).write_bytes(zip_bytes(world, stranger))
    report = site.run("sfmc_tracking")
    assert [(each["name"], each["reason"]) for each in report["quarantined"]] == [
        (f"{stranger.name}!ForwardedEmails.csv", "unknown_member")
    ]
    assert set(report["tables"]) == {"sfmc_sent", "sfmc_lists"}
    (kept,) = (site.root / "quarantine" / "sfmc_tracking" / f"run={report['run_id']}").glob("*.zip")
    assert kept.name == stranger.name


def test_a_data_extension_without_a_header_is_bound_by_the_connectors_columns(site: Site) -> None:
    path = site.landing("sfmc_data_extension") / "Loyalty_20240201.csv"
    expected = write_data_extension(path, rows=400, seed=3, ragged=5)
    report = site.run("sfmc_data_extension")
    assert report["rows"]["rejected_by_reason"] == {"ragged_row": expected.ragged}
    assert len(site.rows("sfmc_data_extension")) == expected.distinct
    path.write_text("one,two,three\r\n")
    with pytest.raises(BadFilesError, match="column_count: the first row has 3 values"):
        site.run("sfmc_data_extension")


def test_appflows_objects_are_told_by_their_folders(site: Site) -> None:
    expected = write_appflow(site.landing("sfmc_appflow"), rows=120, seed=2)
    report = site.run("sfmc_appflow")
    assert report["rows"]["rejected"] == 0
    for name, each in expected.items():
        rows = site.rows("sfmc_appflow_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
        assert len(rows) == each.rows, name
        if each.partitions:
            assert Counter(str(row["event_day"]) for row in rows) == each.partitions
        else:
            found = {row["subscriber_key"]: row["status"] for row in rows}
            assert found == {site.digest(key): status for key, status in each.statuses.items()}


AMPERITY: list[tuple[TableName, dict[str, Any]]] = [
    ("amperity_customer_360", {"dialect": Dialect("\t", titles=True, row_number=True), "packing": "tgz", "parts": 3}),
    ("amperity_customer_360", {"dialect": Dialect("|", "none", "\\", "\r\n", header=False)}),
    ("amperity_customer_360", {"dialect": Dialect("¦", "non_numeric", encoding="utf-16-le"), "packing": "gzip"}),
    ("amperity_merged_customers", {"form": "parquet", "parts": 3}),
    ("amperity_unified_loyalty", {"form": "ndjson", "packing": "zip"}),
    ("amperity_unified_loyalty", {"dialect": Dialect(quote_mode="all", escape="\\", titles=True), "parts": 4}),
]


@pytest.mark.parametrize(("table", "shape"), AMPERITY, ids=lambda value: str(value)[:40])
def test_amperitys_tables_come_in_every_form(site: Site, table: TableName, shape: dict[str, Any]) -> None:
    day = dt.date(2026, 11, 21)
    delivery = write_delivery(site.landing(table), table, rows=300, day=day, older=True, **shape)
    report = site.run(table, settings=delivery.settings)
    expected = delivery.expected
    assert set(report["superseded"]) == set(delivery.superseded)
    assert (report["rows"]["read"], report["rows"]["rejected"]) == (expected.rows, expected.rejected)
    rows = site.rows(table)
    assert len(rows) == expected.published
    if any(expected.partitions):
        (partition,) = [name for name in rows[0] if Counter(row[name] for row in rows) == expected.partitions]
        assert partition
    key = "loyalty_id" if table == "amperity_unified_loyalty" else "amperity_id"
    found = {row[key]: row for row in rows}
    assert {site.digest(identity) for identity in expected.values} == set(found)
    for identity, values in expected.values.items():
        row = found[site.digest(identity)]
        for name, value in values.items():
            assert row[name] in (value, site.digest(str(value)), as_read(value)), (name, value, row[name])


def as_read(value: Any) -> Any:
    """Return a moment as the reader gives it, without a zone."""
    return value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value


@pytest.mark.parametrize("file_type", ["csv", "json", "parquet", "avro"])
def test_bigquerys_shards_of_the_newest_export_are_the_table(site: Site, file_type: Any) -> None:
    delivery = write_customers(site.landing("bigquery_export"), rows=300, file_type=file_type)
    report = site.run("bigquery_export")
    expected = delivery.expected
    assert set(report["superseded"]) == set(delivery.superseded)
    assert (report["rows"]["duplicates"], report["rows"]["rejected"]) == (expected.duplicates, expected.rejected)
    rows = site.rows("bigquery_customers")
    assert len(rows) == expected.published
    assert Counter(row["country"] for row in rows) == expected.partitions


def test_ga4s_last_days_are_replaced_until_they_are_final(site: Site) -> None:
    landing = site.landing("ga4_events")
    delivery = write_events(landing, rows_a_day=60, days=5, exports=2)
    first, second = delivery.exports
    later = {name: (landing / name).read_bytes() for files in second.files.values() for name in files}
    for name in later:
        (landing / name).unlink()

    def days() -> dict[str, int]:
        return dict(Counter(str(row["event_day"]) for row in site.rows("ga4_events")))

    site.run("ga4_events")
    assert days() == {day: each.published for day, each in first.days.items()}
    for name, content in later.items():
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_bytes(content)
    report = site.run("ga4_events")
    assert days() == {day: each.published for day, each in delivery.expected.items()}
    assert report["tables"]["ga4_events"]["written_partitions"] == len(second.days)
    assert {path.relative_to(landing).as_posix() for path in landing.rglob("*") if path.is_file()} == set(
        delivery.ignored
    )
    rows = {row["user_pseudo_id"]: row for row in site.rows("ga4_events")}
    some = next(values for each in delivery.expected.values() for values in each.values.values())
    assert site.digest(str(some["user_pseudo_id"])) in rows


@pytest.mark.parametrize("parquet", [False, True])
def test_a_dataset_export_of_many_small_files_is_one_table(site: Site, *, parquet: bool) -> None:
    delivery = write_dataset_export(site.landing("aep_dataset_export"), rows=400, parquet=parquet)
    report = site.run("aep_dataset_export")
    assert set(report["superseded"]) == set(delivery.superseded)
    assert report["rows"]["read"] == delivery.rows
    rows = site.rows("aep_dataset_profiles")
    found = {row["person_id"]: row["loyalty_tier"] for row in rows}
    assert found == {site.digest(person): tier for person, tier in delivery.tiers.items()}


def members(site: Site) -> dict[str, tuple[Any, ...]]:
    return {
        row["email"]: (row["segmentation_status"], row["country"], row["loyalty_member_status"])
        for row in site.rows("customer_profile")
    }


def test_aeps_membership_changes_are_applied_whatever_the_order_of_their_files(site: Site) -> None:
    landing = site.landing("aep_incremental")
    delivery = write_incremental(landing, rows=300, days=2)
    files = {name: ((landing / name).read_bytes(), (landing / name).stat().st_mtime) for name in delivery.arrived}
    for name in files:
        (landing / name).unlink()
    for start in (0, 3):
        for name in delivery.arrived[start : start + 3 if start == 0 else None]:
            (landing / name).write_bytes(files[name][0])
        site.run("aep_incremental")
    expected = delivery.expected()
    assert members(site) == {site.digest(email): tuple(member) for email, member in expected.members.items()}
    assert expected.gone


def test_a_full_export_replaces_all_but_what_has_changed_since(site: Site) -> None:
    header = "personalEmail.address,segmentMembership.status,homeAddress.country\n"
    incremental, full = site.landing("aep_incremental"), site.landing("aep_profiles")
    (incremental / "gold_20261120_090000.csv").write_text(
        header + "".join(f"{name}@example.com,realized,US\n" for name in "abcd")
    )
    site.run("aep_incremental")
    (incremental / "gold_20261121_150000.csv").write_text(
        header + "a@example.com,exited,US\nnew@example.com,realized,DE\n"
    )
    site.run("aep_incremental")
    # Taken at noon, before the changes above; b has left without a change file, and two full files are of one day.
    (full / "gold_20261121_110000.csv").write_text(header + "z@example.com,realized,US\n")
    (full / "gold_20261121_120000.csv").write_text(
        header + "".join(f"{name}@example.com,realized,US\n" for name in "acde")
    )
    report = site.run("aep_profiles")
    assert report["superseded"] == ["gold_20261121_110000.csv"]

    def addresses() -> set[str]:
        return set(members(site))

    assert addresses() == {site.digest(f"{name}@example.com") for name in ("c", "d", "e", "new")}
    (incremental / "gold_20261121_100000.csv").write_text(header + "c@example.com,exited,US\n")  # late, and too old
    report = site.run("aep_incremental")
    assert report["rows"]["duplicates"] == 1
    (incremental / "gold_20261121_180000.csv").write_text(header + "c@example.com,exited,US\n")
    site.run("aep_incremental")
    assert addresses() == {site.digest(f"{name}@example.com") for name in ("d", "e", "new")}
    (full / "gold_20261120_120000.csv").write_text(header + "b@example.com,realized,US\n")  # yesterday's comes today
    report = site.run("aep_profiles")
    assert report["superseded"] == ["gold_20261120_120000.csv"]
    assert addresses() == {site.digest(f"{name}@example.com") for name in ("d", "e", "new")}
