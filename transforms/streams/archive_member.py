"""What zip and tar have in common: members with names that must be harmless, within limits, read to their ends."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.delivery import ArchiveLimits
from transforms.streams.bad_file import BadFile

_RATIO_FROM: Final = 16 << 20  # clear bytes; below, a high ratio is a small file of one repeated line
_SHOWN: Final = 80  # characters of a name in a message
_DRIVE: Final = re.compile("[A-Za-z]:")
_CONTROLS: Final = frozenset({"Cc", "Zl", "Zp"})


@dataclass(frozen=True)
class Member:
    """A file of an archive: its ``name`` as in the archive, with ``/``, and its ``size`` and bytes when unpacked.

    Nothing is proven before ``chunks`` was read to its end. It must be read before the next member is asked for: what
    is left then is only checked, and can no longer be had.
    """

    name: str
    size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class Place:
    """Where a member stands in its archive, for messages: positions count from 1, folders too."""

    position: int
    name: str = ""

    def bad(self, reason: str, detail: str) -> BadFile:
        """Return the error that says ``detail`` of this member, with its name only where that is harmless."""
        harmless = self.name.isprintable() and not _problem_of(self.name, folder=self.name.endswith("/"))
        shown = f" ({self.name[:_SHOWN]!r})" if harmless else ""
        return BadFile(reason, f"member {self.position}{shown} {detail}")


class Register:
    """The members of one archive so far: how many, how large, under which names."""

    def __init__(self, limits: ArchiveLimits, packed_size: int | None = None) -> None:
        """Start with none. Without the ``packed_size`` of the whole archive its ratio is not looked at."""
        self._limits = limits
        self._packed_size = packed_size
        self._clear_bytes = 0
        self._count = 0
        self._names: set[str] = set()

    def next_place(self) -> Place:
        """Return the place of the member that is still to be entered, whose name is not known yet."""
        return Place(self._count + 1)

    def enter(self, name: str, size: int, *, folder: bool) -> Place:
        """Take the next member with its declared size and return its place.

        Raises BadFile: ``unsafe_archive`` for a name that is unsafe or was there before, in whatever case,
        ``archive_bomb`` where a limit is passed.
        """
        self._count += 1
        place = Place(self._count, name)
        if self._count > self._limits.members:
            raise place.bad("archive_bomb", f"is one more than the {self._limits.members} that are allowed")
        problem = _problem_of(name, folder=folder)
        if problem:
            raise place.bad("unsafe_archive", problem)
        if folder:
            return place
        same = unicodedata.normalize("NFC", unicodedata.normalize("NFC", posixpath.normpath(name)).casefold())
        if same in self._names:
            raise place.bad("unsafe_archive", "has the name of an earlier member")
        self._names.add(same)
        self._clear_bytes += size
        if self._clear_bytes > self._limits.clear_bytes:
            raise place.bad(
                "archive_bomb", f"takes the archive over the {self._limits.clear_bytes} unpacked bytes that are allowed"
            )
        if (
            self._packed_size is not None
            and self._clear_bytes > _RATIO_FROM
            and self._clear_bytes > self._limits.ratio * self._packed_size
        ):
            raise place.bad(
                "archive_bomb",
                f"takes the archive over the {self._limits.ratio} unpacked bytes to a packed one that are allowed",
            )
        return place

    def end(self) -> None:
        """Take note that there are no more members. Raises BadFile("empty_archive") where there was no file."""
        if not self._names:
            raise BadFile("empty_archive", "there is no file in the archive")


class Content(Iterator[bytes]):
    """The bytes of one member, which are read to their end whatever a consumer does.

    This is no generator, for those are closed by whoever stops reading them.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Pass ``chunks`` on; they raise what is wrong with them."""
        self._chunks = chunks
        self._ended = False
        self._failure: BaseException | None = None

    def __next__(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        try:
            return next(self._chunks)
        except StopIteration:
            self._ended = True
            raise
        except BaseException as error:
            self._failure = error  # a failed generator ends quietly the next time, as if all were well
            raise

    def finish(self) -> None:
        """Read what the consumer left, so that it is checked; raises what reading it raises, again where it did."""
        left = not self._ended
        for _ in self:
            pass
        if left:
            self._failure = RuntimeError("a member of an archive cannot be read after the next one was asked for")


def _problem_of(name: str, *, folder: bool) -> str:
    categories = {unicodedata.category(character) for character in name}
    problems = {
        "has no name": not name or (posixpath.normpath(name) == "." and not folder),
        "has a name that is not Unicode": "Cs" in categories,
        "has a control character in its name": bool(categories & _CONTROLS),
        "has a backslash in its name": "\\" in name,
        "has an absolute name": name.startswith("/") or _DRIVE.match(name) is not None,
        "has a name that leaves the archive": ".." in name.split("/"),
        "is a file with the name of a folder": name.endswith("/") and not folder,
    }
    return next((problem for problem, found in problems.items() if found), "")
