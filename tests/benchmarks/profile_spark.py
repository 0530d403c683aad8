"""The profile benchmark's rows by our own functions, in Spark.

Phones that the look-up tables leave open go to libphonenumber in Python, as in the jobs; all else is native. Does not:
what the jobs do around it, that is decoding, counting reasons, deduplication and verification.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.session import open_session
from schemas.profile import find_profile
from schemas.table import HashOutput
from tests.benchmarks.profile_passes import run_passes, worker_arguments
from tests.benchmarks.profile_people import FIELDS
from transforms.columns.hashing import hash_value
from transforms.frames.normalise import Output, with_normalized
from transforms.profiles.registry import rule_of

PROFILE: Final = "amc-uploader@3.0.15"

_HASH: Final = HashOutput("sha256", "hex")
_NORMAL: Final = "__normal_"
_SUBMIT: Final = (
    "--master local[2] --driver-memory 2g --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 "
    "pyspark-shell"
)


def hashed(people: DataFrame, fields: tuple[str, ...] = FIELDS) -> DataFrame:
    """Return the id of every row and the hashes of these fields, normalised by the profile."""
    profile = find_profile(PROFILE)
    outputs = [Output(_NORMAL + field, field, rule_of(profile, field)) for field in fields]
    normal = with_normalized(people, outputs, "country")
    return normal.select("id", *(hash_value(F.col(_NORMAL + field), _HASH).alias(field) for field in fields))


def session() -> SparkSession:
    """Return the session of this process, on two cores."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = _SUBMIT
    return open_session("profiles")


def main() -> None:
    source, target, passes = worker_arguments(__doc__)
    spark = session()
    run_passes(lambda: hashed(spark.read.parquet(str(source))).write.parquet(str(target)), target, passes)
    spark.stop()


if __name__ == "__main__":
    main()
