"""Values as a platform itself would turn them into hashes, for holding this project against a partner's samples."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.profile import Profile
from schemas.table import HashOutput
from transforms.columns.hashing import hash_value
from transforms.frames.normalise import Output, reason, with_normalized
from transforms.profiles.registry import ALREADY_HASHED, rule_of

NORMALIZED: Final = "normalized"
HASHED: Final = "hashed"
REASON: Final = "reason"
_RAW: Final = "raw"
_COUNTRY: Final = "country"


def as_the_platform(frame: DataFrame, profile: Profile, field: str) -> DataFrame:
    """Add what becomes of each value: ``normalized``, ``hashed`` and the ``reason`` of a null (strings).

    ``frame`` has ``raw`` and ``country`` (strings). Other than in a published table hashes among the values pass where
    the platform recognises them, and of nothing left the platform's own hash is made, if it makes one. ``hashed`` is in
    hexadecimal digits, and null where the platform hashes nothing.
    """
    known = profile.fields[field]
    output = Output(NORMALIZED, _RAW, rule_of(profile, field))
    normalized = with_normalized(frame, (output,), _COUNTRY).withColumn(REASON, reason(output, _COUNTRY))
    if known.algorithm is None:
        return normalized.withColumn(HASHED, F.lit(None).cast("string"))
    text = F.col(NORMALIZED)
    if profile.empty == "hash":
        text = F.coalesce(text, F.when(F.col(_RAW).isNotNull(), F.lit("")))
    hashed = hash_value(text, HashOutput(known.algorithm, "hex"))
    if not profile.already_hashed:
        return normalized.withColumn(HASHED, hashed)
    recognise = ALREADY_HASHED[profile.already_hashed]
    passed: Column = F.coalesce(recognise(F.col(_RAW)), recognise(F.col(NORMALIZED)))
    return normalized.withColumn(HASHED, F.coalesce(passed, hashed)).withColumn(
        NORMALIZED, F.coalesce(passed, F.col(NORMALIZED))
    )
