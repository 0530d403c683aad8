from __future__ import annotations

import base64
import bz2
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.fernet import Fernet
from pyarrow import parquet

from transforms.streams.bad_file import BadFile
from transforms.streams.sniff import MAX_WRAPPED_KEY, SNIFF_SIZE, sniff

_TOKEN = Fernet(base64.urlsafe_b64encode(bytes(32))).encrypt(b"id\n" * 4000)
_WRAPPED = bytes(range(256))


def _envelope(length: int, wrapped: bytes) -> bytes:
    return (length.to_bytes(4, "big") + wrapped + _TOKEN)[:SNIFF_SIZE]


def _refusal(head: bytes) -> str:
    with pytest.raises(BadFile) as caught:
        sniff(head)
    return caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "id,name\n1,a\n",
        "a",
        "1,2\n",
        '"id","name"\n',
        "'id'\n",
        "\n\nid\n",
        "\tid\n",
        "état,nom\n",  # 0xC3 is also the new-format tag of OpenPGP's packet 3
        "ètat\n",
        "Āb\n",  # 0xC4
        "Ґанок,ім'я\n",  # 0xD2 is also the tag of packet 18
        "ʀ,b\n",  # 0xCA is also the tag of packet 10
        "名前\n",
        "😀\n",
        "PAR1,PAR2\n",
        "BZh,id\n",
        "BZh9 is a name,id\n",
        "PK,id\n",
        "\0a,b\0,c\n",  # what Spark's writer prints with quotes switched off
        "id,note\n1,gAAAAABn and so on\n",
        "é,note\n1,gAAAAABn and so on\n",
        "id\x01name\n",
    ],
)
def test_text_is_text(text: str) -> None:
    assert sniff(text.encode()[:SNIFF_SIZE]) == "text"
    assert sniff(b"\xef\xbb\xbf" + text.encode()) == "text"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["id,name\n", "état\n", "名前\n", "\u0001\u0002\n"])
def test_utf16_with_a_mark_is_text(text: str, encoding: str) -> None:
    assert sniff(("\ufeff" + text).encode(encoding)) == "text"


def test_a_character_cut_at_the_end_of_the_head_is_text() -> None:
    assert sniff("é,gAAAA,é".encode()[:-1]) == "text"


@pytest.mark.parametrize("clear", [b"", b"id\n"])
def test_gzip_is_told(clear: bytes) -> None:
    assert sniff(gzip.compress(clear)) == "gzip"


@pytest.mark.parametrize("length", [1, 184, 256, 257, 512, 0x1F8B - 0x10000 & 0xFFF, MAX_WRAPPED_KEY])
def test_an_envelope_is_told_by_the_token_behind_its_key(length: int) -> None:
    assert sniff(_envelope(length, (_WRAPPED * 30)[:length])) == "envelope"


@pytest.mark.parametrize(
    "length", [0, 1, 255, 257, MAX_WRAPPED_KEY + 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFF00, 0xC1000000, 0x61626364]
)
def test_an_envelope_with_an_impossible_length_is_damaged_and_no_text(length: int) -> None:
    head = _envelope(length, _WRAPPED)
    if length == 0xC1000000:
        assert sniff(head) == "openpgp"  # nothing tells it from a session key packet; decryption will
    else:
        assert _refusal(head) == "bad_envelope"


def test_an_envelope_without_its_token_is_damaged() -> None:
    assert _refusal(b"\x00\x00\x01\x00" + _WRAPPED) == "bad_envelope"


def _zip(name: str | None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if name:
            archive.writestr(name, "id\n1\n")
    return file.getvalue()


def _tar(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"id\n"))
    return file.getvalue()


def _parquet(rows: list[int]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.table({"id": pa.array(rows, pa.int64())}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (bz2.compress(b"id\n"), "bzip2"),
        (bz2.compress(b""), "bzip2"),
        (bytes.fromhex("28b52ffd") + b"\x04\x00", "zstd"),
        (b"\x7fELF\x02\x01\x01", "control characters"),
        (b"\x89PNG\r\n\x1a\n", "control characters"),
        (b"%PDF-1.7\n\x05", "control characters"),
    ],
)
def test_foreign_content_is_named(head: bytes, said: str) -> None:
    with pytest.raises(BadFile, match=said) as caught:
        sniff(head[:SNIFF_SIZE])
    assert caught.value.reason == "unrecognised_content"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_zip("a.csv"), "zip"),
        (_zip(None), "zip"),
        (_parquet([1, 2]), "parquet"),
        (_parquet([]), "parquet"),
        (b"Obj\x01\x04\x14avro.codec", "avro"),
        (_tar("data/a.csv"), "tar"),
        (b"PK,name\n1,2\n", "text"),
        (b"PAR1,name\n", "text"),
        (b"Obj,name\n", "text"),
    ],
)
def test_containers_are_told_by_their_first_bytes(data: bytes, kind: str) -> None:
    assert sniff(data[:SNIFF_SIZE]) == kind


def test_zero_bytes_are_an_empty_file() -> None:
    assert _refusal(b"") == "empty_file"


@dataclass(frozen=True)
class _Gpg:
    home: Path

    def run(self, *arguments: str, clear: bytes = b"") -> bytes:
        program = ["gpg", "--batch", "--quiet", "--no-tty", "--trust-model", "always", *arguments]
        return subprocess.run(program, input=clear, capture_output=True, check=True, env=self.environment).stdout

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.home)}


_KEYS = """
%no-protection
Key-Type: RSA
Key-Length: 2048
Key-Usage: sign encrypt
Name-Email: rsa@example.com
%commit
%no-protection
Key-Type: eddsa
Key-Curve: ed25519
Subkey-Type: ecdh
Subkey-Curve: cv25519
Name-Email: curve@example.com
%commit
"""


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Gpg]:
    if shutil.which("gpg") is None:
        pytest.skip("GnuPG is not installed")
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    program = _Gpg(home)
    program.run("--generate-key", clear=_KEYS.encode())
    yield program
    subprocess.run(["gpgconf", "--kill", "all"], check=True, env=program.environment)


@pytest.mark.parametrize("key", ["rsa", "curve"])
@pytest.mark.parametrize("clear", [b"", b"id,name\n1,a\n", bytes(20_000)], ids=["empty", "short", "long"])
@pytest.mark.parametrize("option", ["--encrypt", "--sign", "--throw-keyids"])
def test_what_gnupg_encrypts_is_told(option: str, clear: bytes, key: str, gpg: _Gpg) -> None:
    arguments = (option, "--encrypt", "--recipient", f"{key}@example.com")
    binary = gpg.run(*arguments, clear=clear)
    armored = gpg.run(*arguments, "--armor", clear=clear)
    assert sniff(binary[:SNIFF_SIZE]) == "openpgp"
    assert sniff(armored[:SNIFF_SIZE]) == "openpgp-armored"
    assert sniff(b"\r\n \n" + armored[: SNIFF_SIZE - 4]) == "openpgp-armored"


def test_what_gnupg_encrypts_with_a_passphrase_is_told(gpg: _Gpg) -> None:
    arguments = ("--symmetric", "--pinentry-mode", "loopback", "--passphrase", "made-up")
    assert sniff(gpg.run(*arguments, clear=b"id\n")) == "openpgp"


@pytest.mark.parametrize(
    "head",
    [
        "85010c03",  # RSA 2048, old format
        "85020c03",  # RSA 4096
        "845e03",  # Curve25519
        "c1c04c03",  # new format, two octets of length
        "c15e03",
        "c18c03",
        "c32e0409",  # by passphrase, new format
        "8c0d0409",  # by passphrase, old format
        "ca03504750",  # the marker packet, RFC 9580 section 5.8
        "a803504750",
        "d2ed0109",  # encrypted data without a session key packet
    ],
)
def test_the_first_packet_tells_openpgp(head: str) -> None:
    assert sniff(bytes.fromhex(head) + bytes(range(128, 250))) == "openpgp"
