"""Build what Glue runs from the commit that is checked out: the package, the job scripts, the wheels.

    python -m infra.build --glue 6.0

Writes build/glue-<release>/: cleanroom_etl.zip, jobs/*.py, glue-<release>.gluewheels.zip, cleanroom-etl.yaml, the bill
of materials glue-<release>.cdx.json, and a list of all of them by SHA-256. One commit makes the same bytes on any
machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from infra.command import run_command
from infra.commit import Commit, head_commit, uncommitted
from infra.errors import BuildError
from infra.plain_zip import zip_bytes
from infra.release import NEWEST, Release, glue_release, release_names
from infra.sbom import Product, sbom, sbom_name
from infra.wheel_proof import prove
from infra.wheels import (
    Locked,
    Wheel,
    check_lock,
    check_wheels,
    download,
    gluewheels,
    lock_path,
    own_modules,
    provided,
    read_lock,
    shipped,
)
from jobs.runtime.args import option
from jobs.runtime.progress import tell

PROJECT: Final = Path(__file__).resolve().parents[1]
#: The names of what is built; the template asks for them below its parameter CodePrefix.
PACKAGE: Final = "cleanroom_etl.zip"
TEMPLATE: Final = "cleanroom-etl.yaml"
TEMPLATE_SOURCE: Final = f"infra/cloudformation/{TEMPLATE}"
#: What runs on Glue.
PACKAGED: Final = ("jobs", "transforms", "schemas")
_NOT_RUN: Final = ("ruff.toml", ".md")  # endings of what readers and linters need, and Glue does not
_IN_ROOM: Final = 2  # parts of the path of a file that is in a room itself
_LISTED: Final = 10


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    glue: str = option("the Glue release", choices=release_names(), default=NEWEST)
    allow_dirty: bool = option("build the commit although there are uncommitted changes, without them", default=False)


def package_entries(commit: Commit) -> dict[str, bytes]:
    """Return the files of the package by name: code and data of every room that runs on Glue."""
    return commit.read_all(path for path in commit.files(*PACKAGED) if not path.endswith(_NOT_RUN))


def script_entries(commit: Commit) -> dict[str, bytes]:
    """Return the job scripts by name: Glue starts a file of its own, beside the package."""
    paths = map(PurePosixPath, commit.files("jobs"))
    return commit.read_all(str(each) for each in paths if len(each.parts) == _IN_ROOM and each.match("[!_]*.py"))


def code_files(commit: Commit) -> dict[str, bytes]:
    """Return everything that is built from the commit alone, by its name below the folder of the build."""
    template = {TEMPLATE: commit.read(TEMPLATE_SOURCE)} if TEMPLATE_SOURCE in commit.files("infra") else {}
    return {PACKAGE: zip_bytes(package_entries(commit)), **script_entries(commit), **template}


def describe_build(commit: Commit, release: Release, files: dict[str, bytes]) -> bytes:
    """Return the list of a build: commit, version, Glue release, and the SHA-256 of every file."""
    project = tomllib.loads(commit.read("pyproject.toml").decode())["project"]
    document = {
        "commit": commit.sha,
        "version": project["version"],
        "glue": release.name,
        "python": release.python_version,
        "files": {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)},
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def describe_parts(commit: Commit, release: Release, wheels: list[Wheel], package: bytes) -> bytes:
    """Return the bill of materials of a build: our code, whose zip is ``package``, the wheels, what Glue provides."""
    pyproject = commit.read("pyproject.toml")
    project = tomllib.loads(pyproject.decode())["project"]
    product = Product(
        name=project["name"],
        version=project["version"],
        license=project.get("license"),
        ships=shipped(pyproject).keys(),
        commit=commit.sha,
        time=commit_time(commit),
        sha256=hashlib.sha256(package).hexdigest(),
    )
    return sbom(product, wheels, provided(pyproject, release), release)


def commit_time(commit: Commit) -> datetime:
    """Return when ``commit`` was made. Raises BuildError where the repository does not have it."""
    command = ["git", "-C", str(commit.folder), "show", "--no-patch", "--format=%ct", commit.sha]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"git show in {commit.folder}: {done.stderr.strip()}")
    return datetime.fromtimestamp(int(done.stdout), UTC)


def locked_wheels(commit: Commit, release: Release) -> list[Locked]:
    """Return the commit's lock. Raises BuildError where it does not fit its pyproject.toml."""
    path, pyproject = lock_path(release), commit.read("pyproject.toml")
    lock = read_lock(commit.read(path).decode(), path)
    check_lock(lock, shipped(pyproject), own_modules(pyproject, release), release)
    return lock


def refuse_uncommitted(folder: Path, *, allowed: bool) -> None:
    """Raise BuildError for uncommitted changes; where they are allowed, tell that they are left out."""
    changes = uncommitted(folder)
    if not changes:
        return
    more = f" and {len(changes) - _LISTED} more" if len(changes) > _LISTED else ""
    listed = ", ".join(line[3:] for line in changes[:_LISTED]) + more
    if not allowed:
        raise BuildError(
            f"there are uncommitted changes: {listed}; commit them, or build the commit without them: --allow-dirty"
        )
    tell(f"built without the uncommitted changes in {listed}")


def build(commit: Commit, release: Release, target: Path) -> list[str]:
    """Build ``commit`` for ``release`` into the folder ``target``, which is made anew; return what was proved.

    Raises BuildError where the wheels cannot be had, or do not fit the release.
    """
    lock = locked_wheels(commit, release)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        download(lock, release, folder)
        wheels = check_wheels(folder, release)
        archive = zip_bytes(gluewheels(wheels))
        proved = prove(wheels, release, archive)
        code = code_files(commit)
        parts = describe_parts(commit, release, wheels, code[PACKAGE])
    files = {**code, release.wheels_name: archive, sbom_name(release): parts}
    files[release.build_name] = describe_build(commit, release, files)
    shutil.rmtree(target, ignore_errors=True)
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return proved


def build_folder(release: Release, project: Path) -> Path:
    """Return where the build of a release goes, below the checkout ``project``."""
    return project / "build" / f"glue-{release.name}"


def main(args: Args) -> None:
    """Build, and tell what was built and proved."""
    release = glue_release(args.glue)
    refuse_uncommitted(PROJECT, allowed=args.allow_dirty)
    commit = head_commit(PROJECT)
    target = build_folder(release, PROJECT)
    proved = build(commit, release, target)
    tell(f"{target.relative_to(PROJECT)}: commit {commit.sha} for Glue {release.name}\n")
    for path in sorted(target.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            tell(f"  {path.relative_to(target)!s:<34} {path.stat().st_size:>12,} bytes  {digest[:16]}…")
    tell("\nproved:")
    for line in proved:
        tell(f"  - {line}")


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.build"))
