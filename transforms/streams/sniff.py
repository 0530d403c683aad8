"""What a file is, told from its first bytes. Names lie: Adobe has shipped encrypted files that were called .csv."""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable
from typing import Final, Literal

from transforms.streams.bad_file import BadFile
from transforms.streams.tar_archive import is_tar
from transforms.streams.zip_archive import is_zip

Kind = Literal["envelope", "openpgp", "openpgp-armored", "gzip", "zip", "tar", "parquet", "avro", "text"]

#: How many bytes ``sniff`` needs to decide.
SNIFF_SIZE: Final = 8192

#: KMS limits a ciphertext to 6,144 bytes (AWS KMS API reference, Decrypt, CiphertextBlob).
MAX_WRAPPED_KEY: Final = 6144
_LENGTH_BYTES: Final = 4
_FERNET_START: Final = b"gAAAA"  # base64 of version 0x80 and the high bytes of a 64-bit time stamp
_ARMOR: Final = b"-----BEGIN PGP MESSAGE-----"
_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_TEXT_CONTROLS: Final = frozenset(b"\x00\x01\t\n\r\x1c\x1d\x1e\x1f")
_CONTAINERS: Final[tuple[tuple[re.Pattern[bytes], Kind], ...]] = (
    (re.compile(rb"\x1f\x8b"), "gzip"),
    (re.compile(rb"PAR[1E]\x15"), "parquet"),  # a CSV file's first name may begin with PAR1, or with BZh
    (re.compile(rb"Obj\x01"), "avro"),
)
_KNOWN_FOREIGN: Final = (
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), "bzip2"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
)
_SPACE: Final = 0x20
_CONTINUATIONS: Final = range(0x80, 0xC0)  # of a character in UTF-8
_PKESK, _SKESK, _SEIPD, _MARKER = 1, 3, 18, 10
_SIGNATURE, _ONE_PASS_SIGNATURE, _COMPRESSED, _LITERAL = 2, 4, 8, 11
_IN_CLEAR: Final = (_SIGNATURE, _ONE_PASS_SIGNATURE, _COMPRESSED, _LITERAL)
_MARKERS: Final = re.compile(rb"(?:[\xca\xa8]\x03PGP)*")
#: The data of an armoured message: behind its headers and an empty line (RFC 9580, section 6.2).
_ARMORED_DATA: Final = re.compile(rb"\s*-+BEGIN PGP MESSAGE-+[ \t]*\r?\n(?:\S[^\n]*\n)*[ \t]*\r?\n([A-Za-z0-9+/\s]*)")


def sniff(head: bytes) -> Kind:
    """Tell what the first bytes of a file begin.

    ``head`` is the first SNIFF_SIZE bytes or the whole file. Raises BadFile for an empty file, for an envelope with
    an impossible header, and for anything that is none of the kinds.
    """
    if not head:
        raise BadFile("empty_file", "0 bytes")
    for magic, kind in _CONTAINERS:
        if magic.match(head):
            return kind
    for magic, name in _KNOWN_FOREIGN:
        if magic.match(head):
            raise BadFile("unrecognised_content", f"looks like {name}, which this connector does not read")
    return _sniff_further(head)


def _sniff_further(head: bytes) -> Kind:
    """Tell what no fixed first bytes tell."""
    if head.startswith(_BYTE_ORDER_MARKS):
        return "text"
    told: tuple[tuple[Kind, Callable[[bytes], bool]], ...] = (
        ("zip", is_zip),
        ("tar", is_tar),
        ("openpgp-armored", lambda data: data.lstrip().startswith(_ARMOR)),
        ("openpgp", _is_openpgp),
        ("envelope", _is_envelope),
    )
    for kind, is_it in told:
        if is_it(head):
            _check_encryption(kind, head)
            return kind
    if any(byte < _SPACE and byte not in _TEXT_CONTROLS for byte in head[:64]):
        raise BadFile("unrecognised_content", "starts with control characters")
    return "text"


def _check_encryption(kind: Kind, head: bytes) -> None:
    """Refuse an OpenPGP message whose first packet says that it is in clear: nothing would prove it authentic."""
    packets = head
    if kind == "openpgp-armored":
        data = _ARMORED_DATA.match(head)
        text = b"".join(data[1].split()) if data else b""
        packets = base64.b64decode(text[: len(text) // 4 * 4])
    elif kind != "openpgp":
        return
    markers = _MARKERS.match(packets)
    first = packets[markers.end() if markers else 0 :][:1]
    if not first or _tag(first[0]) in (_MARKER, *_IN_CLEAR):
        raise BadFile("unrecognised_content", "is an OpenPGP message that is not encrypted")


def _tag(first: int) -> int:
    """Return which packet of OpenPGP begins with this byte (RFC 9580, section 4.2)."""
    return first & 0x3F if first & 0x40 else first >> 2 & 0x0F


def _is_envelope(head: bytes) -> bool:
    """Tell an envelope by its header, and refuse one whose header cannot be true.

    Two zero bytes, or a Fernet token where the header says that it starts, cannot be the beginning of text. Neither
    can bytes with the beginning of a token somewhere that are not UTF-8.
    """
    length = int.from_bytes(head[:_LENGTH_BYTES], "big")
    token = head[_LENGTH_BYTES + length :][: len(_FERNET_START)] if length <= MAX_WRAPPED_KEY else b""
    if token == _FERNET_START:
        return True
    if head[:2] == b"\x00\x00" or (_FERNET_START in head[_LENGTH_BYTES:] and not _is_utf8(head)):
        raise BadFile(
            "bad_envelope",
            f"the header says that the data key has {length} bytes (at most {MAX_WRAPPED_KEY} are possible), "
            "and no Fernet token follows it",
        )
    return False


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True


def _is_openpgp(head: bytes) -> bool:
    """Tell a binary OpenPGP message by its first packet (RFC 9580, section 4.2).

    An encrypted message starts with a session key packet (or a marker). None of the old-format tags is a byte that
    can begin UTF-8 text, nor is the new-format 0xC1; the other new-format ones are, and text goes on with a byte from
    0x80 to 0xBF there.
    """
    first = head[0]
    if not first & 0x80:
        return False
    tag = _tag(first)
    if first & 0x40:
        second = head[1] if len(head) > 1 else 0
        return tag == _PKESK or (tag in (_SKESK, _SEIPD, _MARKER) and second not in _CONTINUATIONS)
    return tag in (_PKESK, _SKESK, _MARKER)
