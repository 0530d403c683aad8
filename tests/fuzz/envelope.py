"""Envelopes, held against the Fernet of the ``cryptography`` library."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from tests.fuzz.target import CANARY, Target, check_refusal, chunk_size, opener, require
from transforms.streams.bad_file import BadFile
from transforms.streams.fernet_envelope import decrypt_envelope

_KEY: Final = bytes(range(32))
_WRAPPED: Final = b"wrapped" * 8
_HEADER: Final = len(_WRAPPED).to_bytes(4, "big") + _WRAPPED
_FERNET: Final = Fernet(base64.urlsafe_b64encode(_KEY))
_CLEAR: Final = tuple(f"id,email\n1,{CANARY}{'x' * size}\n".encode() for size in (0, 1, 2, 200))


def _fixed_token(clear: bytes) -> bytes:
    return _FERNET._encrypt_from_parts(clear, 1_700_000_000, bytes(range(16)))


_ENVELOPES: Final = tuple(_HEADER + _fixed_token(clear) for clear in _CLEAR)


def _unwrap(wrapped: bytes) -> bytes:
    if wrapped != _WRAPPED:
        raise BadFile("wrong_key", "not wrapped for this key")
    return _KEY


def _decrypted(data: bytes, size: int) -> bytes | None:
    """Return the clear bytes, None for a refusal. Only the call may refuse: then nothing has been released."""
    try:
        clear = decrypt_envelope(opener(data, size), _unwrap)
    except BadFile as problem:
        check_refusal(problem)
        return None
    return b"".join(clear)


def _fernet(token: bytes) -> bytes | None:
    try:
        return _FERNET.decrypt(token)
    except InvalidToken:
        return None


def run_any_bytes(data: bytes) -> None:
    """Whatever is accepted is one of the envelopes that were made, but for line breaks behind it."""
    size = chunk_size(data[0]) if data else 1
    envelope = data[1:]
    clear = _decrypted(envelope, size)
    made = dict(zip(_ENVELOPES, _CLEAR, strict=True)).get(envelope.rstrip(b"\r\n"))
    require("an envelope is accepted if, and only if, it was made with the key", holds=clear == made)


def run_one_change(data: bytes) -> None:
    """One byte of an envelope is another, is missing, or there is one more."""
    if len(data) < 5:
        return
    envelope = _ENVELOPES[data[0] % len(_ENVELOPES)]
    at = int.from_bytes(data[1:3], "big") % len(envelope)
    changed = {
        0: envelope[:at] + data[3:4] + envelope[at + 1 :],
        1: envelope[:at] + envelope[at + 1 :],
        2: envelope[:at] + data[3:4] + envelope[at:],
        3: envelope[:at],
    }[data[4] % 4]
    if changed != envelope:
        require("a changed envelope is refused", holds=_decrypted(changed, chunk_size(data[4] >> 2)) is None)


def run_authentic(data: bytes) -> None:
    """Tokens with a right signature over whatever bytes: ours and Fernet accept the same ones."""
    size = chunk_size(data[0]) if data else 1
    body = data[1:]
    token = base64.urlsafe_b64encode(body + hmac.digest(_KEY[:16], body, hashlib.sha256))
    try:
        clear = _decrypted(_HEADER + token, size)
    except BadFile as problem:  # the padding is looked at behind the signature, as the last block is read
        check_refusal(problem)
        clear = None
    require("ours and Fernet agree on a signed token", holds=clear == _fernet(token))


def run_base64(data: bytes) -> None:
    """Characters of a token that Fernet may pass over: what ours takes, Fernet takes as the same."""
    size = chunk_size(data[0]) if data else 1
    token = data[1:]
    clear = _decrypted(_HEADER + token, size)
    if clear is not None:
        require("Fernet reads the same", holds=clear == _fernet(token.rstrip(b"\r\n")))
    elif (theirs := _fernet(token)) is not None:
        canonical = base64.urlsafe_b64encode(base64.urlsafe_b64decode(token))
        require(f"a token in its one spelling is taken ({len(theirs)} bytes)", holds=token.rstrip(b"\r\n") != canonical)


def _seeds() -> Sequence[bytes]:
    ends = (b"", b"\n", b"\r\n\r\n")
    return [bytes([size]) + envelope + end for envelope in _ENVELOPES for end in ends for size in (0, 8)]


def _authentic_seeds() -> Sequence[bytes]:
    return [b"\x05" + base64.urlsafe_b64decode(_fixed_token(clear))[:-32] for clear in (b"", *_CLEAR)]


def _change_seeds() -> Sequence[bytes]:
    return [bytes([which, 0, at, at, kind]) for which in range(4) for at in (0, 3, 60, 200) for kind in range(4)]


TARGETS: Final = (
    Target("envelope", run_any_bytes, _seeds),
    Target("envelope-one-change", run_one_change, _change_seeds),
    Target("envelope-authentic", run_authentic, _authentic_seeds),
    Target("envelope-base64", run_base64, lambda: [b"\x05" + _fixed_token(clear) for clear in _CLEAR]),
)
