"""Keys and secrets: usable, of the right kind, with a value. No value is ever read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from infra.checks.finding import Finding, Stack, guarded, ok, problem, there

if TYPE_CHECKING:
    from mypy_boto3_kms.type_defs import KeyMetadataTypeDef

_OAEP: Final = "RSAES_OAEP_SHA_256"
#: Outputs that name secrets: what each is, and whether every stack must have it.
_SECRETS: Final = {
    "HashKeySecretArn": "hash key",
    "OpenPgpKeySecretArn": "OpenPGP key",
    "OpenPgpPassphraseSecretArn": "OpenPGP passphrase",
}
#: Parameters that name what the source used before.
_EARLIER_SECRETS: Final = {
    "PreviousOpenPgpKeySecretArn": "previous OpenPGP key",
    "PreviousOpenPgpPassphraseSecretArn": "previous OpenPGP passphrase",
}


def check_keys(stack: Stack) -> Iterable[Finding]:
    """The data key and the envelope key can do what they are for."""
    arns = {
        "data key": stack.output("DataKeyArn"),
        "envelope key": stack.output("EnvelopeKeyArn"),
        "previous envelope key": stack.parameter("PreviousEnvelopeKey"),
    }
    for what, arn in arns.items():
        if arn:
            yield from guarded(what, partial(_key, stack, what, arn))


def _key(stack: Stack, what: str, arn: str) -> Iterable[Finding]:
    answer = there(stack.account.kms.describe_key, KeyId=arn)
    if answer is None:
        yield problem(what, f"{arn} is not there", "what it encrypted is lost; deploy with another key")
        return
    key = answer["KeyMetadata"]
    if key.get("KeyState") == "PendingDeletion":
        undo = f"aws kms cancel-key-deletion --key-id {arn} && aws kms enable-key --key-id {arn}"
        yield problem(what, f"is to be DELETED on {key.get('DeletionDate', '?')}; nothing opens without it", undo)
    elif not key.get("Enabled"):
        yield problem(what, f"is {key.get('KeyState', 'disabled')}", f"aws kms enable-key --key-id {arn}")
    elif fault := _fault(what, key):
        yield problem(what, fault, "deploy with a key of that kind, and give its public part to the source")
    else:
        yield ok(what, f"enabled, {key.get('KeySpec')}")


def _fault(what: str, key: KeyMetadataTypeDef) -> str:
    spec = str(key.get("KeySpec", ""))
    if key.get("KeyUsage") != "ENCRYPT_DECRYPT":
        return f"is for {key.get('KeyUsage')}, not for encryption"
    if what == "data key":
        return "" if spec == "SYMMETRIC_DEFAULT" else f"is a {spec}; S3 encrypts with SYMMETRIC_DEFAULT keys only"
    if not spec.startswith("RSA_"):
        return f"is a {spec}; a source encrypts with the public part of an RSA key"
    return "" if _OAEP in key.get("EncryptionAlgorithms", []) else f"does not know {_OAEP}"


def check_secrets(stack: Stack) -> Iterable[Finding]:
    """Every secret has a value. Its length is not looked at: only the jobs read secrets."""
    arns = {what: stack.output(output) for output, what in _SECRETS.items()}
    arns |= {what: stack.parameter(name) for name, what in _EARLIER_SECRETS.items()}
    for what, arn in arns.items():
        if arn:
            yield from guarded(what, partial(_secret, stack, what, arn))


def _secret(stack: Stack, what: str, arn: str) -> Iterable[Finding]:
    answer = there(stack.account.secretsmanager.describe_secret, SecretId=arn)
    put = f"aws secretsmanager put-secret-value --secret-id {arn} --secret-string file:///secure/file"
    if answer is None:
        yield problem(what, f"there is no secret {arn}", "deploy with a secret that is there")
    elif "DeletedDate" in answer:
        restore = f"aws secretsmanager restore-secret --secret-id {arn}"
        yield problem(what, f"is to be deleted ({answer['DeletedDate']:%Y-%m-%d})", restore)
    elif not any("AWSCURRENT" in stages for stages in answer.get("VersionIdsToStages", {}).values()):
        yield problem(what, "has no value yet", put)
    else:
        length = "; that it has 16 bytes or more, only a job's run can tell" if what == "hash key" else ""
        yield ok(what, f"has a value, which was not read{length}")
