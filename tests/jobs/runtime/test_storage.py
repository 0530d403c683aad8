"""One table of behaviours for the stores. moto answers for S3; what it does not enforce is said where it matters."""

from __future__ import annotations

import datetime as dt
import io
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ResponseStreamingError
from moto.s3.models import s3_backends

from jobs.runtime import s3_storage as module
from jobs.runtime.errors import ArgumentError, ObjectChangedError, ObjectExistsError, StorageError
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.s3_storage import S3Storage
from jobs.runtime.storage import Storage, open_storage, read_uri
from tests.jobs.runtime.conftest import new_name
from transforms.streams.chunks import CHUNK_SIZE

KEYS = [
    "a b/c d.csv",
    "a%20b.csv",
    "a+b.csv",
    "a:b 12:00.csv",
    "country=DE/part=1.csv",
    "landing/Zoë 😀.csv",
    "landing/x#y?z&w.csv",
    "semi;colon,comma'quote.csv",
]


@dataclass
class Store:
    storage: Storage
    kind: str

    def write(self, key: str, data: bytes) -> ObjectInfo:
        """Put ``data`` at ``key``, whatever is there, and return the state."""
        with self.storage.open_output(key) as file:
            file.write(data)
        found = self.storage.find(key)
        assert found is not None
        return found

    def listed(self, key: str) -> ObjectInfo:
        return next(item for item in self.storage.list(key) if item.key == key)

    def content(self, item: ObjectInfo, offset: int = 0) -> bytes:
        return b"".join(self.storage.chunks(item, offset))


@pytest.fixture(params=["local", "s3", "s3-versioned"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store(LocalStorage(tmp_path), "local")
    request.getfixturevalue("aws")
    name = new_name("store")
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    if request.param == "s3-versioned":
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=name, Key="base/of-another/x", Body=b"not below our root")
    return Store(S3Storage(client, name, "base/our"), request.param)


def test_names_are_taken_as_they_are_and_listed_in_order(store: Store) -> None:
    for key in KEYS:
        store.write(key, key.encode())
    items = list(store.storage.list(""))
    assert [item.key for item in items] == sorted(KEYS)
    assert [item.size for item in items] == [len(key.encode()) for key in sorted(KEYS)]
    for item in items:
        assert store.content(item) == item.key.encode()
        assert store.storage.read(item.key) == item.key.encode()
        assert store.storage.key_of(store.storage.uri(item.key)) == item.key


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a/1", "a/2", "a0", "ab/1", "b"]),
        ("a", ["a/1", "a/2", "a0", "ab/1"]),
        ("a/", ["a/1", "a/2"]),
        ("a/2", ["a/2"]),
        ("ab", ["ab/1"]),
        ("c", []),
        ("b/", []),
        ("none/at/all/", []),
    ],
)
def test_a_prefix_is_one_of_characters(store: Store, prefix: str, expected: list[str]) -> None:
    for key in ("b", "ab/1", "a/2", "a/1", "a0"):
        store.write(key, b"x")
    assert [item.key for item in store.storage.list(prefix)] == expected


def test_a_listing_and_a_look_agree(store: Store) -> None:
    found = store.write("x", b"12345")
    listed = store.listed("x")
    assert (found.key, found.size, found.etag) == (listed.key, listed.size, listed.etag) == ("x", 5, found.etag)
    assert found.modified == pytest.approx(listed.modified, abs=1)
    assert found.modified == pytest.approx(store.storage.now(), abs=5)
    assert bool(found.version) == (store.kind == "s3-versioned")


def test_what_is_not_there_is_not_found(store: Store) -> None:
    store.write("folder/x", b"1")
    assert store.storage.find("y") is None
    assert store.storage.find("folder") is None
    assert store.storage.find("folder/x/y") is None
    with pytest.raises(StorageError, match="y"):
        store.storage.read("y")
    with pytest.raises(StorageError, match="gone"):
        store.content(ObjectInfo("gone", 1, "", '"etag"', 0.0))


def test_only_the_first_creates(store: Store) -> None:
    etag = store.storage.create("state/x/lock.json", b"first")
    with pytest.raises(ObjectExistsError, match=r"lock\.json"):
        store.storage.create("state/x/lock.json", b"second")
    found = store.storage.find("state/x/lock.json")
    assert found is not None
    assert found.etag == etag
    assert store.storage.read("state/x/lock.json") == b"first"


def test_of_many_at_once_exactly_one_creates(store: Store) -> None:
    wins: list[int] = []
    barrier = threading.Barrier(6)

    def attempt(number: int) -> None:
        barrier.wait()
        try:
            store.storage.create("race", str(number).encode())
        except ObjectExistsError:
            return
        wins.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # moto's check and put are two steps; on S3 and on a disk they are one.
    assert len(wins) == 1 if store.kind == "local" else len(wins) >= 1
    assert int(store.storage.read("race")) in wins


def test_a_stale_etag_replaces_nothing(store: Store) -> None:
    first = store.storage.create("x", b"1")
    second = store.storage.replace("x", b"2", first)
    assert second != first
    with pytest.raises(ObjectChangedError):
        store.storage.replace("x", b"3", first)
    assert store.storage.read("x") == b"2"
    store.storage.replace("x", b"4", second)
    assert store.storage.read("x") == b"4"


def test_what_is_gone_cannot_be_replaced(store: Store) -> None:
    etag = store.storage.create("x", b"1")
    item = store.storage.find("x")
    assert item is not None
    store.storage.delete(item)
    with pytest.raises(ObjectChangedError):
        store.storage.replace("x", b"2", etag)
    assert store.storage.find("x") is None


@pytest.mark.parametrize("size", [0, 1, (16 << 20) + 5, 32 << 20])
def test_an_output_appears_whole_at_the_end(store: Store, size: int) -> None:
    data = os.urandom(1 << 10) * (size >> 10) + b"e" * (size % (1 << 10))
    with store.storage.open_output("out/x") as file:
        file.write(data[: size // 2])
        file.write(data[size // 2 :])
        assert file.tell() == size
        assert store.storage.find("out/x") is None
        assert list(store.storage.list("")) == []
    assert store.storage.read("out/x") == data


@pytest.mark.parametrize("size", [3, (16 << 20) + 5])
def test_an_output_that_fails_leaves_nothing(store: Store, size: int) -> None:
    with pytest.raises(KeyError, match="broken"), store.storage.open_output("out/x") as file:  # noqa: PT012
        file.write(bytes(size))
        raise KeyError("broken")
    assert list(store.storage.list("")) == []
    if isinstance(store.storage, S3Storage):
        uploads = boto3.client("s3").list_multipart_uploads(Bucket=store.storage.root.split("/")[2])
        assert "Uploads" not in uploads
    else:
        assert [path for path in _folder(store).rglob("*") if path.is_file()] == []


def test_an_output_that_fails_leaves_what_was_there(store: Store) -> None:
    store.write("x", b"before")
    with pytest.raises(KeyError), store.storage.open_output("x") as file:  # noqa: PT012
        file.write(b"after")
        raise KeyError
    assert store.storage.read("x") == b"before"


@pytest.mark.parametrize("offset", [0, 1, CHUNK_SIZE, 2 * CHUNK_SIZE + 6, 2 * CHUNK_SIZE + 7])
def test_chunks_start_at_an_offset(store: Store, offset: int) -> None:
    data = os.urandom(2 * CHUNK_SIZE + 7)
    item = store.write("x", data)
    chunks = list(store.storage.chunks(item, offset))
    assert b"".join(chunks) == data[offset:]
    assert max(map(len, chunks), default=0) <= CHUNK_SIZE


def test_an_object_that_was_replaced_is_not_read(store: Store) -> None:
    store.write("x", b"old")
    item = store.listed("x")
    store.write("x", b"new")
    with pytest.raises(ObjectChangedError, match="x"):
        store.content(item)


def test_a_file_replaced_under_the_reader_is_noticed(tmp_path: Path) -> None:
    store = Store(LocalStorage(tmp_path), "local")
    item = store.write("x", bytes(3 * CHUNK_SIZE))
    chunks = store.storage.chunks(item)
    next(chunks)
    with (tmp_path / "x").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ObjectChangedError):
        list(chunks)


def test_only_that_state_is_copied(store: Store) -> None:
    store.write("landing/x y", b"old")
    item = store.listed("landing/x y")
    store.storage.copy(item, "archive/x y")
    assert store.storage.read("archive/x y") == store.storage.read("landing/x y") == b"old"
    store.write("landing/x y", b"new")
    with pytest.raises(ObjectChangedError):
        store.storage.copy(item, "archive/z")
    assert store.storage.find("archive/z") is None


def test_only_that_state_is_deleted(store: Store) -> None:
    item = store.write("x", b"old")
    store.write("x", b"new")
    with pytest.raises(ObjectChangedError):
        store.storage.delete(item)
    assert store.storage.read("x") == b"new"
    present = store.storage.find("x")
    assert present is not None
    store.storage.delete(present)
    assert store.storage.find("x") is None
    store.storage.delete(present)  # gone is fine


def test_a_version_is_read_and_copied_after_it_was_replaced(aws: str) -> None:
    del aws
    name = new_name("versions")
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    store = Store(S3Storage(client, name, ""), "s3-versioned")
    old = store.write("x", b"old")
    store.write("x", b"new!")
    assert store.content(old) == b"old"
    store.storage.copy(old, "y")
    assert store.storage.read("y") == b"old"


def test_another_version_with_the_same_bytes_is_not_deleted(aws: str) -> None:
    del aws
    name = new_name("versions")
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    store = Store(S3Storage(client, name, ""), "s3-versioned")
    old, new = store.write("x", b"same"), store.write("x", b"same")
    assert old.etag == new.etag
    with pytest.raises(ObjectChangedError):  # the etag would not tell; our own look does
        store.storage.delete(old)
    assert store.storage.find("x") == new


def test_a_delete_is_conditional_on_s3_itself() -> None:
    calls: list[dict[str, Any]] = []

    class Client:
        def head_object(self, **_: Any) -> dict[str, Any]:
            return {"ContentLength": 3, "ETag": '"e"', "LastModified": dt.datetime.fromtimestamp(0, dt.UTC)}

        def delete_object(self, **parameters: Any) -> None:
            calls.append(parameters)

    S3Storage(cast("Any", Client()), "b", "p").delete(ObjectInfo("x", 3, "", '"e"', 0.0))
    assert calls == [{"Bucket": "b", "Key": "p/x", "IfMatch": '"e"'}]


def test_a_prefix_of_many_objects_is_deleted(store: Store) -> None:
    kept = "raw/run=2/keep"
    store.write(kept, b"x")
    names = [f"raw/run=1/{number:04d}/x y" for number in range(1_100)]
    if isinstance(store.storage, S3Storage):
        backend = s3_backends["123456789012"]["aws"]
        for name in names:
            backend.put_object(store.storage.root.split("/")[2], f"base/our/{name}", b"")
    else:
        for name in names:
            path = _folder(store) / name
            path.parent.mkdir(parents=True)
            path.touch()
    assert store.storage.delete_prefix("raw/run=1/") == 1_100
    assert [item.key for item in store.storage.list("")] == [kept]
    assert store.storage.delete_prefix("raw/run=1/") == 0
    assert store.storage.delete_prefix("raw/run=2/ke") == 1
    assert list(store.storage.list("")) == []


def test_what_is_deleted_by_prefix_leaves_no_version_behind(aws: str) -> None:
    del aws
    name = new_name("versions")
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    store = Store(S3Storage(client, name, "base"), "s3-versioned")
    for data in (b"clear", b"clear again"):
        store.write("raw/run=1/x", data)
    store.write("raw/run=1/gone", b"clear")
    client.delete_object(Bucket=name, Key="base/raw/run=1/gone")
    store.write("raw/run=2/x", b"another run's")
    assert store.storage.delete_prefix("raw/run=1/") == 1
    answer = client.list_object_versions(Bucket=name)
    assert [entry["Key"] for entry in answer["Versions"]] == ["base/raw/run=2/x"]
    assert not answer.get("DeleteMarkers")


def test_markers_of_folders_go_and_files_stay(store: Store) -> None:
    store.write("curated/t/country=CA/part", b"rows")
    if isinstance(store.storage, S3Storage):
        bucket = store.storage.root.split("/")[2]
        for key in ("curated/t/", "curated/t/country=CA/", "raw/"):
            boto3.client("s3").put_object(Bucket=bucket, Key=f"base/our/{key}", Body=b"")
        store.storage.delete_folder_markers("curated/t/")
        found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="base/our/")["Contents"]
        assert [entry["Key"] for entry in found] == ["base/our/curated/t/country=CA/part", "base/our/raw/"]
    else:
        store.storage.delete_folder_markers("curated/t/")
    assert store.storage.read("curated/t/country=CA/part") == b"rows"


def test_the_clock_is_the_stores(store: Store) -> None:
    before = time.time()
    assert before - 2 <= store.storage.now() <= time.time() + 1


def test_s3_is_not_asked_for_the_time_after_it_has_told_it() -> None:
    asked: list[str] = []
    date = "Sun, 22 Nov 2026 12:00:00 GMT"

    class Client:
        def list_objects_v2(self, **parameters: Any) -> dict[str, Any]:
            asked.append(parameters["Prefix"])
            return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    storage = S3Storage(cast("Any", Client()), "b", "p")
    first = storage.now()
    assert first == pytest.approx(dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC).timestamp(), abs=1)
    assert first <= storage.now() <= first + 1
    assert asked == ["p/state/"]  # where every job may list


def _folder(store: Store) -> Path:
    return Path(store.storage.root.removeprefix("file://"))


# --- a disk alone


def test_links_and_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    storage = LocalStorage(tmp_path / "root")
    with storage.open_output("data/x") as file:
        file.write(b"1")
    (tmp_path / "root/data/link").symlink_to(outside / "secret")
    (tmp_path / "root/folder").symlink_to(outside)
    with storage.open_output("data/y") as file:
        file.write(b"2")
        assert [item.key for item in storage.list("")] == ["data/x"]
    assert [item.key for item in storage.list("")] == ["data/x", "data/y"]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd"])
def test_no_key_leaves_the_folder(tmp_path: Path, key: str) -> None:
    storage = LocalStorage(tmp_path / "root")
    for act in (storage.find, storage.read, storage.delete_prefix, lambda k: storage.create(k, b"")):
        with pytest.raises(StorageError, match="leaves the store"):
            act(key)


def test_a_file_with_the_same_size_and_time_is_another_state(tmp_path: Path) -> None:
    store = Store(LocalStorage(tmp_path), "local")
    first = store.write("x", b"1")
    (tmp_path / "y").write_bytes(b"2")
    os.utime(tmp_path / "y", (first.modified, first.modified))
    (tmp_path / "y").replace(tmp_path / "x")
    second = store.storage.find("x")
    assert second is not None
    assert second.etag != first.etag


def test_a_folder_that_cannot_be_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    storage.create("raw/x", b"clear text")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(StorageError, match="raw/ cannot be deleted: Permission denied"):
        storage.delete_prefix("raw/")


# --- two stores as one


@pytest.fixture
def split(tmp_path: Path) -> Storage:
    return open_storage(f"file://{tmp_path}/work", f"file://{tmp_path}/readers")


def test_what_readers_may_see_lies_apart(split: Storage, tmp_path: Path) -> None:
    for key in ("curated/t/x", "raw/x", "state/x"):
        split.create(key, key.encode())
    assert (tmp_path / "readers/curated/t/x").read_text() == "curated/t/x"
    assert sorted(path.name for path in (tmp_path / "work").iterdir() if path.name[0] != ".") == ["raw", "state"]
    for key in ("curated/t/x", "raw/x"):
        assert split.key_of(split.uri(key)) == key
        assert split.read(key) == key.encode()
    assert split.uri("curated/t/x") == f"file://{tmp_path}/readers/curated/t/x"
    assert [item.key for item in split.list("")] == ["curated/t/x", "raw/x", "state/x"]
    assert [item.key for item in split.list("curated/")] == ["curated/t/x"]
    assert [item.key for item in split.list("raw/")] == ["raw/x"]
    assert split.delete_prefix("") == 3
    assert list(split.list("")) == []


def test_each_of_two_stores_copies_and_deletes_its_own(split: Storage) -> None:
    split.create("curated/x", b"1")
    item = split.find("curated/x")
    assert item is not None
    split.copy(item, "curated/y")
    assert b"".join(split.chunks(item)) == split.read("curated/y") == b"1"
    with pytest.raises(StorageError, match="another store"):
        split.copy(item, "raw/y")
    etag = split.replace("curated/x", b"2", item.etag)
    with pytest.raises(ObjectChangedError):
        split.delete(item)
    present = split.find("curated/x")
    assert present is not None
    assert present.etag == etag
    split.delete(present)
    assert split.find("curated/x") is None


@pytest.mark.parametrize("uri", ["file:///elsewhere/x", "file://{}/work/curated/x", "file://{}/readers/raw/x"])
def test_a_uri_in_the_wrong_store_has_no_key(split: Storage, tmp_path: Path, uri: str) -> None:
    with pytest.raises(StorageError, match="neither below"):
        split.key_of(uri.format(tmp_path))


def test_one_root_for_both_is_one_store(tmp_path: Path) -> None:
    assert isinstance(open_storage(f"file://{tmp_path}", f"file://{tmp_path}/"), LocalStorage)


# --- URIs


@pytest.mark.parametrize("root", ["", "x", "/data", "http://x/y", "file://data", "s3://", "s3:///x", "gs://b/p"])
def test_a_root_is_a_uri(root: str) -> None:
    with pytest.raises(ArgumentError, match="no URI of a store"):
        open_storage(root)


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("file:///data/acme", "file:///data/acme/x y"),
        ("file:///data/a%20b/", "file:///data/a%20b/x y"),
        ("s3://bucket", "s3://bucket/x y"),
        ("s3://bucket/", "s3://bucket/x y"),
        ("s3://bucket/a/b/", "s3://bucket/a/b/x y"),
    ],
)
def test_a_root_may_end_with_a_slash(aws: str, root: str, uri: str) -> None:
    del aws
    storage = open_storage(root)
    assert storage.uri("x y") == uri
    assert storage.key_of(uri) == "x y"
    with pytest.raises(StorageError, match="not below"):
        storage.key_of(uri.replace("/x y", "z/x y"))


def test_a_small_object_is_read_by_its_uri(tmp_path: Path, bucket: str) -> None:
    (tmp_path / "a b.toml").write_bytes(b"local")
    boto3.client("s3").put_object(Bucket=bucket, Key="a b.toml", Body=b"top")
    boto3.client("s3").put_object(Bucket=bucket, Key="f/a b.toml", Body=b"below")
    assert read_uri(f"file://{tmp_path}/a b.toml") == b"local"
    assert read_uri(f"s3://{bucket}/a b.toml") == b"top"
    assert read_uri(f"s3://{bucket}/f/a b.toml") == b"below"
    with pytest.raises(StorageError, match="No such file"):
        read_uri("file:///no-such-file.toml")


# --- the network, for which a client stands in that breaks


class _BreakingBody:
    def __init__(self, data: bytes, breaks_after: int | None) -> None:
        self._data, self._left = io.BytesIO(data), breaks_after

    def read(self, size: int = -1) -> bytes:
        if self._left is None:
            return self._data.read(size)
        if not self._left:
            raise ResponseStreamingError(error="connection reset")
        taken = self._data.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(taken)
        return taken


class _BreakingClient:
    """Answers GetObject; the n-th answer breaks after as many bytes as the n-th number says, later ones do not."""

    def __init__(self, data: bytes, breaks: list[int | None]) -> None:
        self._data, self._breaks = data, iter(breaks)
        self.asked: list[tuple[str, str]] = []

    def get_object(self, **parameters: str) -> dict[str, Any]:
        assert (parameters["Bucket"], parameters["Key"]) == ("b", "p/x")
        self.asked.append((parameters.get("Range", ""), parameters.get("IfMatch", "")))
        start = int(parameters.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        return {"Body": _BreakingBody(self._data[start:], next(self._breaks, None))}


def test_a_broken_connection_is_taken_up_where_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("jobs.runtime.s3_storage.time.sleep", slept.append)
    data = os.urandom(1_000)
    client = _BreakingClient(data, [300, 0, 0, 0, 500])
    storage = S3Storage(cast("Any", client), "b", "p")
    assert b"".join(storage.chunks(ObjectInfo("x", 1_000, "", '"e"', 0.0), 100)) == data[100:]
    starts = [100, 400, 400, 400, 400, 900]
    assert client.asked == [(f"bytes={start}-", '"e"') for start in starts]
    assert slept == [0.2, 0.4, 0.8, 1.6, 0.2]


def test_a_connection_that_stays_broken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runtime.s3_storage.time.sleep", lambda _: None)
    client = _BreakingClient(b"secret data", [0] * 9)
    with pytest.raises(StorageError, match="s3://b/p/x broke off 5 times: ResponseStreamingError") as caught:
        list(S3Storage(cast("Any", client), "b", "p").chunks(ObjectInfo("x", 11, "", '"e"', 0.0)))
    assert len(client.asked) == 5
    assert "secret" not in str(caught.value)


def test_a_small_object_whose_connection_breaks_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runtime.s3_storage.time.sleep", lambda _: None)
    assert S3Storage(cast("Any", _BreakingClient(b"data", [0, 0])), "b", "p").read("x") == b"data"
    with pytest.raises(StorageError, match="s3://b/p/x broke off 5 times: ResponseStreamingError"):
        S3Storage(cast("Any", _BreakingClient(b"data", [0] * 5)), "b", "p").read("x")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [([], None), (["p/state/xy"], None), (["p/state/x"], "access denied"), (None, "access denied")],
)
def test_what_may_be_listed_but_not_asked_for_is_looked_up_in_a_listing(
    listed: list[str] | None, expected: str | None
) -> None:
    def refusal(operation: str) -> ClientError:
        answer = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        return ClientError(cast("Any", answer), operation)

    class Client:
        def head_object(self, **_: Any) -> None:
            raise refusal("HeadObject")

        def list_objects_v2(self, **parameters: Any) -> dict[str, Any]:
            assert parameters == {"Bucket": "b", "Prefix": "p/state/x", "MaxKeys": 1}
            if listed is None:
                raise refusal("ListObjectsV2")
            return {"Contents": [{"Key": key} for key in listed]}

    storage = S3Storage(cast("Any", Client()), "b", "p")
    if expected is None:
        assert storage.find("state/x") is None
    else:
        with pytest.raises(StorageError, match=expected):
            storage.find("state/x")


def test_an_unreachable_s3_is_an_error_of_ours() -> None:
    class Client:
        def __getattr__(self, _: str) -> Any:
            def call(*_: object, **__: object) -> None:
                raise EndpointConnectionError(endpoint_url="http://nowhere")

            return call

    storage = S3Storage(cast("Any", Client()), "b", "")
    item = ObjectInfo("x", 1, "", '"e"', 0.0)
    for act in (
        lambda: list(storage.list("")),
        lambda: storage.find("x"),
        lambda: storage.create("x", b""),
        lambda: storage.copy(item, "y"),
        lambda: list(storage.chunks(item)),
    ):
        with pytest.raises(StorageError, match="EndpointConnectionError"):
            act()


@pytest.mark.parametrize(
    ("operation", "code", "status", "expected"),
    [  # Amazon S3 API reference, error responses and conditional requests
        ("PutObject", "PreconditionFailed", 412, ObjectExistsError),
        ("PutObject", "ConditionalRequestConflict", 409, ObjectExistsError),
        ("CompleteMultipartUpload", "PreconditionFailed", 412, ObjectExistsError),
        ("GetObject", "PreconditionFailed", 412, ObjectChangedError),
        ("HeadObject", "412", 412, ObjectChangedError),
        ("DeleteObject", "PreconditionFailed", 412, ObjectChangedError),
        ("UploadPartCopy", "PreconditionFailed", 412, ObjectChangedError),
        ("GetObject", "NoSuchKey", 404, module.ObjectMissingError),
        ("GetObject", "NoSuchVersion", 404, module.ObjectMissingError),
        ("HeadObject", "404", 404, module.ObjectMissingError),
        ("HeadObject", "403", 403, module.AccessRefusedError),
        ("GetObject", "SlowDown", 503, StorageError),
    ],
)
def test_what_s3_refuses_gets_its_name(operation: str, code: str, status: int, expected: type[StorageError]) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": "secret"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    error = module._translate(ClientError(response, operation), "s3://b/x")
    assert type(error) is expected
    assert "s3://b/x" in str(error)
    assert "secret" not in str(error)


def test_what_a_killed_process_was_writing_is_gone_with_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from jobs.runtime.storage import open_storage\n"
        "with open_storage(sys.argv[1]).open_output('raw/a') as file:\n"
        "    file.write(b'clear'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, f"file://{tmp_path}"], check=False)
    (left,) = tmp_path.glob(".partial/writing-*")
    assert left.read_bytes() == b"clear"
    with open_storage(f"file://{tmp_path}").open_output("raw/b") as mine:
        (own,) = tmp_path.glob(".partial/writing-*")
        assert own != left
        open_storage(f"file://{tmp_path}").create("state/c", b"another process")  # leaves alone what is being written
        mine.write(b"whole")
    assert (tmp_path / "raw" / "b").read_bytes() == b"whole"
    assert list(tmp_path.glob(".partial/*")) == []
