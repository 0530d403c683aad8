from __future__ import annotations

import codecs
import random

import pytest

from transforms.guessing.text_code import guess_text_code
from transforms.streams.bad_file import BadFile


@pytest.mark.parametrize(
    ("head", "name", "sure"),
    [
        (codecs.BOM_UTF8 + b"a", "utf-8", True),
        (codecs.BOM_UTF16_LE + "ä".encode("utf-16-le"), "utf-16-le", True),
        (codecs.BOM_UTF16_BE + "ä".encode("utf-16-be"), "utf-16-be", True),
        ("größe;é\n".encode(), "utf-8", True),
        ("größe".encode()[:3], "utf-8", True),  # a character that is cut
        (b"a;b\n1;2\n", "utf-8", False),
        ("name;größe\n".encode("utf-16-le"), "utf-16-le", False),
        ("name;größe\n".encode("utf-16-be"), "utf-16-be", False),
        ("Straße;5 €\n".encode("cp1252"), "windows-1252", False),
        ("Straße\n".encode("latin-1"), "windows-1252", False),
        ("Straße ".encode("latin-1") * 500 + b"\x81", "iso-8859-1", False),
    ],
)
def test_the_encoding_is_told(head: bytes, name: str, *, sure: bool) -> None:
    code = guess_text_code(head)
    assert code.name == name
    assert (code.doubt == "") == sure


@pytest.mark.parametrize("head", [b"MZ\x02\x03\x04\x00\x00" * 50, random.Random(3).randbytes(4000)])
def test_what_is_no_text_is_refused(head: bytes) -> None:
    with pytest.raises(BadFile, match="binary"):
        guess_text_code(head)
