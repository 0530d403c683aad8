"""A small made-up run, and what is said of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime.catalog import FileCatalog
from jobs.runtime.configuration import load_configuration
from jobs.runtime.ledger import Run, start_run
from jobs.runtime.manifest import DATA, MARKER, SUPERSEDED, Entry, Manifest
from jobs.runtime.report import make_report, message_of, summary_of, write_report
from jobs.runtime.storage import LocalStorage
from jobs.runtime.workspace import Workspace

EXPECTED = Path(__file__).with_name("summary.txt")
ROOT = "file:///data/acme"


def outcome(ordinal: int, name: str, rows: int, ragged: int, **changes: Any) -> dict[str, Any]:
    made = {
        "ordinal": ordinal,
        "name": name,
        "size": 2_000_000,
        "codec": "openpgp+gzip",
        "reason": "",
        "detail": "",
        "rows": rows,
        "ragged": ragged,
        "clear_size": 10_000_000,
        "seconds": 1.5,
        "parts": [],
        "filled": {"email": rows - 10, "city": rows // 2},
        "ignored_columns": ["extra"],
        "absent_fields": ["phone"],
    }
    return {**made, **changes}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    storage = LocalStorage(tmp_path)
    connector, table = load_configuration("aep_profiles", None)
    return Workspace(connector, table, storage, FileCatalog(storage))


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
    bad = outcome(1, "bad.csv", 0, 0, reason="empty_file", detail="0 bytes", filled=None, clear_size=0, codec="")
    files = [outcome(0, entries[0].name, 1_000_000, 2), bad, outcome(2, entries[2].name, 500_000, 0)]
    run.finish("decrypt", {"seconds": 4.0, "attempt": 1, "files": files})
    accounting = [
        {"name": entries[0].name, "read": 1_000_002, "published": 900_000, "duplicates": 100_000,
         "rejected": {"ragged_row": 2}},
        {"name": entries[2].name, "read": 500_000, "published": 499_900, "duplicates": 0,
         "rejected": {"missing_email": 60, "invalid_email": 40}},
    ]  # fmt: skip
    fill = dict.fromkeys((column.name for column in workspace.table.columns), 0.5)
    run.finish(
        "transform",
        {
            "seconds": 10.0,
            "verify_seconds": 2.0,
            "attempt": 1,
            "location": f"{ROOT}/curated/customer_profile/run=r1/attempt=1",
            "partitions": [{}, {}, {}],
            "rows": 1_399_900,
            "objects": 3,
            "size": 150_000_000,
            "accounting": accounting,
            "fill": {**fill, "email": 1.0, "phone": None},
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
        },
    )
    run.finish("publish", {"seconds": 0.004, "table": {}})
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
        "rejected": 102,
        "rejected_by_reason": {"missing_email": 60, "invalid_email": 40, "ragged_row": 2},
    }
    assert rows["read"] == rows["published"] + rows["duplicates"] + rows["rejected"]
    assert [each["name"] for each in report["quarantined"]] == ["bad.csv"]
    assert report["superseded"] == ["amazon-s3_gold-members_20261120_120000.csv.gpg"]
    assert report["left_in_landing"] == ["new.csv"]
    assert report["columns"]["email"] == {
        "published_as": "hmac-sha256/hex",
        "delivered": pytest.approx(1_499_980 / 1_500_000),
        "published": 1.0,
        "profile": "cleanroom-etl@1",
        "distinct": 1_312_000,
    }
    assert report["columns"]["city"]["published_as"] == "clear"
    assert report["columns"]["phone"] == {
        "published_as": "hmac-sha256/hex",
        "profile": "cleanroom-etl@1",
        "delivered": 0.0,
        "published": None,
        "distinct": None,
    }
    assert report["steps"]["transform"] == {"seconds": 10.0, "mb_per_second": 15.0, "rows_per_second": 150_000}
    assert report["steps"]["publish"] == {"seconds": 0.0}
    assert len(report["advice"]) == 1


def test_a_report_is_written_once(run: Run, report: dict[str, Any]) -> None:
    write_report(run, report)
    write_report(run, {**report, "table": "other"})
    assert json.loads(run.storage.read(run.key("report.json"))) == json.loads(json.dumps(report))


def test_the_message_is_short(report: dict[str, Any]) -> None:
    message = message_of(report)
    assert message["rows"] == report["rows"]
    assert "columns" not in message
    assert "files" not in message
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
    wide["columns"]["a" * 40] = {
        "published_as": "salted-sha256/base64",
        "profile": "amc-uploader@3.0.15",
        "delivered": 1.0,
        "published": None,
        "distinct": 7,
    }
    wide["files"][0]["name"] = "x" * 200
    lines = summary_of(wide).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("  column "))
    table = lines[start : start + len(wide["columns"]) + 1]
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
