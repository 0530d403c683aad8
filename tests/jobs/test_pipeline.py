"""The jobs as their user runs them, in one Spark session: what is published, what is refused, what a rerun does."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from jobs import archive, decrypt, pipeline, rollback, transform
from jobs.runtime.args import parse_args
from jobs.runtime.errors import (
    BadFilesError,
    EmptyDeliveryError,
    LockedError,
    NothingToDoError,
    PipelineError,
    TooManyRejectsError,
    VerificationError,
)
from jobs.runtime.lock import hold_lock
from jobs.runtime.storage import LocalStorage, open_storage
from tests.jobs.conftest import PIPELINE, Site

pytestmark = pytest.mark.usefixtures("spark")

HEADER = (
    "segmentMembership.status,personalEmail.address,person.name.firstName,homeAddress.country,mobilePhone.number,"
    "homeAddress.postalCode,personID,homeAddress.stateProvince,homeAddress.street1,notMapped"
)
ROWS = [
    'realized,"Jane.Doe@Example.com ",Jane,US,(206) 555-0100,98101-1234,c1,Washington,"1 Main St, Apt ""x""",a',
    "existing,null,Nobody,US,,,c2,,,b",
    "realized,not an address,Nobody,US,,,c3,,,c",
    r"realized,jürgen@beispiel.de,Jürgen,DEU,+49 30 901820,10115,c4,Berlin,5 Dock\,d",
    "exited,JANE.DOE@example.com,Jane,usa,206-555-0100,98101,c5,WA,,e",
    *(f"realized,filler{number}@example.com,,,,,,,,f" for number in range(6)),  # rejects are a small share
]
GOOD_ROWS = 8  # of ROWS, each of another person


def run(site: Site, *more: str) -> None:
    pipeline.main(parse_args(pipeline.Args, [*site.arguments(*PIPELINE), *more]))


def put(site: Site, name: str, rows: list[str], header: str = HEADER) -> None:
    site.landing.mkdir(parents=True, exist_ok=True)
    # Written as Adobe writes: quotes inside of quoted values escaped with a backslash.
    text = "\n".join([header, *(row.replace('""x""', '\\"x\\"') for row in rows)]) + "\n"
    (site.landing / name).write_text(text, encoding="utf-8")


def catalog(site: Site) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((site.root / "state" / "catalog" / "customer_profile.json").read_text())
    return document


def published(site: Site) -> list[dict[str, Any]]:
    """Read the table as a reader would, through the catalog, with another program."""
    location = catalog(site)["location"].removeprefix("file://")
    with duckdb.connect() as connection:
        found = connection.read_parquet(f"{location}/*/*.parquet", hive_partitioning=True)
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    # DuckDB takes the folders above the table for columns too.
    return [{name: value for name, value in row.items() if name not in ("run", "attempt")} for row in rows]


def report(site: Site) -> dict[str, Any]:
    path = max((site.root / "state" / "aep_profiles").glob("run=*/report.json"))
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def rejects(site: Site) -> list[tuple[str, int, str]]:
    with duckdb.connect() as connection:
        found = connection.read_parquet(f"{site.root}/rejects/**/*.parquet", union_by_name=True)
        return sorted(found.select("source_file", "source_row", "reason").fetchall())


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def digest(site: Site, value: str | None) -> str | None:
    return value and hmac.new(site.keys.hash_key.read_bytes().strip(), value.encode(), hashlib.sha256).hexdigest()


def test_a_delivery_becomes_the_table_that_its_rows_say(site: Site) -> None:
    put(site, "audience.csv", ROWS)
    run(site)

    def row(**values: str | None) -> dict[str, Any]:
        hashed = ("customer_id", "first_name", "last_name", "address_1", "address_2", "zip", "email", "phone")
        clear = ("city", "state", "loyalty_member_status", "segmentation_status", "country")
        return {name: digest(site, values.get(name)) for name in hashed} | {name: values.get(name) for name in clear}

    expected = [
        row(
            customer_id="c4", first_name="jürgen", address_1="5 dock\\", zip="10115", email="jürgen@beispiel.de",
            phone="+4930901820", state="BERLIN", segmentation_status="realized", country="DE",
        ),
        row(
            customer_id="c5", first_name="jane", zip="98101", email="jane.doe@example.com", phone="+12065550100",
            state="WA", segmentation_status="exited", country="US",
        ),
    ]  # fmt: skip
    found = {each["customer_id"]: each for each in published(site) if each["customer_id"]}
    assert {name for name, each in found.items()} == {each["customer_id"] for each in expected}
    for each in expected:
        assert found[each["customer_id"]] == each
    assert rejects(site) == [("audience.csv", 3, "missing_email"), ("audience.csv", 4, "invalid_email")]
    assert report(site)["files"][0]["ignored_columns"] == ["notMapped"]
    assert report(site)["rows"] == {
        "read": 11,
        "published": GOOD_ROWS,
        "duplicates": 1,
        "rejected": 2,
        "rejected_by_reason": {"missing_email": 1, "invalid_email": 1},
    }


@pytest.mark.parametrize("header", ["xdm", "guide", "underscored"])
def test_an_encrypted_messy_delivery_is_accounted_for_to_the_row(site: Site, header: str) -> None:
    delivery = site.deliver(600, header=header, ragged=7)
    run(site)
    expected = delivery.expected
    rows = published(site)
    assert Counter(row["country"] for row in rows) == expected.by_country
    assert len({row["email"] for row in rows}) == len(rows) == expected.distinct_emails
    found = report(site)
    assert found["rows"]["read"] == expected.rows + expected.ragged
    assert found["rows"]["duplicates"] == expected.duplicates
    assert found["rows"]["rejected_by_reason"] == {
        "missing_email": expected.missing_emails,
        "invalid_email": expected.invalid_emails,
        "ragged_row": expected.ragged,
    }
    for each in found["files"]:
        counts = delivery.counts[each["name"]]
        assert each["read"] == counts.rows + counts.ragged
        assert each["read"] == each["published"] + each["duplicates"] + sum(each["rejected"].values())
    assert set(found["superseded"]) == set(delivery.superseded)
    hashes = [value for row in rows for name in ("email", "phone", "first_name", "zip") if (value := row[name])]
    assert hashes
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
    assert hmac.new(site.keys.hash_key.read_bytes().strip(), b"", hashlib.sha256).hexdigest() not in hashes


def test_after_a_success_the_originals_are_archived_and_nothing_clear_is_left(site: Site) -> None:
    delivery = site.deliver(60)
    before = {name: (site.landing / name).read_bytes() for name in files_below(site.landing)}
    run(site)
    (run_folder,) = (site.root / "archive" / "aep_profiles").iterdir()
    assert {name: (run_folder / name).read_bytes() for name in files_below(run_folder)} == before
    assert delivery.manifest in before
    assert files_below(site.landing) == set()
    assert files_below(site.root / "raw") == set()


def test_the_same_command_again_changes_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.deliver(60)
    run(site)
    before = {name: (site.root / name).read_bytes() for name in files_below(site.root)}
    run(site)
    assert "nothing to do" in capsys.readouterr().out
    assert {name: (site.root / name).read_bytes() for name in files_below(site.root)} == before


def test_the_three_jobs_do_what_the_pipeline_does(site: Site) -> None:
    delivery = site.deliver(90)
    with pytest.raises(NothingToDoError, match="decrypt"):
        transform.main(parse_args(transform.Args, site.arguments("connector", "root", "hash-key")))
    keys = ("envelope-key", "pgp-key", "pgp-passphrase", "quiet-seconds")
    decrypt.main(parse_args(decrypt.Args, site.arguments("connector", "root", *keys)))
    with pytest.raises(NothingToDoError, match="publish"):
        archive.main(parse_args(archive.Args, site.arguments("connector", "root")))
    transform.main(parse_args(transform.Args, site.arguments("connector", "root", "hash-key")))
    assert files_below(site.landing)
    archive.main(parse_args(archive.Args, site.arguments("connector", "root")))
    assert len(published(site)) == delivery.expected.distinct_emails
    assert files_below(site.landing) == set()


class Crash(Exception):  # noqa: N818
    """Stands for a process that is gone."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("call", "key"),
    [
        ("create", r"/manifest\.json"),
        ("create", r"/decrypt\.json"),
        ("create", r"/transform\.json"),
        ("create", r"catalog/customer_profile\.json"),
        ("create", r"/publish\.json"),
        ("copy", r"landing/.*newsletter_20261121"),
        ("delete", r"landing/.*newsletter_20261121"),
        ("delete_prefix", "raw/"),
        ("create", r"/report\.json"),
        ("create", r"/archive\.json"),
    ],
)
def test_a_run_that_dies_is_finished_by_the_same_command(
    site: Site, monkeypatch: pytest.MonkeyPatch, call: str, key: str, when: str
) -> None:
    delivery = site.deliver(40)
    originals = files_below(site.landing)
    original = getattr(LocalStorage, call)

    def dies(self: LocalStorage, item: Any, *rest: Any) -> Any:
        hit = re.search(key, item if isinstance(item, str) else item.key)
        if hit and when == "before":
            raise Crash
        result = original(self, item, *rest)
        if hit:
            raise Crash
        return result

    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, call, dies)
        with pytest.raises(Crash):
            run(site)
    run(site)
    assert Counter(row["country"] for row in published(site)) == delivery.expected.by_country
    (folder,) = (site.root / "archive" / "aep_profiles").iterdir()
    assert files_below(folder) == originals
    assert files_below(site.landing) == files_below(site.root / "raw") == set()
    assert catalog(site)["parameters"]["previous_run"] == ""
    assert report(site)["rows"]["published"] == delivery.expected.distinct_emails


def test_a_bad_file_stops_the_run_before_anything_is_published(site: Site) -> None:
    delivery = site.deliver(90)
    bad = site.landing / delivery.files[0]
    data = bytearray(bad.read_bytes())
    data[len(data) // 2] ^= 1
    bad.write_bytes(data)
    with pytest.raises(BadFilesError, match=f"{re.escape(bad.name)}: not_authentic"):
        run(site)
    assert not (site.root / "curated").exists()
    assert bad.exists()
    quarantined = files_below(site.root / "quarantine")
    assert {Path(name).name for name in quarantined} == {bad.name, f"{bad.name}.reason.json"}


def test_a_run_can_go_on_without_a_bad_file(site: Site) -> None:
    delivery = site.deliver(90)
    bad = delivery.files[0]
    (site.landing / bad).write_bytes(b"")
    with pytest.raises(BadFilesError, match="empty_file"):
        run(site)
    run(site, "--on-bad-file", "quarantine")
    others = [delivery.counts[name] for name in delivery.files[1:]]
    assert report(site)["rows"]["read"] == sum(each.rows for each in others)
    assert report(site)["quarantined"] == [{"name": bad, "reason": "empty_file", "detail": "0 bytes"}]
    assert files_below(site.landing) == set()
    assert bad not in {Path(name).name for name in files_below(site.root / "archive")}


def test_a_missing_key_is_never_taken_for_a_bad_file(site: Site) -> None:
    site.deliver(30)
    arguments = site.arguments("connector", "root", "hash-key", "envelope-key", "quiet-seconds")
    with pytest.raises(BadFilesError, match="missing_key"):
        pipeline.main(parse_args(pipeline.Args, [*arguments, "--on-bad-file", "quarantine"]))
    assert not (site.root / "curated").exists()


def test_a_file_sent_again_is_taken_instead_of_the_bad_one(site: Site) -> None:
    put(site, "audience.csv", ROWS, header="no,such,columns")
    with pytest.raises(BadFilesError, match="missing_column"):
        run(site)
    put(site, "audience.csv", ROWS)
    run(site)
    assert len(published(site)) == GOOD_ROWS


@pytest.mark.parametrize("rows", [[], ROWS[1:3]])
def test_a_delivery_without_rows_does_not_empty_the_table(site: Site, rows: list[str]) -> None:
    put(site, "one.csv", ROWS)
    run(site)
    before = catalog(site)
    put(site, "two.csv", rows)
    with pytest.raises((EmptyDeliveryError, TooManyRejectsError)):
        run(site)
    assert catalog(site) == before
    if not rows:
        run(site, "--allow-empty", "--allow-shrink")
        assert catalog(site)["parameters"]["row_count"] == "0"


def test_a_table_that_would_shrink_too_much_is_not_published_unless_allowed(site: Site) -> None:
    put(site, "one.csv", [f"realized,person{number}@example.com,A,US,,,c{number},,,x" for number in range(10)])
    run(site)
    put(site, "two.csv", ["realized,person1@example.com,A,US,,,c1,,,x"])
    with pytest.raises(VerificationError, match="from 10 to 1 rows"):
        run(site)
    assert len(published(site)) == 10
    run(site, "--allow-shrink")
    assert len(published(site)) == 1


def test_a_table_can_be_pointed_back_and_forth(site: Site) -> None:
    for number in (1, 2, 3):
        put(site, f"{number}.csv", [f"realized,person{number}@example.com,A,US,,,c{number},,,x"])
        run(site)
    third = catalog(site)["parameters"]["run_id"]

    def back(*more: str) -> None:
        rollback.main(parse_args(rollback.Args, [*site.arguments("table", "root"), *more]))

    back()
    assert [row["customer_id"] for row in published(site)] == [digest(site, "c2")]
    back()
    assert [row["customer_id"] for row in published(site)] == [digest(site, "c1")]
    with pytest.raises(NothingToDoError, match="first"):
        back()
    back("--to-run", third)
    assert [row["customer_id"] for row in published(site)] == [digest(site, "c3")]


def test_a_run_cannot_be_shown_again_when_its_files_are_gone(site: Site) -> None:
    for number in (1, 2):
        put(site, f"{number}.csv", [f"realized,person{number}@example.com,A,US,,,c{number},,,x"])
        run(site)
    before = catalog(site)
    previous = before["parameters"]["previous_run"]
    open_storage(f"file://{site.root}").delete_prefix(f"curated/customer_profile/run={previous}/")
    with pytest.raises(VerificationError, match="no files any more"):
        rollback.main(parse_args(rollback.Args, site.arguments("table", "root")))
    assert catalog(site) == before


def test_only_the_newest_export_of_an_audience_is_loaded(site: Site) -> None:
    for day, person in (("20261119", "left"), ("20261121", "stays"), ("20261120", "gone")):
        put(site, f"aep_gold_{day}_120000.csv", [f"realized,{person}@example.com,A,US,,,{person},,,x"])
    put(site, "aep_silver_20261101_120000.csv", ["realized,other@example.com,A,US,,,other,,,x"])
    run(site)
    assert {row["customer_id"] for row in published(site)} == {digest(site, "stays"), digest(site, "other")}
    assert files_below(site.landing) == set()


def test_what_lands_while_a_run_goes_on_belongs_to_the_next(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    put(site, "one.csv", ROWS)
    transforms = transform.transform

    def lands(*arguments: Any) -> None:
        put(site, "late.csv", ["realized,late@example.com,A,US,,,late,,,x"])
        put(site, "one.csv", ["realized,again@example.com,A,US,,,again,,,x"])
        transforms(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(transform, "transform", lands)
        run(site)
    assert len(published(site)) == GOOD_ROWS
    assert files_below(site.landing) == {"late.csv", "one.csv"}
    run(site, "--allow-shrink")
    assert {row["customer_id"] for row in published(site)} == {digest(site, "late"), digest(site, "again")}


def test_ragged_rows_go_to_the_rejects_with_their_numbers(site: Site) -> None:
    rows = [f"realized,person{number}@example.com,A,US,,,c{number},,,x" for number in range(40)]
    put(site, "audience.csv", [*rows[:20], "too,short", *rows[20:], "too,long" + "," * 20])
    run(site)
    assert rejects(site) == [("audience.csv", 22, "ragged_row"), ("audience.csv", 43, "ragged_row")]
    assert len(published(site)) == 40


def test_another_run_of_the_connector_is_refused(site: Site) -> None:
    put(site, "audience.csv", ROWS)
    with hold_lock(open_storage(f"file://{site.root}"), "aep_profiles"), pytest.raises(LockedError, match="process"):
        run(site)
    run(site)
    assert len(published(site)) == GOOD_ROWS


def test_what_is_no_hash_is_never_published(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    put(site, "audience.csv", ROWS)
    with monkeypatch.context() as patch:
        patch.setattr(transform, "pseudonymise", lambda frame, *_: frame)  # somebody broke the hashing
        with pytest.raises(VerificationError, match=f"email: {GOOD_ROWS} values"):
            run(site)
    assert not (site.root / "state" / "catalog").exists()


def test_a_users_own_connector_and_table_are_taken_by_uri(site: Site, tmp_path: Path) -> None:
    table = tmp_path / "own_table.toml"
    table.write_text(
        'name = "people"\ncomment = "x"\n[hash]\nalgorithm = "sha256"\nencoding = "base64"\n'
        '[columns.mail]\ncomment = "x"\npersonal_data = "email"\nnormalize = "email"\n'
        '[columns.points]\ncomment = "x"\ntype = "decimal(10,2)"\n[columns.day]\ncomment = "x"\ntype = "date"\n'
    )
    connector = tmp_path / "own.toml"
    connector.write_text(
        'name = "own"\ncomment = "x"\ntable = "people"\n[format]\ndelimiter = ";"\n'
        '[columns.mail]\naliases = ["E-Mail"]\n[columns.points]\n[columns.day]\ndate_format = "dd.MM.yyyy"\n'
    )
    landing = site.root / "landing" / "own"
    landing.mkdir(parents=True)
    text = 'day;E-Mail;points\n21.11.2026;"a@x.com";12.50\n31.02.2026;B@x.com;lots\n;;\n'
    (landing / "x.txt").write_bytes(text.encode("utf-16"))
    arguments = ["--connector", f"file://{connector}", "--table", f"file://{table}", "--root", f"file://{site.root}"]
    pipeline.main(parse_args(pipeline.Args, [*arguments, "--quiet-seconds", "0"]))
    document = json.loads((site.root / "state" / "catalog" / "people.json").read_text())
    location = document["location"].removeprefix("file://")
    with duckdb.connect() as connection:
        rows = connection.read_parquet(f"{location}/*.parquet")
        found = rows.project("mail, points::varchar, day::varchar").fetchall()
    import base64  # noqa: PLC0415

    def hashed(value: str) -> str:
        return base64.b64encode(hashlib.sha256(value.encode()).digest()).decode()

    assert sorted(found, key=str) == sorted(
        [(hashed("a@x.com"), "12.50", "2026-11-21"), (hashed("b@x.com"), None, None), (None, None, None)], key=str
    )


def test_messages_of_failures_never_hold_a_value(site: Site) -> None:
    put(site, "audience.csv", [ROWS[0]] * 2, header='secretName,"x')
    with pytest.raises(PipelineError) as caught:
        run(site)
    assert "secretName" not in str(caught.value)
    assert "Jane" not in str(caught.value)
    assert isinstance(caught.value, BadFilesError)


def test_a_session_of_the_tests_is_that_of_the_jobs(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    assert spark.sparkContext.getConf().get("spark.io.encryption.enabled") == "true"
