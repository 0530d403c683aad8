"""Hashes of values: HMAC-SHA-256, salted SHA-256, SHA-256, SHA-1 and MD5, native, as hex or base64.

A key is never a literal: literals stand in plans, in the event log and in the UI. It comes as columns of a one-row
frame that is broadcast (see ``frames.pseudonymise``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.table import HashOutput

# Names of a key's columns, all binary, before the key's own name. HMAC needs the two pads of RFC 2104, a salted hash
# the key itself.
_INNER_PAD: Final = "__hash_key_inner_pad_"
_OUTER_PAD: Final = "__hash_key_outer_pad_"
_SALT: Final = "__hash_key_salt_"

_BLOCK: Final = 64  # of SHA-256, in bytes
_DIGEST_BYTES: Final = {"sha1": 20, "md5": 16}
_SHA_256_BYTES: Final = 32

#: The alphabets of hashes that a source may deliver, for a character class.
HEX_DIGITS: Final = {"hex": "0-9a-f", "upper-hex": "0-9A-F", "any-hex": "0-9a-fA-F"}


def key_columns(name: str) -> tuple[str, str, str]:
    """Return the names of the columns that carry the key called ``name``."""
    return _INNER_PAD + name, _OUTER_PAD + name, _SALT + name


def key_row(key: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the values of a key's columns (RFC 2104: a key longer than a block is hashed first)."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\x00")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block), key


def hash_value(value: Column, output: HashOutput) -> Column:
    """Hash a string column's UTF-8 bytes; null stays null. The caller sees to it that no value is empty.

    ``hmac-sha256`` and ``salted-sha256`` (the key, then the value) take the key from the columns of that name in the
    same frame. The result is a string: lower-case hexadecimal digits, or base64 (RFC 4648) of the raw bytes.
    """
    data = value.cast("binary")
    inner_pad, outer_pad, salt = key_columns(output.key)
    if output.algorithm == "hmac-sha256":
        inner = F.unhex(F.sha2(F.concat(F.col(inner_pad), data), 256))
        digest = F.sha2(F.concat(F.col(outer_pad), inner), 256)
    elif output.algorithm == "salted-sha256":
        digest = F.sha2(F.concat(F.col(salt), data), 256)
    elif output.algorithm == "sha1":
        digest = F.sha1(data)
    elif output.algorithm == "md5":
        digest = F.md5(data)
    else:
        digest = F.sha2(data, 256)
    return digest if output.encoding == "hex" else F.base64(F.unhex(digest))


def declared_hash(value: Column, algorithm: str, delivered: str, encoding: str) -> Column:
    """Return a value that the source declares to be a hash in the table's encoding; null where it has no such form.

    ``delivered`` is how the source writes it: ``hex`` (lower case), ``upper-hex``, ``any-hex`` or ``base64``.
    """
    size = digest_bytes(algorithm)
    if delivered == "base64":
        # Base64 of a digest has one spelling: the bits that the last character has too many must be zero.
        decoded = F.unbase64(F.when(value.rlike(base64_pattern(size)), value))
        is_exact = F.base64(decoded) == value
        return F.when(is_exact, value if encoding == "base64" else F.lower(F.hex(decoded)))
    digits = F.lower(F.when(value.rlike(rf"^[{HEX_DIGITS[delivered]}]{{{2 * size}}}\z"), value))
    return digits if encoding == "hex" else F.base64(F.unhex(digits))


def base64_pattern(size: int) -> str:
    """Return the expression of ``size`` bytes in base64, padded."""
    full, rest = divmod(size, 3)
    characters = 4 * full + (rest + 1 if rest else 0)
    return rf"^[A-Za-z0-9+/]{{{characters}}}={{{(3 - rest) % 3}}}\z"


def digest_bytes(algorithm: str) -> int:
    """Return how many bytes a hash of this algorithm has."""
    return _DIGEST_BYTES.get(algorithm, _SHA_256_BYTES)


def hash_of_nothing(output: HashOutput, key: bytes | None) -> str:
    """Return the hash of the empty string as ``output`` would write it, which must not be published."""
    if output.algorithm == "hmac-sha256":
        digest = hmac.new(key or b"", b"", hashlib.sha256).digest()
    elif output.algorithm in _DIGEST_BYTES:
        digest = hashlib.new(output.algorithm, b"", usedforsecurity=False).digest()
    else:
        digest = hashlib.sha256((key or b"") if output.algorithm == "salted-sha256" else b"").digest()
    return digest.hex() if output.encoding == "hex" else base64.b64encode(digest).decode()
