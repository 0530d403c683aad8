"""The files of one commit, byte for byte as Git has them: no checkout, no line endings, no attributes in between."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.errors import BuildError

_REGULAR = {"100644", "100755"}


@dataclass(frozen=True)
class Commit:
    """A commit of the repository at ``folder``."""

    folder: Path
    sha: str

    def files(self, *below: str) -> list[str]:
        """Return the paths of all files below the folders ``below``, sorted.

        Raises BuildError for links and submodules.
        """
        paths = []
        for entry in _git(self.folder, "ls-tree", "-r", "-z", self.sha, "--", *below).split(b"\0")[:-1]:
            about, _, path = entry.partition(b"\t")
            if about.split()[0].decode() not in _REGULAR:
                raise BuildError(f"{path.decode()} is a link or a submodule; only plain files can be built")
            paths.append(path.decode())
        return sorted(paths)

    def read(self, path: str) -> bytes:
        """Return the content of the file at ``path``. Raises BuildError where the commit has none."""
        return _git(self.folder, "cat-file", "blob", f"{self.sha}:{path}")

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of the files at ``paths``, by path, asking Git once."""
        wanted = list(paths)
        questions = "".join(f"{self.sha}:{path}\n" for path in wanted).encode()
        answer, contents = _git(self.folder, "cat-file", "--batch", stdin=questions), {}
        for path in wanted:
            about, _, answer = answer.partition(b"\n")  # <object> blob <size>
            size = int(about.rpartition(b" ")[2])
            contents[path], answer = answer[:size], answer[size + 1 :]
        return contents


def head_commit(folder: Path) -> Commit:
    """Return the commit that is checked out at ``folder``. Raises BuildError where there is none."""
    return Commit(folder, _git(folder, "rev-parse", "--verify", "HEAD^{commit}").decode().strip())


def find_commit(folder: Path, name: str) -> Commit | None:
    """Return the commit that ``name`` (a branch, a tag, some digits) stands for, or None."""
    try:
        return Commit(
            folder, _git(folder, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()
        )
    except BuildError:
        return None


def uncommitted(folder: Path) -> list[str]:
    """Return the paths that differ from the commit, untracked ones included, as ``git status --short`` has them."""
    return _git(folder, "status", "--porcelain", "--untracked-files=all").decode().splitlines()


def _git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise BuildError("there is no git here; builds are made from a commit") from None
    if done.returncode:
        raise BuildError(f"git {words[0]} in {folder}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
