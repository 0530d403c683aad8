"""Keys and secrets by reference. A reference is no secret: it may stand in arguments, logs and task closures.

``file:/path`` reads a file, ``secretsmanager:<name or ARN>`` AWS Secrets Manager, ``kms:<key id, alias or ARN>`` names
a KMS key, which is used and never read. What is behind a reference stays in the process that opened it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from jobs.runtime.errors import ArgumentError, KeyUnavailableError, describe
from transforms.streams.bad_file import BadFile
from transforms.streams.fernet_envelope import UnwrapKey

#: RSA moduli in bytes. A symmetric KMS ciphertext of a data key is never this long (about 184 bytes for 32).
_RSA_SIZES: Final = (256, 384, 512)
_SHORTEST_HASH_KEY: Final = 16
_NAME: Final = re.compile("[a-z][a-z0-9_]*")
#: What KMS answers when the ciphertext is not for this key, as opposed to when we may not ask.
_WRONG_KEY_CODES: Final = ("InvalidCiphertextException", "IncorrectKeyException")


def read_secret(reference: str) -> bytes:
    """Return the bytes behind ``file:`` or ``secretsmanager:``; of a text without the line break at its end.

    Raises KeyUnavailableError that names the reference, never the content.
    """
    check_secret_reference(reference)
    scheme, _, rest = reference.partition(":")
    if scheme == "file":
        path = Path("/" + rest.lstrip("/")) if rest.startswith("/") else Path(rest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise KeyUnavailableError(f"{reference} cannot be read: {error.strerror}") from None
    else:
        data = _read_secrets_manager(rest)
    if _is_text(data):
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise KeyUnavailableError(f"{reference} is empty")
    return data


def check_secret_reference(reference: str, option: str = "what was given") -> None:
    """Raise KeyUnavailableError where a reference has not the form of one to a secret; where it leads is not tried.

    What was given is not shown: it may be the secret itself.
    """
    scheme, _, rest = reference.partition(":")
    if not (scheme == "file" or (scheme == "secretsmanager" and rest)):
        raise KeyUnavailableError(f"{option} names no secret: give file:/path or secretsmanager:name")


def check_key_reference(reference: str) -> None:
    """Raise KeyUnavailableError where a reference has not the form of one to a key that opens envelopes."""
    scheme, _, rest = reference.partition(":")
    if not (scheme == "file" or (scheme == "kms" and rest)):
        raise KeyUnavailableError("--envelope-key names no key: give file:/path/rsa.pem or kms:alias/name")


def _is_text(data: bytes) -> bool:
    """Tell a text from a binary key, whose last byte may be a line break's."""
    try:
        return data.decode().replace("\r", "").replace("\n", "").isprintable()
    except UnicodeDecodeError:
        return False


def _read_secrets_manager(name: str) -> bytes:
    import boto3  # noqa: PLC0415  local runs need no AWS

    try:
        answer: Mapping[str, Any] = boto3.client("secretsmanager").get_secret_value(SecretId=name)
    except (ClientError, BotoCoreError) as error:
        raise KeyUnavailableError(f"secretsmanager:{name} cannot be read: {describe(error)}") from None
    data: bytes = answer["SecretBinary"] if "SecretBinary" in answer else answer["SecretString"].encode()
    return data


def read_hash_keys(references: str, names: Iterable[str]) -> dict[str, bytes]:
    """Return the keys called ``names``.

    ``references`` is one reference, for a table with one key, or ``name=reference`` for each, parted by commas. Raises
    ArgumentError for a name without a reference, KeyUnavailableError as ``read_hash_key`` does.
    """
    wanted = tuple(names)
    given: dict[str, str] = {}
    for part in references.split(","):
        name, equals, reference = part.strip().partition("=")
        if equals and _NAME.fullmatch(name):
            given[name] = reference
        elif len(wanted) == 1 and "," not in references:
            given[wanted[0]] = references.strip()
        else:
            raise ArgumentError("--hash-key: several keys are given as name=reference,name=reference")
    missing = [name for name in wanted if name not in given]
    if missing:
        raise ArgumentError(f"--hash-key: no reference for key {', '.join(missing)} (name=file:/… or secretsmanager:…)")
    return {name: read_hash_key(given[name]) for name in wanted}


def read_hash_key(reference: str) -> bytes:
    """Return the secret that personal data is hashed with; KeyUnavailableError where it is too short to be one."""
    key = read_secret(reference)
    if len(key) < _SHORTEST_HASH_KEY:
        raise KeyUnavailableError(
            f"{reference} has {len(key)} bytes; a hash key needs at least {_SHORTEST_HASH_KEY}, "
            "best 32 random ones: openssl rand -hex 32"
        )
    return key


def references_in(text: str) -> tuple[str, ...]:
    """Return the references in an argument that takes several, parted by commas."""
    return tuple(part.strip() for part in text.split(","))


def key_unwrapper(references: str) -> UnwrapKey:
    """Return the function that opens the data keys of envelopes with the keys behind ``references``.

    ``file:`` is an RSA private key (PEM, without passphrase), ``kms:`` an asymmetric or symmetric KMS key. Of several,
    parted by commas, each is tried in turn: after a change of keys there are originals for the old one and the new.
    """
    unwrappers = [_unwrapper(reference) for reference in references_in(references)]
    return unwrappers[0] if len(unwrappers) == 1 else functools.partial(_unwrap_with_any, unwrappers)


def _unwrapper(reference: str) -> UnwrapKey:
    check_key_reference(reference)
    scheme, _, rest = reference.partition(":")
    if scheme == "kms":
        return functools.partial(_unwrap_with_kms, rest)
    return functools.partial(_unwrap_with_rsa, reference)


def _unwrap_with_any(unwrappers: Sequence[UnwrapKey], wrapped: bytes) -> bytes:
    for unwrap in unwrappers:
        try:
            return unwrap(wrapped)
        except BadFile as bad:
            if bad.reason != "wrong_key":
                raise
    raise BadFile("wrong_key", f"the data key was encrypted for none of the {len(unwrappers)} envelope keys given")


@functools.lru_cache(maxsize=8)
def _load_rsa(reference: str) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(read_secret(reference), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnavailableError(f"{reference} is no RSA private key in PEM form without a passphrase") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyUnavailableError(f"{reference} is a private key, but not an RSA one")
    return key


def _unwrap_with_rsa(reference: str, wrapped: bytes) -> bytes:
    """Open a data key as KMS does for RSAES_OAEP_SHA_256: SHA-256 for label and mask, empty label (RFC 8017)."""
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    try:
        return _load_rsa(reference).decrypt(wrapped, scheme)
    except ValueError:
        raise BadFile("wrong_key", "the data key was not encrypted for the envelope key given") from None


@functools.lru_cache(maxsize=4096)
def _unwrap_with_kms(key_id: str, wrapped: bytes) -> bytes:
    """Ask KMS to open a data key; one call a key, retried with back-off when KMS is busy."""
    import boto3  # noqa: PLC0415  local runs need no AWS
    from botocore.config import Config  # noqa: PLC0415

    client = boto3.client("kms", config=Config(retries={"mode": "adaptive", "max_attempts": 10}))
    algorithm = "RSAES_OAEP_SHA_256" if len(wrapped) in _RSA_SIZES else "SYMMETRIC_DEFAULT"
    try:
        answer = client.decrypt(KeyId=key_id, CiphertextBlob=wrapped, EncryptionAlgorithm=algorithm)  # type: ignore[arg-type]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _WRONG_KEY_CODES:
            raise BadFile("wrong_key", "the data key was not encrypted for the KMS key given") from None
        raise KeyUnavailableError(f"kms:{key_id} cannot be used: {describe(error)}") from None
    except BotoCoreError as error:
        raise KeyUnavailableError(f"kms:{key_id} cannot be reached: {describe(error)}") from None
    return answer["Plaintext"]
