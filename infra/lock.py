"""Write the lock of the wheels for a Glue release anew: which wheel of which package, by hash.

    python -m infra.lock --glue 6.0

A build takes nothing that is not in the lock, so that one commit makes the same bytes on any machine and any day.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.command import run_command
from infra.release import NEWEST, Release, glue_release, release_names
from infra.wheels import (
    Locked,
    Wheel,
    check_wheels,
    lock_path,
    own_modules,
    pip,
    platform_options,
    refuse_own_modules,
    shipped,
)
from jobs.runtime.args import option
from jobs.runtime.progress import tell

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    glue: str = option("the Glue release", choices=release_names(), default=NEWEST)


def resolve(pyproject: bytes, release: Release, folder: Path) -> list[Wheel]:
    """Download what ``pyproject.toml`` ships, with all that it needs, into ``folder``; return the wheels.

    Modules of Glue stay at Glue's versions while pip resolves. Raises BuildError where that cannot be had, where a
    wheel does not run there, or where Glue has it already.
    """
    own = own_modules(pyproject, release)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(own.items())), encoding="utf-8")
    wanted = [f"{name}=={version}" for name, version in shipped(pyproject).items()]
    options = [*platform_options(release), "--constraint", str(constraints), "--dest", str(folder)]
    pip(["download", "--quiet", *options, *wanted])
    wheels = check_wheels(folder, release)
    refuse_own_modules({wheel.name: wheel.version for wheel in wheels}, own, release)
    return wheels


def lock_text(wheels: list[Wheel], release: Release) -> str:
    """Return the lock that names exactly ``wheels``."""
    hashed = [Locked(each.name, each.version, hashlib.sha256(each.path.read_bytes()).hexdigest()) for each in wheels]
    first = (
        f"# Made by: python -m infra.lock --glue {release.name} (group shipped of pyproject.toml and what it needs)\n"
    )
    return first + "".join(f"{line}\n" for line in sorted(each.line for each in hashed))


def main(args: Args) -> None:
    """Resolve, and write the lock."""
    release = glue_release(args.glue)
    with tempfile.TemporaryDirectory() as scratch:
        wheels = resolve((_PROJECT / "pyproject.toml").read_bytes(), release, Path(scratch))
        text = lock_text(wheels, release)
    path = _PROJECT / lock_path(release)
    path.write_text(text, encoding="utf-8")
    tell(f"{path.relative_to(_PROJECT)}: {len(wheels)} wheels for Python {release.python_version}; commit it")


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.lock"))
