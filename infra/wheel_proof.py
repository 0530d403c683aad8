"""The proof that the wheels for a Glue release install from nothing but themselves, and import."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from infra.errors import BuildError
from infra.release import GLIBC, Release
from infra.wheels import Wheel, binaries, pip, platform_options


def prove(wheels: list[Wheel], release: Release, archive: bytes) -> list[str]:
    """Install the zip of wheels ``archive`` into an empty place as Glue does; return what is proved, line by line.

    With the release's own Python at hand a virtual environment is made and every module and extension imported; else
    pip resolves and unpacks for the release's platform without running anything. Raises BuildError where that fails.
    """
    newest = max((wheel.glibc for wheel in wheels if wheel.glibc), default=None)
    lines = [
        f"{len(wheels)} wheels, all for Python {release.python_version} on x86_64 with glibc {GLIBC[0]}.{GLIBC[1]}"
        + (f"; their binaries ask for glibc {newest[0]}.{newest[1]} at most" if newest else ""),
        "none of them is a module that Glue has itself",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = Path(scratch) / "unpacked"
        zip_path = Path(scratch) / release.wheels_name
        zip_path.write_bytes(archive)
        with zipfile.ZipFile(zip_path) as content:
            content.extractall(unpacked)
        folder = unpacked / "wheels"
        install = ["install", "--quiet", "--no-index", "--find-links", str(folder)]
        install += ["--requirement", str(folder / "requirements.txt")]
        python = find_python(release)
        if python is None or not _runs_here():
            pip([*install, *platform_options(release), "--target", str(Path(scratch) / "target")], alone=True)
            lines.append(
                f"pip installs them with --no-index into an empty folder; NOT imported: this machine has no Python "
                f"{release.python_version} on Linux x86_64"
            )
        else:
            own = Path(scratch) / "venv"
            _run([python, "-m", "venv", str(own)], "making a virtual environment")
            inside = str(own / "bin" / "python")
            pip(install, python=inside, alone=True)
            pip(["check"], python=inside, alone=True)
            modules = [name for wheel in wheels for name in importable(wheel.path)]
            _run([inside, "-I", "-c", _IMPORTS, *modules], "importing what was installed")
            lines.append(
                f"pip installs them with --no-index into an empty virtual environment of {python}, "
                f"and its Python imports all of {len(modules)} modules and extensions: {', '.join(tops(modules))}"
            )
    return lines


_IMPORTS = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"


def find_python(release: Release) -> str | None:
    """Return a Python of exactly the release's version: on the path, of pyenv, or None."""
    version = release.python_version
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    candidates = [sys.executable, shutil.which(f"python{version}"), *map(str, installed)]
    return next((each for each in candidates if each and _version_of(each) == version), None)


def _version_of(python: str) -> str:
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _runs_here() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def importable(wheel: Path) -> list[str]:
    """Return the names of the top packages and modules of ``wheel``, and of its extension modules."""
    names = set()
    with zipfile.ZipFile(wheel) as archive:
        for entry in map(PurePosixPath, archive.namelist()):
            if entry.name == "__init__.py" and len(entry.parts) == 2:  # noqa: PLR2004  package and file
                names.add(entry.parts[0])
            elif entry.suffix == ".py" and len(entry.parts) == 1:
                names.add(entry.stem)
    for path in map(PurePosixPath, binaries(wheel)):
        if not any(part.endswith((".libs", ".data")) for part in path.parts[:-1]):  # libraries that a module loads
            names.add(".".join([*path.parts[:-1], path.name.partition(".")[0]]))
    return sorted(names)


def tops(modules: list[str]) -> list[str]:
    """Return the packages that ``modules`` are in, each once."""
    return sorted({name.partition(".")[0] for name in modules})


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BuildError(f"{what} failed with {command[0]}: {said[-1] if said else 'no message'}")
