"""Ask the databases of known vulnerabilities about the packages that are pinned here.

    python -m infra.audit --glue 6.0                       what Glue gets from us: exactly the locked wheels
    python -m infra.audit --glue 6.0 --of runtime          what Glue has itself; Amazon mends that
    python -m infra.audit --of development --environment .venv-glue-6.0

Asks PyPI, and where that cannot answer OSV, by pip-audit. Exits with 0 where every package was looked up and nothing is
known, with 1 for vulnerabilities, and with 3 where so much as one package could not be looked up: no answer is no
pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from infra.command import run_command
from infra.errors import BuildError
from infra.release import NEWEST, Release, glue_release, release_names
from infra.wheels import lock_path, own_modules, read_lock
from jobs.runtime.args import option
from jobs.runtime.progress import tell

PROJECT: Final = Path(__file__).resolve().parents[1]
FOUND: Final = 1
COULD_NOT_RUN: Final = 3
#: pip-audit's names of PyPI's JSON API and of osv.dev; mirrors of PyPI often have no such API.
SERVICES: Final = ("pypi", "osv")
#: A package and a version whose vulnerabilities are in every database since 2019 (CVE-2019-11324).
LONG_KNOWN: Final = ("urllib3", "1.24.1")
_SECONDS: Final = "15"  # for one request; pip-audit's own default


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    glue: str = option("the Glue release", choices=release_names(), default=NEWEST)
    of: str = option(
        "what to look up: the wheels for Glue, Glue's own modules, or what is installed in an environment",
        choices=("shipped", "runtime", "development"),
        default="shipped",
    )
    environment: str | None = option("the folder of a virtual environment, for --of development", default=None)


@dataclass
class Answer:
    """What a service said: the vulnerabilities, a line each, and why packages were not looked up, by package."""

    found: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)


def requirements(args: Args, release: Release, project: Path) -> dict[str, str]:
    """Return the lines that pip-audit looks up, by normalised name. Raises BuildError where there is none."""
    if args.of == "shipped":
        path = lock_path(release)
        lines = {each.name: each.line for each in read_lock((project / path).read_text(encoding="utf-8"), path)}
    elif args.of == "runtime":
        own = own_modules((project / "pyproject.toml").read_bytes(), release)
        lines = {name: f"{name}=={version}" for name, version in own.items()}
    else:
        folder = Path(args.environment or sys.prefix)
        places = [str(each) for each in sorted(folder.glob("lib/python3.*/site-packages"))]
        installed = [(canonicalize_name(each.name), each.version) for each in distributions(path=places)]
        lines = {name: f"{name}=={version}" for name, version in installed}
    if not lines:
        raise BuildError(
            f"there is no package to look up for --of {args.of}; for development give --environment a folder"
        )
    return lines


def look_up(lines: dict[str, str], service: str) -> Answer:
    """Ask ``service`` about every one of ``lines``, requirements by normalised name."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "requirements.txt"
        path.write_text("".join(f"{line}\n" for line in lines.values()), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(path), "--disable-pip", "--no-deps"]
        command += ["--format", "json", "--progress-spinner", "off", "--timeout", _SECONDS]
        done = subprocess.run(
            [*command, "--vulnerability-service", service], capture_output=True, text=True, check=False
        )
    return read_answer(lines, done.stdout, done.stderr)


def read_answer(names: Iterable[str], output: str, errors: str) -> Answer:
    """Return what pip-audit's JSON says of each of ``names``.

    pip-audit says "No known vulnerabilities found" and exits with 0 where it could look up nothing, so its status and
    words count for nothing: each package must be in the answer, and looked up.
    """
    try:
        told: dict[str, Any] = {canonicalize_name(each["name"]): each for each in json.loads(output)["dependencies"]}
    except (ValueError, KeyError, TypeError):
        said = [line.strip() for line in errors.splitlines() if line.strip()]
        why = said[-1] if said else "pip-audit said nothing"
        return Answer(unknown=dict.fromkeys(names, why))
    answer = Answer()
    for name in names:
        about = told.get(name)
        if about is None or "vulns" not in about:
            answer.unknown[name] = about.get("skip_reason", "no answer") if about else "no answer"
            continue
        for each in about["vulns"]:
            also = ", ".join(each.get("aliases", []))
            mended = ", ".join(each.get("fix_versions", [])) or "no version yet"
            answer.found.append(
                f"{name} {about['version']}: {each['id']}{f' ({also})' if also else ''}: mended in {mended}"
            )
    return answer


def audit(lines: dict[str, str]) -> tuple[Answer, list[str]]:
    """Ask the services in turn until every package is looked up; return what is known then, and what went wrong.

    A service that does not know what has long been known is not asked: a mirror may answer with nothing at all.
    """
    answer, problems = Answer(unknown=dict.fromkeys(lines, "no service answers")), []
    for service in SERVICES:
        known = look_up({LONG_KNOWN[0]: "==".join(LONG_KNOWN)}, service)
        if not known.found:
            why = known.unknown.get(LONG_KNOWN[0], "it answers, but with no vulnerability")
            problems.append(f"{service} does not know those of {' '.join(LONG_KNOWN)}: {why}")
            continue
        asked = look_up({name: lines[name] for name in answer.unknown}, service)
        answer = Answer(answer.found + asked.found, asked.unknown)
        if not answer.unknown:
            break
        problems += [f"{service}: {name}: {why}" for name, why in answer.unknown.items()]
    return answer, problems


def main(args: Args) -> None:
    """Look up, tell, and exit with what the module says."""
    release = glue_release(args.glue)
    lines = requirements(args, release, PROJECT)
    of = args.of if args.of == "development" else f"{args.of}, Glue {release.name}"
    answer, problems = audit(lines)
    for each in answer.found:
        tell(each)
    if answer.found and args.of == "shipped":
        tell("set that version in group shipped, run python -m infra.lock for each Glue release; make build proves it")
    if answer.unknown:
        text = "\n  ".join([f"could not run: {of}: {len(answer.unknown)} of {len(lines)} packages unknown", *problems])
        sys.stderr.write(f"{text}\n")
    else:
        tell(f"{of}: {len(lines)} packages looked up, {len(answer.found) or 'no'} known vulnerabilities")
    if answer.found:
        sys.exit(FOUND)
    if answer.unknown:
        sys.exit(COULD_NOT_RUN)


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.audit"))
