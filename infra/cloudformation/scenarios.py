"""Parameters that stand for the stacks people make: the template is checked and tested as it is for each."""

from __future__ import annotations

from typing import Final

#: What has no default.
CODE: Final = {"CodeBucket": "acme-code", "CodePrefix": "builds/20261122-1a2b3c"}

_DATA_KEY: Final = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_RSA_KEY: Final = "arn:aws:kms:eu-central-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"
_OLD_RSA_KEY: Final = "arn:aws:kms:eu-central-1:111122223333:key/1111aaaa-09fe-87dc-65ba-ab0987654321"
_SECRETS: Final = "arn:aws:secretsmanager:eu-central-1:111122223333:secret"
_HASH_KEY: Final = f"{_SECRETS}:HashKeySecret-9zYxWv-AbCdEf"
#: A role of a source, in its own account.
_SOURCE: Final = {
    "PushPrincipal": "arn:aws:iam::999988887777:role/source/export-worker",
    "PushExternalId": "9A8B7C6D5E@AdobeOrg",
}
_SHARED: Final = {
    "LandingBucketName": "acme-landing",
    "CuratedBucketName": "acme-curated",
    "DataKeyArn": _DATA_KEY,
    "HashKeySecretArn": _HASH_KEY,
    "CreateDatabase": "no",
}
_OF_ONES_OWN: Final = {
    "ConnectorName": "loyalty_members",
    "ConnectorFile": "s3://acme-code/definitions/connectors/loyalty_members.toml",
}

SCENARIOS: Final[dict[str, dict[str, str]]] = {
    "defaults": CODE,
    "arrival": {**CODE, "Start": "arrival", "NotificationEmail": "data@example.com"},
    "by hand": {**CODE, "Start": "demand"},
    "a flow": {**CODE, "ConnectorName": "sfmc_appflow", "Start": "arrival", "FlowName": "sfmc-to-s3"},
    "Glue 5.1": {**CODE, "GlueVersion": "5.1"},
    "a second connector": {**CODE, **_SHARED, "ConnectorName": "aep_incremental"},
    "buckets of its own under a key that exists": {**CODE, "DataKeyArn": _DATA_KEY},
    "a landing bucket that exists": {**CODE, "LandingBucketName": "acme-landing", "DataKeyArn": _DATA_KEY},
    "OpenPGP": {**CODE, "OpenPgp": "yes", "EnvelopeKey": "none"},
    "an envelope key that exists": {**CODE, "EnvelopeKey": _RSA_KEY},
    "keys that were changed": {
        **CODE,
        "OpenPgp": "yes",
        "EnvelopeKey": _RSA_KEY,
        "PreviousEnvelopeKey": _OLD_RSA_KEY,
        "PreviousOpenPgpKeySecretArn": f"{_SECRETS}:old-key",
        "PreviousOpenPgpPassphraseSecretArn": f"{_SECRETS}:old-passphrase",
    },
    "a source of one's own": {**CODE, **_OF_ONES_OWN, "EnvelopeKey": "none"},
    "a role pushes": {**CODE, **_SOURCE},
    "a user pushes": {**CODE, "ConnectorName": "sfmc_tracking", "EnvelopeKey": "none", "PushUser": "yes"},
    "a cheap backfill": {**CODE, "BackfillExecutionClass": "FLEX", "BackfillMaxWorkers": "100"},
    "a suppression list": {**CODE, "SuppressionList": "optout.csv"},
    "everything": {**CODE, **_OF_ONES_OWN, **_SOURCE, "Start": "arrival", "FlowName": "loyalty-to-s3", "OpenPgp": "yes"}
    | {"PushUser": "yes", "NotificationEmail": "data@example.com", "SuppressionList": "optout.csv"},
}
