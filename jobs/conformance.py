"""Hold this project's hashes against somebody's samples.

    python -m jobs.conformance --vectors samples.csv          (also: make conformance VECTORS=samples.csv)

The CSV has the columns profile, field, country, raw and any of normalized, sha256_hex and base64. Every row runs
through the Spark expressions of its profile, the way the platform itself would treat the value: hashes that it
recognises pass, and where it hashes nothing at all, so do we. An empty ``raw`` is null; where such a row expects the
hash of the empty text it is the empty text. Rows that do not match are listed by profile and field with their line
numbers; the exit status is 1 if there are any. Values are shown with --show-values alone: samples may be people.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import base64
import binascii
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pyspark.sql import SparkSession

from jobs.runtime.args import option
from jobs.runtime.errors import ArgumentError, VerificationError
from jobs.runtime.samples import read_rows, read_text
from jobs.runtime.script import run_script
from jobs.runtime.session import open_session
from schemas import reference
from schemas.profile import find_profile, profile_names
from transforms.columns.phone_library import metadata_version
from transforms.frames.conformance import HASHED, NORMALIZED, as_the_platform

_NEEDED: Final = ("profile", "field", "raw")
_EXPECTED: Final = ("normalized", "sha256_hex", "base64")
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
#: How others call kinds of values.
_FIELDS: Final = {
    "zip": "postal_code",
    "postal": "postal_code",
    "date_of_birth": "birth_date",
    "maid": "mobile_ad_id",
    "email_hash": "hashed_email",
    "phone_hash": "hashed_phone",
    "any": "email",
    "raw-sha256": "text",
    "street": "address",
    "street_address": "address",
}
_COUNTER_EXAMPLE: Final = "-wrong"
_SHOWN: Final = 20


@dataclass(frozen=True)
class Args:
    """The arguments of this program."""

    vectors: str = option("CSV file with the samples: a path, file:///… or s3://…")
    show_values: bool = option("print the values of rows that do not match", default=False)


@dataclass(frozen=True)
class Vector:
    """One sample. ``expected`` are its normal form and hashes; ``is_counter_example`` that it must not come out."""

    line: int
    profile: str
    field: str
    country: str | None
    raw: str | None
    expected: dict[str, str]
    is_counter_example: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a sample: ``found`` in the form of ``expected``; ``missed`` names what differs."""

    vector: Vector
    found: dict[str, str]
    missed: tuple[str, ...]
    excuse: str | None


def read_vectors(text: str) -> tuple[list[Vector], list[str]]:
    """Return the samples of a CSV, and a line about each row that names no profile or field of ours.

    Raises ArgumentError where a column is missing, or a row is none.
    """
    header, rows = read_rows(text)
    absent = [name for name in _NEEDED if name not in header]
    if absent or not set(_EXPECTED) & set(header):
        raise ArgumentError(
            f"the samples need the columns {', '.join(_NEEDED)} and one of {', '.join(_EXPECTED)}; "
            f"missing: {', '.join(absent or _EXPECTED)}"
        )
    vectors, strangers = [], []
    names = profile_names()
    for line, row in rows:
        name = row["profile"].strip().lower()
        is_counter_example = name.endswith(_COUNTER_EXAMPLE)
        identity = names.get(name.removesuffix(_COUNTER_EXAMPLE))
        field = row["field"].partition("(")[0].strip().lower()
        field = _FIELDS.get(field, field)
        if identity is None or field not in find_profile(identity).fields:
            what = f"profile {row['profile']}" if identity is None else f"{identity} has no rule for {row['field']}"
            strangers.append(f"line {line}: {what}: not one of ours")
        else:
            expected: dict[str, str] = {key: row[key] for key in _EXPECTED if key in row}
            # Where all cells are empty the value must be refused; where some are, those say nothing.
            if any(expected.values()):
                expected = {key: value for key, value in expected.items() if value}
            raw = row["raw"] or ("" if expected.get("sha256_hex") == _NOTHING else None)
            country = (row.get("country") or "").strip().upper() or None
            vectors.append(Vector(line, identity, field, country, raw, expected, is_counter_example))
    return vectors, strangers


def run_vectors(spark: SparkSession, vectors: Iterable[Vector]) -> list[Outcome]:
    """Run samples through the expressions of their profiles, one plan for each profile and field."""
    groups: dict[tuple[str, str], list[Vector]] = defaultdict(list)
    for vector in vectors:
        groups[vector.profile, vector.field].append(vector)
    outcomes: list[Outcome] = []
    for (name, field), group in groups.items():
        rows = [(number, vector.raw, vector.country) for number, vector in enumerate(group)]
        frame = spark.createDataFrame(rows, "number int, raw string, country string")
        # Sorted here: a sort in Spark would run every expression twice, to sample and to sort.
        found = frame.coalesce(1).transform(as_the_platform, find_profile(name), field).collect()
        results = sorted(found, key=lambda row: int(row["number"]))
        outcomes += [_judged(vector, row[NORMALIZED], row[HASHED]) for vector, row in zip(group, results, strict=True)]
    return sorted(outcomes, key=lambda outcome: outcome.vector.line)


def _judged(vector: Vector, normalized: str | None, hashed: str | None) -> Outcome:
    if hashed is None and vector.field.startswith("hashed_") and normalized is not None:
        hashed = base64.b64decode(normalized).hex()
    found = {
        "normalized": normalized or "",
        "sha256_hex": hashed or "",
        "base64": base64.b64encode(binascii.unhexlify(hashed)).decode() if hashed else "",
    }
    differing = tuple(key for key, value in vector.expected.items() if found[key] != value)
    missed = (() if differing else ("is not refused",)) if vector.is_counter_example else differing
    return Outcome(vector, found, missed, _excuse(vector) if missed else None)


def _excuse(vector: Vector) -> str | None:
    known: list[dict[str, str]] = reference.load("vendor_mismatches")["mismatches"]
    for each in known:
        if (find_profile(each["profile"]).id, each["field"], each["raw"]) == (vector.profile, vector.field, vector.raw):
            return each["reason"]
    return None


def report_of(outcomes: list[Outcome], *, show_values: bool) -> str:
    """Return the report as text: a table by profile and field, then every row that does not match."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for outcome in outcomes:
        count = counts[outcome.vector.profile, outcome.vector.field]
        count[0] += 1
        count[1] += bool(outcome.missed) and outcome.excuse is None
        count[2] += outcome.excuse is not None
    lines = [f"{'profile':<30} {'field':<14} {'vectors':>8} {'missed':>7} {'excepted':>9}"]
    for (profile, field), (rows, missed, excepted) in sorted(counts.items()):
        lines.append(f"{profile:<30} {field:<14} {rows:>8,} {missed:>7,} {excepted:>9,}")
    total = [sum(count[at] for count in counts.values()) for at in range(3)]
    lines.append(f"{'all':<45} {total[0]:>8,} {total[1]:>7,} {total[2]:>9,}")
    lines += [
        f"line {outcome.vector.line}: {_place(outcome)}: excepted: {outcome.excuse}"
        for outcome in outcomes
        if outcome.excuse is not None
    ]
    missed_outcomes = [outcome for outcome in outcomes if outcome.missed and outcome.excuse is None]
    for outcome in missed_outcomes:
        detail = f": {_values(outcome)}" if show_values else ""
        lines.append(f"line {outcome.vector.line}: {_place(outcome)}: {', '.join(outcome.missed)}{detail}")
    return "\n".join(lines)


def _place(outcome: Outcome) -> str:
    country = f" ({outcome.vector.country})" if outcome.vector.country else ""
    return f"{outcome.vector.profile} {outcome.vector.field}{country}"


def _values(outcome: Outcome) -> str:
    raw = "null" if outcome.vector.raw is None else repr(outcome.vector.raw)
    return "; ".join(
        [
            f"raw {raw}",
            *(f"{key} {outcome.found[key]!r}, not {value!r}" for key, value in outcome.vector.expected.items()),
        ]
    )


def main(args: Args) -> None:
    """Run this program."""
    uri = args.vectors if ":" in args.vectors else f"file://{Path(args.vectors).resolve()}"
    vectors, strangers = read_vectors(read_text(uri))
    if not vectors and not strangers:
        raise ArgumentError(f"{uri} holds no samples")
    spark = open_session("cleanroom-etl conformance")
    print(f"Spark {spark.version}, phonenumbers {metadata_version()}")
    outcomes = run_vectors(spark, vectors)
    print(report_of(outcomes, show_values=args.show_values))
    for line in strangers[:_SHOWN]:
        print(line)
    if len(strangers) > _SHOWN:
        print(f"… and {len(strangers) - _SHOWN:,} more rows of no profile of ours")
    missed = sum(bool(outcome.missed) and outcome.excuse is None for outcome in outcomes)
    if missed or strangers:
        raise VerificationError(
            f"{missed:,} of {len(vectors):,} samples do not match"
            + (f", {len(strangers):,} rows are of no profile of ours" if strangers else "")
        )


if __name__ == "__main__":
    run_script(Args, main)
