"""One way to list, read, write, copy and delete objects by key below a root URI, on a disk and on S3.

Keys are relative to the root and use ``/``. Nothing is ever visible half-written. A conditional put (``create``,
``replace``) is what locks, manifests and ledgers stand on.
"""

from __future__ import annotations

import contextlib
import email.utils
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from jobs.runtime.errors import ArgumentError, ObjectChangedError, ObjectExistsError, StorageError, describe
from transforms.streams.chunks import CHUNK_SIZE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARTIAL: Final = ".partial"  # folder below a local root for what is being written
_PART_SIZE: Final = 16 << 20
_READ_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class ObjectInfo:
    """What identifies one state of an object.

    ``version`` is empty where the store has none, ``size`` is in bytes, ``modified`` in seconds since 1970 by the
    store's own clock.
    """

    key: str
    size: int
    version: str
    etag: str
    modified: float


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
        """Delete everything below ``prefix``; return how many objects that were."""


def open_storage(root: str) -> Storage:
    """Open the store at ``root``, a ``file://`` or ``s3://`` URI. Raises ArgumentError for another one.

    The path is taken as it is written, as Spark takes it: nothing in it is percent-encoded.
    """
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


class LocalStorage:
    """A folder of a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = f"file://{folder}"

    def uri(self, key: str) -> str:
        """Return the full URI of ``key``."""
        return f"{self.root}/{key}"

    def key_of(self, uri: str) -> str:
        """Return the key of a full URI."""
        return _below(self.root, uri)

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
        descriptor, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

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
        with self._partial() as (file, path), (self._folder / _PARTIAL / "lock").open("wb") as lock:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            fcntl.flock(lock, fcntl.LOCK_EX)
            present = self.find(key)
            if present is None or present.etag != etag:
                raise ObjectChangedError(f"{self.uri(key)} was changed by somebody else")
            path.replace(target)
            return _local_etag(os.fstat(file.fileno()))

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
        """Delete that state of the file."""
        present = self.find(item.key)
        if present is None:
            return
        if present.etag != item.etag:
            raise ObjectChangedError(f"{self.uri(item.key)} was replaced in the meantime")
        self._path(item.key).unlink()

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


def _below(root: str, uri: str) -> str:
    if not uri.startswith(f"{root}/"):
        raise StorageError(f"{uri} is not below {root}")
    return uri.removeprefix(f"{root}/")


def _local_etag(state: os.stat_result) -> str:
    return f"{state.st_ino:x}-{state.st_size:x}-{state.st_mtime_ns:x}"


class S3Storage:
    """A prefix of a bucket."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.root = f"s3://{bucket}/{prefix}".rstrip("/")

    def uri(self, key: str) -> str:
        """Return the full URI of ``key``."""
        return f"{self.root}/{key}"

    def key_of(self, uri: str) -> str:
        """Return the key of a full URI."""
        return _below(self.root, uri)

    def now(self) -> float:
        """Return S3's time, from the date of a small answer."""
        answer = self._call("list_objects_v2", Prefix=self._prefix, MaxKeys=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        return email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **parameters)
        except ClientError as error:
            raise _translate(
                error, f"s3://{self._bucket}/{parameters.get('Key', parameters.get('Prefix', ''))}"
            ) from None
        except BotoCoreError as error:
            raise StorageError(f"{operation} on bucket {self._bucket} failed: {describe(error)}") from None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the newest versions; ``version`` is filled by ``find`` alone, for a listing does not have it."""
        parameters: dict[str, Any] = {"Prefix": self._prefix + prefix}
        while True:
            page = self._call("list_objects_v2", **parameters)
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    key = entry["Key"].removeprefix(self._prefix)
                    yield ObjectInfo(key, entry["Size"], "", entry["ETag"], entry["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = page["NextContinuationToken"]

    def find(self, key: str) -> ObjectInfo | None:
        """Return the object's present state with its version."""
        try:
            head = self._call("head_object", Key=self._prefix + key)
        except ObjectMissingError:
            return None
        return ObjectInfo(
            key, head["ContentLength"], head.get("VersionId", ""), head["ETag"], head["LastModified"].timestamp()
        )

    def chunks(self, item: ObjectInfo, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of that state; a connection that breaks is taken up where it broke."""
        position = offset
        failures = 0
        while position < item.size:
            try:
                body = self._call(
                    "get_object", Key=self._prefix + item.key, Range=f"bytes={position}-", **_state(item)
                )["Body"]
                while chunk := body.read(CHUNK_SIZE):
                    yield chunk
                    position += len(chunk)
                    failures = 0
            except BotoCoreError as error:
                failures += 1
                if failures >= _READ_ATTEMPTS:
                    raise StorageError(f"{self.uri(item.key)} broke off {failures} times: {describe(error)}") from None
                time.sleep(2**failures / 10)

    def read(self, key: str) -> bytes:
        """Return the object's bytes."""
        try:
            data: bytes = self._call("get_object", Key=self._prefix + key)["Body"].read()
        except BotoCoreError as error:
            raise StorageError(f"{self.uri(key)} cannot be read: {describe(error)}") from None
        return data

    def create(self, key: str, data: bytes) -> str:
        """Put with If-None-Match."""
        etag: str = self._call("put_object", Key=self._prefix + key, Body=data, IfNoneMatch="*")["ETag"]
        return etag

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Put with If-Match."""
        try:
            new: str = self._call("put_object", Key=self._prefix + key, Body=data, IfMatch=etag)["ETag"]
        except (ObjectExistsError, ObjectMissingError):
            raise ObjectChangedError(f"{self.uri(key)} was changed by somebody else") from None
        return new

    @contextlib.contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        """Upload in parts; the object appears when the last call ends them, and an error leaves nothing."""
        upload = _Upload(self, self._prefix + key)
        try:
            yield upload  # type: ignore[misc]  # the part of IO[bytes] that writers use
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    def copy(self, item: ObjectInfo, target: str) -> None:
        """Copy inside S3, in parts where the object is large."""
        source = {"Bucket": self._bucket, "Key": self._prefix + item.key}
        if item.version:
            source["VersionId"] = item.version
        try:
            self._client.copy(source, self._bucket, self._prefix + target, ExtraArgs={"CopySourceIfMatch": item.etag})  # type: ignore[arg-type]
        except ClientError as error:
            raise _translate(error, self.uri(item.key)) from None
        except BotoCoreError as error:
            raise StorageError(f"{self.uri(item.key)} cannot be copied: {describe(error)}") from None

    def delete(self, item: ObjectInfo) -> None:
        """Delete with If-Match; on a versioned bucket the older versions stay until the lifecycle takes them."""
        present = self.find(item.key)
        if present is None:
            return
        if present.etag != item.etag or (item.version and present.version != item.version):
            raise ObjectChangedError(f"{self.uri(item.key)} was replaced in the meantime")
        with contextlib.suppress(ObjectMissingError):
            self._call("delete_object", Key=self._prefix + item.key, IfMatch=item.etag)

    def delete_prefix(self, prefix: str) -> int:
        """Delete a thousand objects a call."""
        keys = [{"Key": self._prefix + item.key} for item in self.list(prefix)]
        for start in range(0, len(keys), 1000):
            answer = self._call("delete_objects", Delete={"Objects": keys[start : start + 1000], "Quiet": True})
            if answer.get("Errors"):
                code = answer["Errors"][0].get("Code", "")
                raise StorageError(
                    f"{len(answer['Errors'])} objects below {self.uri(prefix)} cannot be deleted: {code}"
                )
        return len(keys)


class ObjectMissingError(StorageError):
    """There is no such object."""


def _state(item: ObjectInfo) -> dict[str, str]:
    return {"VersionId": item.version} if item.version else {"IfMatch": item.etag}


def _translate(error: ClientError, uri: str) -> StorageError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in ("404", "NoSuchKey", "NoSuchVersion"):
        return ObjectMissingError(f"{uri} is not there")
    if code in ("PreconditionFailed", "ConditionalRequestConflict") or status in (409, 412):
        conditional_get = error.operation_name in (
            "GetObject",
            "CopyObject",
            "UploadPartCopy",
            "HeadObject",
            "DeleteObject",
        )
        return (ObjectChangedError if conditional_get else ObjectExistsError)(
            f"{uri} is not in the state that was expected"
        )
    if code in ("403", "AccessDenied"):
        return StorageError(
            f"{uri}: access denied for {error.operation_name}; see the role's policy and the bucket's key"
        )
    return StorageError(f"{uri}: {error.operation_name} failed with {code}")


class _Upload:
    """The writing end of a multipart upload; small objects go in one put."""

    def __init__(self, storage: S3Storage, key: str) -> None:
        self._storage, self._key = storage, key
        self._buffer = bytearray()
        self._upload_id = ""
        self._parts: list[dict[str, Any]] = []
        self._position = 0
        self.closed = False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing: parts go when they are full."""

    def close(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> int:
        self._buffer += data
        self._position += len(data)
        while len(self._buffer) >= _PART_SIZE:
            self._send(bytes(self._buffer[:_PART_SIZE]))
            del self._buffer[:_PART_SIZE]
        return len(data)

    def _send(self, part: bytes) -> None:
        call = self._storage._call  # noqa: SLF001  one machine in two classes
        if not self._upload_id:
            self._upload_id = call("create_multipart_upload", Key=self._key)["UploadId"]
        number = len(self._parts) + 1
        answer = call("upload_part", Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=part)
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})

    def complete(self) -> None:
        call = self._storage._call  # noqa: SLF001
        if not self._upload_id:
            call("put_object", Key=self._key, Body=bytes(self._buffer))
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        call(
            "complete_multipart_upload", Key=self._key, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
        )

    def abort(self) -> None:
        if self._upload_id:
            with contextlib.suppress(StorageError):  # the bucket's lifecycle ends what is left
                self._storage._call("abort_multipart_upload", Key=self._key, UploadId=self._upload_id)  # noqa: SLF001
