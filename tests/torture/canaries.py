"""Values that stand nowhere else, and the search for them in whatever way a program may have written them.

A value is told by a piece of it that nothing else has, so that a cut or decorated one is found too. Each piece is
looked for as UTF-8 and UTF-16, in base64 at all three alignments, in hexadecimal digits, percent-encoded and as \\u
escapes, in its own case, lower and upper; inside gzip, zlib, bzip2, xz, zstd, LZ4 (frames, and Java's blocks), Snappy
(Java's framing), zip, tar, Avro and Parquet, whose footers with their statistics are plain bytes and whose values are
read.
"""

from __future__ import annotations

import base64
import bz2
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fixtures.key_files import Keys

#: Personal values as they are delivered, by what they are; several notations of one.
PERSONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "first name": ("Zaphrodelia",),
    "last name": ("Quibblethwaite",),
    "e-mail": ("zaphro.quibble@canary-mail.example",),
    "invalid e-mail": ("zaphro-at-canary",),
    "phone": ("(206) 555-0177", "+1 206-555-0177", "206.555.0177", "2065550177", "+12065550177"),
    "street": ("77 Canarybird Crescent",),
    "customer id": ("CANARY-ID-0042",),
    "national id": ("987-65-4329", "987654329"),
    "card number": ("4929 7391 8526 4017", "4929739185264017"),
    "birth date": ("1903-07-23", "07/23/1903"),
    "free text": ("Owes Canarian gold since Sunday",),
    "name with an umlaut": ("Zäphrödelia",),
}
#: The piece of each that is looked for.
PIECES: Final[Mapping[str, tuple[str, ...]]] = {
    "first name": ("zaphrodeli",),
    "last name": ("quibblethwait",),
    "e-mail": ("zaphro.quibb", "canary-mail.exa"),
    "invalid e-mail": ("zaphro-at-can",),
    "phone": ("206) 555-0177", "206-555-0177", "206.555.0177", "2065550177"),
    "street": ("canarybird",),
    "customer id": ("canary-id-00",),
    "national id": ("987-65-4329", "987654329"),
    "card number": ("4929 7391 8526", "4929739185264017"),
    "birth date": ("1903-07-23", "07/23/1903"),
    "free text": ("canarian gold",),
    "name with an umlaut": ("zäphrödeli",),
}
_NUMBERS: Final[Mapping[str, int]] = {"phone": 2065550177, "card number": 4929739185264017, "national id": 987654329}
_DEEPEST: Final = 4
_MOST_CLEAR: Final = 1 << 30


@dataclass(frozen=True, order=True)
class Hit:
    """A canary that was found: what it is, in which form, and where."""

    what: str
    form: str
    place: str

    def __str__(self) -> str:
        return f"{self.what} ({self.form}) in {self.place}"


@dataclass(frozen=True)
class Secrets:
    """Secrets by their names, as raw bytes."""

    values: Mapping[str, bytes]

    @classmethod
    def of(
        cls, keys: Keys, data_keys: Mapping[str, bytes] | None = None, hash_keys: Mapping[str, bytes] | None = None
    ) -> Secrets:
        """Return everything about keys that nobody may see: the files' content, and what is made of it."""
        values = {"OpenPGP passphrase": keys.pgp_passphrase.read_bytes().strip()}
        for name, key in {"hash key": keys.hash_key.read_bytes().strip(), **(hash_keys or {})}.items():
            block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
            values |= {
                name: key,
                f"{name}, inner pad": bytes(byte ^ 0x36 for byte in block),
                f"{name}, outer pad": bytes(byte ^ 0x5C for byte in block),
                # The key that HMAC really uses where the key is longer than a block (RFC 2104).
                f"{name}, digest": hashlib.sha256(key).digest(),
            }
        for name, path in (("RSA key", keys.rsa_private), ("OpenPGP key", keys.pgp_secret)):
            lines = [line for line in path.read_bytes().splitlines() if len(line) > 40 and b"-" not in line]
            values |= {f"{name}, line {number}": lines[number] for number in (2, len(lines) // 2, len(lines) - 2)}
        private = serialization.load_pem_private_key(keys.rsa_private.read_bytes(), password=None)
        assert isinstance(private, rsa.RSAPrivateKey)
        numbers = private.private_numbers()
        for name, number in (("d", numbers.d), ("p", numbers.p), ("q", numbers.q)):
            values[f"RSA key's {name}"] = number.to_bytes((number.bit_length() + 7) // 8, "big")[:48]
            values[f"RSA key's {name} in decimal"] = str(number).encode()[:60]
        for name, key in (data_keys or {}).items():
            values |= {f"{name}'s data key": key, f"{name}'s signing key": key[:16], f"{name}'s cipher key": key[16:]}
        return cls(values)


class Search:
    """A search for all canaries. ``count`` is how many texts and secrets are planted, ``patterns`` how many forms."""

    def __init__(self, secrets: Secrets) -> None:
        self.count = sum(len(texts) for texts in PERSONAL.values()) + len(secrets.values)
        #: In the data with ASCII letters in lower case, and in the data as it is: pattern to what it is and its form.
        self._folded: dict[bytes, tuple[str, str]] = {}
        self._exact: dict[bytes, tuple[str, str]] = {}
        for what, pieces in PIECES.items():
            for piece in pieces:
                self._add_text(what, piece)
        for what, number in _NUMBERS.items():
            self._exact[number.to_bytes(8, "little")] = (what, "64-bit integer")
            self._exact[number.to_bytes(8, "big")] = (what, "64-bit integer, big-endian")
        for what, value in secrets.values.items():
            self._add_secret(what, value)
        self.patterns = len(self._folded) + len(self._exact)

    def _add_text(self, what: str, piece: str) -> None:
        for coding in ("utf-8", "utf-16-le", "utf-16-be"):
            # Folding bytes makes ASCII letters small and no others.
            self._folded |= {text.encode(coding).lower(): (what, coding) for text in (piece, piece.upper())}
        if not piece.isascii():
            self._folded[piece.encode("windows-1252")] = (what, "windows-1252")
            self._folded[piece.encode("unicode_escape")] = (what, "\\x escapes")
            self._folded[_escaped(piece, keep_ascii=True)] = (what, "\\u escapes")
        for cased in {piece, piece.title(), piece.capitalize(), piece.upper()}:
            data = cased.encode()
            self._folded[data.hex().encode()] = (what, "hexadecimal")
            self._folded["".join(f"%{byte:02x}" for byte in data).encode()] = (what, "percent-encoded")
            self._folded[_escaped(cased, keep_ascii=False)] = (what, "\\u escapes")
            self._exact |= dict.fromkeys(_base64_cores(data), (what, "base64"))

    def _add_secret(self, what: str, value: bytes) -> None:
        self._exact[value] = (what, "raw")
        self._exact[value[::-1]] = (what, "raw, in the other byte order")
        self._folded[value.hex().encode()] = (what, "hexadecimal")
        self._folded[value.decode("latin-1").encode("utf-8").lower()] = (what, "bytes taken for text")
        self._folded[repr(value)[2:-1].lower().encode()] = (what, "as Python shows bytes")
        signed = (byte - 256 if byte > 127 else byte for byte in value)
        self._folded[", ".join(map(str, signed)).encode()] = (what, "as Java shows bytes")
        self._folded[", ".join(map(str, value)).encode()] = (what, "list of numbers")
        if value.isascii():
            text = value.decode()
            self._folded |= {text.encode(coding).lower(): (what, coding) for coding in ("utf-16-le", "utf-16-be")}
        self._exact |= dict.fromkeys(_base64_cores(value), (what, "base64"))

    def in_bytes(self, data: bytes, place: str) -> list[Hit]:
        """Search bytes as they are, and everything that can be unpacked from them."""
        return sorted({Hit(*found, at) for at, view in views(data, place) for found in self._in_view(view)})

    def in_text(self, text: str, place: str) -> list[Hit]:
        """Search a text."""
        return self.in_bytes(text.encode(errors="surrogateescape"), place)

    def in_file(self, path: Path, place: str) -> list[Hit]:
        """Search a file and its name."""
        return [*self.in_text(place, f"the name of {place}"), *self.in_bytes(path.read_bytes(), place)]

    def _in_view(self, data: bytes) -> Iterator[tuple[str, str]]:
        folded = data.lower()
        yield from (found for pattern, found in self._folded.items() if pattern in folded)
        yield from (found for pattern, found in self._exact.items() if pattern in data)


def _escaped(text: str, *, keep_ascii: bool) -> bytes:
    return "".join(c if keep_ascii and c.isascii() else f"\\u{ord(c):04x}" for c in text).encode()


def _base64_cores(data: bytes) -> set[bytes]:
    """Return what is in base64 (both alphabets) of any text that has ``data`` in it, whatever stands around it."""
    cores = set()
    for before in range(3):
        first = (before * 8 + 5) // 6  # characters that depend on what stands before
        whole = (before + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            cores.add(encode(bytes(before) + data)[first:whole])
    return cores


def views(data: bytes, place: str, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes and, told by their first ones, what is packed in them, as far as it can be unpacked."""
    yield place, data
    if depth == _DEEPEST:
        return
    for magic, name, unpack in _CONTAINERS:
        if data[slice(*((257, 262) if name == "tar" else (0, len(magic))))] == magic:
            found = unpack(data)
            while True:
                try:
                    inner = next(found)
                except StopIteration:
                    break
                except Exception:  # noqa: BLE001  cut or damaged: what came before was searched
                    break
                yield from views(inner, f"{place} ({name})", depth + 1)


def _inflated(window: int) -> Callable[[bytes], Iterator[bytes]]:
    def unpack(data: bytes) -> Iterator[bytes]:
        while data:
            inflater = zlib.decompressobj(window)
            yield inflater.decompress(data, _MOST_CLEAR)
            data = inflater.unused_data

    return unpack


def _by_decompressor(
    make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
) -> Callable[[bytes], Iterator[bytes]]:
    def unpack(data: bytes) -> Iterator[bytes]:
        yield make().decompress(data)

    return unpack


def _by_arrow(compression: str) -> Callable[[bytes], Iterator[bytes]]:
    def unpack(data: bytes) -> Iterator[bytes]:
        pieces = []
        stream = pa.input_stream(pa.BufferReader(data), compression=compression)
        try:
            while piece := stream.read(1 << 16):
                pieces.append(piece)
        except OSError:
            pass
        yield b"".join(pieces)

    return unpack


def _lz4_blocks(data: bytes) -> Iterator[bytes]:
    """Read what Java's LZ4BlockOutputStream writes: magic, token, both sizes, checksum, block."""
    pieces, at = [], 0
    while data[at : at + 8] == b"LZ4Block":
        token = data[at + 8]
        packed, clear = (int.from_bytes(data[at + 9 + 4 * n : at + 13 + 4 * n], "little") for n in range(2))
        block = data[at + 21 : at + 21 + packed]
        if clear and len(block) == packed:
            stored = token & 0xF0 == 0x10
            pieces.append(block if stored else pa.Codec("lz4_raw").decompress(block, clear, asbytes=True))
        at += 21 + packed
    yield b"".join(pieces)


def _snappy_stream(data: bytes) -> Iterator[bytes]:
    """Read what snappy-java's SnappyOutputStream writes: a header of 16 bytes, then sizes (big-endian) and blocks."""
    pieces, at = [], 16
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        block = data[at + 4 : at + 4 + size]
        clear, shift, position = 0, 0, 0
        while position < len(block):
            byte = block[position]
            clear |= (byte & 0x7F) << shift
            shift, position = shift + 7, position + 1
            if byte < 128:
                break
        if len(block) == size and clear:
            pieces.append(pa.Codec("snappy").decompress(block, clear, asbytes=True))
        at += 4 + size
    yield b"".join(pieces)


def _zip(data: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            yield archive.read(name)


def _tar(data: bytes) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield file.read()


def _parquet(data: bytes) -> Iterator[bytes]:
    file = pq.ParquetFile(io.BytesIO(data))
    for group in range(file.num_row_groups):
        sink = pa.BufferOutputStream()  # Arrow's own format: values one after the other, not compressed
        table = file.read_row_group(group)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        yield sink.getvalue().to_pybytes()


def _avro(data: bytes) -> Iterator[bytes]:
    for record in fastavro.reader(io.BytesIO(data)):
        yield str(record).encode()


_CONTAINERS: Final[tuple[tuple[bytes, str, Callable[[bytes], Iterator[bytes]]], ...]] = (
    (b"\x1f\x8b", "gzip", _inflated(31)),
    (b"\x78\x9c", "zlib", _inflated(15)),
    (b"BZh", "bzip2", _by_decompressor(bz2.BZ2Decompressor)),
    (b"\xfd7zXZ", "xz", _by_decompressor(lzma.LZMADecompressor)),
    (b"\x28\xb5\x2f\xfd", "zstd", _by_arrow("zstd")),
    (b"\x04\x22\x4d\x18", "LZ4", _by_arrow("lz4")),
    (b"LZ4Block", "LZ4 blocks", _lz4_blocks),
    (b"\x82SNAPPY\x00", "Snappy", _snappy_stream),
    (b"PK\x03\x04", "zip", _zip),
    (b"ustar", "tar", _tar),
    (b"PAR1", "Parquet", _parquet),
    (b"Obj\x01", "Avro", _avro),
)
