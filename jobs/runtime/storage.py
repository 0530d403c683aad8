"""One way to list, read, write, copy and delete objects by key below a root URI, on a disk and on S3.

Keys are relative to the root and use ``/``. Nothing is ever visible half-written. A conditional put (``create``,
``replace``) is what locks, manifests and ledgers stand on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Protocol

from jobs.runtime.errors import ArgumentError
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.s3_storage import S3Storage
from jobs.runtime.split_storage import SplitStorage

#: What readers may see, and what may therefore be in a bucket of its own.
CURATED: Final = "curated/"


class Storage(Protocol):
    """What the jobs need of a store."""

    root: str

    def uri(self, key: str) -> str:
        """Return the full URI of ``key``, as Spark takes it."""

    def key_of(self, uri: str) -> str:
        """Return the key of a full URI below the root; StorageError where it is elsewhere."""

    def now(self) -> float:
        """Return the time by the store's own clock, in seconds since 1970."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with ``prefix``, in the order of their keys."""

    def find(self, key: str) -> ObjectInfo | None:
        """Return the object's present state, or None."""

    def chunks(self, item: ObjectInfo, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of exactly that state from ``offset``; ObjectChangedError where it was replaced."""

    def read(self, key: str) -> bytes:
        """Return a small object; StorageError where it is not there."""

    def create(self, key: str, data: bytes) -> str:
        """Write a new object and return its etag; ObjectExistsError where there is one."""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Overwrite the state called ``etag`` and return the new one; ObjectChangedError where it is another one."""

    def open_output(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a new object for writing; it appears, whole, when the context ends without an error."""

    def copy(self, item: ObjectInfo, target: str) -> None:
        """Copy exactly that state to another key of this store."""

    def delete(self, item: ObjectInfo) -> None:
        """Delete exactly that state; ObjectChangedError where it was replaced. One that is gone is fine."""

    def delete_prefix(self, prefix: str) -> int:
        """Delete everything below ``prefix`` for good, earlier versions too; return how many objects that were."""

    def delete_folder_markers(self, prefix: str) -> None:
        """Delete what stands for folders below ``prefix`` and is no file: readers want files alone."""


def open_storage(root: str, curated_root: str | None = None) -> Storage:
    """Open the store at ``root``, a ``file://`` or ``s3://`` URI, whose curated/ may be below another root.

    Raises ArgumentError for what is no such URI. The path is taken as it is written, as Spark takes it: nothing in it
    is percent-encoded.
    """
    if curated_root is not None and curated_root.rstrip("/") != root.rstrip("/"):
        return SplitStorage(_open(root), CURATED, _open(curated_root))
    return _open(root)


def _open(root: str) -> Storage:
    scheme, _, rest = root.partition("://")
    if scheme == "file" and rest.startswith("/"):
        return LocalStorage(Path(rest))
    if scheme == "s3" and rest and not rest.startswith("/"):
        import boto3  # noqa: PLC0415  local runs need no AWS
        from botocore.config import Config  # noqa: PLC0415

        client = boto3.client("s3", config=Config(retries={"mode": "adaptive", "max_attempts": 10}))
        bucket, _, prefix = rest.partition("/")
        return S3Storage(client, bucket, prefix.strip("/"))
    raise ArgumentError(f"{root!r} is no URI of a store: give file:///folder or s3://bucket/prefix")


def read_uri(uri: str) -> bytes:
    """Return a small object by its full URI (``file:///…`` or ``s3://…``)."""
    folder, _, name = uri.rpartition("/")
    return open_storage(f"{folder}/").read(name)
