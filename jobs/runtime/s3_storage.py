"""A prefix of an S3 bucket as a store: conditional requests, exact versions, reads that go on where they broke off."""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from jobs.runtime.errors import ObjectChangedError, ObjectExistsError, StorageError, describe
from jobs.runtime.objects import ObjectInfo, below
from transforms.streams.chunks import CHUNK_SIZE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_SIZE: Final = 16 << 20
_READ_ATTEMPTS: Final = 5


class S3Storage:
    """A prefix of a bucket."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.root = f"s3://{bucket}/{prefix}".rstrip("/")
        self._clock: tuple[float, float] | None = None  # S3's time and the machine's, of the last answer

    def uri(self, key: str) -> str:
        """Return the full URI of ``key``."""
        return f"{self.root}/{key}"

    def key_of(self, uri: str) -> str:
        """Return the key of a full URI."""
        return below(self.root, uri)

    def now(self) -> float:
        """Return S3's time: the date of its last answer, and how long ago that was."""
        if self._clock is None:
            self._call("list_objects_v2", Prefix=f"{self._prefix}state/", MaxKeys=1)
        date, at = self._clock or (time.time(), time.monotonic())
        return date + time.monotonic() - at

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            answer = getattr(self._client, operation)(Bucket=self._bucket, **parameters)
        except ClientError as error:
            raise _translate(
                error, f"s3://{self._bucket}/{parameters.get('Key', parameters.get('Prefix', ''))}"
            ) from None
        except BotoCoreError as error:
            raise StorageError(f"{operation} on bucket {self._bucket} failed: {describe(error)}") from None
        date = (answer or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            self._clock = (email.utils.parsedate_to_datetime(date).timestamp(), time.monotonic())
        return answer

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the newest versions; ``version`` is filled by ``find`` alone, for a listing does not have it."""
        for entry in self._entries(prefix):
            if not entry["Key"].endswith("/"):
                key = entry["Key"].removeprefix(self._prefix)
                yield ObjectInfo(key, entry["Size"], "", entry["ETag"], entry["LastModified"].timestamp())

    def _entries(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        parameters: dict[str, Any] = {"Prefix": self._prefix + prefix}
        while True:
            page = self._call("list_objects_v2", **parameters)
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = page["NextContinuationToken"]

    def find(self, key: str) -> ObjectInfo | None:
        """Return the object's present state with its version."""
        try:
            head = self._call("head_object", Key=self._prefix + key)
        except ObjectMissingError:
            return None
        except AccessRefusedError:
            # S3 says 404 only to those who may list; of a right to list a prefix it is documented only for listings.
            if self._is_absent(key):
                return None
            raise
        return ObjectInfo(
            key, head["ContentLength"], head.get("VersionId", ""), head["ETag"], head["LastModified"].timestamp()
        )

    def _is_absent(self, key: str) -> bool:
        page = self._call("list_objects_v2", Prefix=self._prefix + key, MaxKeys=1)
        return not any(entry["Key"] == self._prefix + key for entry in page.get("Contents", []))

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
                failures = self._failed(item.key, failures, error)

    def read(self, key: str) -> bytes:
        """Return the object's bytes, all of one state."""
        failures = 0
        while True:
            try:
                data: bytes = self._call("get_object", Key=self._prefix + key)["Body"].read()
            except BotoCoreError as error:
                failures = self._failed(key, failures, error)
            else:
                return data

    def _failed(self, key: str, failures: int, error: BotoCoreError) -> int:
        """Wait a little after an answer that broke off; StorageError where that was once too often."""
        failures += 1
        if failures >= _READ_ATTEMPTS:
            raise StorageError(f"{self.uri(key)} broke off {failures} times: {describe(error)}") from None
        time.sleep(2**failures / 10)
        return failures

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

    def delete_folder_markers(self, prefix: str) -> None:
        """Delete the empty objects, named with a slash at the end, that S3A leaves for folders."""
        for entry in self._entries(prefix):
            if entry["Key"].endswith("/") and not entry["Size"]:
                self._call("delete_object", Key=entry["Key"])

    def delete_prefix(self, prefix: str) -> int:
        """Delete a thousand objects a call, with their earlier versions: clear data must not live on as one."""
        count = 0
        while True:  # from the start each time: what was listed is gone by then
            page = self._call("list_object_versions", Prefix=self._prefix + prefix)
            versions = page.get("Versions", [])
            doomed = [
                {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                for entry in [*versions, *page.get("DeleteMarkers", [])]
            ]
            if doomed:
                answer = self._call("delete_objects", Delete={"Objects": doomed, "Quiet": True})
                self._check_deleted(prefix, answer.get("Errors") or [])
            count += sum(1 for entry in versions if entry["IsLatest"])
            if not page.get("IsTruncated"):
                return count

    def _check_deleted(self, prefix: str, errors: Sequence[Mapping[str, Any]]) -> None:
        if errors:
            raise StorageError(
                f"{len(errors)} objects below {self.uri(prefix)} cannot be deleted: {errors[0].get('Code', '')}"
            )


class ObjectMissingError(ObjectChangedError):
    """There is no such object."""


class AccessRefusedError(StorageError):
    """The role may not do that, or may not know whether there is such an object."""


def _state(item: ObjectInfo) -> dict[str, str]:
    """Name a state: by its tag too, for where versions are suspended all of them are called null."""
    return {"IfMatch": item.etag, **({"VersionId": item.version} if item.version else {})}


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
        return AccessRefusedError(
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
