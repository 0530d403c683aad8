"""Job arguments: a frozen dataclass from the command line, in the ``--key value`` form that Glue passes.

The wire format is that of awsglue's ``getResolvedOptions`` (also ``--key=value``; a repeated option: the last one
wins; hyphens and underscores are one), without its traps: optional arguments exist, names are never abbreviated, and
a name that is not known is refused with the nearest one.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

from jobs.runtime.errors import ArgumentError
from schemas.problems import nearest

#: What Glue itself passes to a script, or accepts as a job parameter (AWS Glue developer guide, "Job parameters").
GLUE_ARGUMENTS: Final = frozenset(
    """
    JOB_NAME JOB_ID JOB_RUN_ID WORKFLOW_NAME WORKFLOW_RUN_ID TempDir RedshiftTempDir SECURITY_CONFIGURATION
    additional_python_modules auto_scale_within_microbatch class conf continuous_log_conversionPattern
    continuous_log_logGroup continuous_log_logStreamPrefix custom_logGroup_prefix custom_logStream_prefix
    customer_driver_env_vars customer_executor_env_vars datalake_formats disable_proxy_v2 enable_auto_scaling
    enable_continuous_cloudwatch_log enable_continuous_log_filter enable_data_lineage enable_glue_datacatalog
    enable_job_insights enable_metrics enable_observability_metrics enable_rename_algorithm_v2
    enable_s3_parquet_optimized_committer enable_spark_ui encryption_type executor_cores extra_files extra_jars
    extra_py_files job_bookmark_from job_bookmark_option job_bookmark_to job_language
    python_modules_installer_option python_virtual_env python_virtual_env_storage_prefix python_virtual_env_version
    scriptLocation spark_event_logs_path user_jars_first use_postgres_driver write_shuffle_files_to_s3
    write_shuffle_spills_to_s3
    """.split()  # noqa: SIM905  a word list
)

#: Words without a name before them that Glue's launcher may put among its own; getResolvedOptions passes them over.
_STRAY: Final = ("true", "false", "")

#: What is no secret that was put in the wrong place: a PEM file's lines are longer.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")

_Args = TypeVar("_Args")


def option(text: str, *, choices: tuple[str, ...] = (), default: Any = dataclasses.MISSING) -> Any:
    """Declare a field of an arguments class.

    Args:
        text: what the help says of it.
        choices: the allowed values, where the list is closed.
        default: its value when it is not given; without one the argument is required.
    """
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


def parse_args(kind: type[_Args], argv: Sequence[str]) -> _Args:
    """Make ``kind``, a dataclass of str, int, bool and ``| None`` fields made with ``option``, from ``argv``.

    Raises ArgumentError with every problem at once.
    """
    fields = {field.name: field for field in dataclasses.fields(typing.cast("Any", kind))}
    hints = typing.get_type_hints(kind)
    problems: list[str] = []
    values: dict[str, Any] = {}
    flags = {name for name in fields if hints[name] is bool}
    for name, text in dict(_pairs(argv, fields.keys(), flags, problems)).items():
        if name not in fields:
            if name not in GLUE_ARGUMENTS:
                known = [_flag(field) for field in fields]
                shown = (
                    _flag(name) if _PLAIN.fullmatch(name) else "argument, which is not shown, for it may be a secret"
                )
                problems.append(f"unknown {shown}{nearest(_flag(name), known)}")
            continue
        choices = fields[name].metadata["choices"]
        if choices and text not in choices:
            problems.append(f"{_flag(name)}: {text!r} is not known{nearest(str(text), choices)}")
            continue
        values[name] = _convert(name, text, hints[name], problems)
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in values]
    problems.extend(f"missing {_flag(name)}: {fields[name].metadata['help']}" for name in missing)
    if problems:
        raise ArgumentError("; ".join(problems))
    return kind(**values)


def usage(kind: type[Any], program: str) -> str:
    """Return the help text: every argument of ``kind``, a line each."""
    lines = [f"usage: spark-submit {program} --name value …", ""]
    for field in dataclasses.fields(kind):
        flag = _flag(field.name)
        default = "" if field.default in (dataclasses.MISSING, None, False) else f" (default: {field.default})"
        needed = " (required)" if field.default is dataclasses.MISSING else ""
        lines.append(f"  {flag:<22} {field.metadata['help']}{default}{needed}")
    return "\n".join(lines)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _pairs(
    argv: Sequence[str], known: Collection[str], flags: set[str], problems: list[str]
) -> list[tuple[str, str | None]]:
    """Split the command line into names and values; a flag may stand without a value.

    Glue passes its own arguments along, a value that looks like a name among them
    (``--python-modules-installer-option --no-index``); getResolvedOptions takes no notice of either.
    """
    pairs: list[tuple[str, str | None]] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        if word in _STRAY:
            continue
        if not word.startswith("--") or word == "--":
            shown = repr(word) if _PLAIN.fullmatch(word) else "a value"
            problems.append(f"{shown} has no --name before it")
            continue
        written, equals, value = word[2:].partition("=")
        name = written.replace("-", "_")
        if equals:
            pairs.append((name, value))
        elif (
            left and not left[0].startswith("--") and not (name in flags and left[0].lower() not in ("true", "false"))
        ) or (name in GLUE_ARGUMENTS and left and not _is_name(left[0], known)):
            pairs.append((name, left.pop(0)))
        elif name in flags or name in GLUE_ARGUMENTS:
            pairs.append((name, None))
        else:
            pairs.append((name, ""))
    return pairs


def _is_name(word: str, known: Collection[str]) -> bool:
    name = word.removeprefix("--").partition("=")[0].replace("-", "_")
    return name in known or name in GLUE_ARGUMENTS


def _convert(name: str, text: str | None, hint: Any, problems: list[str]) -> Any:
    kind = next((arg for arg in typing.get_args(hint) if arg is not types.NoneType), hint)
    if kind is bool:
        if text is None or text.lower() == "true":
            return True
        if text.lower() != "false":
            problems.append(f"{_flag(name)}: is a switch: give it alone, or with true or false")
        return False
    if not text:
        problems.append(f"{_flag(name)}: has no value (one that begins with -- is written {_flag(name)}=--value)")
        return None
    if kind is int:
        try:
            return int(text)
        except ValueError:
            problems.append(f"{_flag(name)}: must be a whole number")
            return None
    return text
