from __future__ import annotations

import base64
import string
from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import OpenChunks
from transforms.streams.fernet_envelope import decrypt_envelope

_KEY = bytes(range(32))
_WRAPPED = bytes(range(200, 256)) * 4 + b"w" * 32
_HEADER = len(_WRAPPED).to_bytes(4, "big") + _WRAPPED
_CLEAR = "id,name\n1,Zoë\n".encode()
_BASE64URL = (string.ascii_letters + string.digits + "-_").encode()
_SIZES = (1, 2, 3, 4, 5, 7, 63, 64, 65, 1000)


def _token(clear: bytes) -> bytes:
    return Fernet(base64.urlsafe_b64encode(_KEY)).encrypt(clear)


def _opener(data: bytes, size: int) -> OpenChunks:
    return lambda offset: pieces(data[offset:], size)


def _unwrap(wrapped: bytes) -> bytes:
    if wrapped != _WRAPPED:
        raise BadFile("wrong_key", "not wrapped by us")
    return _KEY


def _decrypt(data: bytes, size: int) -> bytes:
    return b"".join(decrypt_envelope(_opener(data, size), _unwrap))


def _refusal(data: bytes, size: int) -> str:
    """Return the reason why the call itself fails: there is no iterator, so nothing can have been released."""
    with pytest.raises(BadFile) as caught:
        decrypt_envelope(_opener(data, size), _unwrap)
    return caught.value.reason


@PROPERTY
@given(st.binary(max_size=500), CHUNK_SIZES, st.sampled_from([b"", b"\n", b"\r\n", b"\n\n\n"]))
def test_what_fernet_encrypted_comes_back(clear: bytes, size: int, end: bytes) -> None:
    assert _decrypt(_HEADER + _token(clear) + end, size) == clear


@pytest.mark.parametrize("length", [0, 15, 16, 31, 32, 47, 48])
def test_chunks_may_end_anywhere_in_padding_and_line_breaks(length: int) -> None:
    clear = b"x" * length
    envelope = _HEADER + _token(clear) + b"\r\n\n"
    for size in range(1, 80):
        assert _decrypt(envelope, size) == clear
    for border in range(len(envelope) - 12, len(envelope)):

        def source(offset: int, at: int = border) -> Iterator[bytes]:
            yield from (envelope[offset:at], b"", envelope[at:])

        assert b"".join(decrypt_envelope(source, _unwrap)) == clear


@pytest.mark.parametrize("size", _SIZES)
def test_any_number_of_line_breaks_may_follow(size: int) -> None:
    assert _decrypt(_HEADER + _token(_CLEAR) + b"\n" * 300, size) == _CLEAR


def test_a_large_token_is_never_held_whole() -> None:
    clear = bytes(range(256)) * (1 << 14)
    parts = list(decrypt_envelope(_opener(_HEADER + _token(clear), 1 << 16), _unwrap))
    assert b"".join(parts) == clear
    assert max(map(len, parts)) <= 1 << 16


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_every_single_bit_matters(size: int) -> None:
    envelope = _HEADER + _token(_CLEAR)
    for at in range(len(envelope)):
        for bit in range(8):
            changed = bytearray(envelope)
            changed[at] ^= 1 << bit
            assert _refusal(bytes(changed), size) in {"bad_envelope", "wrong_key", "not_authentic"}


@PROPERTY
@given(st.data(), CHUNK_SIZES)
def test_a_changed_byte_is_refused_whatever_it_becomes(data: st.DataObject, size: int) -> None:
    envelope = bytearray(_HEADER + _token(_CLEAR))
    at = data.draw(st.integers(0, len(envelope) - 1))
    envelope[at] ^= data.draw(st.integers(1, 255))
    assert _refusal(bytes(envelope), size) in {"bad_envelope", "wrong_key", "not_authentic"}


@pytest.mark.parametrize("length", [0, 16, 32])  # tokens with two, one and no characters of padding
def test_a_token_has_one_spelling_only(length: int) -> None:
    token = _token(b"x" * length)
    last = len(token.rstrip(b"=")) - 1
    for other in set(_BASE64URL) - {token[last]}:
        assert _refusal(_HEADER + token[:last] + bytes([other]) + token[last + 1 :], 1000) == "not_authentic"


def test_plain_base64_is_not_the_alphabet_of_fernet() -> None:
    token = _token(b"x" * 2000)
    plain = token.replace(b"-", b"+").replace(b"_", b"/")
    assert plain != token
    assert _refusal(_HEADER + plain, 64) == "not_authentic"


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_a_cut_anywhere_is_refused(size: int) -> None:
    envelope = _HEADER + _token(_CLEAR)
    for end in range(len(envelope)):
        assert _refusal(envelope[:end], size) in {"bad_envelope", "not_authentic"}


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize(
    "more",
    [b"A", b"=", b"==", b"====", b"AAAA", b"\x00", b" ", b"\t", b"\nA", b"\n=", b"\n\nAAAA", b"AAAA\n", b"A" * 200],
)
def test_bytes_behind_the_token_are_refused(more: bytes, size: int) -> None:
    assert _refusal(_HEADER + _token(_CLEAR) + more, size) == "not_authentic"


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("length", [0, 16, 32])
@pytest.mark.parametrize("between", [b"", b"\n"])
def test_tokens_one_after_the_other_are_refused(between: bytes, length: int, size: int) -> None:
    token = _token(b"x" * length)
    assert _refusal(_HEADER + token + between + token, size) == "not_authentic"


@pytest.mark.parametrize("at", [0, 1, 50, 99])
def test_a_line_break_inside_the_token_is_refused(at: int) -> None:
    token = _token(_CLEAR)
    for size in _SIZES:
        assert _refusal(_HEADER + token[:at] + b"\n" + token[at:], size) == "not_authentic"


def test_another_data_key_does_not_fit() -> None:
    with pytest.raises(BadFile) as caught:
        decrypt_envelope(_opener(_HEADER + _token(_CLEAR), 64), lambda _: bytes(32))
    assert caught.value.reason == "not_authentic"


@pytest.mark.parametrize("length", [0, 16, 31, 33, 44])
def test_a_data_key_of_the_wrong_length_is_a_wrong_key(length: int) -> None:
    with pytest.raises(BadFile) as caught:
        decrypt_envelope(_opener(_HEADER + _token(_CLEAR), 64), lambda _: bytes(length))
    assert caught.value.reason == "wrong_key"


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("length", [0, 6145, 1 << 16, (1 << 32) - 1])
def test_an_impossible_length_is_refused_before_any_key_is_asked_for(length: int, size: int) -> None:
    envelope = length.to_bytes(4, "big") + b"w" * 7000 + _token(_CLEAR)
    assert _refusal(envelope, size) == "bad_envelope"


@pytest.mark.parametrize("envelope", [b"", b"\x00", b"\x00\x00\x01", b"\x00\x00\x01\x00", _HEADER[:-1], _HEADER])
def test_a_header_without_its_end_or_its_token_is_refused(envelope: bytes) -> None:
    assert _refusal(envelope, 2) == "bad_envelope"


def test_the_longest_wrapped_key_that_kms_makes_is_taken() -> None:
    envelope = (6144).to_bytes(4, "big") + b"w" * 6144 + _token(_CLEAR)
    assert b"".join(decrypt_envelope(_opener(envelope, 1000), lambda _: _KEY)) == _CLEAR


@pytest.mark.parametrize("end", [-1, -60, 300])
def test_a_source_that_is_shorter_at_the_second_reading_is_noticed(end: int) -> None:
    envelope = _HEADER + _token(_CLEAR * 20)
    readings: list[int] = []

    def source(offset: int) -> Iterator[bytes]:
        readings.append(offset)
        return pieces(envelope[offset : end if len(readings) == 3 else None], 64)

    clear = decrypt_envelope(source, _unwrap)
    with pytest.raises(BadFile) as caught:
        list(clear)
    assert caught.value.reason == "not_authentic"
    assert readings == [0, len(_HEADER), len(_HEADER)]
