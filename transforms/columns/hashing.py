"""Hashes of values: HMAC-SHA-256, salted SHA-256 and SHA-256, native, as hex or base64.

The key is never a literal: literals stand in plans, in the event log and in the UI. It comes as columns of a one-row
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

#: Names of the key's columns, all binary. HMAC needs the two pads of RFC 2104, a salted hash the key itself.
INNER_PAD: Final = "__hash_key_inner_pad"
OUTER_PAD: Final = "__hash_key_outer_pad"
SALT: Final = "__hash_key_salt"
KEY_COLUMNS: Final = (INNER_PAD, OUTER_PAD, SALT)

_BLOCK: Final = 64  # of SHA-256, in bytes


def key_row(key: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the values of KEY_COLUMNS for ``key`` (RFC 2104: a key longer than a block is hashed first)."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\x00")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block), key


def hash_value(value: Column, output: HashOutput) -> Column:
    """Hash a string column's UTF-8 bytes; null stays null. The caller sees to it that no value is empty.

    ``hmac-sha256`` and ``salted-sha256`` (the key, then the value) take the key from KEY_COLUMNS of the same frame.
    The result is a string: 64 lower-case hexadecimal digits, or 44 characters of base64 (RFC 4648).
    """
    data = value.cast("binary")
    if output.algorithm == "hmac-sha256":
        inner = F.unhex(F.sha2(F.concat(F.col(INNER_PAD), data), 256))
        digest = F.sha2(F.concat(F.col(OUTER_PAD), inner), 256)
    elif output.algorithm == "salted-sha256":
        digest = F.sha2(F.concat(F.col(SALT), data), 256)
    else:
        digest = F.sha2(data, 256)
    return digest if output.encoding == "hex" else F.base64(F.unhex(digest))


def normalize_prehashed(value: Column) -> Column:
    """Lower-case a value that the source declares to be a SHA-256 in hex; null where it is not 64 hex digits."""
    lowered = F.lower(value)
    return F.when((F.length(lowered) == F.lit(64)) & F.unhex(lowered).isNotNull(), lowered)


def hash_length(output: HashOutput) -> int:
    """Return how many characters every hash of this kind has."""
    return 64 if output.encoding == "hex" else 44


def hash_of_nothing(output: HashOutput, key: bytes | None) -> str:
    """Return the hash of the empty string as ``output`` would write it, which must never be published."""
    if output.algorithm == "hmac-sha256":
        digest = hmac.new(key or b"", b"", hashlib.sha256).digest()
    else:
        digest = hashlib.sha256((key or b"") if output.algorithm == "salted-sha256" else b"").digest()
    return digest.hex() if output.encoding == "hex" else base64.b64encode(digest).decode()
