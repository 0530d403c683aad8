"""What holds for the whole tree."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.relative_to(PROJECT)
    for room in ("jobs", "transforms", "schemas", "infra")
    for path in (PROJECT / room).rglob("*.py")
)
#: Which rooms a room may import, itself included.
ALLOWED = {
    "schemas": {"schemas"},
    "transforms": {"transforms", "schemas"},
    "jobs.runtime": {"jobs.runtime", "transforms", "schemas"},
    "jobs": {"jobs", "jobs.runtime", "transforms", "schemas"},
    "infra": {"infra", "jobs.runtime", "schemas"},
}
#: The parts of PySpark that are data about data.
SPARK_FOR_SCHEMAS = {"pyspark.sql.types", "pyspark.sql"}


def room_of(module: str) -> str | None:
    if module == "jobs.runtime" or module.startswith("jobs.runtime."):
        return "jobs.runtime"
    first = module.partition(".")[0]
    return first if first in ALLOWED else None


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((PROJECT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: imports are written out"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path: Path) -> None:
    own = room_of(dotted(path))
    assert own is not None
    foreign = {name for name in imports_of(path) if (room := room_of(name)) is not None and room not in ALLOWED[own]}
    assert not foreign


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "schemas"], ids=str)
def test_schemas_need_the_standard_library_and_spark_types_alone(path: Path) -> None:
    for name in imports_of(path):
        first = name.partition(".")[0]
        is_types = first == "pyspark" and name.rpartition(".")[0] in SPARK_FOR_SCHEMAS | {"pyspark"}
        assert first in sys.stdlib_module_names or first == "schemas" or is_types, name


#: What runs in an environment of its own, with the tools that check the template.
ELSEWHERE = {Path("infra/cloudformation/check.py")}


@pytest.mark.parametrize("path", [path for path in MODULES if path not in ELSEWHERE], ids=str)
def test_every_module_can_be_imported(path: Path) -> None:
    assert importlib.import_module(dotted(path)).__doc__


def test_no_job_shadows_the_standard_library() -> None:
    names = {path.stem for path in (PROJECT / "jobs").glob("*.py")}
    assert not names & set(sys.stdlib_module_names)


JOBS = sorted((PROJECT / "jobs").glob("[!_]*.py"))


def options_of(job: Path) -> dict[str, bool]:
    """Return the options of a job's own arguments in order, and whether each must be given."""
    fields = dataclasses.fields(importlib.import_module(f"jobs.{job.stem}").Args)
    return {f"--{field.name.replace('_', '-')}": field.default is dataclasses.MISSING for field in fields}


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_every_job_tells_its_arguments(job: Path) -> None:
    command = [sys.executable, str(job), "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT.parent)
    lines = [line.split() for line in result.stdout.splitlines() if line.startswith("  --")]
    assert {line[0]: line[-1] == "(required)" for line in lines} == options_of(job)
    assert result.stderr == ""


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_every_job_refuses_a_typo_before_spark_starts(job: Path) -> None:
    option = next(iter(options_of(job)))
    typo = option[:3] + option[4:]
    result = subprocess.run([sys.executable, job, typo, "file:///x"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"unknown {typo}; did you mean {option}?" in result.stderr
    assert "Traceback" not in result.stderr
