"""A source that takes everything in every load mode, and deliveries to it that are full of canaries, good and broken.

Names of files and columns are the source's own and stand in reports by design, so no canary is planted in a file's
name. Values of columns that are published in clear by the table's own wish stay clear: the canaries there are words in
columns of numbers and times, which become null.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pysequoia import encrypt

from tests.fixtures.fernet_writer import fernet_token
from tests.fixtures.key_files import Keys, openpgp_key
from tests.torture.canaries import PERSONAL

NAME: Final = "leaks"
_LOADS: Final = {
    "people": "upsert",
    "events": "append",
    "days": "partition_overwrite",
    "audience": "full_refresh",
    "kept": "full_refresh",  # the feed whose rejects keep their values
}
#: All feeds; the names of a feed's files begin with its name.
FEEDS: Final = tuple(_LOADS)
_PERSONAL: Final = {  # column: kind of personal data and of value
    "customer_id": ("identifier", "text"),
    "first_name": ("name", "name"),
    "last_name": ("name", "name"),
    "email": ("email", "email"),
    "phone": ("phone", "phone"),
    "street": ("address", "address"),
    "national_id": ("identifier", "text"),
    "card": ("identifier", "text"),
    "birth_date": ("birth_date", "text"),
    "note": ("identifier", "text"),
}
_TYPED: Final = {"age": "int", "spent": "decimal(7,2)", "seen": "timestamp", "member": "boolean", "score": "float"}
FIELDS: Final = (*_PERSONAL, "mail_hash", *_TYPED, "day")
_FIRST: Final = {kind: texts[0] for kind, texts in PERSONAL.items()}


def definitions(
    *, max_share: float = 0.9, feeds: Sequence[str] = FEEDS, clear_note: bool = False
) -> tuple[str, dict[str, str]]:
    """Return the connector with these ``feeds`` and the tables, as TOML; with ``clear_note`` the note is not hashed."""
    connector = [f'name = "{NAME}"', 'comment = "Everything"', 'default_country = "US"']
    connector += ["[delivery]", 'archives = ["zip", "tar"]', 'codecs = ["openpgp", "envelope", "plain"]']
    connector += ["[format]", 'types = ["delimited", "json", "parquet", "avro"]']
    prehashed = '{ algorithm = "sha256", encoding = "hex", profile = "cleanroom-etl@1" }'
    for feed in feeds:
        connector += [f"[feeds.{feed}]", f'files = ["{feed}*"]', f'table = "{feed}"', 'fields = "all"']
        connector += ['required = ["email"]', f"[feeds.{feed}.columns.mail_hash]", f"prehashed = {prehashed}"]
        connector += [f"[feeds.{feed}.rejects]", 'missing = ["customer_id"]', 'invalid = ["email", "score"]']
        connector += [f"max_share = {max_share}", f"keep_values = {str(feed == 'kept').lower()}"]
    return "\n".join(connector), {feed: _table(feed, _LOADS[feed], clear_note=clear_note) for feed in feeds}


def _table(name: str, load: str, *, clear_note: bool) -> str:
    lines = [f'name = "{name}"\ncomment = "{name}"\nload = "{load}"\nkeys = ["customer_id", "day"]']
    lines += [
        'order_by = ["-seen"]' if load == "upsert" else "",
        "" if load == "full_refresh" else 'partitions = ["day"]',
    ]
    lines += ['audit = ["source_file", "source_row", "row_hash"]']
    lines += ['[hash]\nalgorithm = "hmac-sha256"\nencoding = "hex"\nkey = "own"']
    lines += [
        f'[columns.{column}]\ncomment = "."\npersonal_data = "{kind}"\nnormalize = "{form}"'
        for column, (kind, form) in _PERSONAL.items()
        if not (clear_note and column == "note")
    ]
    lines += ['[columns.note]\ncomment = "."\ntype = "string"'] if clear_note else []
    email = 'comment = "."\nfield = "email"\npersonal_data = "email"\nnormalize = "email"'
    phone = 'comment = "."\nfield = "phone"\npersonal_data = "phone"\nnormalize = "phone"'
    if name == "people":  # in one table alone: Spark takes long for plans with many columns
        lines += [
            f'[columns.email_partner]\n{email}\nkey = "partner"',
            f'[columns.email_salted]\n{email}\nkey = "partner"\nalgorithm = "salted-sha256"',
            f'[columns.email_amc]\n{email}\nprofile = "amc-uploader@3.0.15"',
            f'[columns.phone_uid2]\n{phone}\nprofile = "uid2"',
        ]
    lines += [
        '[columns.mail_hash]\ncomment = "."\npersonal_data = "email"\nnormalize = "email"\nalgorithm = "sha256"',
    ]
    lines += [f'[columns.{column}]\ncomment = "."\ntype = "{kind}"' for column, kind in _TYPED.items()]
    lines.append('[columns.day]\ncomment = "."\ntype = "date"\ndefault = "1970-01-01"')
    return "\n".join(line for line in lines if line) + "\n"


def rows(first: int = 0) -> list[dict[str, str]]:
    """Return rows, as texts: canaries in their own columns, in others', in those of numbers and times, in rejects."""
    own = {
        "customer_id": _FIRST["customer id"],
        "first_name": _FIRST["first name"],
        "last_name": _FIRST["last name"],
        "email": _FIRST["e-mail"],
        "phone": _FIRST["phone"],
        "street": _FIRST["street"],
        "national_id": _FIRST["national id"],
        "card": _FIRST["card number"],
        "birth_date": _FIRST["birth date"],
        "note": _FIRST["free text"],
        "mail_hash": hashlib.sha256(b"somebody@example.com").hexdigest(),
        "age": "41",
        "spent": "12.50",
        "seen": f"2024-01-02T10:{first % 60:02}:00Z",
        "member": "true",
        "score": "0.5",
        "day": "2024-01-02",
    }
    texts = [text for texts in PERSONAL.values() for text in texts]
    names = list(own)
    made = [own, {**own, "email": own["email"].upper(), "first_name": _FIRST["name with an umlaut"]}]
    made += [
        {**own, "customer_id": f"{own['customer_id']}-{n}", "phone": text} for n, text in enumerate(PERSONAL["phone"])
    ]
    wrong = {name: texts[n % len(texts)] for n, name in enumerate((*_TYPED, "day")) if name != "score"}
    made.append({**own, **wrong, "customer_id": "wrong types"})
    made += [{**own, "customer_id": f"hash {n}", "mail_hash": text} for n, text in enumerate(texts[:4])]
    made.append({**own, "customer_id": "bad score", "score": _FIRST["phone"]})  # rejected
    made.append({**own, "customer_id": "bad mail", "email": _FIRST["invalid e-mail"]})  # rejected
    made.append({**own, "customer_id": ""})  # rejected
    made.append({**own, **{name: texts[(n + 5) % len(texts)] for n, name in enumerate(names[:10])}})  # all mixed up
    for number in range(first, first + 30):
        filler = {
            "customer_id": f"c{number}",
            "email": f"person{number}@example.com",
            "day": f"2024-01-{number % 9 + 1:02}",
        }
        made.append({**dict.fromkeys(names, ""), **filler, "score": "1"})
    return made


def delimited(found: list[dict[str, str]], *, header: str | None = None) -> str:
    """Return rows as CSV, with some that are too short or too long, or have quotes where none belong."""
    lines = [",".join(FIELDS) if header is None else header]
    lines += [",".join(f'"{row[name]}"' for name in FIELDS) for row in found]
    texts = list(_FIRST.values())
    lines[4:4] = [
        ",".join(texts[:3]),
        ",".join(texts * 3),
        f'"{texts[0]}"x,{texts[2]}"' + ",".join(['""', *texts, *[""] * 6]),
        f"{texts[4]};{texts[2]}",
    ]
    return "\n".join(lines) + "\n"


def json_lines(found: list[dict[str, str]], *, broken: bool = False) -> bytes:
    """Return rows as JSON lines: values of other types, nested ones, escapes; lines cut in the middle of a canary."""
    lines = [json.dumps(row) for row in found]
    first = {**found[0], "customer_id": "nested"}
    others = [
        {**first, "first_name": {"given": first["first_name"]}, "phone": [first["phone"], 2065550177]},
        {**first, "customer_id": 987654329, "age": first["note"], "spent": 4929739185264017.25},
        {**first, "unknown": {"deep": [{"mail": first["email"]}]}},
    ]
    lines += [json.dumps(row) for row in others]
    lines.append("".join(f"\\u{ord(c):04x}" if c == "Z" else c for c in json.dumps(first)))
    lines.append('{"email": "' + first["email"])
    lines.append('{"email": ' + first["email"] + "}")
    lines.append(f'["{first["email"]}"]')
    lines.append(f'"{first["last_name"]}"')
    if broken:
        lines = ['[{"email": "' + first["email"] + '"}, {"email" "' + first["email"]]
    return "\n".join(lines).encode()


def parquet(found: list[dict[str, str]], *, page_index: bool = True) -> bytes:
    """Return rows as Parquet, with minima and maxima in the footer, some columns as numbers."""
    columns = {name: pa.array([row[name] for row in found]) for name in FIELDS}
    columns["card"] = pa.array([4929739185264017] * len(found))
    columns["spent"] = pa.array([2065550177.0] * len(found))
    columns["age"] = pa.array([_FIRST["street"]] * len(found))
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, write_page_index=page_index, write_statistics=True)
    return sink.getvalue()


def avro(found: list[dict[str, str]]) -> bytes:
    """Return rows as Avro."""
    schema = {"type": "record", "name": "row", "fields": [{"name": name, "type": "string"} for name in FIELDS]}
    sink = io.BytesIO()
    fastavro.writer(sink, schema, found, codec="deflate")
    return sink.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    """Return a zip archive with one member."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return sink.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    """Return a tar archive with one member."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


@dataclass
class Sealer:
    """Encrypts as sources do, and keeps the envelopes' data keys, which nobody may see either."""

    keys: Keys
    data_keys: dict[str, bytes] = field(default_factory=dict)

    def envelope(self, data: bytes, *, public_key: rsa.RSAPublicKey | None = None) -> bytes:
        """Return an envelope."""
        if public_key is None:
            own = serialization.load_pem_public_key(self.keys.rsa_public.read_bytes())
            assert isinstance(own, rsa.RSAPublicKey)
            public_key = own
        data_key = os.urandom(32)
        self.data_keys[f"envelope {len(self.data_keys)}"] = data_key
        scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        wrapped = public_key.encrypt(data_key, scheme)
        return len(wrapped).to_bytes(4, "big") + wrapped + b"".join(fernet_token([data], data_key))

    def openpgp(self, data: bytes, *, stranger: bool = False) -> bytes:
        """Return an OpenPGP message, for our key or for a stranger's."""
        from pysequoia import Cert  # noqa: PLC0415  one use

        certificate = Cert.from_bytes(openpgp_key("x", "x")[1]) if stranger else self.keys.certificate
        return bytes(encrypt(data, recipients=[certificate], armor=False))


def good_files(sealer: Sealer, first: int = 0) -> dict[str, bytes]:
    """Return files that are loaded, all but some rows."""
    found = rows(first)
    text = delimited(found).encode()
    return {
        f"people_{first}.csv": text,
        f"people_{first}.csv.enc": sealer.envelope(text),
        f"people_{first}.json.gz.gpg": sealer.openpgp(gzip.compress(json_lines(found))),
        f"events_{first}.json": json_lines(found),
        f"events_{first}.avro": avro(found),
        f"events_{first}.zip.enc": sealer.envelope(zipped("events_in.csv", text)),
        f"days_{first}.parquet": parquet(found),
        f"days_{first}.parquet.gpg": sealer.openpgp(parquet(found)),
        f"days_{first}.tar": tarred("days_in.json", json_lines(found)),
        f"audience_{first}.csv": codecs.BOM_UTF16_LE + text.decode().encode("utf-16-le"),
        f"audience_{first}_be.csv": codecs.BOM_UTF16_BE + text.decode().encode("utf-16-be"),
        f"kept_{first}.csv": text,
    }


def told_notes() -> dict[str, bytes]:
    """Return a file of people in whose notes is what a note must not hold, and that files are told by."""
    texts = [text for kind in ("e-mail", "phone", "national id") for text in PERSONAL[kind]]
    found = [{**row, "note": texts[number % len(texts)]} for number, row in enumerate(rows())]
    return {"people_notes.csv": delimited(found).encode()}


def _flipped(data: bytes, share: float, bits: int = 1) -> bytes:
    at = int(len(data) * share)
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def broken_files(sealer: Sealer) -> dict[str, bytes]:
    """Return files that cannot be used, one for each way that a file can be broken in."""
    found = rows(500)
    text = delimited(found).encode()
    values = [",".join(row[name] for name in FIELDS) for row in found]
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    packed, sealed, message = gzip.compress(text), sealer.envelope(text), sealer.openpgp(text)
    tables, records, archive = parquet(found), avro(found), zipped("people_in.csv", text)
    made = {
        # text
        "open_quote.csv": text + f'"{_FIRST["last name"]},{_FIRST["e-mail"]}\n'.encode(),
        "no_header.csv": ("\n".join(values) + "\n").encode(),
        "canaries_in_header.csv": (",".join(_FIRST.values()) + "\n" + values[0] + "\n").encode(),
        "twice_in_header.csv": (f"email,{_FIRST['e-mail']},{_FIRST['e-mail']}\na,b,c\n").encode(),
        "latin1.csv": delimited(found).replace("ph", "pö").encode("latin-1"),
        "cut_utf8.csv": text + _FIRST["name with an umlaut"].encode()[:2],
        "utf16_without_mark.csv": text.decode().encode("utf-16-le"),
        "cut_utf16.csv": codecs.BOM_UTF16_LE + text.decode().encode("utf-16-le")[:-1],
        "control.csv": text.replace(b"Canarybird", b"\x01\x02\x03Canarybird"),
        "only_values.csv": "\n".join(_FIRST.values()).encode(),
        "long_line.csv": text + _FIRST["e-mail"].encode() * 300_000,
        # JSON
        "cut.json": json_lines(found, broken=True),
        "no_object.json": b"[" + ",".join(f'"{text}"' for text in _FIRST.values()).encode() + b"]",
        "names_are_values.json": json.dumps({text: text for text in _FIRST.values()}).encode(),
        "deep.json": b'{"email":' * 3000 + json.dumps(_FIRST["e-mail"]).encode() + b"}" * 3000,
        "wrong_escape.json": b'[{"email": "' + _FIRST["e-mail"].encode() + b'\\x"}]',
        # columnar
        "cut.parquet": tables[: len(tables) // 2],
        "flipped_page.parquet": _flipped(tables, 0.02, 0xFF),
        "flipped_footer.parquet": _flipped(tables, 0.97, 0xFF),
        "cut.avro": records[: len(records) // 2],
        "flipped.avro": _flipped(records, 0.6, 0xFF),
        "values_in_schema.avro": records.replace(b'"customer_id"', b'"CANARY-ID-0"'),
        # packed
        "cut.csv.gz": packed[: len(packed) // 2],
        "flipped.csv.gz": _flipped(packed, 0.5),
        "behind.csv.gz": packed + text,
        "cut.zip": archive[: len(archive) // 2],
        "flipped.zip": _flipped(archive, 0.4),
        "cut.tar": tarred("people_in.csv", text)[:1500],
        "escaping.tar": tarred("../people_in.csv", text),
        "nested.zip": zipped("people_in.zip", archive),
        # encrypted
        "flipped.enc": _flipped(sealed, 0.6),
        "flipped_key.enc": _flipped(sealed, 100 / len(sealed)),
        "cut.enc": sealed[: len(sealed) * 2 // 3],
        "stranger.enc": sealer.envelope(text, public_key=stranger),
        "clear_inside.enc": sealed[:260] + base64.urlsafe_b64encode(text),
        "flipped.gpg": _flipped(message, 0.8),
        "cut.gpg": message[: len(message) * 2 // 3],
        "stranger.gpg": sealer.openpgp(text, stranger=True),
        "twice.gpg": sealer.openpgp(message),
        "broken_inside.csv.gz.gpg": sealer.openpgp(packed[:-8]),
        "broken_inside.json.enc": sealer.envelope(json_lines(found, broken=True)),
    }
    return {f"people_{name}": data for name, data in made.items()}


def mutations(
    files: Mapping[str, bytes], choose: Callable[[int], int], count: int, *, plant: bool = True
) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` files with a few bytes changed, cut out or doubled; ``choose(n)`` picks a number below ``n``.

    ``plant`` also puts canaries anywhere.
    """
    names = sorted(files)
    texts = [text.encode() for texts in PERSONAL.values() for text in texts]
    signs = [
        b'"',
        b",",
        b"\n",
        b"\r",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\\",
        b"\0",
        b"\xff",
        b"\x01",
        b"null",
        b":",
        b"\xef\xbb\xbf",
    ]
    for _ in range(count):
        name = names[choose(len(names))]
        data = bytearray(files[name])
        for _ in range(1 + choose(4)):
            at = choose(max(1, len(data)))
            change = choose(6)
            if change == 0 and data:
                data[min(at, len(data) - 1)] ^= 1 << choose(8)
            elif change == 1:
                del data[at : at + 1 + choose(40)]
            elif change == 2:
                data[at:at] = signs[choose(len(signs))]
            elif change == 3 and plant:
                data[at:at] = texts[choose(len(texts))]
            elif change == 4:
                del data[at:]
            else:
                end = choose(len(data) + 1)
                data[at:at] = data[min(at, end) : min(at, end) + 200]
        yield name, bytes(data)
