"""OpenPGP against GnuPG, which shares no code with what decrypts here, and against damage of every kind."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from pysequoia import encrypt

from jobs.runtime.openpgp import PgpKey, decrypt_openpgp, decrypt_with_any
from tests.fixtures.aep_delivery import Keys, make_keys
from tests.fixtures.key_files import openpgp_key
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE, OpenChunks

CANARY = b"zoe.canary@example.com"
CLEAR = b"email,name\n" + b"".join(b"%d-%s,Zoe\n" % (number, CANARY) for number in range(40_000))
PASSPHRASE = "correct horse"
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def key(keys: Keys) -> PgpKey:
    return PgpKey(keys.pgp_secret.read_bytes(), keys.pgp_passphrase.read_bytes())


@pytest.fixture(scope="module")
def message(keys: Keys) -> bytes:
    return encrypt(CLEAR, recipients=[keys.certificate], armor=False)


class Gpg:
    """A GnuPG of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *options: str, data: bytes = b"") -> bytes:
        fixed = ["--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
        return subprocess.run(
            ["gpg", *fixed, "--trust-model", "always", *options], input=data, capture_output=True, check=True
        ).stdout

    def new_key(self, user: str, algorithm: str, passphrase: str) -> PgpKey:
        self.run("--passphrase", passphrase, "--quick-generate-key", user, algorithm, "default", "never")
        secret = self.run("--passphrase", passphrase, "--export-secret-keys", user)
        return PgpKey(secret, passphrase.encode())


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    yield Gpg(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def gpg_keys(gpg: Gpg, key: PgpKey, keys: Keys) -> dict[str, PgpKey]:
    gpg.run("--import", str(keys.pgp_public))
    return {
        "landing@example.com": key,
        "curve@example.com": gpg.new_key("curve@example.com", "future-default", PASSPHRASE),
        "open@example.com": gpg.new_key("open@example.com", "default", ""),
    }


def opener(data: bytes, size: int = CHUNK_SIZE) -> OpenChunks:
    return lambda offset: (data[start : start + size] for start in range(offset, len(data), size))


def opened(data: bytes, key: PgpKey, size: int = CHUNK_SIZE) -> bytes:
    return b"".join(decrypt_openpgp(opener(data, size), key))


def refusal(data: bytes, key: PgpKey) -> BadFile:
    """Return why the call itself fails: there is no iterator, so nothing can have been released."""
    with pytest.raises(BadFile) as caught:
        decrypt_openpgp(opener(data), key)
    return caught.value


@needs_gpg
@pytest.mark.parametrize("user", ["landing@example.com", "curve@example.com", "open@example.com"])
@pytest.mark.parametrize(
    "options", [["--compress-algo", "none"], ["--compress-algo", "zip", "--armor"], ["--compress-algo", "zlib"]]
)
def test_what_gnupg_encrypted_comes_back(gpg: Gpg, gpg_keys: dict[str, PgpKey], user: str, options: list[str]) -> None:
    sealed = gpg.run(*options, "--recipient", user, "--encrypt", data=CLEAR)
    assert (sealed[:5] == b"-----") == ("--armor" in options)
    assert CANARY not in sealed
    assert opened(sealed, gpg_keys[user]) == CLEAR


@needs_gpg
def test_a_key_may_be_armoured(gpg: Gpg, gpg_keys: dict[str, PgpKey]) -> None:
    user = "curve@example.com"
    armoured = gpg.run("--armor", "--passphrase", PASSPHRASE, "--export-secret-keys", user)
    sealed = gpg.run("--recipient", user, "--encrypt", data=CLEAR)
    assert opened(sealed, PgpKey(armoured, gpg_keys[user].passphrase)) == CLEAR


@needs_gpg
def test_a_message_for_several_keys_opens_with_each(gpg: Gpg, gpg_keys: dict[str, PgpKey]) -> None:
    recipients = [word for user in gpg_keys for word in ("--recipient", user)]
    sealed = gpg.run(*recipients, "--encrypt", data=CLEAR)
    assert [opened(sealed, key) == CLEAR for key in gpg_keys.values()] == [True] * 3


@pytest.mark.parametrize("size", [1_000, CHUNK_SIZE])
def test_chunks_come_in_any_size_and_stay_small(message: bytes, key: PgpKey, size: int) -> None:
    chunks = list(decrypt_openpgp(opener(message, size), key))
    assert b"".join(chunks) == CLEAR
    assert len(chunks) > 1
    assert max(map(len, chunks)) <= CHUNK_SIZE


def test_an_empty_message_is_an_empty_text(keys: Keys, key: PgpKey) -> None:
    assert opened(encrypt(b"", recipients=[keys.certificate], armor=False), key) == b""


def test_another_key_is_the_wrong_key(message: bytes) -> None:
    secret, _ = openpgp_key("Other <other@example.com>", PASSPHRASE)
    bad = refusal(message, PgpKey(secret, PASSPHRASE.encode()))
    assert (bad.reason, "another OpenPGP key" in bad.detail) == ("wrong_key", True)


def test_of_several_keys_the_one_that_fits_opens(message: bytes, key: PgpKey) -> None:
    secret, _ = openpgp_key("Newer <newer@example.com>", PASSPHRASE)
    newer = PgpKey(secret, PASSPHRASE.encode())
    assert b"".join(decrypt_with_any(opener(message), [newer, key])) == CLEAR
    assert b"".join(decrypt_with_any(opener(message), itertools.chain([key], unread()))) == CLEAR


def unread() -> Iterator[PgpKey]:
    raise AssertionError("the key before it fits")
    yield


@pytest.mark.parametrize("kind", ["another", "locked"])
def test_where_none_of_several_keys_fits_each_says_why(message: bytes, key: PgpKey, kind: str) -> None:
    secret, _ = openpgp_key("Newer <newer@example.com>", PASSPHRASE)
    newer = PgpKey(secret, PASSPHRASE.encode())
    second = newer if kind == "another" else PgpKey(key.secret_key, b"wrong")
    with pytest.raises(BadFile, match="2 OpenPGP keys were tried: ") as caught:
        decrypt_with_any(opener(message), [newer, second])
    assert caught.value.reason == "wrong_key"
    assert ("its passphrase is wrong" in caught.value.detail) == (kind == "locked")


@pytest.mark.parametrize("passphrase", [b"", b"wrong", b"\xff\xfe"])
def test_a_wrong_passphrase_is_the_wrong_key(message: bytes, key: PgpKey, passphrase: bytes) -> None:
    bad = refusal(message, PgpKey(key.secret_key, passphrase))
    assert bad.reason == "wrong_key"


@pytest.mark.parametrize("secret", [b"", b"no key", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n"])
def test_what_is_no_secret_key_is_said_to_be_none(message: bytes, secret: bytes) -> None:
    bad = refusal(message, PgpKey(secret, b"word"))
    assert (bad.reason, "no secret key" in bad.detail) == ("wrong_key", True)


def test_a_public_key_is_no_secret_key(message: bytes, keys: Keys) -> None:
    assert refusal(message, PgpKey(keys.pgp_public.read_bytes(), b"")).reason == "wrong_key"


def test_a_changed_byte_anywhere_releases_nothing(message: bytes, key: PgpKey) -> None:
    numbers = random.Random(7)
    body = 400  # behind the session key packet, which is about 270 bytes
    places = [body, len(message) // 2, len(message) - 30, len(message) - 1, numbers.randrange(body, len(message))]
    for place in places:
        changed = bytearray(message)
        changed[place] ^= 1
        assert refusal(bytes(changed), key).reason == "not_authentic"


@pytest.mark.parametrize("missing", [1, 20, 22, 50_000])
def test_a_cut_message_releases_nothing(message: bytes, key: PgpKey, missing: int) -> None:
    assert refusal(message[:-missing], key).reason == "not_authentic"


def test_a_damaged_session_key_is_refused(message: bytes, key: PgpKey) -> None:
    changed = bytearray(message)
    changed[100] ^= 1
    assert refusal(bytes(changed), key).reason in ("wrong_key", "not_authentic")


def test_text_behind_a_message_is_refused(message: bytes, key: PgpKey) -> None:
    assert refusal(message + b"more,values\n", key).reason == "not_authentic"


def test_the_scratch_file_holds_no_clear_text(
    tmp_path: Path, message: bytes, key: PgpKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[IO[bytes]] = []

    def scratch() -> IO[bytes]:
        made.append((tmp_path / "scratch").open("w+b"))
        return made[0]

    monkeypatch.setattr("jobs.runtime.scratch.tempfile.TemporaryFile", scratch)
    chunks = decrypt_openpgp(opener(message), key)
    made[0].flush()
    sealed = (tmp_path / "scratch").read_bytes()
    assert len(sealed) == len(CLEAR)
    assert CANARY not in sealed
    assert len(set(sealed[: 1 << 16])) == 256
    assert b"".join(chunks) == CLEAR
    assert made[0].closed


def test_a_refused_message_leaves_no_scratch_file_open(
    tmp_path: Path, message: bytes, key: PgpKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = (tmp_path / "scratch").open("w+b")
    monkeypatch.setattr("jobs.runtime.scratch.tempfile.TemporaryFile", lambda: file)
    refusal(message[:-1], key)
    assert file.closed


def test_no_secret_is_in_the_process_table(message: bytes, key: PgpKey) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    def look(offset: int) -> Iterator[bytes]:
        (child,) = (each for each in psutil.Process().children() if "openpgp_process" in " ".join(each.cmdline()))
        seen.append((child.cmdline(), child.environ()))
        yield message[offset:]

    assert b"".join(decrypt_openpgp(look, key)) == CLEAR
    ((words, environment),) = seen
    visible = "\n".join([*words, *environment.values()])
    assert "openpgp_process" in visible
    assert key.passphrase.decode() not in visible
    secret_lines = [line for line in key.secret_key.decode().splitlines() if line]
    assert len(secret_lines) > 10
    assert not [line for line in secret_lines if line in visible]


def test_a_key_is_not_printed(key: PgpKey) -> None:
    assert repr(key) == "PgpKey()"


def test_trouble_with_the_source_is_raised_as_it_is(message: bytes, key: PgpKey) -> None:
    class SourceError(Exception):
        pass

    def breaks(offset: int) -> Iterator[bytes]:
        yield message[offset : offset + 1_000]
        raise SourceError

    with pytest.raises(SourceError):
        decrypt_openpgp(breaks, key)


def test_nothing_is_left_behind(message: bytes, key: PgpKey) -> None:
    def held() -> tuple[int, list[Any]]:
        return len(list(Path("/proc/self/fd").iterdir())), psutil.Process().children()

    opened(message, key)
    before = held()
    opened(message, key)
    refusal(message[:-1], key)
    refusal(message, PgpKey(b"no key", b""))
    assert held() == before
