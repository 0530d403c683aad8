"""Command lines: whatever comes is understood, or refused in the words of an ArgumentError."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from jobs import (
    archive,
    backfill,
    decrypt,
    forget,
    janitor,
    new_connector,
    pipeline,
    query,
    rollback,
    scan,
    transform,
)
from jobs.runtime.args import parse_args
from jobs.runtime.errors import ArgumentError
from tests.fuzz.target import Target, require

KINDS: Final[tuple[type[Any], ...]] = tuple(
    module.Args
    for module in (
        *(archive, backfill, decrypt, forget, janitor, new_connector),
        *(pipeline, query, rollback, scan, transform),
    )
)


def run_arguments(data: bytes) -> None:
    """The first byte chooses the job; NULs part the words. What is understood is understood again when written out."""
    if not data:
        return
    kind = KINDS[data[0] % len(KINDS)]
    argv = [word.decode(errors="ignore") for word in data[1:].split(b"\0")]
    try:
        args = parse_args(kind, argv)
    except ArgumentError as error:
        require("there is a message", holds=bool(str(error)))
        return
    require("arguments that are written out mean the same", holds=parse_args(kind, written_out(args)) == args)


def written_out(args: Any) -> list[str]:
    """Return the words of a command line that mean ``args``."""
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(args)}
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value not in (None, "")]


def _seeds() -> Sequence[bytes]:
    lines = (
        "--connector aep_profiles --root file:///x --hash-key default=file:/k,partner=secretsmanager:p",
        "--JOB_NAME d --connector=aep_profiles --root s3://b/ --allow-empty --quiet-seconds 5 --ready done_marker",
        "--root=s3://b/ --table t --to-run 20260101T000000Z-abcdef",
        "--root file:///x --keep-days 3 --dry-run true --additional-python-modules --no-index",
        "--file file:///a.csv --name a --out file:///b --header no",
        "--root file:///x --sql select_1 --rows 5 --catalog_database d",
        "--connector c --root s3://b/ --plan 2025 --unit month --since 2025-01-01 --exclude *_test_* --reason r",
        "--connector c --root s3://b/ --run 2025 --dry-run --suppression-list a,b",
        "--connector c --root s3://b/ --people s3://b/p.csv --reason r --delete-quarantine true",
        "--path file:///x --format csv --no-header --delimiter ; --expected email,phone",
    )
    return [bytes([kind]) + line.replace(" ", "\0").encode() for kind in range(len(KINDS)) for line in lines]


TARGETS: Final = (Target("arguments", run_arguments, _seeds),)
