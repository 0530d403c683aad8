"""What the tests of the streams share."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import settings, strategies

#: How property tests run here.
PROPERTY = settings(deadline=None, max_examples=100)

#: Bytes a chunk: one at a time, sizes that fall across every border, everything at once.
CHUNK_SIZES = strategies.sampled_from([1, 2, 3, 5, 7, 63, 64, 65, 1 << 16])


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Yield ``data`` in chunks of ``size`` bytes."""
    return (data[start : start + size] for start in range(0, len(data), size))
