"""Hash keys: their way into a plan, and names for them that tell nothing about them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from schemas.table import DEFAULT_KEY
from transforms.columns.hashing import key_row
from transforms.frames.pseudonymise import key_schema


def key_frame(spark: SparkSession, keys: Mapping[str, bytes]) -> DataFrame | None:
    """Make the one-row frame that carries the keys: as data they stand in no plan, no log and no UI."""
    if not keys:
        return None
    row = tuple(part for key in keys.values() for part in key_row(key))
    return spark.createDataFrame([row], key_schema(keys))


def key_id(keys: Mapping[str, bytes]) -> str:
    """Return a name for the keys that tells nothing about them, so that two runs can be seen to have had the same."""
    return ",".join(_key_id(name, key) for name, key in keys.items())


def _key_id(name: str, key: bytes) -> str:
    fingerprint = hmac.new(key, b"cleanroom-etl key id", hashlib.sha256).hexdigest()[:16]
    return fingerprint if name == DEFAULT_KEY else f"{name}={fingerprint}"
