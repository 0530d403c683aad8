"""Archives and other formats to Parquet parts, without Spark. The standard library makes the archives."""

from __future__ import annotations

import codecs
import dataclasses
import gzip
import io
import json
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.runtime import content as module
from jobs.runtime import parts as parts_module
from jobs.runtime.decode import Decoded, DecodePlan, FileOutcome, KeyReferences, decode_task
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.scratch import SealedScratch
from jobs.runtime.storage import open_storage
from schemas.connector import parse_connector
from schemas.delivery import ArchiveLimits
from schemas.table import parse_table
from tests.fixtures.aep_delivery import Keys, make_keys
from tests.jobs.runtime import test_decode
from tests.jobs.runtime.test_decode import land, sealed, written
from transforms.streams.bad_file import NOT_THE_FILES_FAULT, REASONS, REPORTED_ONLY

CONNECTOR = """
name = "several"
comment = "Several kinds of files"
[delivery]
archives = ["zip", "tar"]
archive_limits = { members = 6, clear_bytes = 40_000_000, ratio = 100 }
ignore = ["*.md5", "__MACOSX/*"]
[format]
types = ["delimited", "json", "parquet", "avro"]
tab_files = ["*.txt"]
[feeds.people]
files = ["people*"]
table = "people"
required = ["email"]
[feeds.events]
files = ["events/*", "*/events/*"]
table = "events"
[feeds.text]
files = ["text*"]
table = "text"
format = { types = ["delimited"] }
[feeds.bare]
files = ["bare*"]
table = "bare"
format = { header = false, columns = ["email", "city"] }
[feeds.docs]
files = ["docs*"]
table = "docs"
format = { types = ["json"] }
[feeds.columnar]
files = ["columnar*"]
table = "columnar"
format = { types = ["parquet"] }
"""
FEEDS = ("people", "events", "text", "bare", "docs", "columnar")
ORDINAL = 3
PEOPLE = "email,city\na@x.de,Bonn\nb@x.de,\n"
MORE_PEOPLE = "CITY,E-Mail\nKöln 😀,c@x.de\n"
EVENTS = "city\temail\nBonn, am Rhein\td@x.de\n"
ROWS = [{"email": "a@x.de", "city": "Bonn"}, {"email": "b@x.de", "city": ""}]
CANARY = "canary@example.com"
LONG = "email,city\n" + "".join(f"{number}{CANARY},Bonn\n" for number in range(4_000))

Files = dict[str, bytes]
Seal = Callable[[bytes, str], bytes]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def plan(tmp_path: Path, keys: Keys) -> DecodePlan:
    described = '[columns.email]\ncomment = "x"\n[columns.city]\ncomment = "x"'
    tables = {name: parse_table(f'name = "{name}"\ncomment = "x"\n{described}', f"{name}.toml") for name in FEEDS}
    return DecodePlan(
        root=f"file://{tmp_path}/root",
        connector=parse_connector(CONNECTOR, "several.toml", tables),
        keys=KeyReferences(f"file:{keys.rsa_private}", f"file:{keys.pgp_secret}", f"file:{keys.pgp_passphrase}"),
        source="landing/several/",
        raw="raw/several/run=1/",
        rejects="rejects/several/run=1/",
    )


@pytest.fixture
def seal(keys: Keys, tmp_path: Path) -> Seal:
    return lambda data, codec: sealed(data, codec, keys, tmp_path)


def with_delivery(plan: DecodePlan, **changes: Any) -> DecodePlan:
    delivery = dataclasses.replace(plan.connector.delivery, **changes)
    return dataclasses.replace(plan, connector=dataclasses.replace(plan.connector, delivery=delivery))


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(files: Files) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def decode(plan: DecodePlan, data: bytes, name: str = "x.zip") -> Decoded:
    return decode_task(plan, [land(plan, data, name, ORDINAL)])


def rows_of(plan: DecodePlan, decoded: Decoded, *columns: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each feed's parts."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part in decoded.parts:
        table = pq.read_table(pa.BufferReader(open_storage(plan.root).read(part.key)))
        found.setdefault(part.feed, []).extend(table.select(list(columns or ("email", "city"))).to_pylist())
    return found


def bad(plan: DecodePlan, data: bytes, name: str = "x.zip") -> FileOutcome:
    """Decode a file that cannot be used: it has a reason, and leaves nothing behind."""
    decoded = decode(plan, data, name)
    (outcome,) = decoded.files
    assert (outcome.name, outcome.member, outcome.rows, decoded.parts) == (name, 0, 0, ())
    assert outcome.reason
    assert outcome.detail
    assert CANARY not in outcome.detail
    assert written(plan) == []
    partial = Path(plan.root.removeprefix("file://")) / ".partial"
    assert not [path for path in partial.glob("**/*") if path.is_file()]
    return outcome


# --- archives


FILES: Files = {
    "out/people.csv": PEOPLE.encode(),
    "out/events/1.txt": EVENTS.encode(),
    "out/People_2.csv": codecs.BOM_UTF16_LE + MORE_PEOPLE.encode("utf-16-le"),
    "out/people_3.csv.gz": gzip.compress(b"email\ne@x.de\n"),
}
_Pack = Callable[[Files, Seal], bytes]
PACKINGS: dict[str, _Pack] = {
    "plain+zip": lambda files, _: zipped(files),
    "plain+gzip+zip": lambda files, _: gzip.compress(zipped(files)),
    "openpgp+zip": lambda files, seal: seal(zipped(files), "openpgp"),
    "envelope+zip": lambda files, seal: seal(zipped(files), "envelope"),
    "openpgp+gzip+zip": lambda files, seal: seal(gzip.compress(zipped(files, zipfile.ZIP_STORED)), "openpgp"),
    "plain+tar": lambda files, _: tarred(files),
    "plain+gzip+tar": lambda files, _: gzip.compress(tarred(files)),
    "openpgp+tar": lambda files, seal: seal(tarred(files), "openpgp"),
    "envelope+gzip+tar": lambda files, seal: seal(gzip.compress(tarred(files)), "envelope"),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_member_goes_to_the_feed_that_takes_its_name(plan: DecodePlan, seal: Seal, packing: str) -> None:
    decoded = decode(plan, PACKINGS[packing](FILES, seal), "in/x.bin")
    assert [(each.name, each.member, each.feed, each.codec, each.rows, each.reason) for each in decoded.files] == [
        ("in/x.bin!out/people.csv", 1, "people", packing, 2, ""),
        ("in/x.bin!out/events/1.txt", 2, "events", packing, 1, ""),
        ("in/x.bin!out/People_2.csv", 3, "people", packing, 1, ""),
        ("in/x.bin!out/people_3.csv.gz", 4, "people", f"{packing}+gzip", 1, ""),
    ]
    assert {each.ordinal for each in decoded.files} == {ORDINAL}
    assert [each.size for each in decoded.files[:3]] == [len(data) for data in list(FILES.values())[:3]]
    assert rows_of(plan, decoded) == {
        "people": [*ROWS, {"email": "c@x.de", "city": "Köln 😀"}, {"email": "e@x.de", "city": None}],
        "events": [{"email": "d@x.de", "city": "Bonn, am Rhein"}],
    }
    assert [(each.absent_fields, dict(each.filled)) for each in decoded.files[2:]] == [
        ((), {"email": 1, "city": 1}),
        (("city",), {"email": 1, "city": 0}),
    ]
    assert sorted(part.key for part in decoded.parts) == written(plan)


def test_rows_know_their_member_and_their_place(plan: DecodePlan) -> None:
    decoded = decode(plan, zipped(FILES))
    found = rows_of(plan, decoded, "row_id", "source_file", "source_row")

    def place(member: int, name: str, row: int) -> dict[str, Any]:
        # 12 bits for the member, 32 for the row.
        return {"row_id": ((ORDINAL << 12) + member << 32) + row, "source_file": f"x.zip!out/{name}", "source_row": row}

    assert found == {
        "people": [
            place(1, "people.csv", 2),
            place(1, "people.csv", 3),
            place(3, "People_2.csv", 2),
            place(4, "people_3.csv.gz", 2),
        ],
        "events": [place(2, "events/1.txt", 2)],
    }
    assert [each.file_id for each in decoded.files] == [(ORDINAL << 12) + member for member in (1, 2, 3, 4)]
    assert Decoded.from_document(json.loads(json.dumps(decoded.to_document()))) == decoded


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_a_file_in_pieces_is_read_piece_by_piece(plan: DecodePlan, pack: Callable[[Files], bytes]) -> None:
    pieces = {f"people-{number}.csv": f"email\n{number}@x.de\n".encode() for number in (2, 1, 3)}
    decoded = decode(plan, pack(pieces))
    assert rows_of(plan, decoded, "email", "row_id") == {
        "people": [
            {"email": f"{number}@x.de", "row_id": ((ORDINAL << 12) + member << 32) + 2}
            for member, number in enumerate((2, 1, 3), 1)
        ]
    }


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_members_that_nobody_asks_for(plan: DecodePlan, pack: Callable[[Files], bytes]) -> None:
    files = {
        "people.csv.md5": b"\x00\x01 whatever",
        "readme.pdf": b"%PDF-1.7 \x00\x05",
        "__MACOSX/people.csv": b"\x00\x05\x16\x07",
        "people.csv": PEOPLE.encode(),
    }
    decoded = decode(plan, pack(files))
    unknown, people = decoded.files
    assert (unknown.name, unknown.reason, unknown.member, unknown.size) == (
        "x.zip!readme.pdf",
        "unknown_member",
        2,
        len(files["readme.pdf"]),
    )
    assert (people.name, people.reason, people.member, people.rows) == ("x.zip!people.csv", "", 4, 2)
    assert rows_of(plan, decoded) == {"people": ROWS}


def test_an_archive_of_unknown_members_is_reported_and_has_no_part(plan: DecodePlan) -> None:
    decoded = decode(plan, zipped({"a.pdf": b"a", "b.pdf": b"b"}))
    assert [(each.reason, each.name) for each in decoded.files] == [
        ("unknown_member", "x.zip!a.pdf"),
        ("unknown_member", "x.zip!b.pdf"),
    ]
    assert written(plan) == []


def test_members_in_other_formats(plan: DecodePlan) -> None:
    files = {
        "people.json": as_lines(ROWS),
        "people.parquet": as_parquet(ROWS),
        "people.avro": as_avro(ROWS),
        "people.json.gz": gzip.compress(as_array(ROWS)),
    }
    decoded = decode(plan, zipped(files))
    assert [each.codec for each in decoded.files] == [
        "plain+zip+json",
        "plain+zip+parquet",
        "plain+zip+avro",
        "plain+zip+gzip+json",
    ]
    assert rows_of(plan, decoded) == {"people": ROWS * 4}


def test_ragged_rows_of_members_go_to_the_rejects(plan: DecodePlan) -> None:
    files = {"people.csv": b"email,city\na,b,c\na@x.de,Bonn\n", "events/1.csv": b"email,city\nd@x.de,Bonn\nlone\n"}
    decoded = decode(plan, zipped(files))
    assert [(each.rows, dict(each.refused), each.delivered_rows) for each in decoded.files] == [
        (1, {"ragged_row": 1}, 2),
        (1, {"ragged_row": 1}, 2),
    ]
    storage = open_storage(plan.root)
    (rejects,) = [item.key for item in storage.list(plan.rejects)]
    found = pq.read_table(pa.BufferReader(storage.read(rejects))).to_pylist()
    assert [(row["source_file"], row["source_row"], row["reason"]) for row in found] == [
        ("x.zip!people.csv", 2, "ragged_row"),
        ("x.zip!events/1.csv", 3, "ragged_row"),
    ]


def test_columns_that_no_field_asks_for_come_where_the_table_takes_them(plan: DecodePlan) -> None:
    plan = dataclasses.replace(plan, with_extras=("people",))
    files = {
        "people_1.csv": b"email,Loyalty Tier\na@x.de, gold \n",
        "people_2.csv": b"email\nb@x.de\n",
        "events/1.csv": b"email,Loyalty Tier\nd@x.de,gold\n",
    }
    decoded = decode(plan, zipped(files))
    assert [(part.feed, part.extras, part.rows) for part in decoded.parts] == [
        ("people", ("loyalty_tier",), 1),
        ("people", (), 1),
        ("events", (), 1),
    ]
    table = pq.read_table(pa.BufferReader(open_storage(plan.root).read(decoded.parts[0].key)))
    assert table.select(["email", "city", "loyalty_tier"]).to_pylist() == [
        {"email": "a@x.de", "city": None, "loyalty_tier": "gold"}
    ]
    assert [each.ignored_columns for each in decoded.files] == [(), (), ("Loyalty Tier",)]


# --- archives that cannot be used


def _encrypted(data: bytes) -> bytes:
    """Say of every member that it is encrypted, as packers do: the lowest bit of its flags (APPNOTE 4.4.4)."""
    made = bytearray(data)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic)
        while at >= 0:
            made[at + offset] |= 1
            at = data.find(magic, at + 1)
    return bytes(made)


def _twice(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(name, PEOPLE)
        archive.writestr(name, MORE_PEOPLE)
    return made.getvalue()


def _folder(kind: str) -> bytes:
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("people/", b"")
        return made.getvalue()
    with tarfile.open(fileobj=made, mode="w") as tar:
        folder = tarfile.TarInfo("people")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    return made.getvalue()


def _link() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        link = tarfile.TarInfo("people.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return made.getvalue()


_GOOD: Files = {"people_1.csv": LONG.encode(), "events/1.csv": PEOPLE.encode()}
_BOMB = b"email\n" + b"x" * (17 << 20)

_BAD_ARCHIVES: dict[str, tuple[str, Callable[[Seal], bytes]]] = {
    "half a zip": ("damaged_archive", lambda _: zipped(_GOOD)[: len(zipped(_GOOD)) // 2]),
    "a zip without its last byte": ("damaged_archive", lambda _: zipped(_GOOD)[:-1]),
    "a zip with more behind it": ("damaged_archive", lambda _: zipped(_GOOD) + b"x"),
    "half a tar": ("damaged_archive", lambda _: tarred(_GOOD)[: len(tarred(_GOOD)) // 2]),
    "a tar without its end": ("damaged_archive", lambda _: tarred(_GOOD)[: -tarfile.RECORDSIZE]),
    "half a tgz": ("damaged_compression", lambda _: gzip.compress(tarred(_GOOD))[:-3000]),
    "half a sealed zip": ("damaged_archive", lambda seal: seal(zipped(_GOOD)[:-100], "openpgp")),
    "half a zip inside gzip": ("damaged_archive", lambda _: gzip.compress(zipped(_GOOD)[:-100])),
    "a wrong checksum": (
        "damaged_archive",
        lambda _: zipped(_GOOD | {"people_2.csv": PEOPLE.encode()}, zipfile.ZIP_STORED).replace(
            PEOPLE.encode(), PEOPLE.replace("Bonn", "Rome").encode()
        ),
    ),
    "an empty zip": ("empty_archive", lambda _: zipped({})),
    "a zip with a folder": ("empty_archive", lambda _: _folder("zip")),
    "a tar with a folder": ("empty_archive", lambda _: _folder("tar")),
    "a tgz with a folder": ("empty_archive", lambda _: gzip.compress(_folder("tar"))),
    "ignored members alone": ("empty_archive", lambda _: zipped({"a.md5": b"a", "__MACOSX/people.csv": b"b"})),
    "a name outside": ("unsafe_archive", lambda _: zipped({**_GOOD, "../people.csv": b"email\nx\n"})),
    "a name outside of a tar": ("unsafe_archive", lambda _: tarred({**_GOOD, "../people.csv": b"email\nx\n"})),
    "a name from the root": ("unsafe_archive", lambda _: zipped({**_GOOD, "/people.csv": b"email\nx\n"})),
    "a name twice": ("unsafe_archive", lambda _: _twice("people.csv")),
    "a name twice in another case": ("unsafe_archive", lambda _: zipped({**_GOOD, "PEOPLE_1.csv": b"email\nx\n"})),
    "a name twice in a tar": ("unsafe_archive", lambda _: tarred({**_GOOD, "./people_1.csv": b"email\nx\n"})),
    "a link": ("unsafe_archive", lambda _: _link()),
    "a password": ("encrypted_archive", lambda _: _encrypted(zipped(_GOOD))),
    "a zip in a zip": ("nested_archive", lambda _: zipped({**_GOOD, "people.zip": zipped(FILES)})),
    "a tgz in a zip": ("nested_archive", lambda _: zipped({**_GOOD, "people.tgz": gzip.compress(tarred(FILES))})),
    "a zip in a tar": ("nested_archive", lambda _: tarred({**_GOOD, "people.zip": zipped(FILES)})),
    "too many members": ("archive_bomb", lambda _: zipped({f"people_{at}.csv": PEOPLE.encode() for at in range(7)})),
    "too many members of a tar": ("archive_bomb", lambda _: tarred({f"people_{at}": b"email\nx\n" for at in range(7)})),
    "too large a member": ("archive_bomb", lambda _: zipped({"people.csv": bytes(40_000_001)})),
    "too large a tar": ("archive_bomb", lambda _: gzip.compress(tarred({**_GOOD, "people.csv": _BOMB * 3}), 1)),
    "too dense a zip": ("archive_bomb", lambda _: zipped({**_GOOD, "people.csv": _BOMB})),
    "an empty member": ("empty_file", lambda _: zipped({**_GOOD, "people.csv": b""})),
    "a member in bzip2": ("unrecognised_content", lambda _: zipped({**_GOOD, "people.csv": b"BZh91AY&SY" + bytes(40)})),
    "an encrypted member": (
        "unrecognised_content",
        lambda seal: zipped({**_GOOD, "people.csv.gpg": seal(PEOPLE.encode(), "openpgp")}),
    ),
    "a member of a type not listed": ("unrecognised_content", lambda _: zipped({**_GOOD, "text": as_parquet(ROWS)})),
    "a member with an open quote": (
        "not_delimited_text",
        lambda _: zipped({**_GOOD, "people_2.csv": b'email,city\n"x,Bonn\n'}),
    ),
    "a member in Latin-1": ("undecodable_text", lambda _: tarred({**_GOOD, "people_2.csv": b"email\nJos\xe9\n"})),
    "a member without a required column": ("missing_column", lambda _: zipped({**_GOOD, "people_2": b"city\nBonn\n"})),
    "a member with one column twice": (
        "ambiguous_header",
        lambda _: zipped({**_GOOD, "people_2": b"email,EMAIL\na,b\n"}),
    ),
    "a member that is cut gzip": (
        "damaged_compression",
        lambda _: zipped({**_GOOD, "people_2.gz": gzip.compress(LONG.encode())[:-9]}),
    ),
    "a member that is cut Parquet": ("damaged_file", lambda _: zipped({**_GOOD, "people_2": as_parquet(ROWS)[:-9]})),
    "a member that is cut Avro": ("damaged_file", lambda _: tarred({**_GOOD, "people_2": as_avro(ROWS)[:-9]})),
    "a member that is no JSON": ("not_json", lambda _: zipped({**_GOOD, "docs.json": b"[{}, oops"})),
    "a member with more columns": ("column_count", lambda _: zipped({**_GOOD, "bare.csv": b"a@x.de,Bonn,53111\n"})),
}


@pytest.mark.parametrize("case", _BAD_ARCHIVES)
def test_a_bad_archive_has_a_reason_and_leaves_nothing_of_its_good_members(
    plan: DecodePlan, seal: Seal, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "_ROW_GROUP_BYTES", 1 << 14)  # so that parts are there before the end is
    monkeypatch.setattr(parts_module, "_PART_BYTES", 1 << 14)
    monkeypatch.setattr("transforms.streams.delimited.BLOCK_SIZE", 1 << 14)
    reason, make = _BAD_ARCHIVES[case]
    assert bad(plan, make(seal)).reason == reason


def test_parts_were_there_before_the_bad_member_was_met(plan: DecodePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "_ROW_GROUP_BYTES", 1 << 14)
    monkeypatch.setattr(parts_module, "_PART_BYTES", 1 << 14)
    monkeypatch.setattr("transforms.streams.delimited.BLOCK_SIZE", 1 << 14)
    monkeypatch.setattr("jobs.runtime.refused_rows._ROWS_HELD", 2)
    seen: list[str] = []
    delete = LocalStorage.delete_prefix

    def look_and_delete(self: LocalStorage, prefix: str) -> int:
        seen.extend(written(plan))
        return delete(self, prefix)

    monkeypatch.setattr(LocalStorage, "delete_prefix", look_and_delete)
    ragged = b"email,city\n" + b"lone\n" * 10
    outcome = bad(plan, zipped({**_GOOD, "people_2.csv": ragged, "people_3.csv": b"city\nBonn\n"}))
    assert outcome.detail.startswith("member 4, 'people_3.csv': no column for email")
    assert any(key.startswith(f"{plan.raw}people/") for key in seen)
    assert any(key.startswith(plan.rejects) for key in seen)


def test_a_bad_archive_leaves_the_other_files_of_its_task(plan: DecodePlan) -> None:
    entries = [
        land(plan, zipped(FILES), "1.zip", 1),
        land(plan, zipped({**FILES, "people_9.csv": b""}), "2.zip", 2),
        land(plan, PEOPLE.encode(), "people.csv", 3),
    ]
    decoded = decode_task(plan, entries)
    assert [(each.ordinal, each.reason) for each in decoded.files] == [(1, "")] * 4 + [(2, "empty_file"), (3, "")]
    files = {
        row["source_file"].partition("!")[0] for rows in rows_of(plan, decoded, "source_file").values() for row in rows
    }
    assert files == {"1.zip", "people.csv"}


@pytest.mark.parametrize(
    ("archives", "pack", "kind"),
    [
        ((), zipped, "zip"),
        ((), tarred, "tar"),
        (("tar",), zipped, "zip"),
        (("zip",), tarred, "tar"),
        (("zip",), lambda files: gzip.compress(tarred(files)), "tar"),
        (("tar",), lambda files: gzip.compress(zipped(files)), "zip"),
    ],
)
def test_an_archive_that_the_connector_does_not_list_is_refused(
    plan: DecodePlan, archives: tuple[str, ...], pack: Callable[[Files], bytes], kind: str
) -> None:
    outcome = bad(with_delivery(plan, archives=archives), pack(FILES))
    assert outcome.reason == "unrecognised_content"
    assert outcome.detail == f"is a {kind} archive, which the connector's archives do not list"


@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        (ArchiveLimits(3, 10_000, 200), "one more than the 3 that are allowed"),
        (ArchiveLimits(4, 50, 200), "over the 50 unpacked bytes that are allowed"),
    ],
)
@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_the_connector_says_how_large_an_archive_may_be(
    plan: DecodePlan, pack: Callable[[Files], bytes], limits: ArchiveLimits, detail: str
) -> None:
    outcome = bad(with_delivery(plan, archive_limits=limits), pack(FILES))
    assert outcome.reason == "archive_bomb"
    assert detail in outcome.detail
    enough = ArchiveLimits(len(FILES), sum(map(len, FILES.values())), 1)
    assert all(not each.reason for each in decode(with_delivery(plan, archive_limits=enough), pack(FILES)).files)


@pytest.mark.parametrize("name", ["x.zip", "people.parquet"])
def test_an_object_that_was_replaced_is_not_read_by_ranges_either(plan: DecodePlan, name: str) -> None:
    data = zipped(FILES) if name == "x.zip" else as_parquet(ROWS)
    entry = land(plan, data, name, ORDINAL)
    land(plan, data, name, ORDINAL)
    (outcome,) = decode_task(plan, [entry]).files
    assert outcome.reason == "changed_while_read"
    assert written(plan) == []


# --- other formats


def as_lines(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_array(rows: list[dict[str, str]]) -> bytes:
    return b"\xef\xbb\xbf \n" + json.dumps(rows, indent=1).encode()


def as_parquet(rows: list[dict[str, str]], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def as_avro(rows: list[dict[str, str]]) -> bytes:
    fields = [{"name": name, "type": "string"} for name in rows[0]]
    made = io.BytesIO()
    fastavro.writer(made, {"type": "record", "name": "person", "fields": fields}, rows, codec="deflate")
    return made.getvalue()


_WRITERS: dict[str, tuple[str, Callable[[list[dict[str, str]]], bytes]]] = {
    "lines": ("+json", as_lines),
    "array": ("+json", as_array),
    "parquet": ("+parquet", as_parquet),
    "avro": ("+avro", as_avro),
    "delimited": ("", lambda _: PEOPLE.encode()),
}


@pytest.mark.parametrize("layers", ["plain", "plain+gzip", "openpgp", "envelope", "openpgp+gzip"])
@pytest.mark.parametrize("written_as", _WRITERS)
def test_the_same_rows_in_every_format(plan: DecodePlan, seal: Seal, written_as: str, layers: str) -> None:
    suffix, write = _WRITERS[written_as]
    clear = write(ROWS)
    codec, _, packed = layers.partition("+")
    data = seal(gzip.compress(clear) if packed else clear, codec)
    decoded = decode(plan, data, "people.whatever")
    (outcome,) = decoded.files
    assert (outcome.reason, outcome.detail) == ("", "")
    assert (outcome.codec, outcome.feed, outcome.rows, outcome.member) == (layers + suffix, "people", 2, 0)
    assert (outcome.size, outcome.clear_size) == (len(data), len(clear))
    assert rows_of(plan, decoded) == {"people": ROWS}
    first = 2 if written_as == "delimited" else 1  # a header is a row
    assert rows_of(plan, decoded, "source_row", "row_id") == {
        "people": [{"source_row": row, "row_id": (ORDINAL << 44) + row} for row in (first, first + 1)]
    }


def test_a_plain_parquet_file_is_read_where_it_lies(plan: DecodePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets: list[int] = []
    read = LocalStorage.chunks

    def noted(self: LocalStorage, item: ObjectInfo, offset: int = 0) -> Iterator[bytes]:
        offsets.append(offset)
        return read(self, item, offset)

    def unwanted() -> None:
        raise AssertionError("a copy was made")

    monkeypatch.setattr(LocalStorage, "chunks", noted)
    monkeypatch.setattr(module, "SealedScratch", unwanted)
    data = as_parquet([{"email": f"{number}{CANARY}", "city": "Bonn"} for number in range(40_000)], compression=None)
    decoded = decode(plan, data, "people.parquet")
    assert decoded.files[0].rows == 40_000
    assert offsets[0] == 0  # what it is
    assert len(data) - (1 << 16) in offsets  # its footer, at the end


@pytest.mark.parametrize("layers", ["plain+gzip", "openpgp", "envelope"])
@pytest.mark.parametrize("kind", ["parquet", "zip"])
def test_inside_of_a_layer_a_sealed_copy_is_read(
    plan: DecodePlan, seal: Seal, kind: str, layers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Noted(SealedScratch):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)
            self.closed = 0

        def close(self) -> None:
            self.closed += 1
            super().close()

    monkeypatch.setattr(module, "SealedScratch", Noted)
    clear = as_parquet(ROWS) if kind == "parquet" else zipped({"people.csv": PEOPLE.encode()})
    codec, _, packed = layers.partition("+")
    decoded = decode(plan, seal(gzip.compress(clear) if packed else clear, codec), "people")
    assert rows_of(plan, decoded) == {"people": ROWS}
    assert [scratch.closed > 0 for scratch in made if isinstance(scratch, Noted)] == [True]


def test_a_nested_value_has_the_name_of_its_path(plan: DecodePlan) -> None:
    records = [{"email": "a@x.de", "address": {"city": "Bonn"}}, {"email": "b@x.de", "address": None, "city": "Köln"}]
    decoded = decode(plan, "".join(json.dumps(each) + "\n" for each in records).encode(), "people.json")
    assert rows_of(plan, decoded) == {
        "people": [{"email": "a@x.de", "city": None}, {"email": "b@x.de", "city": "Köln"}]
    }


def test_lines_that_are_no_objects_go_to_the_rejects(plan: DecodePlan) -> None:
    decoded = decode(plan, b'{"email": "a@x.de"}\n[1]\n{"email": "b@x.de"}\n', "people.json")
    (outcome,) = decoded.files
    assert (outcome.rows, dict(outcome.refused)) == (2, {"unreadable_row": 1})


_BAD_FILES: dict[str, tuple[str, str, Callable[[], bytes], str]] = {
    "a name no feed takes": ("unknown_name", "other.csv", PEOPLE.encode, "fits none of the connector's feeds"),
    "a folder no feed takes": ("unknown_name", "people/1.csv", PEOPLE.encode, "fits none of the connector's feeds"),
    "Parquet that is not listed": ("unrecognised_content", "text", lambda: as_parquet(ROWS), "is parquet, which"),
    "Avro that is not listed": ("unrecognised_content", "text", lambda: as_avro(ROWS), "is avro, which"),
    "text that is not listed": ("unrecognised_content", "columnar", PEOPLE.encode, "is text, and"),
    "JSON that is not listed": ("missing_column", "text.json", lambda: as_lines(ROWS), "none of the header's"),
    "text for JSON": ("not_json", "docs.json", PEOPLE.encode, ""),
    "half an array": ("not_json", "people.json", lambda: as_array(ROWS)[:-5], ""),
    "cut Parquet": ("damaged_file", "people.parquet", lambda: as_parquet(ROWS)[:-1], ""),
    "Parquet without a footer": ("damaged_file", "people.parquet", lambda: as_parquet(ROWS)[:40], ""),
    "cut Avro": ("damaged_file", "people.avro", lambda: as_avro(ROWS)[:-1], ""),
    "an Avro header": ("damaged_file", "people.avro", lambda: b"Obj\x01", ""),
    "a column too many": (
        "column_count",
        "bare.csv",
        lambda: b"a@x.de,Bonn,53111\n",
        "3 values, the connector names 2",
    ),
    "a column too few": (
        "column_count",
        "bare.csv",
        lambda: b"canary@example.com\n",
        "1 values, the connector names 2",
    ),
    "no required column in Parquet": ("missing_column", "people", lambda: as_parquet([{"city": "Bonn"}]), ""),
    "no required column in JSON": ("missing_column", "people", lambda: b'{"city": "Bonn"}\n', ""),
    "no required column in Avro": ("missing_column", "people", lambda: as_avro([{"city": "Bonn"}]), ""),
    "two columns for one field": (
        "ambiguous_header",
        "people",
        lambda: as_parquet([{"email": "a", "e_mail": "b"}]),
        "",
    ),
}


@pytest.mark.parametrize("case", _BAD_FILES)
def test_a_bad_file_of_any_format_has_a_reason_and_leaves_nothing_behind(plan: DecodePlan, case: str) -> None:
    reason, name, make, detail = _BAD_FILES[case]
    outcome = bad(plan, make(), name)
    assert outcome.reason == reason
    assert detail in outcome.detail


def test_a_file_without_a_header_is_read_by_position(plan: DecodePlan) -> None:
    decoded = decode(plan, b"a@x.de,Bonn\nb@x.de,\n", "bare.csv")
    assert rows_of(plan, decoded) == {"bare": ROWS}
    assert rows_of(plan, decoded, "source_row") == {"bare": [{"source_row": 1}, {"source_row": 2}]}


def test_the_same_archive_on_s3(plan: DecodePlan, bucket: str) -> None:
    plan = dataclasses.replace(plan, root=f"s3://{bucket}/base")
    decoded = decode(plan, zipped(FILES))
    assert [each.rows for each in decoded.files] == [2, 1, 1, 1]
    assert rows_of(plan, decoded)["events"] == [{"email": "d@x.de", "city": "Bonn, am Rhein"}]
    again = decode(plan, zipped({**FILES, "people_9.csv": b""}), "y.zip")
    assert [each.reason for each in again.files] == ["empty_file"]
    assert written(plan) == sorted(part.key for part in decoded.parts)


def test_every_reason_has_a_case() -> None:
    tables = (test_decode._BAD, _BAD_ARCHIVES, _BAD_FILES)
    told = {case[0] for table in tables for case in table.values()}
    # What is no fault of a file, or is reported only, has tests of its own.
    assert told == set(REASONS) - NOT_THE_FILES_FAULT - REPORTED_ONLY
    assert sorted(NOT_THE_FILES_FAULT) == ["changed_while_read", "missing_key", "unreadable_object"]
    assert sorted(REPORTED_ONLY) == ["unknown_member"]
