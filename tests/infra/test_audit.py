from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version
from pip_audit._format.json import JsonFormat
from pip_audit._service.interface import Dependency, ResolvedDependency, SkippedDependency, VulnerabilityResult

from infra.audit import COULD_NOT_RUN, FOUND, LONG_KNOWN, Answer, Args, audit, main, read_answer, requirements
from infra.errors import BuildError
from infra.release import glue_release
from infra.wheels import read_lock
from tests.infra.repository import PROJECT

RELEASE = glue_release("6.0")
OLD = VulnerabilityResult.create(["PYSEC-2026-1", "CVE-2026-1"], "bad", [Version("2.0")], None)


def said(*packages: str, skipped: tuple[str, ...] = (), bad: tuple[str, ...] = ()) -> str:
    """Return what pip-audit prints, by its own code."""
    result: dict[Dependency, list[VulnerabilityResult]] = {
        ResolvedDependency(name, Version("1.0")): [OLD] if name in bad else [] for name in packages
    }
    result |= {SkippedDependency(name, "not found"): [] for name in skipped}
    text: str = JsonFormat(output_desc=False, output_aliases=True).format(result, [])
    return text


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        pytest.param(said("one", "two"), Answer(), id="clean"),
        pytest.param(
            said("one", "two", bad=("two",)),
            Answer(found=["two 1.0: PYSEC-2026-1 (CVE-2026-1): mended in 2.0"]),
            id="a vulnerability",
        ),
        pytest.param(said("one", skipped=("two",)), Answer(unknown={"two": "not found"}), id="passed over"),
        pytest.param(said("one"), Answer(unknown={"two": "no answer"}), id="left out"),
        pytest.param("", Answer(unknown={"one": "no network", "two": "no network"}), id="a stack trace"),
        pytest.param("{}", Answer(unknown={"one": "no network", "two": "no network"}), id="another document"),
    ],
)
def test_only_what_was_looked_up_counts(output: str, answer: Answer) -> None:
    assert read_answer(["one", "two"], output, "Traceback:\n  somewhere\nno network\n\n") == answer


def services(monkeypatch: pytest.MonkeyPatch, **answers: dict[str, Answer]) -> list[tuple[str, tuple[str, ...]]]:
    """Play the services: by name, what each says where that package is the first asked for. Returns the questions."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    def look_up(lines: dict[str, str], service: str) -> Answer:
        asked.append((service, tuple(lines)))
        return answers[service][next(iter(lines))]

    monkeypatch.setattr("infra.audit.look_up", look_up)
    return asked


KNOWS = Answer(found=["urllib3 1.24.1: CVE-2019-11324"])
SILENT = Answer(unknown={LONG_KNOWN[0]: "no such name"})
LINES = {"one": "one==1.0", "two": "two==1.0"}


def test_a_service_that_does_not_know_what_is_long_known_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = services(monkeypatch, pypi={"urllib3": Answer()}, osv={"urllib3": KNOWS, "one": Answer()})
    answer, problems = audit(LINES)
    assert answer == Answer()
    assert problems == ["pypi does not know those of urllib3 1.24.1: it answers, but with no vulnerability"]
    assert asked == [("pypi", ("urllib3",)), ("osv", ("urllib3",)), ("osv", ("one", "two"))]


def test_the_second_service_is_asked_for_what_the_first_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Answer(found=["one 1.0: X"], unknown={"two": "not found"})
    asked = services(monkeypatch, pypi={"urllib3": KNOWS, "one": first}, osv={"urllib3": KNOWS, "two": Answer()})
    answer, problems = audit(LINES)
    assert answer == Answer(found=["one 1.0: X"])
    assert problems == ["pypi: two: not found"]
    assert asked[-1] == ("osv", ("two",))


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        pytest.param(Answer(), 0, "shipped, Glue 6.0: 7 packages looked up, no known vulnerabilities", id="clean"),
        pytest.param(Answer(found=["cffi 1: X"]), FOUND, "cffi 1: X\nset that version in group shipped", id="found"),
        pytest.param(
            Answer(unknown={"cffi": "?"}), COULD_NOT_RUN, "could not run: shipped, Glue 6.0: 1 of 7", id="unknown"
        ),
        pytest.param(Answer(["cffi 1: X"], {"fastavro": "?"}), FOUND, "could not run: ", id="found, and one unknown"),
    ],
)
def test_the_exit_status_says_it(
    answer: Answer, status: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infra.audit.audit", lambda _lines: (answer, ["pypi: why"]))
    if status:
        with pytest.raises(SystemExit) as ended:
            main(Args())
        assert ended.value.code == status
    else:
        main(Args())
    printed = capsys.readouterr()
    assert told in printed.out + printed.err


def test_without_a_network_nothing_passes() -> None:
    """Nothing listens on the proxy's port: pip-audit itself, as it is, reaches no service."""
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "infra.audit", "--glue", "5.1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, **nowhere, "NO_PROXY": "", "no_proxy": ""},
    )
    assert done.returncode == COULD_NOT_RUN, done.stdout + done.stderr
    assert done.stderr.startswith("could not run: shipped, Glue 5.1: 7 of 7 packages unknown\n  pypi does not know")
    assert "roxy" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_exactly_the_locked_wheels_are_looked_up() -> None:
    lines = requirements(Args(), RELEASE, PROJECT)
    lock = (PROJECT / "infra/locks/glue-6.0.txt").read_text(encoding="utf-8")
    assert sorted(lines.values()) == sorted(line for line in lock.splitlines() if not line.startswith("#"))
    assert lines.keys() == {each.name for each in read_lock(lock, "x")}


def test_the_runtime_is_what_glue_lists() -> None:
    lines = requirements(Args(of="runtime"), RELEASE, PROJECT)
    assert lines["pyarrow"] == "pyarrow==23.0.1"
    assert lines["pyspark"] == "pyspark==4.1.1"
    assert lines.keys() > RELEASE.modules.keys() - {"pyspark"}


def test_an_environment_is_looked_up_as_it_is_installed(tmp_path: Path) -> None:
    about = tmp_path / "lib/python3.11/site-packages/Some_Thing-2.5.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: Some_Thing\nVersion: 2.5\n", encoding="utf-8")
    assert requirements(Args(of="development", environment=str(tmp_path)), RELEASE, PROJECT) == {
        "some-thing": "some-thing==2.5"
    }
    here = requirements(Args(of="development"), RELEASE, PROJECT)
    assert here["pytest"] == f"pytest=={importlib.metadata.version('pytest')}"
    with pytest.raises(BuildError, match=r"no package to look up .* give --environment"):
        requirements(Args(of="development", environment=str(tmp_path / "nowhere")), RELEASE, PROJECT)


def test_what_pip_audit_prints_is_read_by_its_own_format() -> None:
    assert json.loads(said("one", skipped=("two",)))["dependencies"][1] == {"name": "two", "skip_reason": "not found"}
