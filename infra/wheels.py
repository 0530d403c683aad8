"""The wheels that a Glue release needs beside its own modules: locked, downloaded by hash, fit for its platform."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from infra.errors import BuildError
from infra.release import GLIBC, Release

_GLIBC_SYMBOL: Final = re.compile(rb"GLIBC_(\d+)\.(\d+)(?:\.\d+)?\0")
_LOCKED: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) --hash=sha256:(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True)
class Locked:
    """One line of a lock: exactly this wheel."""

    name: str
    version: str
    sha256: str

    @property
    def line(self) -> str:
        """The line as pip reads it."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True)
class Wheel:
    """A wheel on this machine, with the newest glibc that its binaries ask for (None: it has none)."""

    path: Path
    name: str
    version: str
    glibc: tuple[int, int] | None


def shipped(pyproject: bytes) -> dict[str, str]:
    """Return what ``pyproject.toml`` says the jobs bring along: versions by normalised name."""
    return _pins(tomllib.loads(pyproject.decode())["dependency-groups"], "shipped")


def own_modules(pyproject: bytes, release: Release) -> dict[str, str]:
    """Return what Glue has itself, by what AWS lists and by what ``pyproject.toml`` pins in the release's group."""
    return release.modules | provided(pyproject, release)


def provided(pyproject: bytes, release: Release) -> dict[str, str]:
    """Return the modules of Glue that the jobs import, as ``pyproject.toml`` pins them for the release."""
    groups = tomllib.loads(pyproject.decode())["dependency-groups"]
    return _pins(groups, f"glue-{release.name.replace('.', '-')}")


def _pins(groups: dict[str, list[Any]], group: str) -> dict[str, str]:
    pins: dict[str, str] = {}
    for text in groups[group]:
        if not isinstance(text, str):  # an included group: what that one pins is its own matter
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            raise BuildError(f"pyproject.toml: {group}: {text!r} is no requirement") from None
        versions = [each.version for each in wanted.specifier if each.operator == "=="]
        if len(versions) != 1:
            raise BuildError(f"pyproject.toml: {group}: {text} must be pinned with ==")
        pins[canonicalize_name(wanted.name)] = versions[0]
    return pins


def lock_path(release: Release) -> str:
    """Return where the repository keeps the lock of a release."""
    return f"infra/locks/glue-{release.name}.txt"


def read_lock(text: str, origin: str) -> list[Locked]:
    """Return the lines of a lock. Raises BuildError for a line that is not of its form."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LOCKED.fullmatch(line.strip())
        if match is None:
            raise BuildError(f"{origin}:{number}: is not of the form name==version --hash=sha256:…")
        found.append(Locked(canonicalize_name(match["name"]), match["version"], match["sha256"]))
    return found


def check_lock(lock: list[Locked], wanted: dict[str, str], own: dict[str, str], release: Release) -> None:
    """Raise BuildError where the lock lacks what is wanted, or brings what Glue has itself."""
    locked = {each.name: each.version for each in lock}
    stale = [f"{name}=={version}" for name, version in wanted.items() if locked.get(name) != version]
    if stale:
        raise BuildError(
            f"{lock_path(release)} does not have {', '.join(stale)}, which pyproject.toml ships; "
            f"run python -m infra.lock --glue {release.name} and commit the file"
        )
    refuse_own_modules(locked, own, release)


def refuse_own_modules(found: dict[str, str], own: dict[str, str], release: Release) -> None:
    """Raise BuildError where ``found`` (versions by name) brings a module that Glue has itself."""
    doubled = [f"{name} {version} (Glue has {own[name]})" for name, version in found.items() if name in own]
    if doubled:
        raise BuildError(
            f"the wheels for Glue {release.name} would bring {', '.join(doubled)}: what AWS tests with its Spark would "
            "be replaced; choose versions of the packages in group shipped that do without"
        )


def pip(words: list[str], *, python: str = sys.executable, alone: bool = False) -> None:
    """Run pip of ``python``. ``alone``: without what this machine has set or installed: nothing else can help it.

    Raises BuildError with the end of what pip said.
    """
    variables = {
        name: value for name, value in os.environ.items() if not (alone and name.startswith(("PIP_", "PYTHON")))
    }
    command = [python, "-m", "pip", *(["--isolated"] if alone else []), *words, "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise BuildError(f"pip {words[0]} failed:\n  " + "\n  ".join(said[-8:]))


def platform_options(release: Release) -> list[str]:
    """Return the options that make pip choose wheels for a release, whatever machine this is."""
    platforms = [word for each in release.platforms for word in ("--platform", each)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", release.python_version, *platforms]


def download(lock: list[Locked], release: Release, folder: Path) -> None:
    """Put exactly the locked wheels into ``folder``. Raises BuildError where one cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder / "locked.txt"
    requirements.write_text("".join(f"{each.line}\n" for each in lock), encoding="utf-8")
    try:
        options = ["--quiet", "--no-deps", "--require-hashes", *platform_options(release)]
        pip(["download", *options, "--requirement", str(requirements), "--dest", str(folder)])
    finally:
        requirements.unlink()


def check_wheels(folder: Path, release: Release) -> list[Wheel]:
    """Return the wheels in ``folder``. Raises BuildError for all that do not run on the release's platform."""
    found, problems = [], []
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            problems.append(f"{path.name} is not named like a wheel")
            continue
        if not tags & release.tags:
            problems.append(f"{path.name} is not for Python {release.python_version} on glibc {_dotted(GLIBC)}, x86_64")
        wheel = Wheel(path, str(name), str(version), highest_glibc(path))
        if wheel.glibc is not None and wheel.glibc > GLIBC:
            problems.append(
                f"{path.name} has a binary that needs glibc {_dotted(wheel.glibc)}; Glue has {_dotted(GLIBC)}"
            )
        found.append(wheel)
    if problems:
        raise BuildError("; ".join(problems))
    return found


def highest_glibc(wheel: Path) -> tuple[int, int] | None:
    """Return the newest version of glibc whose symbols the binaries in ``wheel`` name, or None without binaries."""
    versions = [
        (int(major), int(minor))
        for content in binaries(wheel).values()
        for major, minor in _GLIBC_SYMBOL.findall(content)
    ]
    return max(versions, default=None)


def binaries(wheel: Path) -> dict[str, bytes]:
    """Return the shared libraries in ``wheel``, by their paths in it."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".so" in Path(name).suffixes}


def gluewheels(wheels: list[Wheel]) -> dict[str, bytes]:
    """Return the entries of a zip of wheels as Glue wants it.

    The folder ``wheels`` with the wheels and a ``requirements.txt`` that names each of them in its version: with
    ``--no-index`` the zip is all that pip resolves from (Glue developer guide, "Python libraries", appendix A).
    """
    lines = sorted(f"{wheel.name}=={wheel.version}\n" for wheel in wheels)
    contents = {f"wheels/{wheel.path.name}": wheel.path.read_bytes() for wheel in wheels}
    return {"wheels/requirements.txt": "".join(lines).encode(), **contents}


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
