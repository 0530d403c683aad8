"""What a fuzz target is: bytes in, nothing out, and an exception of any kind is a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from transforms.streams.bad_file import REASONS, BadFile
from transforms.streams.chunks import OpenChunks

#: A value that stands in the rows of the seeds, and may stand in no message.
CANARY: Final = "zoecanary"

#: How bytes are cut where a target leaves it to its input.
CHUNK_SIZES: Final = (1, 2, 3, 5, 7, 16, 63, 64, 65, 511, 4096, 1 << 16)


class BrokenLawError(AssertionError):
    """The product did not fail, but what it did is wrong."""


@dataclass(frozen=True)
class Target:
    """``run`` takes any bytes; ``seeds`` are inputs that reach far into the code, made on the spot.

    ``memory`` is what the process may have at most, in MiB; Python with all modules has 200.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    memory: int = 1024


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Yield ``data`` in chunks of ``size`` bytes."""
    return (data[start : start + size] for start in range(0, len(data), size))


def opener(data: bytes, size: int) -> OpenChunks:
    """Open ``data`` as a stored object would be opened."""
    return lambda offset: pieces(data[offset:], size)


def chunk_size(choice: int) -> int:
    """Return the chunk size that one byte of the input chooses."""
    return CHUNK_SIZES[choice % len(CHUNK_SIZES)]


def require(law: str, *, holds: bool) -> None:
    """Raise BrokenLawError where the ``law`` does not hold."""
    if not holds:
        raise BrokenLawError(law)


def check_message(text: str) -> None:
    """Hold a message against the canary: it may say what is wrong, and where, but nothing that stands in a row."""
    require(f"a message shows a value: {text!r}", holds=CANARY not in text.casefold())


def check_refusal(problem: BadFile) -> str:
    """Check the refusal of a file and return its reason."""
    require(f"{problem.reason} is no reason", holds=problem.reason in REASONS)
    check_message(str(problem))
    return problem.reason
