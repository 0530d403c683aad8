"""A small made-up run, and what is said of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime.configuration import load_configuration
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.ledger import Run, start_run
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.manifest import DATA, MARKER, SUPERSEDED, Entry, Manifest
from jobs.runtime.report import make_report, message_of, summary_of, write_report
from jobs.runtime.workspace import Workspace

EXPECTED = Path(__file__).with_name("summary.txt")
ROOT = "file:///data/acme"


def outcome(ordinal: int, name: str, rows: int, ragged: int, **changes: Any) -> dict[str, Any]:
    made = {
        "ordinal": ordinal,
        "name": name,
        "size": 2_000_000,
        "member": 0,
        "feed": "aep_profiles",
        "codec": "openpgp+gzip",
        "reason": "",
        "detail": "",
        "rows": rows,
        "refused": {"ragged_row": ragged} if ragged else {},
        "clear_size": 10_000_000,
        "seconds": 1.5,
        "filled": {"email": rows - 10, "city": rows // 2},
        "ignored_columns": ["extra"],
        "absent_fields": ["phone"],
    }
    return {**made, **changes}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    storage = LocalStorage(tmp_path)
    connector, tables = load_configuration("aep_profiles", None)
    return Workspace(connector, tables, storage, FileCatalog(storage))


@pytest.fixture
def run(workspace: Workspace) -> Run:
    entries = (
        Entry(0, "amazon-s3_gold-members_20261121_120000.csv.gpg", 2_000_000, "", "e0", 1.0, DATA),
        Entry(1, "bad.csv", 5, "", "e1", 1.0, DATA),
        Entry(2, "amazon-s3_gold-members_20261121_120000_2.csv.gpg", 2_000_000, "", "e2", 1.0, DATA),
        Entry(3, "amazon-s3_gold-members_20261120_120000.csv.gpg", 1_000_000, "", "e3", 0.0, SUPERSEDED),
        Entry(4, "x.DONE", 0, "", "e4", 2.0, MARKER),
    )
    run = start_run(workspace.storage, Manifest("r1", "aep_profiles", entries, ("a note of the delivery",)))
    bad = outcome(1, "bad.csv", 0, 0, reason="empty_file", detail="0 bytes", filled={}, clear_size=0, codec="", feed="")
    files = [outcome(0, entries[0].name, 1_000_000, 2), bad, outcome(2, entries[2].name, 500_000, 0)]
    run.finish("decrypt", {"seconds": 4.0, "attempt": 1, "files": files, "parts": []})
    accounting = [
        {"name": entries[0].name, "read": 1_000_002, "published": 900_000, "duplicates": 100_000,
         "deletes": 0, "rejected": {"ragged_row": 2}},
        {"name": entries[2].name, "read": 500_000, "published": 499_900, "duplicates": 0,
         "deletes": 0, "rejected": {"missing_email": 60, "invalid_email": 40}},
    ]  # fmt: skip
    table = workspace.tables["aep_profiles"]
    entry = {
        "feed": "aep_profiles",
        "load": "full_refresh",
        "seconds": 10.0,
        "verify_seconds": 2.0,
        "location": f"{ROOT}/curated/customer_profile/run=r1/attempt=1",
        "partitions": [{}, {}, {}],
        "rows": 1_399_900,
        "objects": 3,
        "size": 150_000_000,
        "accounting": accounting,
        "fill": {**dict.fromkeys((column.name for column in table.columns), 0.5), "email": 1.0, "phone": None},
        "distinct": {"email": 1_312_000},
        "match_readiness": {
            "rows": 1_399_900,
            "countries": {"known": 1_399_000, "named_by_the_row": 1_399_000, "named_but_unknown": 900},
            "columns": {
                "email": {"delivered": 1_399_900, "valid": 1_399_900, "already_hashed": 0, "invalid_by_reason": {}},
                "phone": {
                    "delivered": 1_000_000,
                    "valid": 900_000,
                    "already_hashed": 0,
                    "invalid_by_reason": {"not_a_phone": 90_000, "unknown_country": 10_000},
                },
                "zip": {"delivered": 10, "valid": 10, "already_hashed": 700_000, "invalid_by_reason": {}},
            },
            "normalised_differently": {"email / email_uid2": 140_000},
        },
        "written_rows": 1_399_900,
        "written_partitions": 3,
        "displaced": 0,
        "schema_changes": ["added city string", "widened zip from int to bigint"],
        "columns": [
            {
                "name": column.name,
                "published_as": "clear" if column.hash is None else "hmac-sha256/hex",
                "profile": "cleanroom-etl@1",
                "field": column.field,
            }
            for column in table.columns
        ],
    }
    run.finish("transform", {"attempt": 1, "tables": {"customer_profile": entry}})
    run.finish("publish", {"seconds": 0.004, "catalog": "file:///data/acme/state/catalog", "tables": {}})
    return run


@pytest.fixture
def report(workspace: Workspace, run: Run) -> dict[str, Any]:
    return make_report(workspace, run, {"seconds": 0.5, "moved": 4, "left": ["new.csv"], "raw_dropped": 3})


def test_the_counts_of_a_run_add_up(report: dict[str, Any]) -> None:
    rows = report["rows"]
    assert rows == {
        "read": 1_500_002,
        "published": 1_399_900,
        "duplicates": 100_000,
        "deletes": 0,
        "rejected": 102,
        "rejected_by_reason": {"missing_email": 60, "invalid_email": 40, "ragged_row": 2},
    }
    assert rows["read"] == rows["published"] + rows["duplicates"] + rows["rejected"]
    assert [each["name"] for each in report["quarantined"]] == ["bad.csv"]
    assert report["superseded"] == ["amazon-s3_gold-members_20261120_120000.csv.gpg"]
    assert report["left_in_landing"] == ["new.csv"]
    assert [each["table"] for each in report["files"]] == ["customer_profile"] * 2
    (table,) = report["tables"].values()
    assert (table["rows"], table["rows_of_the_run"], table["load"]) == (1_399_900, rows, "full_refresh")
    assert table["absent_fields"] == ["phone"]
    columns = table["columns"]
    assert columns["email"] == {
        "published_as": "hmac-sha256/hex",
        "delivered": pytest.approx(1_499_980 / 1_500_000),
        "published": 1.0,
        "profile": "cleanroom-etl@1",
        "distinct": 1_312_000,
    }
    assert columns["city"]["published_as"] == "clear"
    assert columns["phone"] == {
        "published_as": "hmac-sha256/hex",
        "profile": "cleanroom-etl@1",
        "delivered": 0.0,
        "published": None,
        "distinct": None,
    }
    assert report["steps"]["transform"] == {"seconds": 10.0, "mb_per_second": 15.0, "rows_per_second": 150_000}
    assert report["steps"]["publish"] == {"seconds": 0.0}
    assert len(table["advice"]) == 1


def test_a_report_is_written_once(run: Run, report: dict[str, Any]) -> None:
    write_report(run, report)
    write_report(run, {**report, "tables": {}})
    assert json.loads(run.storage.read(run.key("report.json"))) == json.loads(json.dumps(report))


def test_the_message_is_short(report: dict[str, Any]) -> None:
    message = message_of(report)
    assert message["rows"] == report["rows"]
    assert "files" not in message
    assert message["tables"] == {
        "customer_profile": {
            "load": "full_refresh",
            "rows": 1_399_900,
            "schema_changes": ["added city string", "widened zip from int to bigint"],
            "location": f"{ROOT}/curated/customer_profile/run=r1/attempt=1",
        }
    }
    assert len(json.dumps(message)) < 4_000


@pytest.fixture
def shown(report: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
    """Return the report as if its root were ROOT, which is the same wherever the test runs."""
    text = json.dumps(report).replace(workspace.storage.root, ROOT)
    made: dict[str, Any] = json.loads(text)
    return made


def test_the_summary_is_the_expected_text(shown: dict[str, Any]) -> None:
    assert summary_of(shown) == EXPECTED.read_text(encoding="utf-8")


def test_columns_are_aligned_whatever_is_in_them(shown: dict[str, Any]) -> None:
    wide = copy.deepcopy(shown)
    columns = wide["tables"]["customer_profile"]["columns"]
    columns["a" * 40] = {
        "published_as": "salted-sha256/base64",
        "profile": "amc-uploader@3.0.15",
        "delivered": 1.0,
        "published": None,
        "distinct": 7,
    }
    wide["files"][0]["name"] = "x" * 200
    lines = summary_of(wide).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("  column "))
    table = lines[start : start + len(columns) + 1]
    assert len({len(line) for line in table}) == 1
    start = next(index for index, line in enumerate(lines) if line.startswith("  file "))
    assert len({len(line) for line in lines[start : start + 3]}) == 1


def test_of_many_files_ten_are_shown(shown: dict[str, Any]) -> None:
    shown["files"] = [shown["files"][0]] * 25
    text = summary_of(shown)
    assert text.count("amazon-s3_gold-members_20261121_120000.csv.gpg") == 10
    assert "… and 15 more, all in report.json" in text


def test_an_empty_run_has_a_summary(shown: dict[str, Any]) -> None:
    shown["files"], shown["rows"]["rejected_by_reason"] = [], {}
    shown["rows"].update(read=0, published=0, duplicates=0, rejected=0)
    assert "  read                     0 rows in 0 files" in summary_of(shown)


def test_a_run_without_a_good_file_fills_no_table(shown: dict[str, Any]) -> None:
    shown["files"], shown["tables"] = [], {}
    text = summary_of(shown)
    assert "Run r1 · aep_profiles → 0 tables" in text
    assert "  not loaded: bad.csv: empty_file" in text
    assert "column" not in text
    assert message_of(shown)["tables"] == {}


def test_deletions_are_shown_where_there_are_any(shown: dict[str, Any]) -> None:
    assert "deletions" not in summary_of(shown)
    shown["rows"]["deletes"] = 12_345
    lines = summary_of(shown).splitlines()
    at = lines.index("  deletions           12,345")
    assert [line[:12] for line in lines[at - 1 : at + 2]] == ["  duplicates", "  deletions ", "  rejected  "]


@pytest.mark.parametrize(
    ("load", "written_partitions", "expected"),
    [
        ("full_refresh", 3, None),
        ("upsert", 2, " in 2 of its partitions"),
        ("append", None, ""),
        ("partition_overwrite", 0, " in 0 of its partitions"),
    ],
)
def test_a_load_on_top_of_what_is_there_says_what_it_changed(
    shown: dict[str, Any], load: str, written_partitions: int | None, expected: str | None
) -> None:
    shown["tables"]["customer_profile"].update(
        load=load, rows=2_000_000, displaced=1_234, written_rows=5_678, written_partitions=written_partitions
    )
    told = [line for line in summary_of(shown).splitlines() if line.startswith(f"  {load}: ")]
    changed = f"  {load}: the table has 2,000,000 rows now; 1,234 were displaced, 5,678 written"
    assert told == ([] if expected is None else [f"{changed}{expected}"])


def test_the_query_is_what_asks_the_table_where_it_is(report: dict[str, Any], workspace: Workspace) -> None:
    query = report["tables"]["customer_profile"]["query"]
    start, _, asked = query.partition(" --sql ")
    assert start == f"spark-submit jobs/query.py --root {workspace.storage.root}"
    assert asked == '"SELECT * FROM customer_profile LIMIT 5"'
    assert f"  query   {query}" in summary_of(report).splitlines()


def test_up_to_three_tables_are_shown_one_after_the_other(shown: dict[str, Any]) -> None:
    (table,) = shown["tables"].values()
    shown["tables"] = {"people": table, "events": {**table, "match_readiness": None, "advice": []}}
    lines = summary_of(shown).splitlines()
    assert lines[1] == "Run r1 · aep_profiles → 2 tables"
    for name in shown["tables"]:
        at = lines.index(f"  table {name}")
        assert lines[at - 1] == ""
        assert lines[at + 1].startswith("  column ")
    assert sum("match readiness" in line for line in lines) == 1
    assert sum(line.startswith("  query ") for line in lines) == 2
    assert lines[-2:] == [
        "  note: a note of the delivery",
        "  note: people: the 3 objects are smaller than the 100 MB that Clean Rooms advises; fewer partitions help",
    ]


MANY_TABLES = """\
  table              load                    rows now         new  displaced  partitions
  sent               append                 2,000,000   1,399,900          0         2/3
  customers          upsert               234,567,890   1,399,900      5,000           -
    schema: added city string
    not delivered, so null: phone, zip
  everything_at_once partition_overwrite            0   1,399,900          0         0/3
  day                full_refresh           1,399,900   1,399,900          0         3/3
"""


def test_more_tables_have_a_line_each(shown: dict[str, Any]) -> None:
    (table,) = shown["tables"].values()
    plain = {**table, "schema_changes": [], "absent_fields": []}
    shown["tables"] = {
        "sent": {**plain, "load": "append", "rows": 2_000_000, "written_partitions": 2},
        "customers": {
            **plain,
            "load": "upsert",
            "rows": 234_567_890,
            "displaced": 5_000,
            "written_partitions": None,
            "schema_changes": ["added city string"],
            "absent_fields": ["phone", "zip"],
        },
        "everything_at_once": {**plain, "load": "partition_overwrite", "rows": 0, "written_partitions": 0},
        "day": plain,
    }
    text = summary_of(shown)
    assert f"\n\n{MANY_TABLES}\n" in text
    assert "  column " not in text
    assert "→ 4 tables" in text


def test_a_member_that_no_feed_takes_is_named(shown: dict[str, Any]) -> None:
    shown["quarantined"].append({"name": "x.zip!readme.pdf", "reason": "unknown_member", "detail": ""})
    assert "  not loaded: x.zip!readme.pdf: unknown_member\n" in summary_of(shown)
