"""One file to Parquet parts, without Spark: what a task does. The files are made by other code than reads them."""

from __future__ import annotations

import bz2
import codecs
import dataclasses
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pysequoia import encrypt

from jobs.runtime import parts as parts_module
from jobs.runtime.configuration import load_configuration
from jobs.runtime.decode import Decoded, DecodePlan, FileOutcome, KeyReferences, decode_task, share_out
from jobs.runtime.errors import ArgumentError, KeyUnavailableError, ObjectChangedError, PipelineError, StorageError
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.manifest import DATA, Entry
from jobs.runtime.parts import Part
from jobs.runtime.storage import open_storage
from schemas.table import RESERVED_FIELDS
from tests.fixtures.aep_delivery import HEADERS, Keys, encrypt_envelope, make_keys, write_profiles
from tests.fixtures.key_files import openpgp_key
from transforms.rows import LINEAGE, ROW_BITS, file_id_of

CONNECTOR, _ = load_configuration("aep_profiles", None)
(FEED,) = CONNECTOR.feeds
FIRST_ID = file_id_of(3, 0) << ROW_BITS
ROWS = 300
SMALL = b"email,city\na@example.com,Bonn\nb@example.com,\n"
CANARY = "canary@example.com"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def plan(tmp_path: Path, keys: Keys) -> DecodePlan:
    return DecodePlan(
        root=f"file://{tmp_path}/root",
        connector=CONNECTOR,
        keys=KeyReferences(f"file:{keys.rsa_private}", f"file:{keys.pgp_secret}", f"file:{keys.pgp_passphrase}"),
        source="landing/aep_profiles/",
        raw="raw/aep_profiles/run=1/",
        rejects="rejects/aep_profiles/run=1/",
    )


def land(plan: DecodePlan, data: bytes, name: str = "x.csv", ordinal: int = 3) -> Entry:
    storage = open_storage(plan.root)
    with storage.open_output(plan.source + name) as file:
        file.write(data)
    found = storage.find(plan.source + name)
    assert found is not None
    return Entry(ordinal, name, found.size, found.version, found.etag, found.modified, DATA)


@dataclass(frozen=True)
class Outcome(FileOutcome):
    """What became of a file that was alone in its task, and its parts."""

    parts: tuple[Part, ...] = ()

    @property
    def ragged(self) -> int:
        return self.refused.get("ragged_row", 0)


def decode_file(plan: DecodePlan, entry: Entry) -> Outcome:
    decoded = decode_task(plan, [entry])
    (file,) = decoded.files
    return Outcome(**vars(file), parts=decoded.parts)


def parts_of(plan: DecodePlan, outcome: Outcome) -> list[pa.Table]:
    storage = open_storage(plan.root)
    return [pq.read_table(pa.BufferReader(storage.read(part.key))) for part in outcome.parts]


def written(plan: DecodePlan) -> list[str]:
    return [item.key for item in open_storage(plan.root).list("") if not item.key.startswith("landing/")]


def sealed(data: bytes, codec: str, keys: Keys, folder: Path) -> bytes:
    if codec == "openpgp":
        return encrypt(data, recipients=[keys.certificate], armor=False)
    if codec == "envelope":
        (folder / "clear").write_bytes(data)
        encrypt_envelope(folder / "clear", folder / "sealed", keys.rsa_public.read_bytes())
        return (folder / "sealed").read_bytes()
    return data


# --- good files


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("codec", ["plain", "envelope", "openpgp"])
def test_every_layer_comes_off(plan: DecodePlan, keys: Keys, tmp_path: Path, codec: str, *, zipped: bool) -> None:
    write_profiles(tmp_path / "made.csv", ROWS, seed=5, mess=False)
    clear = (tmp_path / "made.csv").read_bytes()
    data = sealed(gzip.compress(clear) if zipped else clear, codec, keys, tmp_path)
    entry = land(plan, data, "gold.csv")
    outcome = decode_file(plan, entry)
    assert (outcome.reason, outcome.detail) == ("", "")
    assert outcome.codec == codec + ("+gzip" if zipped else "")
    assert (outcome.rows, outcome.ragged, outcome.clear_size, outcome.size) == (ROWS, 0, len(clear), len(data))
    (table,) = parts_of(plan, outcome)
    assert table.column_names == [*LINEAGE, *FEED.fields]
    assert table["source_row"].to_pylist() == list(range(2, ROWS + 2))  # the header is row 1
    assert table["row_id"].to_pylist() == [FIRST_ID + number for number in range(2, ROWS + 2)]
    assert set(table["source_file"].to_pylist()) == {"gold.csv"}
    assert all("@" in value for value in table["email"].to_pylist())
    assert outcome.filled is not None
    assert outcome.filled["email"] == ROWS
    assert outcome.filled == {name: sum(map(bool, table[name].to_pylist())) for name in FEED.fields}
    (key,) = written(plan)
    assert outcome.parts == (Part("aep_profiles", key, ROWS, len(open_storage(plan.root).read(key))),)


@pytest.mark.parametrize("header", list(HEADERS))
def test_every_header_family_gives_the_same_columns(plan: DecodePlan, tmp_path: Path, header: Any) -> None:
    write_profiles(tmp_path / "made.csv", 50, seed=5, header=header, mess=False)
    outcome = decode_file(plan, land(plan, (tmp_path / "made.csv").read_bytes()))
    assert (outcome.ignored_columns, outcome.absent_fields) == ((), ())
    write_profiles(tmp_path / "xdm.csv", 50, seed=5, mess=False)
    expected = decode_file(plan, land(plan, (tmp_path / "xdm.csv").read_bytes()))
    assert parts_of(plan, outcome)[0] == parts_of(plan, expected)[0]


def test_absent_fields_are_null_and_unknown_columns_left_out(plan: DecodePlan) -> None:
    outcome = decode_file(plan, land(plan, b"City,extra,EMAIL\nBonn,1,a@example.com\n,2,\n"))
    (table,) = parts_of(plan, outcome)
    assert outcome.ignored_columns == ("extra",)
    assert set(outcome.absent_fields) == set(FEED.fields) - {"city", "email"}
    assert table["city"].to_pylist() == ["Bonn", ""]
    assert table["email"].to_pylist() == ["a@example.com", ""]
    assert table["phone"].to_pylist() == [None, None]
    assert outcome.filled is not None
    assert (outcome.filled["city"], outcome.filled["email"], outcome.filled["phone"]) == (1, 1, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_encodings_that_say_what_they_are(plan: DecodePlan, encoding: str) -> None:
    text = "email,city\nzoë@example.com,Köln 😀\n"
    (table,) = parts_of(plan, decode_file(plan, land(plan, text.encode(encoding))))
    assert (table["email"].to_pylist(), table["city"].to_pylist()) == (["zoë@example.com"], ["Köln 😀"])


def test_a_file_with_a_header_alone_has_no_part(plan: DecodePlan) -> None:
    outcome = decode_file(plan, land(plan, b"email,city\n"))
    assert (outcome.reason, outcome.rows, outcome.parts) == ("", 0, ())
    assert written(plan) == []


def test_parts_roll_over_and_row_ids_increase(
    plan: DecodePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "_ROW_GROUP_BYTES", 1 << 16)
    monkeypatch.setattr(parts_module, "_PART_BYTES", 1 << 18)
    monkeypatch.setattr("transforms.streams.delimited.BLOCK_SIZE", 1 << 16)
    write_profiles(tmp_path / "made.csv", 12_000, seed=5, mess=False)
    outcome = decode_file(plan, land(plan, (tmp_path / "made.csv").read_bytes()))
    tables = parts_of(plan, outcome)
    assert len(tables) > 2
    assert [part.rows for part in outcome.parts] == [table.num_rows for table in tables]
    storage = open_storage(plan.root)
    assert [part.size for part in outcome.parts] == [len(storage.read(part.key)) for part in outcome.parts]
    assert all(part.size >= 1 << 18 for part in outcome.parts[:-1])
    assert sorted(part.key for part in outcome.parts) == [part.key for part in outcome.parts] == written(plan)
    ids = list(itertools.chain.from_iterable(table["row_id"].to_pylist() for table in tables))
    assert ids == [FIRST_ID + number for number in range(2, 12_002)]
    groups = pq.read_metadata(pa.BufferReader(storage.read(outcome.parts[0].key))).num_row_groups
    assert groups > 1


def test_ragged_rows_go_to_the_rejects_with_their_numbers(plan: DecodePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runtime.refused_rows._ROWS_HELD", 2)
    monkeypatch.setattr("transforms.streams.delimited.BLOCK_SIZE", 1 << 10)
    lines = [f"{CANARY},city{number}" for number in range(200)]
    for at, line in {5: "short", 50: "a,b,c,d", 51: "a,b,c", 180: "lone"}.items():
        lines[at] = line
    outcome = decode_file(plan, land(plan, ("email,city\n" + "\n".join(lines) + "\n").encode()))
    assert (outcome.reason, outcome.rows, outcome.ragged) == ("", 196, 4)
    storage = open_storage(plan.root)
    keys = [item.key for item in storage.list(plan.rejects)]
    assert len(keys) > 1
    rejects = [row for key in keys for row in pq.read_table(pa.BufferReader(storage.read(key))).to_pylist()]
    assert sorted((row["source_row"], row["detail"]) for row in rejects) == [
        (7, "1 values where the header has 2"),
        (52, "4 values where the header has 2"),
        (53, "3 values where the header has 2"),
        (182, "1 values where the header has 2"),
    ]
    assert {(row["source_file"], row["reason"]) for row in rejects} == {("x.csv", "ragged_row")}
    (table,) = parts_of(plan, outcome)
    assert table["source_row"].to_pylist() == [n for n in range(2, 202) if n not in (7, 52, 53, 182)]
    assert table["city"].to_pylist() == [f"city{n - 2}" for n in range(2, 202) if n not in (7, 52, 53, 182)]


def test_an_attempt_never_writes_over_another(plan: DecodePlan) -> None:
    entry = land(plan, SMALL)
    first, second = decode_file(plan, entry), decode_file(plan, entry)
    assert {part.key for part in first.parts}.isdisjoint(part.key for part in second.parts)


def test_the_same_on_s3(plan: DecodePlan, keys: Keys, tmp_path: Path, bucket: str) -> None:
    plan = dataclasses.replace(plan, root=f"s3://{bucket}/base")
    outcome = decode_file(plan, land(plan, sealed(SMALL, "envelope", keys, tmp_path)))
    assert (outcome.reason, outcome.codec, outcome.rows) == ("", "envelope", 2)
    assert parts_of(plan, outcome)[0]["email"].to_pylist() == ["a@example.com", "b@example.com"]
    assert decode_file(plan, land(plan, SMALL + b'"never closed')).reason == "not_delimited_text"
    assert written(plan) == [part.key for part in outcome.parts]


def test_an_outcome_comes_back_from_json(plan: DecodePlan) -> None:
    for data in (SMALL, b"", b"email,city\na@example.com\n"):
        decoded = decode_task(plan, [land(plan, data)])
        assert Decoded.from_document(json.loads(json.dumps(decoded.to_document()))) == decoded


def test_small_files_of_a_task_share_a_part_and_a_bad_one_among_them_leaves_no_row(plan: DecodePlan) -> None:
    good = [land(plan, SMALL.replace(b"example", b"e%d" % number), f"{number}.csv", number) for number in range(5)]
    bad = land(plan, SMALL + b'"never closed', "bad.csv", 5)
    decoded = decode_task(plan, [*good, bad])
    assert [each.reason for each in decoded.files] == [""] * 5 + ["not_delimited_text"]
    (part,) = decoded.parts
    assert written(plan) == [part.key]
    table = pq.read_table(pa.BufferReader(open_storage(plan.root).read(part.key)))
    assert part.rows == table.num_rows == 10
    expected = [f"{name}@e{number}.com" for number in range(5) for name in "ab"]
    assert table["email"].to_pylist() == expected
    assert table["source_file"].to_pylist() == [f"{number}.csv" for number in range(5) for _ in "ab"]


def test_an_error_in_a_task_leaves_nothing_of_its_other_files(
    plan: DecodePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "_ROW_GROUP_BYTES", 1 << 10)
    entries = [land(plan, SMALL * 100, f"{number}.csv", number) for number in range(3)]
    read = LocalStorage.chunks

    def fails_at_last(self: LocalStorage, item: Any, offset: int = 0) -> Iterator[bytes]:
        if item.key.endswith("2.csv"):
            raise RuntimeError(CANARY)
        return read(self, item, offset)

    monkeypatch.setattr(LocalStorage, "chunks", fails_at_last)
    with pytest.raises(PipelineError, match=r"2\.csv: RuntimeError"):
        decode_task(plan, entries)
    assert written(plan) == []


def entries_of(*sizes: int) -> list[Entry]:
    return [Entry(ordinal, f"{ordinal}.csv", size, "", "", 0.0, DATA) for ordinal, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "parallelism", "expected"),
    [
        ((), 4, []),
        ((7,), 4, [[7]]),
        ((5, 5, 5, 5), 2, [[5, 5], [5, 5]]),
        ((1 << 30, 1, 1, 1), 2, [[1 << 30], [1, 1, 1]]),
        ((40 << 20, 40 << 20, 1 << 20), 1, [[40 << 20], [40 << 20], [1 << 20]]),
        ((0, 0, 0), 2, [[0, 0, 0]]),
    ],
)
def test_files_are_shared_out_to_tasks_by_size(sizes: tuple[int, ...], parallelism: int, expected: list[Any]) -> None:
    tasks = share_out(entries_of(*sizes), parallelism)
    assert [[entry.size for entry in task] for task in tasks] == expected


def test_ten_thousand_small_files_are_a_few_tasks() -> None:
    tasks = share_out(entries_of(*[6_000] * 10_000), 8)
    assert 8 <= len(tasks) <= 20
    assert sorted(entry.ordinal for task in tasks for entry in task) == list(range(10_000))


def test_no_field_can_be_called_like_a_column_of_the_parts() -> None:
    assert set(LINEAGE) <= set(RESERVED_FIELDS)


# --- bad files


def _changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _with_other_key(data: bytes) -> bytes:
    _, certificate = openpgp_key("Other <other@example.com>", "word")
    from pysequoia import Cert  # noqa: PLC0415  of this case alone

    return encrypt(data, recipients=[Cert.from_bytes(certificate)], armor=False)


_LONG = b"email,city\n" + b"".join(b"%d%s,Bonn\n" % (number, CANARY.encode()) for number in range(9_000))
_ZIPPED = gzip.compress(_LONG)
_Make = Callable[[Callable[[bytes, str], bytes]], bytes]

_BAD: dict[str, tuple[str, _Make]] = {
    "nothing": ("empty_file", lambda _: b""),
    "blanks": ("empty_file", lambda _: b" \n\n"),
    "nothing encrypted": ("empty_file", lambda seal: seal(b"", "openpgp")),
    "a zip archive": ("unrecognised_content", lambda _: b"PK\x03\x04" + bytes(60)),
    "bzip2": ("unrecognised_content", lambda _: bz2.compress(_LONG)),
    "bzip2 encrypted": ("unrecognised_content", lambda seal: seal(bz2.compress(_LONG), "envelope")),
    "encrypted twice": ("unrecognised_content", lambda seal: seal(seal(_LONG, "envelope"), "openpgp")),
    "zipped twice": ("unrecognised_content", lambda _: gzip.compress(_ZIPPED)),
    "an encryption that is zipped": ("unrecognised_content", lambda seal: gzip.compress(seal(_LONG, "openpgp"))),
    "an impossible envelope": ("bad_envelope", lambda _: b"\x00\x00\xff\xff" + bytes(200)),
    "an envelope without a token": ("bad_envelope", lambda seal: seal(_LONG, "envelope")[:260]),
    "an envelope's data key": ("wrong_key", lambda seal: _changed(seal(_LONG, "envelope"), 100)),
    "a message for another": ("wrong_key", lambda _: _with_other_key(_LONG)),
    "a changed envelope": ("not_authentic", lambda seal: _changed(seal(_LONG, "envelope"), 100_000)),
    "a cut envelope": ("not_authentic", lambda seal: seal(_LONG, "envelope")[:-7]),
    "a changed message": ("not_authentic", lambda seal: _changed(seal(_LONG, "openpgp"), 100_000)),
    "a cut message": ("not_authentic", lambda seal: seal(_LONG, "openpgp")[:-7]),
    "cut gzip": ("damaged_compression", lambda _: _ZIPPED[:-9]),
    "changed gzip": ("damaged_compression", lambda _: _changed(_ZIPPED, len(_ZIPPED) - 6)),
    "cut gzip encrypted": ("damaged_compression", lambda seal: seal(_ZIPPED[:-9], "envelope")),
    "Latin-1 at the end": ("undecodable_text", lambda _: _LONG + b"z,K\xf6ln\n"),
    "UTF-16 without a mark": ("undecodable_text", lambda _: _LONG[:2000].decode().encode("utf-16-le")),
    "half a character": (
        "undecodable_text",
        lambda _: codecs.BOM_UTF16_LE + _LONG.decode().encode("utf-16-le")[:-1],
    ),
    "an open quote": ("not_delimited_text", lambda _: _LONG + b'"x@example.com,Bonn\n'),
    "no e-mail column": ("missing_column", lambda _: b"name,city\nZoe,Bonn\n"),
    "two e-mail columns": ("ambiguous_header", lambda _: b"email,personalEmail.address\na,b\n"),
    "one column twice": ("ambiguous_header", lambda _: b"email,city,EMAIL\na,b,c\n"),
}


@pytest.mark.parametrize("case", _BAD)
def test_a_bad_file_has_a_reason_and_leaves_nothing_behind(
    plan: DecodePlan, keys: Keys, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "_ROW_GROUP_BYTES", 1 << 16)  # so that parts are there before the end is
    monkeypatch.setattr(parts_module, "_PART_BYTES", 1 << 16)
    monkeypatch.setattr("transforms.streams.delimited.BLOCK_SIZE", 1 << 16)
    reason, make = _BAD[case]
    outcome = decode_file(plan, land(plan, make(lambda data, codec: sealed(data, codec, keys, tmp_path))))
    assert outcome.reason == reason
    assert outcome.detail
    assert CANARY not in outcome.detail
    assert (outcome.rows, outcome.parts) == (0, ())
    assert written(plan) == []
    assert not [path for path in (tmp_path / "root" / ".partial").iterdir() if path.is_file()]


@pytest.mark.parametrize("codec", ["envelope", "openpgp"])
def test_a_key_that_was_not_given_is_missing(plan: DecodePlan, keys: Keys, tmp_path: Path, codec: str) -> None:
    plan = dataclasses.replace(plan, keys=KeyReferences())
    assert decode_file(plan, land(plan, sealed(SMALL, codec, keys, tmp_path))).reason == "missing_key"
    assert decode_file(plan, land(plan, SMALL)).reason == ""


@pytest.mark.parametrize("codec", ["envelope", "openpgp"])
def test_a_file_for_the_second_of_two_keys_is_read(plan: DecodePlan, keys: Keys, tmp_path: Path, codec: str) -> None:
    (tmp_path / "newer").mkdir()
    newer = make_keys(tmp_path / "newer")
    both = KeyReferences(
        *(
            ",".join(f"file:{getattr(of, name)}" for of in (newer, keys))
            for name in ("rsa_private", "pgp_secret", "pgp_passphrase")
        )
    )
    outcome = decode_file(dataclasses.replace(plan, keys=both), land(plan, sealed(SMALL, codec, keys, tmp_path)))
    assert outcome.reason == ""
    assert outcome.rows


def test_passphrases_are_one_for_all_keys_or_one_for_each() -> None:
    for passphrases in ("file:/p", "file:/p,file:/q"):
        KeyReferences(pgp_key="file:/a,file:/b", pgp_passphrase=passphrases)
    with pytest.raises(ArgumentError, match="there are 3"):
        KeyReferences(pgp_key="file:/a,file:/b", pgp_passphrase="file:/p,file:/q,file:/r")


@pytest.mark.parametrize("name", ["envelope_key", "pgp_key", "pgp_passphrase"])
def test_a_secret_in_the_place_of_a_reference_is_refused_before_any_task_has_it(name: str) -> None:
    secret = "-----BEGIN PRIVATE KEY----- MIIEvQ"
    with pytest.raises(KeyUnavailableError, match=f"--{name.replace('_', '-')} names no") as refused:
        KeyReferences(**{name: secret})
    assert "MIIEvQ" not in str(refused.value)


def test_a_key_that_cannot_be_read_is_named(plan: DecodePlan, keys: Keys, tmp_path: Path) -> None:
    plan = dataclasses.replace(plan, keys=KeyReferences(envelope_key="file:/no/key"))
    outcome = decode_file(plan, land(plan, sealed(SMALL, "envelope", keys, tmp_path)))
    assert (outcome.reason, outcome.detail) == (
        "unreadable_object",
        "file:/no/key cannot be read: No such file or directory",
    )


@pytest.mark.parametrize("codec", ["plain", "envelope", "openpgp"])
def test_a_codec_that_the_connector_does_not_list_is_refused(
    plan: DecodePlan, keys: Keys, tmp_path: Path, codec: str
) -> None:
    others = tuple(each for each in ("plain", "envelope", "openpgp") if each != codec)
    strict = dataclasses.replace(CONNECTOR, delivery=dataclasses.replace(CONNECTOR.delivery, codecs=others))
    plan = dataclasses.replace(plan, connector=strict)
    outcome = decode_file(plan, land(plan, sealed(SMALL, codec, keys, tmp_path)))
    assert (outcome.reason, codec in outcome.detail) == ("unrecognised_content", True)


def test_an_object_that_is_not_the_manifests_any_more(plan: DecodePlan) -> None:
    entry = land(plan, SMALL)
    land(plan, SMALL)
    assert decode_file(plan, entry).reason == "changed_while_read"


def test_an_object_that_changes_in_the_middle(plan: DecodePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = land(plan, _LONG)
    read = LocalStorage.chunks

    def changes(self: LocalStorage, item: Any, offset: int = 0) -> Iterator[bytes]:
        yield from read(self, item, offset)
        raise ObjectChangedError("replaced")

    monkeypatch.setattr(LocalStorage, "chunks", changes)
    assert decode_file(plan, entry).reason == "changed_while_read"
    assert written(plan) == []


def test_an_object_that_is_gone_is_not_the_manifests_any_more(plan: DecodePlan) -> None:
    entry = land(plan, SMALL)
    (Path(plan.root.removeprefix("file://")) / plan.source / entry.name).unlink()
    assert decode_file(plan, entry).reason == "changed_while_read"


def test_trouble_with_the_output_is_no_fault_of_the_file(plan: DecodePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = land(plan, SMALL)

    def refuses(*_: object) -> IO[bytes]:
        raise StorageError("raw/ is read-only")

    monkeypatch.setattr(LocalStorage, "open_output", refuses)
    with pytest.raises(StorageError, match="read-only"):
        decode_file(plan, entry)


def test_an_unknown_error_ends_the_task_without_its_message(plan: DecodePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = land(plan, SMALL)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("jobs.runtime.decode.source_names", fails)
    with pytest.raises(PipelineError, match=r"x\.csv: RuntimeError") as caught:
        decode_file(plan, entry)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert written(plan) == []
