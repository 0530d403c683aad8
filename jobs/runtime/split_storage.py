"""Two stores as one: what is below one prefix lies in a store of its own, such as the bucket that readers may see."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from jobs.runtime.errors import StorageError
from jobs.runtime.objects import ObjectInfo

if TYPE_CHECKING:
    from jobs.runtime.storage import Storage


class SplitStorage:
    """The store ``rest``, but for the keys that start with ``prefix``: they are in ``apart``, under the same keys."""

    def __init__(self, rest: Storage, prefix: str, apart: Storage) -> None:
        self._rest, self._prefix, self._apart = rest, prefix, apart
        self.root = rest.root

    def _store(self, key: str) -> Storage:
        return self._apart if key.startswith(self._prefix) else self._rest

    def uri(self, key: str) -> str:
        """Return the full URI of ``key`` in the store that it is in."""
        return self._store(key).uri(key)

    def key_of(self, uri: str) -> str:
        """Return the key of a full URI; StorageError where it is in neither store, or in the wrong one."""
        for store in (self._apart, self._rest):
            if uri.startswith(f"{store.root}/"):
                key = store.key_of(uri)
                if self._store(key) is store:
                    return key
        raise StorageError(f"{uri} is neither below {self._rest.root} nor below {self._apart.uri(self._prefix)}")

    def now(self) -> float:
        """Return the time of the store that objects land in."""
        return self._rest.now()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects of both stores, in the order of their keys."""
        if prefix.startswith(self._prefix):
            return self._apart.list(prefix)
        rest = (item for item in self._rest.list(prefix) if not item.key.startswith(self._prefix))
        if not self._prefix.startswith(prefix):
            return rest
        return iter(sorted(itertools.chain(rest, self._apart.list(self._prefix)), key=lambda item: item.key))

    def find(self, key: str) -> ObjectInfo | None:
        """Return the object's present state, or None."""
        return self._store(key).find(key)

    def chunks(self, item: ObjectInfo, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of exactly that state."""
        return self._store(item.key).chunks(item, offset)

    def read(self, key: str) -> bytes:
        """Return a small object."""
        return self._store(key).read(key)

    def create(self, key: str, data: bytes) -> str:
        """Write a new object."""
        return self._store(key).create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Overwrite one state of an object."""
        return self._store(key).replace(key, data, etag)

    def open_output(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a new object for writing."""
        return self._store(key).open_output(key)

    def copy(self, item: ObjectInfo, target: str) -> None:
        """Copy within one of the stores; StorageError for a copy from one to the other."""
        if self._store(item.key) is not self._store(target):
            raise StorageError(f"{self.uri(item.key)} is not copied to {self.uri(target)}, which is another store")
        self._store(item.key).copy(item, target)

    def delete(self, item: ObjectInfo) -> None:
        """Delete exactly that state."""
        self._store(item.key).delete(item)

    def delete_prefix(self, prefix: str) -> int:
        """Delete everything below ``prefix``, in both stores."""
        if prefix.startswith(self._prefix):
            return self._apart.delete_prefix(prefix)
        both = self._prefix.startswith(prefix)
        return self._rest.delete_prefix(prefix) + (self._apart.delete_prefix(self._prefix) if both else 0)

    def delete_folder_markers(self, prefix: str) -> None:
        """Delete what stands for folders in the store that ``prefix`` is in."""
        self._store(prefix).delete_folder_markers(prefix)
