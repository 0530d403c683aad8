"""A folder of a disk as a store. What is written appears whole: it is written beside, then linked or renamed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from jobs.runtime.errors import ObjectChangedError, ObjectExistsError, StorageError
from jobs.runtime.objects import ObjectInfo, below
from transforms.streams.chunks import CHUNK_SIZE

_PARTIAL: Final = ".partial"  # folder below a local root for what is being written
_WRITING: Final = "writing-"
_DELETING: Final = "deleting-"


class LocalStorage:
    """A folder of a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = f"file://{folder}"
        self._is_swept = False

    def uri(self, key: str) -> str:
        """Return the full URI of ``key``."""
        return f"{self.root}/{key}"

    def key_of(self, uri: str) -> str:
        """Return the key of a full URI."""
        return below(self.root, uri)

    def now(self) -> float:
        """Return the machine's time."""
        return time.time()

    def _path(self, key: str) -> Path:
        if ".." in Path(key).parts or key.startswith("/"):
            raise StorageError(f"{key!r} leaves the store")
        return self._folder / key

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield regular files; links and what is being written are passed over."""
        start = self._path(prefix.rpartition("/")[0])
        found: list[str] = []
        for folder, folders, names in os.walk(start):
            if Path(folder) == self._folder and _PARTIAL in folders:
                folders.remove(_PARTIAL)
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(self._folder).as_posix()
                if key.startswith(prefix) and path.is_file() and not path.is_symlink():
                    found.append(key)
        for key in sorted(found):
            item = self.find(key)
            if item is not None:
                yield item

    def find(self, key: str) -> ObjectInfo | None:
        """Return the file's present state; its etag is made of inode, size and time."""
        try:
            state = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(state.st_mode):
            return None
        return ObjectInfo(key, state.st_size, "", _local_etag(state), state.st_mtime)

    def chunks(self, item: ObjectInfo, offset: int = 0) -> Iterator[bytes]:
        """Yield the file's bytes; the state is checked before and after."""
        try:
            with self._path(item.key).open("rb", buffering=0) as file:
                self._check(item, os.fstat(file.fileno()))
                file.seek(offset)
                while chunk := file.read(CHUNK_SIZE):
                    yield chunk
                self._check(item, os.fstat(file.fileno()))
        except FileNotFoundError:
            raise ObjectChangedError(f"{self.uri(item.key)} is gone, it was there when it was looked for") from None
        except OSError as error:
            raise StorageError(f"{self.uri(item.key)} cannot be read: {error.strerror}") from None

    def _check(self, item: ObjectInfo, state: os.stat_result) -> None:
        if _local_etag(state) != item.etag:
            raise ObjectChangedError(f"{self.uri(item.key)} was replaced while it was read")

    def read(self, key: str) -> bytes:
        """Return the file's bytes."""
        try:
            return self._path(key).read_bytes()
        except OSError as error:
            raise StorageError(f"{self.uri(key)} cannot be read: {error.strerror}") from None

    @contextlib.contextmanager
    def _partial(self) -> Iterator[tuple[IO[bytes], Path]]:
        folder = self._folder / _PARTIAL
        folder.mkdir(parents=True, exist_ok=True)
        self._sweep(folder)
        while True:
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=_WRITING)
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # ends with the process, however that ends
            if os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)  # swept away by another process before it was locked
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def _sweep(self, folder: Path) -> None:
        """Once, delete what processes were writing when they were killed: it may be clear data."""
        if self._is_swept:
            return
        for path in folder.glob(f"{_WRITING}*"):
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        if any(folder.glob(f"{_DELETING}*")):
            with self._alone():  # whoever holds this is in the midst of a deletion
                for deleting in folder.glob(f"{_DELETING}*"):
                    for aside in [path for path in deleting.rglob("*") if path.is_file()]:
                        etag = deleting.name.removeprefix(_DELETING)
                        self._settle(aside, self._folder / aside.relative_to(deleting), etag)
                    shutil.rmtree(deleting, ignore_errors=True)
        self._is_swept = True

    def create(self, key: str, data: bytes) -> str:
        """Write a new file; the hard link makes it appear whole and never over another."""
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._partial() as (file, path):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(path, target)
            except FileExistsError:
                raise ObjectExistsError(f"{self.uri(key)} exists already") from None
            return _local_etag(os.fstat(file.fileno()))

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Overwrite one state of a file, under a lock that all our processes on this machine share."""
        target = self._path(key)
        with self._partial() as (file, path):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            with self._alone():
                present = self.find(key)
                if present is None or present.etag != etag:
                    raise ObjectChangedError(f"{self.uri(key)} was changed by somebody else")
                path.replace(target)
                return _local_etag(os.fstat(file.fileno()))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all our other processes on this machine from changing what they have just looked at."""
        folder = self._folder / _PARTIAL
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        """Write beside, then rename."""
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._partial() as (file, path):
            yield file
            file.flush()
            os.fsync(file.fileno())
            path.replace(target)

    def copy(self, item: ObjectInfo, target: str) -> None:
        """Copy the bytes of that state."""
        with self.open_output(target) as file:
            for chunk in self.chunks(item):
                file.write(chunk)

    def delete(self, item: ObjectInfo) -> None:
        """Delete that state of the file. It is taken aside before it is looked at: a source may replace it any time."""
        with self._alone():
            present = self.find(item.key)
            if present is None:
                return
            if present.etag == item.etag and self._is_deleted(item):
                return
        raise ObjectChangedError(f"{self.uri(item.key)} was replaced in the meantime")

    def _is_deleted(self, item: ObjectInfo) -> bool:
        """Take the file aside and delete it, if it is that state; else put it back, unless there is a newer one."""
        path = self._path(item.key)
        aside = self._folder / _PARTIAL / f"{_DELETING}{item.etag}" / item.key
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.rename(aside)
        except FileNotFoundError:
            shutil.rmtree(self._folder / _PARTIAL / f"{_DELETING}{item.etag}")
            return True
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise StorageError(f"{self.uri(item.key)} cannot be deleted: {error.strerror}") from None
            path.unlink()  # another disk, mounted below the root: there is no way to take it aside
            return True
        is_that = self._settle(aside, path, item.etag)
        shutil.rmtree(self._folder / _PARTIAL / f"{_DELETING}{item.etag}")
        return is_that

    @staticmethod
    def _settle(aside: Path, path: Path, etag: str) -> bool:
        """Delete the file that was taken aside if it is that state, and return whether it is; else put it back."""
        is_that = _local_etag(aside.stat()) == etag
        if not is_that:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()
        return is_that

    def delete_prefix(self, prefix: str) -> int:
        """Delete a folder, or the files whose names start with ``prefix``."""
        count = sum(1 for _ in self.list(prefix))
        if prefix.endswith("/"):
            try:
                shutil.rmtree(self._path(prefix))
            except FileNotFoundError:
                pass
            except OSError as error:
                raise StorageError(f"{self.uri(prefix)} cannot be deleted: {error.strerror}") from None
        else:
            for item in list(self.list(prefix)):
                self.delete(item)
        return count

    def delete_folder_markers(self, prefix: str) -> None:
        """Do nothing: folders of a disk are no files."""


def _local_etag(state: os.stat_result) -> str:
    return f"{state.st_ino:x}-{state.st_size:x}-{state.st_mtime_ns:x}"
