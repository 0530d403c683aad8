"""Append, upsert and partition overwrite, as their user runs them: what a table is after deliveries in any order."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs import rollback, transform
from jobs.runtime.args import parse_args
from jobs.runtime.errors import CatalogConflictError, VerificationError
from tests.jobs.own_source import Source

pytestmark = pytest.mark.usefixtures("spark")

EVENTS_TABLE = """
name = "events"
comment = "Events"
load = "append"
keys = ["person", "at", "kind"]
partitions = ["day"]
[columns.person]
comment = "Hash of the person's id"
personal_data = "identifier"
[columns.kind]
comment = "What happened"
[columns.at]
comment = "When (UTC)"
type = "timestamp"
[columns.note]
comment = "More"
[columns.day]
comment = "Day (UTC)"
type = "date"
field = "at"
default = "1970-01-01"
"""
EVENTS_CONNECTOR = r"""
name = "source"
comment = "Events"
table = "events"
[delivery]
snapshot = '(?P<snapshot>\d{8})_events\.csv'
keep = "all"
[format]
time_formats = ["M/d/yyyy h:mm:ss a"]
zone = "-06:00"
[rejects]
missing = ["at"]
invalid = ["at"]
max_share = 0.5
"""
HEADER = "person,kind,at,note\n"


@pytest.fixture
def events(tmp_path: Path) -> Source:
    return Source(tmp_path, EVENTS_CONNECTOR, {"events": EVENTS_TABLE})


def day_of(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {day: len(list(group)) for day, group in itertools.groupby(sorted(row["day"] for row in rows))}


def locations(source: Source, table: str) -> dict[str, str]:
    return {each["values"][0]: each["location"] for each in source.catalog(table)["partitions"]}


def test_events_are_appended_once_and_only_their_days_are_written_anew(events: Source) -> None:
    events.deliver(
        "20240131_events.csv",
        HEADER + "p1,open,1/30/2024 1:00:00 PM,\np1,click,1/31/2024 11:59:59 PM,\np1,open,1/30/2024 1:00:00 PM,\n"
        "p2,open,13/32/2024 1:00:00 PM,\n,,,\n",
    )
    assert day_of(events.rows("events")) == {"2024-01-30": 1, "2024-02-01": 1}  # the click was in February, UTC
    assert events.report()["rows"] == {
        "read": 5, "published": 2, "duplicates": 1, "deletes": 0, "rejected": 2,
        "rejected_by_reason": {"invalid_at": 1, "missing_at": 1},
    }  # fmt: skip
    before = locations(events, "events")
    events.deliver(
        "20240201_events.csv",
        HEADER + "p1,click,1/31/2024 11:59:59 PM,\np3,open,1/31/2024 9:00:00 PM,\np3,open,2/1/2024 9:00:00 PM,\n",
    )
    after = locations(events, "events")
    assert day_of(events.rows("events")) == {"2024-01-30": 1, "2024-02-01": 2, "2024-02-02": 1}
    assert before["2024-01-30"] == after["2024-01-30"]
    assert before["2024-02-01"] != after["2024-02-01"]
    assert events.report()["rows"]["duplicates"] == 1
    table = events.report()["tables"]["events"]
    assert (table["rows"], table["written_rows"], table["written_partitions"]) == (4, 3, 2)
    assert (before.keys() | {"2024-02-02"}) == after.keys()


def test_a_replayed_delivery_changes_nothing(events: Source) -> None:
    delivery = HEADER + "p1,open,1/30/2024 1:00:00 PM,x\np2,open,1/31/2024 1:00:00 PM,\n"
    events.deliver("20240131_events.csv", delivery)
    rows, places = events.rows("events"), locations(events, "events")
    events.deliver("20240131_events.csv", delivery)
    assert events.rows("events") == rows
    assert locations(events, "events") == places
    assert events.report()["rows"]["duplicates"] == 2


PROFILES_TABLE = """
name = "profiles"
comment = "Profiles"
load = "upsert"
keys = ["person"]
{more}
[columns.person]
comment = "Hash of the person's id"
personal_data = "identifier"
[columns.tier]
comment = "Tier"
[columns.country]
comment = "Country"
normalize = "country"
default = "ZZ"
"""
PROFILES_CONNECTOR = r"""
name = "source"
comment = "Profiles"
table = "profiles"
[delivery]
snapshot = '(?P<snapshot>\d{{8}})(_\d+)?\.csv'
keep = "all"
{more}
"""
DELETES = '[deletes]\nfield = "tier"\nvalues = ["left"]'


def profiles(folder: Path, table: str = "", connector: str = DELETES) -> Source:
    folder.mkdir(exist_ok=True)
    return Source(folder, PROFILES_CONNECTOR.format(more=connector), {"profiles": PROFILES_TABLE.format(more=table)})


DELIVERIES = {
    "20240101.csv": "person,tier,country\na,gold,US\nb,gold,DE\nc,gold,US\n",
    "20240102.csv": "person,tier,country\na,silver,US\nb,left,DE\n",
    "20240103.csv": "person,tier,country\nb,bronze,FR\nd,gold,US\nc,left,\n",
    "20240104.csv": "person,tier,country\nc,left,\ne,gold,US\ne,silver,DE\na,silver,DE\n",
}
EXPECTED = {("silver", "DE"): 2, ("bronze", "FR"): 1, ("gold", "US"): 1}  # a and e, b, d; c has left


def tiers(source: Source) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for row in source.rows("profiles"):
        found[row["tier"], row["country"]] = found.get((row["tier"], row["country"]), 0) + 1
    return found


@pytest.mark.parametrize("partitions", ["", pytest.param('partitions = ["country"]', marks=pytest.mark.long)])
def test_the_latest_delivery_wins_in_whatever_order_and_parts_they_are_loaded(tmp_path: Path, partitions: str) -> None:
    tables = []
    for seed, together in ((0, 1), (1, 2), (2, 4)):
        source = profiles(tmp_path / f"{seed}", partitions)
        names = random.Random(seed).sample(sorted(DELIVERIES), len(DELIVERIES))
        for start in range(0, len(names), together):
            for name in names[start : start + together]:
                source.land(name, DELIVERIES[name])
            source.run()
        assert tiers(source) == EXPECTED, names
        tables.append(source.rows("profiles"))
    assert all(table == tables[0] for table in tables)


def test_what_each_row_of_an_upsert_became_is_accounted_for(tmp_path: Path) -> None:
    source = profiles(tmp_path, 'partitions = ["country"]', f"{DELETES}\n[rejects]\nmax_share = 0.5")
    source.deliver("20240101.csv", DELIVERIES["20240101.csv"])
    places = locations(source, "profiles")
    source.deliver("20240103.csv", "person,tier,country\na,gold,US\nb,left,DE\nz,left,DE\nf,gold,FR\n,gold,US\n")
    report = source.report()
    assert report["rows"] == {
        "read": 5, "published": 1, "duplicates": 1, "deletes": 2, "rejected": 1,
        "rejected_by_reason": {"missing_key": 1},
    }  # fmt: skip
    assert report["tables"]["profiles"]["displaced"] == 1
    assert {row["country"] for row in source.rows("profiles")} == {"US", "FR"}
    assert locations(source, "profiles")["US"] == places["US"]  # nothing changed there
    assert "DE" not in locations(source, "profiles")
    source.deliver("20240102.csv", "person,tier,country\nb,gold,DE\n")  # older than the deletion
    assert source.report()["rows"]["duplicates"] == 1
    assert {row["country"] for row in source.rows("profiles")} == {"US", "FR"}


def test_without_deletes_a_marker_is_a_value_like_any_other(tmp_path: Path) -> None:
    source = profiles(tmp_path, connector="")
    source.deliver("20240101.csv", DELIVERIES["20240101.csv"])
    source.deliver("20240102.csv", DELIVERIES["20240102.csv"])
    assert tiers(source) == {("silver", "US"): 1, ("left", "DE"): 1, ("gold", "US"): 1}


def test_an_order_in_the_rows_counts_more_than_the_delivery(tmp_path: Path) -> None:
    source = profiles(tmp_path, 'order_by = ["-tier"]', connector="")
    source.deliver("20240101.csv", "person,tier,country\na,7,US\nb,1,US\n")
    source.deliver("20240102.csv", "person,tier,country\na,5,US\nb,5,US\n")
    assert tiers(source) == {("7", "US"): 1, ("5", "US"): 1}


def test_a_rollback_of_an_upsert_is_a_base_for_the_next_one(tmp_path: Path) -> None:
    source = profiles(tmp_path)
    source.deliver("20240101.csv", DELIVERIES["20240101.csv"])
    source.deliver("20240102.csv", DELIVERIES["20240102.csv"])
    rollback.main(parse_args(rollback.Args, ["--table=profiles", f"--root=file://{source.root}"]))
    assert tiers(source) == {("gold", "US"): 2, ("gold", "DE"): 1}
    source.deliver("20240103.csv", DELIVERIES["20240103.csv"])
    assert tiers(source) == {("gold", "US"): 2, ("bronze", "FR"): 1}


def test_rows_hashed_with_another_key_are_not_mixed(tmp_path: Path) -> None:
    source = profiles(tmp_path)
    source.deliver("20240101.csv", DELIVERIES["20240101.csv"])
    rows = source.rows("profiles")
    (tmp_path / "hash.key").write_text("another-key-of-at-least-32-bytes")
    with pytest.raises(VerificationError, match="the hash key differs"):
        source.deliver("20240102.csv", DELIVERIES["20240102.csv"])
    assert source.rows("profiles") == rows


OVERWRITE = EVENTS_TABLE.replace('load = "append"', 'load = "partition_overwrite"')
DAYS = r"""
name = "source"
comment = "Events"
table = "events"
[delivery]
snapshot = 'export=(?P<snapshot>\d{8})/events_(?P<day>\d{8})-\d+\.csv'
"""


def test_a_day_that_is_exported_again_is_replaced_and_an_older_export_of_it_ignored(tmp_path: Path) -> None:
    source = Source(tmp_path, DAYS, {"events": OVERWRITE})

    def export(moment: str, day: str, *people: str) -> None:
        lines = "".join(f"{person},open,2024-01-{day}T10:00:00Z,\n" for person in people)
        source.land(f"export={moment}/events_202401{day}-000.csv", HEADER + lines)

    export("20240103", "01", "p1", "p2")
    export("20240103", "02", "p1")
    source.run()
    assert day_of(source.rows("events")) == {"2024-01-01": 2, "2024-01-02": 1}
    places = locations(source, "events")
    export("20240104", "02", "p1", "p2", "p3")
    export("20240104", "03", "p1")
    source.run()
    assert day_of(source.rows("events")) == {"2024-01-01": 2, "2024-01-02": 3, "2024-01-03": 1}
    assert locations(source, "events")["2024-01-01"] == places["2024-01-01"]
    export("20240102", "02", "p9")
    source.run()
    assert day_of(source.rows("events")) == {"2024-01-01": 2, "2024-01-02": 3, "2024-01-03": 1}
    assert source.report()["superseded"] == ["export=20240102/events_20240102-000.csv"]
    assert list(source.landing.rglob("*.csv")) == []


def test_a_new_column_is_added_and_old_files_read_as_null(events: Source) -> None:
    events.deliver("20240131_events.csv", HEADER + "p1,open,1/30/2024 1:00:00 PM,\n")
    table = events.folder / "definitions" / "tables" / "events.toml"
    table.write_text(table.read_text() + '[columns.device]\ncomment = "Device"\n')
    events.deliver(
        "20240201_events.csv", HEADER.replace("note", "note,device") + "p1,open,2/1/2024 1:00:00 PM,,phone\n"
    )
    assert [row["device"] for row in events.rows("events")] == [None, "phone"]
    assert events.report()["tables"]["events"]["schema_changes"] == ["added device string"]
    assert events.catalog("events")["parameters"]["schema_changes"] == "added device string"
    events.deliver("20240202_events.csv", HEADER + "p2,open,1/30/2024 1:00:00 PM,\n")
    assert [row["device"] for row in events.rows("events")] == [None, None, "phone"]
    assert events.report()["tables"]["events"]["absent_fields"] == ["device"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('partitions = ["day"]', ""), "is partitioned by day date, its file says nothing"),
        (lambda text: text.replace('"When (UTC)"\ntype = "timestamp"', '"When (UTC)"'), "at from timestamp to string"),
    ],
)
def test_a_change_that_old_rows_do_not_bear_stops_the_run(
    events: Source, change: Callable[[str], str], message: str
) -> None:
    events.deliver("20240131_events.csv", HEADER + "p1,open,1/30/2024 1:00:00 PM,\n")
    before = events.catalog("events")
    table = events.folder / "definitions" / "tables" / "events.toml"
    changed = change(table.read_text())
    assert changed != table.read_text()
    table.write_text(changed)
    with pytest.raises(VerificationError, match=message):
        events.deliver("20240201_events.csv", HEADER + "p1,open,2/1/2024 1:00:00 PM,\n")
    assert events.catalog("events") == before


ATTRIBUTES = """
name = "attributes"
comment = "Attributes"
load = "upsert"
keys = ["id"]
audit = ["source_file", "source_row", "run_id", "loaded_at", "row_hash"]
[columns.id]
comment = "Id"
[extra_columns]
comment = "Profile attribute"
publish = "clear"
"""
ATTRIBUTES_SOURCE = r"""
name = "source"
comment = "Attributes"
table = "attributes"
[delivery]
snapshot = '(?P<snapshot>\d{8})\.csv'
keep = "all"
"""


def test_columns_that_marketing_adds_appear_in_the_table(tmp_path: Path) -> None:
    source = Source(tmp_path, ATTRIBUTES_SOURCE, {"attributes": ATTRIBUTES})
    source.deliver("20240101.csv", "Id,First Name\n1,Jane\n2,Joe\n")
    source.deliver("20240102.csv", "Id,First Name,Loyalty Tier\n2,Joseph,gold\n3,Ann,\n")
    source.deliver("20240103.csv", "Id,Shoe-Size\n3,38\n")
    rows = {row["id"]: row for row in source.rows("attributes")}
    assert [(each["first_name"], each["loyalty_tier"], each["shoe_size"]) for _, each in sorted(rows.items())] == [
        ("Jane", None, None),
        ("Joseph", "gold", None),
        (None, None, "38"),
    ]
    assert source.report()["tables"]["attributes"]["schema_changes"] == ["added shoe_size string"]
    assert [(row["source_file"], row["source_row"]) for _, row in sorted(rows.items())] == [
        ("20240101.csv", 2),
        ("20240102.csv", 2),
        ("20240103.csv", 2),
    ]
    runs = sorted(path.name.removeprefix("run=") for path in (source.root / "state" / "source").glob("run=*"))
    assert {row["run_id"] for row in rows.values()} == set(runs)
    assert all(f"{row['loaded_at']:%Y%m%dT%H%M%SZ}" == row["run_id"][:16] for row in rows.values())
    assert len({row["row_hash"] for row in rows.values()}) == 3
    report = json.dumps(source.report())
    assert "Joseph" not in report


def test_a_table_that_somebody_else_has_changed_is_merged_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = profiles(tmp_path)
    source.deliver("20240101.csv", DELIVERIES["20240101.csv"])
    other = Source(tmp_path, PROFILES_CONNECTOR.format(more=DELETES).replace('"source"', '"other"'), {}, name="other")
    publish = transform.publish

    def after_another_run(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(transform, "publish", publish)
        other.deliver("20240102.csv", DELIVERIES["20240102.csv"])
        publish(*arguments, **named)

    monkeypatch.setattr(transform, "publish", after_another_run)
    with pytest.raises(CatalogConflictError, match="Run again: the rows are merged anew"):
        source.deliver("20240103.csv", DELIVERIES["20240103.csv"])
    source.run()
    assert tiers(source) == {("silver", "US"): 1, ("bronze", "FR"): 1, ("gold", "US"): 1}
