from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime import session

OPEN = "from jobs.runtime.session import open_session; open_session('locale')"


def test_a_turkish_java_is_refused_before_anything_is_hashed(project: Path) -> None:
    arguments = "--master local[1] --driver-java-options -Duser.language=tr pyspark-shell"
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": arguments, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], capture_output=True, text=True, check=False, env=environment, cwd=project
    )
    assert done.returncode != 0
    assert "Java's default language is 'tr'" in done.stderr
    assert "-Duser.language=en" in done.stderr


class _Session:
    sparkContext = "the context of this process"  # noqa: N815  PySpark's name


def _install(monkeypatch: pytest.MonkeyPatch, glue_context: Any) -> None:
    """Make ``from awsglue.context import GlueContext`` find ``glue_context``."""
    package, module = types.ModuleType("awsglue"), types.ModuleType("awsglue.context")
    module.GlueContext = glue_context  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "awsglue", package)
    monkeypatch.setitem(sys.modules, "awsglue.context", module)


def test_glue_measures_where_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[str] = []
    _install(monkeypatch, made.append)
    session._let_glue_measure(_Session())  # type: ignore[arg-type]
    assert made == [_Session.sparkContext]
    assert capsys.readouterr().out == ""


def test_a_glue_that_cannot_measure_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: str) -> None:
        raise TypeError("'JavaPackage' object is not callable")

    _install(monkeypatch, refuse)
    session._let_glue_measure(_Session())  # type: ignore[arg-type]
    assert capsys.readouterr().out.startswith("warning: Glue's own metrics are not reported: TypeError; its message")


def test_without_glue_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    session._let_glue_measure(_Session())  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, {"spark.hadoop.fs.s3a.endpoint.region": "eu-west-1"}),
        (
            {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"},
            {"spark.hadoop.fs.s3a.endpoint.region": "eu-west-2"},
        ),
    ],
)
def test_s3a_is_told_the_region_of_the_clients(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: dict[str, str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert session._region() == expected
