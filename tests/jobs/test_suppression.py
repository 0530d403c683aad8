"""Suppression lists, as their user runs them: who is on one is not published, in whatever mode."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import transform
from jobs.runtime.errors import ArgumentError, StorageError, VerificationError
from tests.jobs.own_source import Source

pytestmark = pytest.mark.usefixtures("spark")

KEY = b"a-key-of-the-tests-with-32-bytes"
TABLE = """
name = "people"
comment = "People"
load = "{load}"
keys = ["person", "at"]
partitions = ["day"]
[publication]
max_shrink = 0.9
[columns.person]
comment = "Hash of the person's id"
personal_data = "identifier"
[columns.email]
comment = "Hash of the e-mail address"
personal_data = "email"
normalize = "email"
[columns.email_uid2]
comment = "The same for UID2"
field = "email"
personal_data = "email"
normalize = "email"
profile = "uid2"
[columns.city]
comment = "City"
personal_data = "location"
publish = "clear"
[columns.at]
comment = "When"
type = "timestamp"
[columns.day]
comment = "Day"
type = "date"
field = "at"
default = "1970-01-01"
"""
CONNECTOR = r"""
name = "source"
comment = "People"
table = "people"
[delivery]
snapshot = '(?P<snapshot>\d{8})\.csv'
keep = "all"
[rejects]
invalid = ["email"]
max_share = 0.9
keep_values = true
"""
HEADER = "person,email,city,at\n"
FIRST = HEADER + (
    "p1,ann@x.org,Rome,2024-01-01T10:00:00Z\np2,bob@x.org,Rome,2024-01-01T11:00:00Z\n"
    "p3,cy@x.org,Rome,2024-01-02T10:00:00Z\np4,dee@x.org,Oslo,2024-01-03T10:00:00Z\n"
)
SECOND = HEADER + "p5,eve@x.org,Oslo,2024-01-04T10:00:00Z\np2,Bob@X.org,Oslo,2024-01-04T11:00:00Z\n"
PEOPLE = {f"p{number}" for number in range(1, 6)}


def pseudonym(value: str) -> str:
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()


def source(folder: Path, load: str = "append") -> Source:
    return Source(folder, CONNECTOR, {"people": TABLE.format(load=load)})


def shown(of: Source) -> set[tuple[str, str]]:
    """Return who is in the table, and on which days."""
    who = {pseudonym(person): person for person in PEOPLE}
    return {(who[row["person"]], str(row["day"])) for row in of.rows("people")}


def csv_list(folder: Path, text: str, name: str = "list.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return f"file://{folder}/{name}"


def parquet_list(path: Path, **columns: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def clear_csv(folder: Path) -> str:
    return csv_list(folder, "\ufeffE-Mail;City\r\n BOB@x.org ;Rome\r\ncy@x.org;\r\n;\r\n")


def hashed_csv(folder: Path) -> str:
    return csv_list(folder, f"email\n{pseudonym('bob@x.org').upper()}\n{pseudonym('cy@x.org')}\n")


def hashed_for_another_platform(folder: Path) -> str:
    """Name Cy by a hash that is in the list's column under another column's profile and encoding."""
    digest = base64.b64encode(hashlib.sha256(b"cy@x.org").digest()).decode()
    return csv_list(folder, f"person,email_uid2\np2,\n,{digest}\n")


def clear_folder(folder: Path) -> str:
    parquet_list(folder / "list" / "1.parquet", person=["p2"])
    parquet_list(folder / "list" / "2.parquet", person=["p3"])
    return f"file://{folder}/list/"


def hashed_parquet(folder: Path) -> str:
    parquet_list(folder / "list.parquet", person=[pseudonym("p2"), pseudonym("p3")])
    return f"file://{folder}/list.parquet"


def our_table(folder: Path) -> str:
    """Publish the people who have opted out as a table beside the other one."""
    column = '[columns.email]\ncomment = "Hash"\npersonal_data = "email"\nnormalize = "email"'
    text = f'name = "gone"\ncomment = "Gone"\n{column}'
    connector = 'name = "optouts"\ncomment = "Opt-outs"\ntable = "gone"'
    Source(folder, connector, {"gone": text}, name="optouts").deliver("gone.csv", "email\nbob@x.org\ncy@x.org\n")
    return "gone"


@pytest.mark.parametrize("make", [clear_csv, hashed_parquet, our_table], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("full_refresh", {("p5", "2024-01-04")}),
        ("append", {("p1", "2024-01-01"), ("p4", "2024-01-03"), ("p5", "2024-01-04")}),
        ("upsert", {("p1", "2024-01-01"), ("p4", "2024-01-03"), ("p5", "2024-01-04")}),
        ("partition_overwrite", {("p1", "2024-01-01"), ("p4", "2024-01-03"), ("p5", "2024-01-04")}),
    ],
)
def test_who_is_on_a_list_is_not_published_and_goes_from_the_table(
    tmp_path: Path, load: str, expected: set[tuple[str, str]], make: Callable[[Path], str]
) -> None:
    people = source(tmp_path, load)
    people.deliver("20240101.csv", FIRST)
    before = {each["values"][0]: each["location"] for each in people.catalog("people")["partitions"]}
    people.land("20240102.csv", SECOND)
    people.run("--suppression-list", make(tmp_path))
    assert shown(people) == expected
    rows = people.report()["rows"]
    assert (rows["read"], rows["published"], rows["suppressed"], rows["rejected"]) == (2, 1, 1, 0)
    after = {each["values"][0]: each["location"] for each in people.catalog("people")["partitions"]}
    if load != "full_refresh":
        assert after["2024-01-03"] == before["2024-01-03"]  # nothing changed there
        assert after["2024-01-01"] != before["2024-01-01"]
    assert people.catalog("people")["parameters"]["row_count"] == str(len(expected))


@pytest.mark.parametrize(
    "make", [hashed_csv, hashed_for_another_platform, clear_folder], ids=lambda make: make.__name__
)
def test_other_forms_of_lists_say_the_same(tmp_path: Path, make: Callable[[Path], str]) -> None:
    people = source(tmp_path)
    people.land("20240101.csv", FIRST)
    people.run("--suppression-list", make(tmp_path))
    assert shown(people) == {("p1", "2024-01-01"), ("p4", "2024-01-03")}
    assert people.report()["rows"]["suppressed"] == 2


@pytest.mark.parametrize("load", ["append", "upsert"])
def test_a_person_stays_out_while_on_the_list_and_may_come_again_after(tmp_path: Path, load: str) -> None:
    people = source(tmp_path, load)
    people.deliver("20240101.csv", FIRST)
    uri = clear_csv(tmp_path)
    people.land("20240102.csv", FIRST)
    people.run("--suppression-list", uri)
    out = {("p1", "2024-01-01"), ("p4", "2024-01-03")}
    assert shown(people) == out
    people.land("20240103.csv", FIRST)
    people.run("--suppression-list", uri)
    assert shown(people) == out
    assert people.report()["rows"] == {
        "read": 4, "published": 0, "duplicates": 2, "deletes": 0, "suppressed": 2, "rejected": 0,
        "rejected_by_reason": {},
    }  # fmt: skip
    people.deliver("20240104.csv", FIRST)
    assert shown(people) == out | {("p2", "2024-01-01"), ("p3", "2024-01-02")}


def test_an_upsert_does_not_bring_back_what_a_later_full_export_leaves_beside_it(tmp_path: Path) -> None:
    text = TABLE.format(load="upsert")
    people = Source(tmp_path, CONNECTOR, {"people": text})
    full = Source(tmp_path, CONNECTOR.replace('"source"', '"exports"'), {"people": text}, name="exports")
    path = tmp_path / "definitions" / "connectors" / "exports.toml"
    path.write_text(path.read_text().replace("[delivery]", 'load = "full_refresh"\n[delivery]'))
    people.deliver("20240105.csv", FIRST)
    full.land("20240101.csv", SECOND)  # taken before the upserts, so what they brought stays
    full.run("--suppression-list", clear_csv(tmp_path))
    assert shown(people) == {("p1", "2024-01-01"), ("p4", "2024-01-03"), ("p5", "2024-01-04")}
    assert full.report()["rows"]["suppressed"] == 1


def test_a_suppressed_row_wins_over_no_other_and_is_no_reject_and_nothing_of_it_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = source(tmp_path, "full_refresh")
    people.land(
        "20240101.csv",
        HEADER + "p1,ann@x.org,Rome,2024-01-01T10:00:00Z\np1,bob@x.org,Oslo,2024-01-01T10:00:00Z\n"
        "p2,no address,Secret-Town,2024-01-01T10:00:00Z\np3,no address,Rome,2024-01-01T10:00:00Z\n",
    )
    people.run("--suppression-list", csv_list(tmp_path, "email,person\nbob@x.org,\n,p2\n"))
    assert [row["city"] for row in people.rows("people")] == ["Rome"]  # not the later row of the same key
    assert people.report()["rows"] == {
        "read": 4, "published": 1, "duplicates": 0, "deletes": 0, "suppressed": 2, "rejected": 1,
        "rejected_by_reason": {"invalid_email": 1},
    }  # fmt: skip
    kept = [path for path in (people.root / "rejects").rglob("*.parquet") if path.is_file()]
    assert [row for path in kept for row in pq.read_table(path)["city"].to_pylist()] == ["Rome"]
    said = capsys.readouterr().out
    assert "suppressed               2" in said
    everything = said + "".join(path.read_text() for path in (people.root / "state").rglob("*.json"))
    for value in ("bob@x.org", pseudonym("bob@x.org"), "Secret-Town"):
        assert value not in everything


def test_a_deletion_of_a_listed_person_still_deletes(tmp_path: Path) -> None:
    connector = CONNECTOR.replace("[rejects]", '[deletes]\nfield = "city"\nvalues = ["left"]\n[rejects]')
    people = Source(tmp_path, connector, {"people": TABLE.format(load="upsert")})
    people.deliver("20240101.csv", FIRST)
    people.land("20240102.csv", HEADER + "p1,bob@x.org,left,2024-01-01T10:00:00Z\n")
    people.run("--suppression-list", csv_list(tmp_path, "email\nbob@x.org\n"))
    assert shown(people) == {("p3", "2024-01-02"), ("p4", "2024-01-03")}
    assert people.report()["rows"]["deletes"] == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ann@x.org\nbob@x.org\n", "none of its columns is one that tells a person of connector source"),
        ("city,day\nRome,2024-01-01\n", "none of its columns is one that tells a person"),
        ("email\nnobody\n\nno-one at all\n", "of its 2 rows none has a value for email, email_uid2 that could be used"),
        ("email\n", "it names nobody"),
        ("", "is neither Parquet nor a CSV file in UTF-8 with a header"),
        ("e\0mail\n", "is neither Parquet nor a CSV file in UTF-8 with a header"),
        (None, "is not there, or is empty"),
    ],
)
def test_a_list_that_would_suppress_nobody_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    people = source(tmp_path)
    people.land("20240101.csv", FIRST)
    uri = csv_list(tmp_path, text) if text is not None else f"file://{tmp_path}/nothing.csv"
    with pytest.raises(ArgumentError, match=told) as raised:
        people.run("--suppression-list", uri)
    assert "bob" not in str(raised.value)
    assert not (people.root / "state" / "catalog").exists()
    people.run()
    assert len(people.rows("people")) == 4


def test_a_table_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="list optouts: there is no such table of ours"):
        source(tmp_path).run("--suppression-list", "optouts")


def test_who_asks_between_transform_and_publish_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = source(tmp_path)
    people.land("20240101.csv", FIRST)
    with monkeypatch.context() as broken:
        broken.setattr(transform, "publish", lambda *_, **__: (_ for _ in ()).throw(StorageError("no more")))
        with pytest.raises(StorageError):
            people.run()
    people.run("--suppression-list", clear_csv(tmp_path))
    assert "a suppression list has changed since transform was done" in capsys.readouterr().out
    assert shown(people) == {("p1", "2024-01-01"), ("p4", "2024-01-03")}


def test_a_run_that_died_while_it_showed_its_table_shows_it_to_the_end_as_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = source(tmp_path)
    people.deliver("20240101.csv", FIRST)
    people.land("20240102.csv", SECOND)

    def claim(_: object, name: str, run_id: str, *__: object, **___: object) -> None:
        path = people.root / "state" / "catalog" / f"{name}.json"
        document = json.loads(path.read_text())
        document["parameters"]["switching_to"] = run_id  # as Glue has it while partitions are switched
        path.write_text(json.dumps(document))
        raise StorageError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(transform, "switch", claim)
        with pytest.raises(StorageError):
            people.run()
    people.run("--suppression-list", clear_csv(tmp_path))
    assert "its suppression list has changed since it began to show its tables" in capsys.readouterr().out
    assert len(people.rows("people")) == 6
    assert "switching_to" not in people.catalog("people")["parameters"]
    people.land("20240103.csv", SECOND)
    people.run("--suppression-list", clear_csv(tmp_path))
    assert shown(people) == {("p1", "2024-01-01"), ("p4", "2024-01-03"), ("p5", "2024-01-04")}


def test_a_list_that_takes_too_much_away_stops_the_run(tmp_path: Path) -> None:
    people = Source(tmp_path, CONNECTOR, {"people": TABLE.format(load="append").replace("0.9", "0.1")})
    people.deliver("20240101.csv", FIRST)
    people.land("20240102.csv", SECOND)
    uri = csv_list(tmp_path, "person\np1\np2\np3\n")
    with pytest.raises(VerificationError, match=r"shrink table people from 4 to 2 rows"):
        people.run("--suppression-list", uri)
    people.run("--suppression-list", uri, "--allow-shrink")
    assert shown(people) == {("p4", "2024-01-03"), ("p5", "2024-01-04")}


def test_without_a_list_nothing_is_read_or_joined_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    for place in ("jobs.runtime.feed_run.listed_people", "jobs.runtime.feed_run.find_listed_rows",
                  "jobs.runtime.standing_table.mark_listed"):  # fmt: skip
        monkeypatch.setattr(place, never)
    people = source(tmp_path)
    people.deliver("20240101.csv", FIRST)
    people.deliver("20240102.csv", SECOND)
    assert len(people.rows("people")) == 6
    assert "suppressed" not in people.report()["rows"]
