"""Keys by reference. `cryptography` is the independent encryptor; moto's KMS for symmetric keys, a stand-in for RSA."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from jobs.runtime import keys as module
from jobs.runtime.errors import ArgumentError, KeyUnavailableError
from jobs.runtime.keys import key_unwrapper, read_hash_key, read_hash_keys, read_secret
from tests.fixtures.kms_stand_in import KmsStandIn, kms_stand_in
from tests.jobs.runtime.conftest import new_name
from transforms.streams.bad_file import BadFile

DATA_KEY = bytes(range(32))


@pytest.fixture(scope="module")
def private_keys() -> list[rsa.RSAPrivateKey]:
    return [rsa.generate_private_key(public_exponent=65537, key_size=size) for size in (2048, 2048)]


@pytest.fixture
def kms(aws: str, private_keys: list[rsa.RSAPrivateKey], monkeypatch: pytest.MonkeyPatch) -> Iterator[KmsStandIn]:
    del aws
    with kms_stand_in(private_keys[0]) as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", stand_in.endpoint)
        yield stand_in


def wrap(key: rsa.RSAPrivateKey, hashing: hashes.HashAlgorithm | None = None) -> bytes:
    hashing = hashing or hashes.SHA256()
    return key.public_key().encrypt(DATA_KEY, padding.OAEP(padding.MGF1(hashing), hashing, None))


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    locking = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locking)


# --- secrets


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"word", b"word"),
        (b"word\n", b"word"),
        (b"word\r\n", b"word"),
        (b"word\n\n", b"word\n"),
        (b" blanks stay \n", b" blanks stay "),
        ("Schlüssel\n".encode(), "Schlüssel".encode()),
        # The last byte of a binary key is part of it, whatever it is.
        (bytes(range(0xF0, 0x100)) + b"\n", bytes(range(0xF0, 0x100)) + b"\n"),
        (b"\x95\x01\x02\r\n", b"\x95\x01\x02\r\n"),
        (b"\x00key\n", b"\x00key\n"),
    ],
)
def test_a_text_loses_the_line_break_at_its_end(aws: str, tmp_path: Path, content: bytes, secret: bytes) -> None:
    del aws
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read_secret(f"file:{path}") == secret
    assert read_secret(f"file://{path}") == secret
    name = new_name("secret")
    boto3.client("secretsmanager").create_secret(Name=name, SecretBinary=content)
    assert read_secret(f"secretsmanager:{name}") == secret


def test_a_secret_may_be_a_string_and_be_named_by_its_arn(aws: str) -> None:
    del aws
    arn = boto3.client("secretsmanager").create_secret(Name=new_name("secret"), SecretString="Zoë\n")["ARN"]
    assert read_secret(f"secretsmanager:{arn}") == "Zoë".encode()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("file:/no/such/file", "file:/no/such/file cannot be read: No such file"),
        ("file:/", "file:/ cannot be read: Is a directory"),
        ("secretsmanager:absent", r"secretsmanager:absent cannot be read: .*ResourceNotFoundException"),
        ("secretsmanager:", "names no secret"),
        ("kms:alias/x", "names no secret"),
        ("/plain/path", "names no secret"),
        ("", "names no secret"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(aws: str, reference: str, message: str) -> None:
    del aws
    with pytest.raises(KeyUnavailableError, match=message):
        read_secret(reference)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(KeyUnavailableError, match="is empty"):
        read_secret(f"file:{tmp_path}/s")


def test_a_short_hash_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"fifteen-letters\n")
    (tmp_path / "long").write_bytes(b"sixteen--letters\n")
    assert read_hash_key(f"file:{tmp_path}/long") == b"sixteen--letters"
    with pytest.raises(KeyUnavailableError, match="has 15 bytes; a hash key needs at least 16") as caught:
        read_hash_key(f"file:{tmp_path}/short")
    assert "fifteen" not in str(caught.value)


# --- the keys of a table

OURS = b"our-own-hash-key-of-32-bytes----"
THEIRS = b"the-partners-key-of-32-bytes----"


@pytest.fixture
def hash_keys(aws: str, tmp_path: Path) -> dict[str, str]:
    """References of two good keys, a short one and none, to be put into arguments by their names."""
    del aws
    (tmp_path / "ours").write_bytes(OURS + b"\n")
    (tmp_path / "with=equals").write_bytes(OURS)
    (tmp_path / "short").write_bytes(b"fifteen-letters")
    name = new_name("partner")
    boto3.client("secretsmanager").create_secret(Name=name, SecretBinary=THEIRS)
    return {
        "ours": f"file:{tmp_path}/ours",
        "odd": f"file:{tmp_path}/with=equals",
        "theirs": f"secretsmanager:{name}",
        "short": f"file:{tmp_path}/short",
        "absent": f"file:{tmp_path}/absent",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{ours}", {"default": OURS}),
        (" {ours}", {"default": OURS}),
        ("{odd}", {"default": OURS}),
        ("{theirs}", {"partner": THEIRS}),  # the only key needs no name, whatever the table calls it
        ("default={ours}", {"default": OURS}),
        ("default={ours},partner={theirs}", {"default": OURS, "partner": THEIRS}),
        (" partner={theirs} , default={ours}", {"default": OURS, "partner": THEIRS}),
        ("default={ours},partner={ours}", {"default": OURS, "partner": OURS}),
        # One list of references may serve several tables; what this one does not need is not opened.
        ("default={ours},partner={theirs},unused={absent}", {"default": OURS, "partner": THEIRS}),
        ("other={absent},default={ours}", {"default": OURS}),
    ],
)
def test_the_keys_of_a_table_come_by_name(hash_keys: dict[str, str], given: str, expected: dict[str, bytes]) -> None:
    found = read_hash_keys(given.format(**hash_keys), expected)
    assert list(found.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("{ours}", ArgumentError, "several keys are given as name=reference,name=reference"),
        ("{ours},{theirs}", ArgumentError, "several keys are given as name=reference,name=reference"),
        ("default={ours},{theirs}", ArgumentError, "several keys are given as name=reference,name=reference"),
        ("default={ours},Partner={theirs}", ArgumentError, "several keys are given as name=reference,name=reference"),
        ("default={ours},", ArgumentError, "several keys are given as name=reference,name=reference"),
        ("default={ours}", ArgumentError, "--hash-key: no reference for key partner "),
        ("defualt={ours},partners={theirs}", ArgumentError, "--hash-key: no reference for key default, partner "),
        ("default=,partner={theirs}", KeyUnavailableError, "names no secret"),
        ("default={ours},partner={short}", KeyUnavailableError, "short has 15 bytes; a hash key needs at least 16"),
        ("default={absent},partner={theirs}", KeyUnavailableError, "absent cannot be read: No such file"),
    ],
)
def test_a_key_that_is_not_given_is_named_and_no_secret_is_shown(
    hash_keys: dict[str, str], given: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        read_hash_keys(given.format(**hash_keys), ("default", "partner"))
    for secret in (OURS, THEIRS, b"fifteen-letters"):
        assert secret.decode() not in str(caught.value)


def test_the_name_of_the_only_key_must_be_the_tables(hash_keys: dict[str, str]) -> None:
    with pytest.raises(ArgumentError, match="no reference for key default"):
        read_hash_keys(f"partner={hash_keys['theirs']}", ("default",))


def test_a_secret_given_in_place_of_its_reference_is_not_shown() -> None:
    for given in (OURS.decode(), f"default={OURS.decode()}"):
        with pytest.raises(KeyUnavailableError) as caught:
            read_hash_keys(given, ("default",))
        assert OURS.decode() not in str(caught.value)


# --- envelope keys


@pytest.mark.parametrize("reference", ["", "rsa.pem", "kms:", "secretsmanager:rsa"])
def test_an_envelope_key_is_a_file_or_a_kms_key(reference: str) -> None:
    with pytest.raises(KeyUnavailableError, match="names no key"):
        key_unwrapper(reference)


@pytest.mark.parametrize("size", [2048, 3072, 4096])
def test_an_rsa_key_opens_what_was_sealed_for_it(tmp_path: Path, size: int) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=size)
    (tmp_path / "rsa.pem").write_bytes(pem(key))
    assert key_unwrapper(f"file:{tmp_path}/rsa.pem")(wrap(key)) == DATA_KEY


def test_another_key_or_scheme_is_the_wrong_key(tmp_path: Path, private_keys: list[rsa.RSAPrivateKey]) -> None:
    key, other = private_keys
    (tmp_path / "rsa.pem").write_bytes(pem(key))
    unwrap = key_unwrapper(f"file:{tmp_path}/rsa.pem")
    for sealed in (wrap(other), wrap(key, hashes.SHA1()), wrap(key)[:-1], b"x", secrets.token_bytes(256)):  # noqa: S303  the wrong one
        with pytest.raises(BadFile) as caught:
            unwrap(sealed)
        assert caught.value.reason == "wrong_key"


def test_of_several_keys_the_one_that_fits_opens(tmp_path: Path, private_keys: list[rsa.RSAPrivateKey]) -> None:
    for name, key in zip(("new", "old"), private_keys, strict=True):
        (tmp_path / name).write_bytes(pem(key))
    unwrap = key_unwrapper(f"file:{tmp_path}/new, file:{tmp_path}/old")
    assert [unwrap(wrap(key)) for key in private_keys] == [DATA_KEY, DATA_KEY]
    with pytest.raises(BadFile, match="none of the 2 envelope keys"):
        unwrap(secrets.token_bytes(256))


def test_of_several_keys_each_must_be_there_when_it_is_tried(
    tmp_path: Path, private_keys: list[rsa.RSAPrivateKey]
) -> None:
    (tmp_path / "new").write_bytes(pem(private_keys[0]))
    unwrap = key_unwrapper(f"file:{tmp_path}/new,file:{tmp_path}/gone")
    assert unwrap(wrap(private_keys[0])) == DATA_KEY
    with pytest.raises(KeyUnavailableError, match="gone cannot be read"):
        unwrap(wrap(private_keys[1]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no key at all", "is no RSA private key in PEM form"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=2048), b"word"), "without a passphrase"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is a private key, but not an RSA one"),
    ],
    ids=["text", "locked", "elliptic"],
)
def test_a_file_that_is_no_rsa_key_is_named_and_not_shown(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rsa.pem").write_bytes(content)
    with pytest.raises(KeyUnavailableError, match=message) as caught:
        key_unwrapper(f"file:{tmp_path}/rsa.pem")(b"x" * 256)
    assert f"file:{tmp_path}/rsa.pem" in str(caught.value)
    assert not any(line in str(caught.value) for line in content.decode().splitlines())


# --- KMS


def test_kms_opens_what_was_sealed_for_its_rsa_key(kms: KmsStandIn, private_keys: list[rsa.RSAPrivateKey]) -> None:
    sealed = wrap(private_keys[0])
    for key_id in (kms.alias, kms.arn):
        assert key_unwrapper(f"kms:{key_id}")(sealed) == DATA_KEY
        assert kms.calls[-1]["KeyId"] == key_id
        assert kms.calls[-1]["EncryptionAlgorithm"] == "RSAES_OAEP_SHA_256"


def test_kms_is_asked_once_a_data_key(kms: KmsStandIn, private_keys: list[rsa.RSAPrivateKey]) -> None:
    unwrap = key_unwrapper(f"kms:{kms.arn}")
    sealed = wrap(private_keys[0])
    assert [unwrap(sealed) for _ in range(3)] == [DATA_KEY] * 3
    assert len(kms.calls) == 1


def test_a_busy_kms_is_asked_again(kms: KmsStandIn, private_keys: list[rsa.RSAPrivateKey]) -> None:
    kms.throttle = 1
    assert key_unwrapper(f"kms:{kms.arn}")(wrap(private_keys[0])) == DATA_KEY
    assert len(kms.calls) == 2


def test_a_data_key_for_another_kms_key_is_the_wrong_key(
    kms: KmsStandIn, private_keys: list[rsa.RSAPrivateKey]
) -> None:
    unwrap = key_unwrapper(f"kms:{kms.arn}")
    for _ in range(2):  # a refusal is not remembered
        with pytest.raises(BadFile) as caught:
            unwrap(wrap(private_keys[1]))
        assert caught.value.reason == "wrong_key"


def test_a_kms_key_that_cannot_be_used_is_no_fault_of_the_file(
    kms: KmsStandIn, private_keys: list[rsa.RSAPrivateKey]
) -> None:
    sealed = wrap(private_keys[0])
    with pytest.raises(KeyUnavailableError, match=r"kms:alias/typo cannot be used: .*NotFoundException"):
        key_unwrapper("kms:alias/typo")(sealed)
    kms.disabled = True
    with pytest.raises(KeyUnavailableError, match="DisabledException"):
        key_unwrapper(f"kms:{kms.arn}")(sealed)
    kms.disabled = False
    with pytest.raises(KeyUnavailableError, match="InvalidKeyUsageException"):
        key_unwrapper(f"kms:{kms.arn}")(b"of no RSA length")


def test_an_unreachable_kms_is_named(kms: KmsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(KeyUnavailableError, match=f"kms:{kms.arn} cannot be reached: EndpointConnectionError"):
        key_unwrapper(f"kms:{kms.arn}")(b"x" * 256)


def test_a_symmetric_kms_key_opens_its_data_key(aws: str) -> None:
    del aws
    client = boto3.client("kms")
    key_id = client.create_key()["KeyMetadata"]["KeyId"]
    made = client.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    assert len(made["CiphertextBlob"]) not in module._RSA_SIZES
    assert key_unwrapper(f"kms:{key_id}")(made["CiphertextBlob"]) == made["Plaintext"]


def test_a_symmetric_data_key_of_another_key_is_the_wrong_key(kms: KmsStandIn) -> None:
    kms.refuse_with = "IncorrectKeyException"  # what AWS answers; moto says AccessDeniedException
    with pytest.raises(BadFile) as caught:
        key_unwrapper(f"kms:{kms.arn}")(bytes(184))
    assert caught.value.reason == "wrong_key"
    assert kms.calls[-1]["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
