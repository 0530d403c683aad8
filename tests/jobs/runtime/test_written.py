"""What was written, by its footers. pyarrow writes the files; Spark has no part in this."""

from __future__ import annotations

import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.runtime.errors import VerificationError
from jobs.runtime.storage import LocalStorage, Storage, open_storage
from jobs.runtime.written import WrittenFile, fill_of, read_footers, rows_by_partition
from schemas.connector import Connector, parse_connector
from schemas.table import Table, parse_table

TABLE = """
name = "people"
comment = "People"
partitions = ["country", "kind"]
[columns.email]
comment = "hash"
personal_data = "email"
[columns.age]
comment = "years"
type = "int"
[columns.since]
comment = "time"
type = "timestamp"
[columns.paid]
comment = "money"
type = "decimal(9,2)"
[columns.absent]
comment = "not delivered"
[columns.country]
comment = "code"
default = "ZZ"
[columns.kind]
comment = "kind"
default = "none"
"""
CONNECTOR = """
name = "people"
comment = "People"
table = "people"
[columns.email]
[columns.age]
[columns.since]
[columns.paid]
[columns.country]
[columns.kind]
"""
PREFIX = "curated/people/run=1/"


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path)
    return open_storage(f"s3://{request.getfixturevalue('bucket')}/base")


@pytest.fixture(scope="module")
def table() -> Table:
    return parse_table(TABLE, "people.toml")


@pytest.fixture(scope="module")
def connector(table: Table) -> Connector:
    return parse_connector(CONNECTOR, "c.toml", table)


def rows(count: int, nulls: int = 0) -> pa.Table:
    """Return rows of the table; in the first ``nulls`` of them there is no e-mail address."""
    return pa.table(
        {
            "email": pa.array([None if number < nulls else "h" for number in range(count)], pa.string()),
            "age": pa.array(range(count), pa.int32()),
            "since": pa.array([0] * count, pa.timestamp("us", "UTC")),
            "paid": pa.array([decimal.Decimal("1.50")] * count, pa.decimal128(9, 2)),
            "absent": pa.array([None] * count, pa.string()),
        }
    )


def put(storage: Storage, name: str, content: pa.Table | bytes, **options: Any) -> None:
    with storage.open_output(PREFIX + name) as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            pq.write_table(content, file, **options)


def parquet(content: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_footers_tell_rows_nulls_and_partitions(storage: Storage, table: Table) -> None:
    put(storage, "country=DE/kind=a%2Fb c/1.parquet", rows(5, 2), row_group_size=2)
    put(storage, "country=DE/kind=a%2Fb c/2.parquet", rows(1))
    put(storage, "country=ZZ/kind=none/1.parquet", rows(0))
    put(storage, "_SUCCESS", b"")
    found = read_footers(storage, PREFIX, table)
    assert [file.key for file in found] == [
        f"{PREFIX}country=DE/kind=a%2Fb c/1.parquet",
        f"{PREFIX}country=DE/kind=a%2Fb c/2.parquet",
        f"{PREFIX}country=ZZ/kind=none/1.parquet",
    ]
    assert [(file.rows, file.partition) for file in found] == [
        (5, ("DE", "a/b c")),
        (1, ("DE", "a/b c")),
        (0, ("ZZ", "none")),
    ]
    assert found[0].nulls == {"email": 2, "age": 0, "since": 0, "paid": 0, "absent": 5}
    sizes = {item.key: item.size for item in storage.list(PREFIX)}
    assert [file.size for file in found] == [sizes[file.key] for file in found]
    assert rows_by_partition(found) == {("DE", "a/b c"): 6, ("ZZ", "none"): 0}


def test_a_footer_longer_than_the_first_look_is_read(storage: Storage, table: Table) -> None:
    put(storage, "country=DE/kind=a/1.parquet", rows(600, 3), row_group_size=1)
    (found,) = read_footers(storage, PREFIX, table)
    tail = b"".join(storage.chunks(next(storage.list(PREFIX)), found.size - 8))
    assert int.from_bytes(tail[:4], "little") > 64 << 10
    assert (found.rows, found.nulls["email"]) == (600, 3)


def test_nothing_written_is_no_file(storage: Storage, table: Table) -> None:
    assert read_footers(storage, PREFIX, table) == []


@pytest.mark.parametrize(
    "name",
    [
        "1.parquet",
        "country=DE/1.parquet",
        "kind=a/country=DE/1.parquet",
        "country=DE/kind=a/more=1/1.parquet",
        "country=DE/kind=a/.1.parquet.crc",
        "country=DE/kind=a/1.csv",
        "_temporary/0/country=DE/kind=a/1.parquet",
    ],
)
def test_a_foreign_file_is_refused(storage: Storage, table: Table, name: str) -> None:
    put(storage, name, rows(1))
    with pytest.raises(VerificationError, match="does not belong into table people"):
        read_footers(storage, PREFIX, table)


def _with(name: str, values: pa.Array) -> pa.Table:
    made = rows(1)
    return made.set_column(made.column_names.index(name), name, values)


@pytest.mark.parametrize(
    "content",
    [
        rows(1).drop_columns(["age"]),
        rows(1).append_column("country", pa.array(["DE"])),
        rows(1).rename_columns(["email", "Age", "since", "paid", "absent"]),
        _with("age", pa.array([1], pa.int64())),
        _with("age", pa.array(["1"])),
        _with("email", pa.array([b"x"], pa.binary())),
        _with("paid", pa.array([decimal.Decimal("1.5")], pa.decimal128(9, 3))),
        _with("since", pa.array([0], pa.date32())),
    ],
)
def test_other_columns_or_types_are_refused(tmp_path: Path, table: Table, content: pa.Table) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "country=DE/kind=a/1.parquet", content)
    with pytest.raises(VerificationError, match="does not have the columns of table people"):
        read_footers(storage, PREFIX, table)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"email,age\n" * 10,
        parquet(rows(50))[:-1],
        parquet(rows(50))[:-8],
        parquet(rows(50))[:200],
        parquet(rows(50))[:-8] + b"\xff\xff\xff\xffPAR1",
        parquet(rows(50))[:-8] + b"\x00\x00\x00\x00PAR1",
    ],
)
def test_a_truncated_file_is_refused(tmp_path: Path, table: Table, content: bytes) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "country=DE/kind=a/1.parquet", content)
    with pytest.raises(VerificationError, match=r"1\.parquet is no whole Parquet file"):
        read_footers(storage, PREFIX, table)


def test_a_file_without_statistics_is_refused(tmp_path: Path, table: Table) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "country=DE/kind=a/1.parquet", rows(1), write_statistics=False)
    with pytest.raises(VerificationError, match="no statistics for column email"):
        read_footers(storage, PREFIX, table)


def test_fill_is_the_share_of_rows_with_a_value(table: Table, connector: Connector) -> None:
    files = [
        WrittenFile("1", 1, 6, ("DE", "a"), {"email": 3, "age": 0, "since": 6, "paid": 0, "absent": 6}),
        WrittenFile("2", 1, 2, ("ZZ", "a"), {"email": 1, "age": 1, "since": 2, "paid": 0, "absent": 2}),
    ]
    fill = {column.name: fill_of(column, table, files, connector) for column in table.columns}
    assert fill == {
        "email": 0.5,
        "age": 0.875,
        "since": 0.0,
        "paid": 1.0,
        "absent": 0.0,
        "country": 0.75,  # the default stands for no value
        "kind": 1.0,
    }
    assert fill_of(table.column("email"), table, [], connector) is None
