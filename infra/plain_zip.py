"""Zip archives whose bytes depend on nothing but names and contents."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Final

#: The earliest time that a zip can tell; the commit says when.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_MODE: Final = 0o100644


def zip_bytes(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip of ``entries``, contents by name: sorted, one time, one mode, nothing compressed.

    Stored, because what a compressor writes differs between versions of zlib and its rewrites.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            about = zipfile.ZipInfo(name, _TIME)
            about.create_system = _UNIX
            about.external_attr = _MODE << 16
            archive.writestr(about, entries[name])
    return buffer.getvalue()
