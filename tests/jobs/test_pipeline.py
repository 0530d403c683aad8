"""The jobs as their user runs them, in one Spark session: what is published, what is refused, what a rerun does."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import phonenumbers
import pytest
from pyspark.sql import SparkSession

from jobs import archive, decrypt, pipeline, rollback, transform
from jobs.runtime import feed_run
from jobs.runtime.args import parse_args
from jobs.runtime.errors import (
    BadFilesError,
    EmptyDeliveryError,
    LockedError,
    NothingToDoError,
    PipelineError,
    TooManyRejectsError,
    UnreadableDeliveryError,
    VerificationError,
)
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.lock import hold_lock
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.storage import open_storage
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
        "deletes": 0,
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


def test_clear_parts_that_expired_before_they_were_used_are_made_again(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = site.deliver(90)
    keys = ("envelope-key", "pgp-key", "pgp-passphrase", "quiet-seconds")
    decrypt_args = parse_args(decrypt.Args, site.arguments("connector", "root", *keys))
    decrypt.main(decrypt_args)
    shutil.rmtree(site.root / "raw")
    capsys.readouterr()
    run(site)
    assert "its clear parts have expired since; it is decrypted again" in capsys.readouterr().out
    assert len(published(site)) == delivery.expected.distinct_emails
    assert files_below(site.landing) == set()


def test_a_change_of_the_table_that_is_not_ours_does_not_stop_a_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deliver(60)
    run(site)
    site.deliver(60, seed=8)
    put, changes = FileCatalog.put, iter([True, True, False])

    def somebody_else_was_quicker(self: FileCatalog, table: PublishedTable, version: str) -> None:
        if next(changes, False):  # statistics of the table, say
            present = self.get(table.name)
            assert present is not None
            more = {**present.parameters, "note": present.parameters.get("note", "") + "!"}
            put(self, dataclasses.replace(present, parameters=more), present.version)
        put(self, table, version)

    monkeypatch.setattr(FileCatalog, "put", somebody_else_was_quicker)
    before = catalog(site)["parameters"]["run_id"]
    run(site, "--allow-shrink")
    after = catalog(site)["parameters"]
    assert (after["run_id"] != before, after["previous_run"]) == (True, before)


def test_the_three_jobs_do_what_the_pipeline_does(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    delivery = site.deliver(90)
    transform.main(parse_args(transform.Args, site.arguments("connector", "root", "hash-key")))
    archive.main(parse_args(archive.Args, site.arguments("connector", "root")))
    told = capsys.readouterr().out.splitlines()
    assert [line.split("; ")[0] for line in told] == [
        f"nothing to do: no run of aep_profiles waits for {step}" for step in ("transform", "archive")
    ]
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


@pytest.mark.long
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
    with pytest.raises(UnreadableDeliveryError, match="missing_key"):
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
        patch.setattr(feed_run, "pseudonymise", lambda frame, *_: frame)  # somebody broke the hashing
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
        '[columns.mail]\naliases = ["E-Mail"]\n[columns.points]\n[columns.day]\ntime_formats = ["dd.MM.yyyy"]\n'
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

    def hashed(value: str) -> str:
        return base64.b64encode(hashlib.sha256(value.encode()).digest()).decode()

    assert sorted(found, key=str) == sorted(
        [(hashed("a@x.com"), "12.50", "2026-11-21"), (hashed("b@x.com"), None, None), (None, None, None)], key=str
    )


PROFILES_TABLE = """
name = "profiles"
comment = "x"
[columns.email_amc]
comment = "x"
field = "email"
personal_data = "email"
normalize = "email"
profile = "amc-uploader"
[columns.email_uid2]
comment = "x"
field = "email"
personal_data = "email"
normalize = "email"
profile = "uid2"
[columns.email_hmac]
comment = "x"
field = "email"
personal_data = "email"
normalize = "email"
[columns.email_partner]
comment = "x"
field = "email"
personal_data = "email"
normalize = "email"
key = "partner"
encoding = "base64"
[columns.phone_uid2]
comment = "x"
field = "phone"
personal_data = "phone"
normalize = "phone"
profile = "uid2"
[columns.phone_ramp]
comment = "x"
field = "phone"
personal_data = "phone"
normalize = "phone"
profile = "liveramp"
[columns.loyalty]
comment = "hashed by the source"
personal_data = "email"
normalize = "email"
profile = "adobe"
encoding = "base64"
[columns.zip]
comment = "compared as it is"
personal_data = "postal_code"
normalize = "postal_code"
profile = "google-ads"
publish = "clear"
[columns.country]
comment = "x"
normalize = "country"
"""
PROFILES_CONNECTOR = """
name = "partner"
comment = "x"
table = "profiles"
default_country = "US"
[columns.email]
[columns.phone]
[columns.zip]
[columns.country]
[columns.loyalty]
prehashed = { algorithm = "sha256", encoding = "any-hex", profile = "adobe" }
"""


def test_one_delivery_is_published_by_the_rules_of_several_platforms(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loyalty = hashlib.sha256(b"zaphro.quibble@canary.example").hexdigest()
    landed = [
        "email,phone,zip,country,loyalty",
        f"Zaphro.Quibble+News@Gmail.com,(206) 555-0177, 98177-4321 ,,{loyalty.upper()}",
        "o'canary@example.com,+49 30 9018 2077,10177,Deutschland,",
        "no-canary-address,65 1243 5677,,Canaria,not-a-canary-hash",
        f"{loyalty},,,US,",
    ]
    (site.root / "landing" / "partner").mkdir(parents=True)
    (site.root / "landing" / "partner" / "people.csv").write_text("\n".join(landed) + "\n", encoding="utf-8")
    (tmp_path / "profiles.toml").write_text(PROFILES_TABLE)
    (tmp_path / "partner.toml").write_text(PROFILES_CONNECTOR)
    house, partner = b"our-own-hash-key-of-32-bytes----", b"the-partners-key-of-32-bytes----"
    (tmp_path / "house.key").write_bytes(house)
    (tmp_path / "partner.key").write_bytes(partner + b"\n")
    arguments = {
        "connector": f"file://{tmp_path}/partner.toml",
        "table": f"file://{tmp_path}/profiles.toml",
        "root": f"file://{site.root}",
        "hash-key": f"default=file:{tmp_path}/house.key,partner=file:{tmp_path}/partner.key",
        "quiet-seconds": "0",
    }
    words = [word for name, value in arguments.items() for word in (f"--{name}", value)]
    pipeline.main(parse_args(pipeline.Args, words))

    def plain(value: str) -> str:
        return hashlib.sha256(value.encode()).hexdigest()

    def in_base64(digest: bytes) -> str:
        return base64.b64encode(digest).decode()

    def row(amc: str | None, uid2: str | None, ours: str | None) -> tuple[str | None, ...]:
        return (
            amc and plain(amc),
            uid2 and in_base64(hashlib.sha256(uid2.encode()).digest()),
            ours and hmac.new(house, ours.encode(), hashlib.sha256).hexdigest(),
            ours and in_base64(hmac.digest(partner, ours.encode(), "sha256")),
        )

    def e164(value: str) -> str:
        return in_base64(hashlib.sha256(value.encode()).digest())

    us_phone = hashlib.sha1(b"2065550177", usedforsecurity=False).hexdigest()
    expected = [
        (
            *row("zaphro.quibblenews@gmail.com", "zaphroquibble@gmail.com", "zaphro.quibble+news@gmail.com"),
            e164("+12065550177"), us_phone, in_base64(bytes.fromhex(loyalty)), "98177-4321", None,
        ),
        (
            *row("ocanary@example.com", "o'canary@example.com", "o'canary@example.com"),
            e164("+493090182077"), None, None, "10177", "DE",
        ),
        # The country is named but unknown, so the national number is nobody's; what is no address or hash is null.
        (*row(None, None, None), None, None, None, None, None),
        (*row(None, None, None), None, None, None, None, "US"),
    ]  # fmt: skip
    document = json.loads((site.root / "state" / "catalog" / "profiles.json").read_text())
    with duckdb.connect() as connection:
        found = connection.read_parquet(f"{document['location'].removeprefix('file://')}/*.parquet").fetchall()
    assert sorted(found, key=str) == sorted(expected, key=str)

    said = document["parameters"]
    assert said["profiles"].split(",") == [
        "email_amc=amc-uploader@3.0.15:email",
        "email_uid2=uid2@docs:email",
        "email_hmac=cleanroom-etl@1:email",
        "email_partner=cleanroom-etl@1:email",
        "phone_uid2=uid2@docs:phone",
        "phone_ramp=liveramp@1:phone",
        "loyalty=adobe@1:email",
        "zip=google-ads@customer-match:postal_code",
        "country=cleanroom-etl@1:country",
    ]
    assert said["hashes"].split(",") == [
        "email_amc=sha256/hex",
        "email_uid2=sha256/base64",
        "email_hmac=hmac-sha256/hex/default",
        "email_partner=hmac-sha256/base64/partner",
        "phone_uid2=sha256/base64",
        "phone_ramp=sha1/hex",
        "loyalty=sha256/base64",
    ]
    assert re.fullmatch("[0-9a-f]{16},partner=[0-9a-f]{16}", said["hash_key_id"])
    assert len({*said["hash_key_id"].replace("partner=", "").split(",")}) == 2
    assert said["phonenumbers"] == phonenumbers.__version__
    assert said["country_source"] == "field country, default US"

    path = next((site.root / "state" / "partner").glob("run=*/report.json"))
    readiness = json.loads(path.read_text())["tables"]["profiles"]["match_readiness"]
    assert readiness["rows"] == 4
    assert readiness["countries"] == {"known": 3, "named_by_the_row": 2, "named_but_unknown": 1}
    assert readiness["normalised_differently"] == {
        "email_amc / email_uid2": 2,
        "email_amc / email_hmac": 2,
        "email_amc / email_partner": 2,
        "email_uid2 / email_hmac": 1,
        "email_uid2 / email_partner": 1,
        "phone_uid2 / phone_ramp": 2,
    }
    columns = readiness["columns"]
    assert columns["email_hmac"] == {
        "delivered": 4,
        "valid": 2,
        "already_hashed": 0,
        "invalid_by_reason": {"hash_not_declared": 1, "not_an_email": 1},
    }
    assert columns["phone_ramp"]["invalid_by_reason"] == {"not_a_phone": 1, "unknown_country": 1}
    assert (columns["loyalty"]["already_hashed"], columns["loyalty"]["invalid_by_reason"]) == (1, {"not_a_hash": 1})

    printed = capsys.readouterr()
    texts = [
        printed.out,
        printed.err,
        *(file.read_text() for file in (site.root / "state").rglob("*") if file.is_file()),
    ]
    assert "match readiness" in printed.out
    for text in map(str.lower, texts):
        for word in ("zaphro", "quibble", "canary", "canaria", "5550177", "555-0177", "2077", "98177", loyalty):
            assert word not in text
        assert house.decode() not in text
        assert partner.decode() not in text


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
