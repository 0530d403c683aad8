"""What each field of the profile benchmark costs in Spark, alone: read, normalise, hash, throw the result away.

Prints what every pass took: that of reading alone (``id`` and ``country``), of each field, and of all together.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.benchmarks.profile_passes import Taken, take
from tests.benchmarks.profile_people import FIELDS
from tests.benchmarks.profile_spark import hashed, session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of Parquet files by profile_people")
    parser.add_argument("--passes", type=int, default=2, help="times that all fields are measured in turn")
    args = parser.parse_args()
    spark = session()
    people = spark.read.parquet(str(args.source))
    ways = {"(reading)": people.select("id", "country")}
    ways |= {field: hashed(people, (field,)) for field in FIELDS}
    ways["(all)"] = hashed(people)
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for _ in range(args.passes):
        for name, frame in ways.items():
            taken[name].append(take(frame.write.format("noop").mode("overwrite").save))
    spark.stop()
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
