"""Show how profiles turn a value into a hash, step by step: for when a match rate disappoints.

    python -m jobs.explain --field email --value 'Jane.Doe+News@Gmail.com' --country US --profiles amc-uploader,uid2
    make explain FIELD=phone VALUE='(206) 555-0100' COUNTRY=US

Without --profiles every profile that knows the field is shown. --file names a small CSV instead of --value, with the
columns field, raw and, if wanted, country and profile. **What it prints is personal data in clear**, and so is its
command line: give ``--value -`` to type the value instead, and keep the output out of logs and tickets.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pyspark.sql import SparkSession

from jobs.runtime.args import option
from jobs.runtime.errors import ArgumentError
from jobs.runtime.samples import read_rows, read_text
from jobs.runtime.script import run_script
from jobs.runtime.session import open_session
from schemas import vocabulary
from schemas.problems import nearest
from schemas.profile import Profile, find_profile, profiles
from transforms.frames.conformance import HASHED, NORMALIZED, REASON, as_the_platform
from transforms.frames.normalise import Output, with_normalized
from transforms.profiles.registry import rule_of
from transforms.profiles.rule import Rule

_WARNING: Final = (
    "What follows is personal data in clear. Keep it out of logs, tickets and chats; a value on the command line\n"
    "also stays in the shell's history."
)
_MOST_ROWS: Final = 200


@dataclass(frozen=True)
class Args:
    """The arguments of this program."""

    field: str | None = option("kind of value, such as email or phone", default=None)
    value: str | None = option("the value; - reads it from standard input", default=None)
    country: str | None = option("the row's country, ISO 3166-1 alpha-2", default=None)
    profiles: str | None = option("profiles, parted by commas; without, all that know the field", default=None)
    file: str | None = option(
        "small CSV with field, raw, country, profile, instead of --field and --value", default=None
    )
    steps: bool = option("show every step, not the results alone", default=True)


@dataclass(frozen=True)
class Question:
    """A value and the profiles that are asked about it."""

    field: str
    raw: str
    country: str | None
    profiles: tuple[Profile, ...]


@dataclass(frozen=True)
class Answer:
    """What a profile makes of a value: the value after each step (None from where on it is null), and the end."""

    profile: Profile
    steps: tuple[tuple[str, str | None], ...]
    normalized: str | None
    hashed: str | None
    reason: str | None


def questions_of(args: Args) -> list[Question]:
    """Return what the arguments ask. Raises ArgumentError."""
    if args.file is None:
        if args.field is None or args.value is None:
            raise ArgumentError("give --field and --value, or --file")
        raw = sys.stdin.readline().rstrip("\r\n") if args.value == "-" else args.value
        return [_question(args.field, raw, args.country, args.profiles)]
    uri = args.file if ":" in args.file else f"file://{Path(args.file).resolve()}"
    header, rows = read_rows(read_text(uri))
    if not {"field", "raw"} <= set(header):
        raise ArgumentError(f"{uri} needs the columns field and raw (and may have country and profile)")
    if len(rows) > _MOST_ROWS:
        raise ArgumentError(f"{uri} has {len(rows):,} rows; this is for at most {_MOST_ROWS}. See jobs/conformance.py")
    return [
        _question(row["field"], row["raw"], row.get("country") or args.country, row.get("profile") or args.profiles)
        for _, row in rows
    ]


def _question(field: str, raw: str, country: str | None, names: str | None) -> Question:
    if field not in vocabulary.NORMALIZERS:
        raise ArgumentError(f"{field!r} is no kind of value{nearest(field, vocabulary.NORMALIZERS)}")
    try:
        asked = [find_profile(name.strip()) for name in names.split(",")] if names else list(profiles().values())
    except KeyError as error:
        raise ArgumentError(str(error.args[0])) from None
    able = tuple(profile for profile in asked if field in profile.fields)
    if not able:
        raise ArgumentError(f"none of these profiles has a rule for {field}")
    return Question(field, raw, country.strip().upper() if country else None, able)


def answers_to(spark: SparkSession, question: Question) -> Iterator[Answer]:
    """Ask each profile's Spark expressions."""
    frame = spark.createDataFrame([(question.raw, question.country)], "raw string, country string")
    for profile in question.profiles:
        steps = rule_of(profile, question.field).steps
        results = frame.transform(as_the_platform, profile, question.field)
        source = "raw"
        for number, step in enumerate(steps):
            results = with_normalized(results, (Output(f"step_{number}", source, Rule((step,))),), "country")
            source = f"step_{number}"
        row = results.collect()[0]
        found = tuple((step.says, _shown(row[f"step_{number}"])) for number, step in enumerate(steps))
        yield Answer(profile, found, row[NORMALIZED], row[HASHED], row[REASON])


def _shown(value: object) -> str | None:
    """Return an intermediate result as text; words are parted by bars."""
    return " | ".join(map(str, value)) if isinstance(value, list) else value if value is None else str(value)


def described(question: Question, answer: Answer) -> list[str]:
    """Return the steps of one profile as lines."""
    lines = [f"{answer.profile.id}: {answer.profile.comment}"]
    before: str | None = question.raw
    for says, value in answer.steps:
        shown = "null" if value is None else "unchanged" if value == before else repr(value)
        lines.append(f"    {says:<88} {shown}")
        if value is None:
            break
        before = value
    lines.append(f"    = {_result(answer)}")
    lines.append(f"    {_hash(question, answer)}")
    return lines


def _result(answer: Answer) -> str:
    return f"null, because of {answer.reason}" if answer.normalized is None else repr(answer.normalized)


def _hash(question: Question, answer: Answer) -> str:
    field = answer.profile.fields[question.field]
    if field.algorithm is None:
        return "compared as it is, not hashed"
    if answer.hashed is None:
        return "no hash"
    if answer.normalized is None:
        return f"{field.algorithm}: the platform hashes the empty text; here it is null unless a table says otherwise"
    if answer.normalized == answer.hashed:
        return "a hash already, passed as it is by the platform; declare such columns in the connector (prehashed)"
    text = answer.hashed if field.encoding == "hex" else _base64(answer.hashed)
    return f"{field.algorithm}/{field.encoding} {text}"


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def table_of(answers: list[Answer]) -> list[str]:
    """Return one line a profile: what it compares."""
    width = max(len(answer.profile.id) for answer in answers)
    return [f"  {answer.profile.id:<{width}}  {_result(answer)}" for answer in answers]


def main(args: Args) -> None:
    """Run this program."""
    questions = questions_of(args)
    spark = open_session("cleanroom-etl explain")
    print(_WARNING)
    for question in questions:
        print(f"\n{question.field} {question.raw!r}, country {question.country or 'unknown'}\n")
        answers = []
        for answer in answers_to(spark, question):
            answers.append(answer)
            if args.steps:
                print("\n".join(described(question, answer)), end="\n\n")
        if len(answers) > 1 or not args.steps:
            print("\n".join(table_of(answers)))


if __name__ == "__main__":
    run_script(Args, main)
