"""The envelope of AWS's guidance for Adobe: a wrapped data key, then one Fernet token of the whole file.

Layout: 4 bytes big-endian length, that many bytes of the data key as KMS encrypted it, then the token (Fernet
specification 0x80: base64url of version, time stamp, IV, AES-128-CBC ciphertext, HMAC-SHA-256). The token of a large
file does not fit into memory, so it is read twice: once to authenticate it, once to decrypt it. Nothing is released
before the whole token has proved authentic.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Final

import pybase64
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE, OpenChunks
from transforms.streams.sniff import MAX_WRAPPED_KEY

#: Opens a wrapped data key: encrypted bytes in, the 32 bytes of the Fernet key out. Raises BadFile("wrong_key", …).
UnwrapKey = Callable[[bytes], bytes]

_LENGTH_BYTES: Final = 4
_HEADER: Final = 25  # version 1, time stamp 8, IV 16
_MAC: Final = 32
_BLOCK: Final = 16
_KEY: Final = 32
_QUANTUM: Final = 4  # characters of base64 that make three bytes
_ALTERNATIVES: Final = b"-_"
_VERSION: Final = 0x80
_NOT_AUTHENTIC: Final = "its authentication code does not fit its content"
_NOT_BASE64: Final = "the token was cut, or holds characters that are not base64url"


def decrypt_envelope(open_chunks: OpenChunks, unwrap_key: UnwrapKey) -> Iterator[bytes]:
    """Yield the clear bytes of an envelope, after the whole of it has proved authentic.

    Raises BadFile: ``bad_envelope`` for an impossible header, ``wrong_key`` from ``unwrap_key``, ``not_authentic``
    for a token that was cut or changed or belongs to another data key.
    """
    wrapped, token_at = _read_header(open_chunks)
    key = unwrap_key(wrapped)
    if len(key) != _KEY:
        raise BadFile("wrong_key", f"the data key has {len(key)} bytes where Fernet needs {_KEY}")
    signing_key, encryption_key = key[:16], key[16:]
    length, iv = _authenticate(open_chunks(token_at), signing_key)
    return _decrypt(open_chunks(token_at), encryption_key, iv, length)


def _read_header(open_chunks: OpenChunks) -> tuple[bytes, int]:
    head = b""
    for chunk in open_chunks(0):
        head += chunk
        if len(head) >= _LENGTH_BYTES + MAX_WRAPPED_KEY:
            break
    length = int.from_bytes(head[:_LENGTH_BYTES], "big")
    if len(head) < _LENGTH_BYTES or not 0 < length <= MAX_WRAPPED_KEY or len(head) <= _LENGTH_BYTES + length:
        raise BadFile("bad_envelope", f"the header says that the data key has {length} bytes")
    return head[_LENGTH_BYTES : _LENGTH_BYTES + length], _LENGTH_BYTES + length


def _token_bytes(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a base64url token; only line breaks may follow it."""
    held = b""  # the last one to four characters: only the end of the token may be padded
    broken = False
    for chunk in chunks:
        text = chunk.rstrip(b"\r\n")
        if text and broken:
            raise BadFile("not_authentic", "more bytes follow a line break")
        broken = broken or len(text) < len(chunk)
        view = memoryview(text)
        if held:
            missing = _QUANTUM - len(held)
            held, view = held + view[:missing], view[missing:]
        if view:
            if held:
                yield _decode(held)
            end = (len(view) - 1) // _QUANTUM * _QUANTUM
            yield _decode(view[:end])
            held = bytes(view[end:])
    yield _decode_last(held)


def _only_base64url(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Refuse the two characters of plain base64 that the decoder takes as well: each token has one spelling."""
    for chunk in chunks:
        if b"+" in chunk or b"/" in chunk:
            raise BadFile("not_authentic", _NOT_BASE64)
        yield chunk


def _decode(text: bytes | memoryview) -> bytes:
    try:
        made: bytes = pybase64.b64decode(text, altchars=_ALTERNATIVES, validate=True)
    except ValueError:
        raise BadFile("not_authentic", _NOT_BASE64) from None
    if len(made) * 4 != len(text) * 3:
        raise BadFile("not_authentic", "more bytes follow the end of the token")
    return made


def _decode_last(text: bytes) -> bytes:
    """Decode the only characters that may be padded; the bits that the padding leaves over must be zero."""
    try:
        made: bytes = pybase64.b64decode(text, altchars=_ALTERNATIVES, validate=True)
    except ValueError:
        raise BadFile("not_authentic", _NOT_BASE64) from None
    if pybase64.b64encode(made, altchars=_ALTERNATIVES) != text:
        raise BadFile("not_authentic", _NOT_BASE64)
    return made


def _authenticate(chunks: Iterator[bytes], signing_key: bytes) -> tuple[int, bytes]:
    """Check the whole token; return how many bytes of ciphertext it has, and the IV."""
    mac = hmac.new(signing_key, digestmod=hashlib.sha256)
    header = b""
    tail = b""
    total = 0
    for piece in _token_bytes(_only_base64url(chunks)):
        if len(header) < _HEADER:
            header = (header + piece)[:_HEADER]
        total += len(piece)
        if len(piece) >= _MAC:
            mac.update(tail)
            mac.update(memoryview(piece)[:-_MAC])
            tail = piece[-_MAC:]
        else:
            joined = tail + piece
            mac.update(joined[:-_MAC])
            tail = joined[-_MAC:]
    ciphertext = total - _HEADER - _MAC
    if ciphertext < _BLOCK or ciphertext % _BLOCK or header[0] != _VERSION:
        raise BadFile("not_authentic", "the token is too short or was cut")
    if not hmac.compare_digest(mac.digest(), tail):
        raise BadFile("not_authentic", _NOT_AUTHENTIC)
    return ciphertext, header[9:]


def _decrypt(chunks: Iterator[bytes], encryption_key: bytes, iv: bytes, length: int) -> Iterator[bytes]:
    """Yield the clear bytes of a token that is known to be authentic; the last block loses its padding (PKCS #7)."""
    decryptor = Cipher(algorithms.AES(encryption_key), modes.CBC(iv)).decryptor()
    view = memoryview(bytearray(CHUNK_SIZE + 2 * _BLOCK))
    skip = _HEADER
    left = length
    kept = 0  # bytes at the front of the buffer: the last block so far, which may be the one with the padding
    for piece in _token_bytes(chunks):
        data = memoryview(piece)[skip : skip + left]
        skip -= min(skip, len(piece))
        left -= len(data)
        if len(view) < kept + len(data) + _BLOCK:
            larger = memoryview(bytearray(len(data) + 4 * _BLOCK))
            larger[:kept] = view[:kept]
            view = larger
        made = kept + decryptor.update_into(data, view[kept:])
        if made > _BLOCK:
            yield bytes(view[: made - _BLOCK])
            view[:_BLOCK] = view[made - _BLOCK : made]
        kept = min(made, _BLOCK)
    last = bytes(view[:kept])
    padding = last[-1] if last else 0
    if left or not 0 < padding <= _BLOCK or last[-padding:] != bytes([padding]) * padding:
        raise BadFile("not_authentic", "the padding is wrong, or the file changed between two readings")
    if last[:-padding]:
        yield last[:-padding]
