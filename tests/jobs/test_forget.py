"""Forgetting people: where they go from, what stays and is told, and that a kill at any step changes nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import forget, rollback
from jobs.runtime.args import parse_args
from jobs.runtime.errors import (
    ArgumentError,
    KeyUnavailableError,
    LockedError,
    NothingToDoError,
    StorageError,
    VerificationError,
)
from jobs.runtime.ledger import all_runs, latest_run, unfinished_run
from jobs.runtime.local_storage import LocalStorage
from tests.jobs.own_source import Source
from tests.jobs.test_suppression import CONNECTOR, FIRST, HEADER, SECOND, TABLE, pseudonym, shown

pytestmark = pytest.mark.usefixtures("spark")

AUDIT = 'keys = ["person", "at"]\naudit = ["source_file"]'
REJECTED = "p9,no address,Hidden-Town,2024-01-05T10:00:00Z\np8,no address,Open-Town,2024-01-05T10:00:00Z\n"


@pytest.fixture
def people(tmp_path: Path) -> Source:
    """A table with two deliveries, an archive, rejects that keep values, and leftovers of all kinds."""
    table = TABLE.format(load="upsert").replace('keys = ["person", "at"]', AUDIT)
    made = Source(tmp_path, CONNECTOR, {"people": table})
    made.deliver("20240101.csv", FIRST)
    made.deliver("20240102.csv", SECOND + REJECTED)
    for key in (
        "raw/source/run=dead/part.parquet",
        "staged/people/run=dead/s.parquet",
        "quarantine/source/run=x/bad.gpg",
    ):
        path = made.root / key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"left")
    return made


def people_list(of: Source, *persons: str) -> str:
    path = of.folder / "people.csv"
    path.write_text("person\n" + "".join(f"{person}\n" for person in persons))
    return f"file://{path}"


def run_forget(of: Source, *more: str) -> None:
    arguments = [
        f"--connector=file://{of.folder}/definitions/connectors/{of.name}.toml",
        f"--root=file://{of.root}",
        f"--hash-key=file:{of.folder}/hash.key",
        f"--people=file://{of.folder}/people.csv",
        "--reason=erasure request 4711",
        *more,
    ]
    forget.main(parse_args(forget.Args, arguments))


def receipts(of: Source) -> list[dict[str, Any]]:
    return [
        json.loads(path.read_text()) for path in sorted((of.root / "state" / of.name).glob("forget=*/receipt.json"))
    ]


def files(of: Source, *areas: str) -> dict[str, bytes]:
    found = (path for area in areas for path in (of.root / area).rglob("*") if path.is_file())
    return {str(path.relative_to(of.root)): path.read_bytes() for path in found}


def texts(path: Path) -> str:
    """Return everything that a Parquet file holds."""
    return str(pq.read_table(path, partitioning=None).to_pydict())


def everything_below(of: Source, *areas: str) -> str:
    paths = [path for area in areas for path in (of.root / area).rglob("*.parquet") if path.is_file()]
    return "".join(texts(path) for path in paths)


FORGOTTEN = {("p1", "2024-01-01"), ("p4", "2024-01-03"), ("p5", "2024-01-04")}
#: What is to be found of p2, p3 and p9: 3 rows in the table (p2 twice); 2 rows in the two folders of the first run
#: that the second still shows, so none in earlier ones.
EXPECTED_ROWS = 3


def check_forgotten(of: Source, *, attempts: int = 1) -> dict[str, Any]:
    """See that p2, p3 and p9 are nowhere but in the archive, and return the receipt."""
    assert shown(of) == FORGOTTEN
    left = everything_below(of, "curated", "rejects", "staged", "raw")
    for person in ("p2", "p3", "p9"):
        assert pseudonym(person) not in left
        assert f"'{person}'" not in left
    assert "Hidden-Town" not in left
    assert "Open-Town" in left
    assert not files(of, "raw", "staged")
    (receipt,) = receipts(of)
    assert receipt["attempts"] == attempts
    assert receipt["people"] == 3
    assert receipt["tables"]["people"]["rows"] == EXPECTED_ROWS
    assert (receipt["rejects"]["rows"], receipt["rejects"]["files"]) == (1, 1)
    assert (receipt["raw"]["objects"], receipt["staged"]["objects"]) == (1, 1)
    return receipt


def test_people_go_from_every_place_but_the_archive_and_the_receipt_says_so(
    people: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    people_list(people, "p2", "p3", "p9")
    archive = files(people, "archive")
    first_run = min(all_runs(LocalStorage(people.root)))
    day3 = next(each for each in people.catalog("people")["partitions"] if each["values"] == ["2024-01-03"])
    run_forget(people)
    receipt = check_forgotten(people)
    assert files(people, "archive") == archive
    assert receipt["archive"]["by_source_file"]
    assert sorted(name.partition("/")[2] for name in receipt["archive"]["objects"]) == ["20240101.csv", "20240102.csv"]
    assert receipt["quarantine"] == {"objects": 1, "bytes": 4, "deleted": False}
    assert len(files(people, "quarantine")) == 1
    assert {each["place"] for each in receipt["not_done"]} == {"archive", "quarantine", "source"}
    content = (people.folder / "people.csv").read_bytes()
    assert len(receipt["lists"]) == 1
    assert hashlib.sha256(content).hexdigest() not in json.dumps(receipt), "who is on a short list could be guessed"
    assert receipt["reason"] == "erasure request 4711"
    said = capsys.readouterr().out + json.dumps(receipt)
    for value in (*map(pseudonym, ("p2", "p3", "p9")), "Hidden-Town", "bob@x.org", '"p2"'):
        assert value not in said
    assert day3 in people.catalog("people")["partitions"]  # nobody was there, so it is as it was
    for to_run in ("", f"--to-run={first_run}"):
        arguments = ["--table=people", f"--root=file://{people.root}", *filter(None, [to_run])]
        with pytest.raises((NothingToDoError, VerificationError)):
            rollback.main(parse_args(rollback.Args, arguments))
    assert shown(people) == FORGOTTEN


def test_the_ledger_goes_on_as_if_nothing_had_been(people: Source) -> None:
    people_list(people, "p2", "p3", "p9")
    storage = LocalStorage(people.root)
    before = latest_run(storage, "source")
    run_forget(people)
    after = latest_run(storage, "source")
    assert (before and before.run_id) == (after and after.run_id)
    assert before is not None
    assert people.catalog("people")["parameters"]["stands_upon"] == before.run_id
    assert unfinished_run(storage, "source") is None
    people.land("20240103.csv", HEADER + "p1,ann@x.org,Rome,2024-01-04T10:00:00Z\n")
    people.run()
    assert shown(people) == FORGOTTEN | {("p1", "2024-01-04")}
    assert "stands_upon" not in people.catalog("people")["parameters"]
    rollback.main(parse_args(rollback.Args, ["--table=people", f"--root=file://{people.root}"]))
    assert shown(people) == FORGOTTEN  # the run that forgot is one to go back to
    people.land("20240104.csv", FIRST)
    people.run()
    assert ("p2", "2024-01-01") in shown(people)  # not known any more, so the same row counts when it comes again


STEPS = [step.__name__ for step in (*forget.FINDING, *forget.DOING)]


@pytest.mark.long
@pytest.mark.parametrize("number", range(len(forget.DOING)), ids=[step.__name__ for step in forget.DOING])
def test_a_job_that_is_killed_before_or_after_a_step_ends_with_the_same_receipt(
    people: Source, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    people_list(people, "p2", "p3", "p9")

    steps: list[Callable[..., None]] = list(forget.DOING)
    for tried in ([*steps[:number], killed], [*steps[: number + 1], killed]):
        with monkeypatch.context() as broken:
            broken.setattr(forget, "DOING", tuple(tried))
            with pytest.raises(StorageError):
                run_forget(people)
        assert receipts(people) == []
    run_forget(people)
    check_forgotten(people, attempts=3)


@pytest.mark.parametrize("inside", ["jobs.forget.switch", "jobs.forget.read_footers", "jobs.forget.rejects_without"])
def test_a_job_that_is_killed_within_a_step_ends_the_same(
    people: Source, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    people_list(people, "p2", "p3", "p9")

    with monkeypatch.context() as broken:
        broken.setattr(inside, killed)
        with pytest.raises(StorageError):
            run_forget(people)
    run_forget(people)
    check_forgotten(people, attempts=2)
    runs = {path.name for path in (people.root / "curated" / "people").glob("run=*/attempt=*")}
    assert runs <= {"attempt=1", "attempt=2"}


def killed(*_: object, **__: object) -> None:
    raise StorageError("killed")


def die_half_way(people: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Glue switches partitions one after the other: a kill leaves some of both runs, and the table claimed."""

    def switch_one(_: object, name: str, run_id: str, make: Callable[[None], Any], **__: object) -> None:
        path = people.root / "state" / "catalog" / f"{name}.json"
        document = json.loads(path.read_text())
        new = {each.values[0]: vars(each) for each in make(None).partitions}
        document["partitions"][0] = new[document["partitions"][0]["values"][0]]
        document["parameters"]["switching_to"] = run_id
        path.write_text(json.dumps(document))
        raise StorageError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(forget, "switch", switch_one)
        with pytest.raises(StorageError):
            run_forget(people)


def test_a_switch_that_died_half_way_goes_on(people: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    people_list(people, "p2", "p3", "p9")
    die_half_way(people, monkeypatch)
    run_forget(people)
    check_forgotten(people, attempts=2)
    assert "switching_to" not in people.catalog("people")["parameters"]


def test_a_switch_that_died_half_way_is_finished_when_the_list_is_another(
    people: Source, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people_list(people, "p2")
    die_half_way(people, monkeypatch)
    people_list(people, "p3", "p9")
    run_forget(people)
    assert "run it again with its own list" in capsys.readouterr().out
    assert shown(people) == FORGOTTEN
    assert "switching_to" not in people.catalog("people")["parameters"]
    people_list(people, "p2")
    run_forget(people)
    assert shown(people) == FORGOTTEN
    left = everything_below(people, "curated", "rejects")
    assert not [person for person in ("p2", "p3", "p9") if pseudonym(person) in left]


def test_a_switch_that_died_half_way_is_finished_before_a_run_that_came_in_between(
    people: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_list(people, "p2", "p3", "p9")
    die_half_way(people, monkeypatch)
    people.land("20240103.csv", HEADER + "p1,ann@x.org,Rome,2024-01-04T10:00:00Z\n")
    with monkeypatch.context() as broken:  # Glue lets nobody publish a table that somebody else has claimed
        broken.setattr("jobs.transform.switch", killed)
        with pytest.raises(StorageError):
            people.run()
    with pytest.raises(LockedError, match="is not finished"):
        run_forget(people)
    assert "switching_to" not in people.catalog("people")["parameters"]
    (record,) = (people.root / "state" / people.name).glob("forget=*")
    forget_id = record.name.removeprefix("forget=")
    assert people.catalog("people")["parameters"]["run_id"] == forget_id
    people.run(f"--suppression-list=file://{people.folder}/people.csv")
    rollback.main(parse_args(rollback.Args, ["--table=people", f"--root=file://{people.root}"]))
    assert people.catalog("people")["parameters"]["run_id"] == forget_id  # it is one to go back to
    people.deliver("20240104.csv", HEADER + "p1,ann@x.org,Rome,2024-01-04T10:00:00Z\n")
    run_forget(people)
    assert shown(people) == FORGOTTEN | {("p1", "2024-01-04")}
    assert not [person for person in ("p2", "p3") if pseudonym(person) in everything_below(people, "curated")]


def test_whom_another_job_has_left_in_rejects_that_it_rewrote_goes_too(
    people: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_list(people, "p2", "p9")
    with monkeypatch.context() as broken:
        broken.setattr(forget, "rejects_without", killed)
        with pytest.raises(StorageError):
            run_forget(people)
    people_list(people, "p8")
    run_forget(people)
    people_list(people, "p2", "p9")
    run_forget(people)
    assert not [town for town in ("Hidden-Town", "Open-Town") if town in everything_below(people, "rejects")]
    assert len(receipts(people)) == 2


def test_a_rollback_between_two_attempts_is_undone(people: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    people_list(people, "p2", "p3", "p9")
    before = people.catalog("people")["parameters"]["run_id"]
    with monkeypatch.context() as broken:
        broken.setattr(forget, "DOING", (forget.Forgetting.publish_tables, killed))
        with pytest.raises(StorageError):
            run_forget(people)
    arguments = ["--table=people", f"--root=file://{people.root}", f"--to-run={before}"]
    rollback.main(parse_args(rollback.Args, arguments))
    assert shown(people) != FORGOTTEN
    run_forget(people)
    check_forgotten(people, attempts=2)


def test_what_was_found_before_another_run_came_is_searched_again(
    people: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_list(people, "p2", "p3", "p9")

    with monkeypatch.context() as broken:
        broken.setattr(forget, "DOING", (killed,))
        with pytest.raises(StorageError):
            run_forget(people)
    rejected = "p9,no address,Hidden-Again,2024-01-06T10:00:00Z\n"
    people.deliver("20240103.csv", HEADER + "p7,a@b.example,Open-Town,2024-01-06T10:00:00Z\n" + rejected)
    run_forget(people)
    assert "Hidden" not in everything_below(people, "curated", "rejects", "staged", "raw")


def test_earlier_runs_of_a_table_without_partitions_go(tmp_path: Path) -> None:
    table = TABLE.format(load="full_refresh").replace('partitions = ["day"]', "")
    people = Source(tmp_path, CONNECTOR, {"people": table})
    people.deliver("20240101.csv", FIRST)
    people.deliver("20240102.csv", FIRST + "p5,eve@x.org,Oslo,2024-01-04T10:00:00Z\n")
    people_list(people, "p3")
    run_forget(people)
    who = {row["person"] for row in people.rows("people")}
    assert who == {pseudonym(person) for person in ("p1", "p2", "p4", "p5")}
    assert pseudonym("p3") not in everything_below(people, "curated")
    (receipt,) = receipts(people)
    table_counts = receipt["tables"]["people"]
    assert (table_counts["rows"], table_counts["earlier_rows"], table_counts["earlier_folders"]) == (1, 1, 1)
    assert not receipt["archive"]["by_source_file"]
    assert len(receipt["archive"]["objects"]) == 2  # the table does not say which, so all of them


def test_runs_that_were_made_with_another_key_cannot_be_searched_and_go(tmp_path: Path) -> None:
    table = TABLE.format(load="full_refresh")
    people = Source(tmp_path, CONNECTOR, {"people": table})
    (tmp_path / "hash.key").write_text("an-older-key-of-the-tests-32-byt")
    people.deliver("20240101.csv", FIRST)
    (tmp_path / "hash.key").write_text("a-key-of-the-tests-with-32-bytes")
    people.deliver("20240102.csv", FIRST)
    people_list(people, "p1")
    run_forget(people)
    (receipt,) = receipts(people)
    assert receipt["tables"]["people"]["unsearchable_folders"] == 3
    assert len({path.parts[-4] for path in (people.root / "curated").rglob("*.parquet")}) == 2


def test_a_dry_run_counts_and_changes_nothing(people: Source, capsys: pytest.CaptureFixture[str]) -> None:
    people_list(people, "p2", "p3", "p9")
    before = files(people, "")
    run_forget(people, "--dry-run")
    said = capsys.readouterr().out
    assert "Would forget 3 people" in said
    assert "table people                                3 rows in 3 folders" in said
    assert files(people, "") == before


def test_nobody_found_leaves_the_tables_as_they_are(people: Source) -> None:
    people_list(people, "p77")
    before, rejects = files(people, "curated", "versions", "state/catalog"), files(people, "rejects")
    run_forget(people, "--delete-quarantine")
    assert files(people, "curated", "versions", "state/catalog") == before
    assert files(people, "rejects") == rejects
    (receipt,) = receipts(people)
    assert (receipt["people"], receipt["tables"]["people"]["rows"]) == (1, 0)
    assert receipt["archive"]["objects"] == []
    assert receipt["quarantine"]["deleted"]
    assert not files(people, "quarantine", "raw", "staged")


def test_another_hash_key_finds_nobody_and_so_is_refused(people: Source) -> None:
    people_list(people, "p2")
    (people.folder / "hash.key").write_text("another-key-of-the-tests-32-bytes")
    before = files(people, "curated", "rejects")
    with pytest.raises(VerificationError, match="people cannot be found in table people with this hash key"):
        run_forget(people)
    with pytest.raises(KeyUnavailableError):
        run_forget(people, "--hash-key=file:/nowhere")
    assert files(people, "curated", "rejects") == before


@pytest.mark.parametrize("stale", [True, False])
def test_a_catalog_that_is_not_the_tables_own_is_refused_for_all_would_pass_for_earlier_runs(
    people: Source, *, stale: bool
) -> None:
    people_list(people, "p2")
    for path in (people.root / "state" / people.name).glob("run=*/publish.json"):
        entry = json.loads(path.read_text())
        path.write_text(json.dumps({**entry, "catalog": "the Glue database acme"}))
    if not stale:
        (people.root / "state" / "catalog" / "people.json").unlink()
    before = files(people, "curated", "rejects", "versions")
    with pytest.raises(ArgumentError, match=r"published in the Glue database acme.*--catalog-database"):
        run_forget(people)
    assert files(people, "curated", "rejects", "versions") == before


def test_a_list_that_is_hashed_with_another_key_is_refused(people: Source) -> None:
    shutil.copy(people.root / "state" / "catalog" / "people.json", people.root / "state" / "catalog" / "gone.json")
    path = people.root / "state" / "catalog" / "gone.json"
    path.write_text(path.read_text().replace('"hash_key_id": "', '"hash_key_id": "0000'))
    with pytest.raises(ArgumentError, match="list gone: is hashed with another key than --hash-key"):
        run_forget(people, "--people=gone")


def test_an_unfinished_run_is_finished_first(people: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    people_list(people, "p2")
    people.land("20240103.csv", SECOND)
    with monkeypatch.context() as broken:
        broken.setattr("jobs.transform.publish", lambda *_, **__: (_ for _ in ()).throw(StorageError("no more")))
        with pytest.raises(StorageError):
            people.run()
    with pytest.raises(LockedError, match=r"of source is not finished.*--suppression-list"):
        run_forget(people)


def test_rejects_of_whom_all_rows_go_leave_no_file(people: Source) -> None:
    (kept,) = [path for path in (people.root / "rejects").rglob("*.parquet") if "Hidden-Town" in texts(path)]
    table = pq.read_table(kept, partitioning=None)
    pq.write_table(table.filter(pa.compute.equal(table["person"], "p9")), kept)
    people_list(people, "p9")
    run_forget(people)
    assert not [path for path in (people.root / "rejects").rglob("*.parquet") if "transform-" in str(path)]


def test_leftovers_of_which_nothing_is_known_go(people: Source) -> None:
    """Of tasks that died, and of a run that was given up before it told how it makes values."""
    (shown_file, *_) = (people.root / "curated").rglob("*.parquet")
    run_id = people.catalog("people")["parameters"]["run_id"]
    ledger = people.root / "state" / people.name / "run=20240102T000000Z-00000a"
    ledger.mkdir()
    (ledger / "abandoned.json").write_text("{}")
    dead = [
        people.root / f"curated/people/run={run_id}/attempt=1/_temporary/0/x.parquet",
        people.root / "curated/people/run=20240102T000000Z-00000a/attempt=1/day=2024-01-01/x.parquet",
    ]
    table = pq.read_table(shown_file, partitioning=None)
    other = pa.array(["made with another key"] * table.num_rows)
    for path in dead:
        path.parent.mkdir(parents=True)
        pq.write_table(table.set_column(table.column_names.index("person"), "person", other), path)
    half = people.root / f"rejects/source/run={run_id}/transform-7/people/_temporary/0/half.parquet"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"PAR1")
    people_list(people, "p2", "p3", "p9")
    run_forget(people)
    assert not [path for path in (*dead, half) if path.exists()]
    assert shown(people) == FORGOTTEN
    assert receipts(people)[0]["tables"]["people"]["unsearchable_folders"] == 2


def test_tables_that_the_connector_fills_no_more_are_told(people: Source) -> None:
    definitions = people.folder / "definitions"
    connector, table = definitions / "connectors" / "source.toml", definitions / "tables" / "people.toml"
    connector.write_text(connector.read_text().replace('table = "people"', 'table = "persons"'))
    (definitions / "tables" / "persons.toml").write_text(table.read_text().replace('"people"', '"persons"'))
    people_list(people, "p2")
    run_forget(people)
    (told,) = [each for each in receipts(people)[0]["not_done"] if each["place"] == "curated"]
    assert told["what"] == "tables that the connector has filled and does not any more: people"
    run_forget(people, f"--table=file://{table}")
    assert pseudonym("p2") not in everything_below(people, "curated")


def test_rejects_without_a_field_that_people_are_found_by_are_told(people: Source) -> None:
    (kept,) = [path for path in (people.root / "rejects").rglob("*.parquet") if "Hidden-Town" in texts(path)]
    table = pq.read_table(kept, partitioning=None)
    pq.write_table(table.rename_columns(["id" if name == "person" else name for name in table.column_names]), kept)
    people_list(people, "p9")
    run_forget(people)
    (told,) = [each for each in receipts(people)[0]["not_done"] if each["place"] == "rejects"]
    assert told["count"] == 1
    assert told["what"].startswith("files of rejects without a field that people are found by")
