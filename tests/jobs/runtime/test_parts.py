"""Parts of raw/: who shares them, how large they get, what is left of them. pyarrow reads them back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.runtime import parts as module
from jobs.runtime.errors import StorageError
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.parts import FileParts, Part, PartWriter, TaskParts

FOLDER = "raw/acme/run=1/"
FIELDS = ("id", "text")
GROUP = 4 << 10
PART = 16 << 10


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROW_GROUP_BYTES", GROUP)
    monkeypatch.setattr(module, "_PART_BYTES", PART)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def rows(first: int, count: int, **extras: str) -> pa.RecordBatch:
    """Return rows with these ids and texts that no compression makes shorter: about 50 bytes each."""
    numbers = random.Random(first)
    columns = {
        "id": pa.array(range(first, first + count), pa.int64()),
        "text": pa.array([numbers.randbytes(19).hex() for _ in range(count)], pa.string()),
    }
    return pa.RecordBatch.from_pydict({**columns, **{name: pa.array([text] * count) for name, text in extras.items()}})


def batches(first: int, count: int, each: int = 20) -> list[pa.RecordBatch]:
    return [rows(start, min(each, first + count - start)) for start in range(first, first + count, each)]


def put(task: TaskParts, feed: str, of_file: Iterable[pa.RecordBatch]) -> None:
    """Write a good file of one feed."""
    with FileParts(task) as file:
        for batch in of_file:
            file.write(feed, FIELDS, batch)
        file.keep()


def ids_of(storage: LocalStorage, part: Part) -> list[int]:
    found: list[int] = pq.read_table(pa.BufferReader(storage.read(part.key)))["id"].to_pylist()
    return found


def present(storage: LocalStorage) -> list[str]:
    return [item.key for item in storage.list("")]


def partial(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / ".partial").glob("**/*") if path.is_file()]


def check_parts(storage: LocalStorage, parts: list[Part]) -> None:
    """See that parts are what they say, and that there are no others."""
    assert sorted(part.key for part in parts) == present(storage)
    for part in parts:
        data = storage.read(part.key)
        assert part.key.startswith(f"{FOLDER}{part.feed}/part-")
        assert (part.size, part.rows) == (len(data), pq.read_metadata(pa.BufferReader(data)).num_rows)


def test_small_files_share_a_part_of_their_feed(storage: LocalStorage) -> None:
    with TaskParts(storage, FOLDER) as task:
        for first in (0, 100, 200):
            put(task, "people", [rows(first, 3)])
            put(task, "events", [rows(first + 50, 2), rows(first + 52, 1)])
        parts = task.close()
    check_parts(storage, parts)
    assert {part.feed: ids_of(storage, part) for part in parts} == {
        "people": [0, 1, 2, 100, 101, 102, 200, 201, 202],
        "events": [50, 51, 52, 150, 151, 152, 250, 251, 252],
    }
    assert len(parts) == 2


def test_nothing_is_written_before_a_file_is_known_to_be_good(storage: LocalStorage) -> None:
    with TaskParts(storage, FOLDER) as task:
        with FileParts(task) as file:
            file.write("people", FIELDS, rows(0, 5))
        put(task, "people", [rows(10, 2)])
        parts = task.close()
    assert [ids_of(storage, part) for part in parts] == [[10, 11]]
    check_parts(storage, parts)


def test_a_large_file_has_parts_of_its_own(storage: LocalStorage) -> None:
    with TaskParts(storage, FOLDER) as task:
        put(task, "people", [rows(0, 3)])
        put(task, "people", batches(1_000, 2_000))
        put(task, "people", [rows(10, 3)])
        parts = task.close()
    check_parts(storage, parts)
    found = [ids_of(storage, part) for part in parts]
    shared = [ids for ids in found if min(ids) < 1_000]
    own = [ids for ids in found if min(ids) >= 1_000]
    assert shared == [[0, 1, 2, 10, 11, 12]]
    assert len(own) > 2
    assert [each for ids in own for each in ids] == list(range(1_000, 3_000))  # in order, each once
    sizes = [part.size for part in parts if min(ids_of(storage, part)) >= 1_000]
    assert all(PART <= size < PART + 2 * GROUP for size in sizes[:-1])
    first = next(part for part in parts if ids_of(storage, part)[0] == 1_000)
    assert pq.read_metadata(pa.BufferReader(storage.read(first.key))).num_row_groups > 1
    keys = [part.key for part in parts if min(ids_of(storage, part)) >= 1_000]
    assert sorted(keys) == keys


def test_a_large_file_of_several_feeds_keeps_them_apart(storage: LocalStorage) -> None:
    people, events = batches(0, 800), batches(10_000, 400, 10)
    with TaskParts(storage, FOLDER) as task:
        with FileParts(task) as file:
            for one, other in zip(people, events, strict=True):
                file.write("people", FIELDS, one)
                file.write("events", FIELDS, other)
            file.keep()
        parts = task.close()
    check_parts(storage, parts)
    for feed, first, count in (("people", 0, 800), ("events", 10_000, 400)):
        ids = [each for part in parts if part.feed == feed for each in ids_of(storage, part)]
        assert ids == list(range(first, first + count))


def test_other_columns_begin_another_part(storage: LocalStorage) -> None:
    with TaskParts(storage, FOLDER) as task:
        for batch in (
            rows(0, 2),
            rows(2, 2),
            rows(4, 1, points="7", tier="gold"),
            rows(5, 1, points="8", tier="none"),
            rows(6, 1, tier="gold"),
            rows(7, 1),
        ):
            put(task, "people", [batch])
        parts = task.close()
    check_parts(storage, parts)
    assert [(part.extras, ids_of(storage, part)) for part in parts] == [
        ((), [0, 1, 2, 3]),
        (("points", "tier"), [4, 5]),
        (("tier",), [6]),
        ((), [7]),
    ]
    table = pq.read_table(pa.BufferReader(storage.read(parts[1].key)))
    assert table.select(["points", "tier"]).to_pylist() == [
        {"points": "7", "tier": "gold"},
        {"points": "8", "tier": "none"},
    ]


def test_other_columns_in_the_middle_of_a_large_file_begin_another_part(storage: LocalStorage) -> None:
    with TaskParts(storage, FOLDER) as task:
        put(task, "people", [*batches(0, 200), rows(200, 10, tier="gold"), rows(210, 10, tier="gold")])
        parts = task.close()
    check_parts(storage, parts)
    assert [(part.extras, len(ids_of(storage, part))) for part in parts] == [((), 200), (("tier",), 20)]


@pytest.mark.parametrize("count", [5, 100, 2_000])
def test_a_file_that_turns_out_bad_leaves_nothing(storage: LocalStorage, tmp_path: Path, count: int) -> None:
    with TaskParts(storage, FOLDER) as task:
        with FileParts(task) as file:
            for batch in batches(0, count):
                file.write("people", FIELDS, batch)
                file.write("events", FIELDS, batch)
        assert present(storage) == []
        assert task.close() == []
    assert partial(tmp_path) == []


@pytest.mark.parametrize("count", [5, 100, 2_000])
def test_an_error_in_the_task_leaves_nothing(storage: LocalStorage, tmp_path: Path, count: int) -> None:
    def fails() -> None:
        with TaskParts(storage, FOLDER) as task:
            put(task, "people", [rows(0, 3)])
            put(task, "people", batches(100, count))
            put(task, "events", batches(5_000, count))
            with FileParts(task) as file:
                for batch in batches(10_000, count):
                    file.write("people", FIELDS, batch)
                raise KeyError("x")

    with pytest.raises(KeyError):
        fails()
    assert present(storage) == []
    assert partial(tmp_path) == []


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_store_that_takes_no_more_leaves_nothing(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    opened, refused = LocalStorage.open_output, iter(range(1, 100))

    @contextlib.contextmanager
    def open_output(self: LocalStorage, key: str) -> Iterator[IO[bytes]]:
        if next(refused) == fails_at:
            raise StorageError("the disk is full")
        with opened(self, key) as file:
            yield file

    monkeypatch.setattr(LocalStorage, "open_output", open_output)

    def write() -> None:
        with TaskParts(storage, FOLDER) as task:
            put(task, "people", batches(100, 1_000))
            put(task, "events", [rows(0, 3)])
            put(task, "people", [rows(5, 3)])
            task.close()

    with pytest.raises(StorageError, match="the disk is full"):
        write()
    assert present(storage) == []
    assert partial(tmp_path) == []


def test_a_part_that_cannot_be_finished_leaves_nothing(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_close(_: pq.ParquetWriter) -> None:
        raise OSError("no space left on device")

    def write() -> None:
        with TaskParts(storage, FOLDER) as task:
            put(task, "people", [rows(0, 3)])
            with monkeypatch.context() as patch:
                patch.setattr(pq.ParquetWriter, "close", cannot_close)
                task.close()

    with pytest.raises(OSError, match="no space left"):
        write()
    assert present(storage) == []
    assert partial(tmp_path) == []


def test_names_are_new_in_every_attempt(storage: LocalStorage) -> None:
    keys = []
    for _ in range(2):
        with TaskParts(storage, FOLDER) as task:
            put(task, "people", [rows(0, 3)])
            keys += [part.key for part in task.close()]
    assert len(set(keys)) == 2
    assert sorted(keys) == present(storage)


def test_a_writer_without_rows_makes_no_part(storage: LocalStorage) -> None:
    writer = PartWriter(storage, FOLDER, "people", FIELDS)
    assert writer.close() == []
    writer.discard()
    with TaskParts(storage, FOLDER) as task, FileParts(task) as file:
        file.keep()
        assert task.close() == []
    assert present(storage) == []


def test_a_writer_that_is_discarded_takes_its_finished_parts_back(storage: LocalStorage, tmp_path: Path) -> None:
    writer = PartWriter(storage, FOLDER, "people", FIELDS)
    for batch in batches(0, 2_000):
        writer.write(batch)
    assert len(writer.done) > 1
    assert present(storage) == sorted(part.key for part in writer.done)
    writer.discard()
    assert (present(storage), partial(tmp_path)) == ([], [])


@pytest.mark.parametrize("seed", range(6))
def test_memory_holds_two_row_groups_and_a_batch_at_most(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    numbers = random.Random(seed)
    written: dict[str, list[int]] = {}
    most = 0
    largest = rows(0, 20).nbytes
    with TaskParts(storage, FOLDER) as task:
        file = FileParts(task)

        def look() -> None:
            nonlocal most
            held = [batch for *_, batch in file._held]
            for writer in (*task._shared.values(), *file._writers.values()):
                held += writer._held
            once = {id(batch): batch.nbytes for batch in held}  # while they go over they are in both
            most = max(most, sum(once.values()))

        write = PartWriter.write

        def write_and_look(self: PartWriter, batch: pa.RecordBatch) -> None:
            write(self, batch)
            look()

        monkeypatch.setattr(PartWriter, "write", write_and_look)
        first = 0
        for _ in range(40):
            file = FileParts(task)
            is_good = numbers.random() < 0.8
            with file:
                for _ in range(numbers.choice([1, 2, 3, 30])):
                    feed, count = numbers.choice(["a", "b", "c", "d"]), numbers.randint(1, 20)
                    file.write(feed, FIELDS, rows(first, count))
                    look()
                    if is_good:
                        written.setdefault(feed, []).extend(range(first, first + count))
                    first += count
                if is_good:
                    file.keep()
                    look()
        parts = task.close()
    assert GROUP < most < 2 * GROUP + largest
    check_parts(storage, parts)
    for feed, ids in written.items():
        assert sorted(each for part in parts if part.feed == feed for each in ids_of(storage, part)) == ids
