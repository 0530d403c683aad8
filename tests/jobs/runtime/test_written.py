"""What was written: counts from the footers, and a look at every hash. pyarrow writes the files."""

from __future__ import annotations

import base64
import decimal
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs.runtime.errors import VerificationError
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.storage import Storage, open_storage
from jobs.runtime.written import WrittenFile, check_values, fill_of, read_footers, rows_by_partition
from schemas.connector import parse_connector
from schemas.feed import Feed
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
def connector(table: Table) -> Feed:
    return parse_connector(CONNECTOR, "c.toml", {table.name: table}).feeds[0]


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


def test_fill_is_the_share_of_rows_with_a_value(table: Table, connector: Feed) -> None:
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


# --- the hashes

ROWS = 5
KEYS = {"default": b"our-own-hash-key-of-32-bytes----", "partner": b"the-partners-key-of-32-bytes----"}
#: Columns by name: what their file says, and the same hash by the standard library.
HASHED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "hmac_hex": ("", lambda text: hmac.digest(KEYS["default"], text, "sha256")),
    "hmac_partner": ('key = "partner"', lambda text: hmac.digest(KEYS["partner"], text, "sha256")),
    "salted_hex": ('algorithm = "salted-sha256"', lambda text: hashlib.sha256(KEYS["default"] + text).digest()),
    "sha256_hex": ('algorithm = "sha256"', lambda text: hashlib.sha256(text).digest()),
    "sha1_hex": ('algorithm = "sha1"', lambda text: hashlib.sha1(text, usedforsecurity=False).digest()),
    "md5_hex": ('algorithm = "md5"', lambda text: hashlib.md5(text, usedforsecurity=False).digest()),
    "sha256_base64": ('algorithm = "sha256"\nencoding = "base64"', lambda text: hashlib.sha256(text).digest()),
    "sha1_base64": (
        'algorithm = "sha1"\nencoding = "base64"',
        lambda text: hashlib.sha1(text, usedforsecurity=False).digest(),
    ),
    "md5_base64": (
        'algorithm = "md5"\nencoding = "base64"',
        lambda text: hashlib.md5(text, usedforsecurity=False).digest(),
    ),
}
MANY = 4_000


def hashes_table(more: str = "") -> Table:
    columns = "".join(
        f'[columns.{name}]\ncomment = "x"\npublish = "hash"\n{text}\n{more}\n' for name, (text, _) in HASHED.items()
    )
    clear = '[columns.city]\ncomment = "x"\n'
    text = f'name = "people"\ncomment = "x"\n[publication]\nhash_of_nothing = true\n{columns}{clear}'
    return parse_table(text, "people.toml")


def digest_of(column: str, text: str) -> str:
    """Return what a column holds for a text."""
    digest = HASHED[column][1](text.encode())
    return base64.b64encode(digest).decode() if column.endswith("base64") else digest.hex()


def write_hashes(folder: Path, **others: list[str | None]) -> str:
    """Write good hashes but for the columns in ``others``; return where."""
    columns: dict[str, list[str | None]] = {name: [digest_of(name, "a"), None] for name in HASHED}
    columns |= {"city": ["nobody hashes a city", ""], **others}
    rows = max(map(len, columns.values()))
    padded = {name: values + [None] * (rows - len(values)) for name, values in columns.items()}
    pq.write_table(
        pa.table({name: pa.array(values, pa.string()) for name, values in padded.items()}), folder / "1.parquet"
    )
    return f"file://{folder}"


def test_distinct_hashes_are_counted_to_a_few_percent(spark: SparkSession, tmp_path: Path) -> None:
    texts = [str(number % 1_000) for number in range(MANY)]
    many: list[str | None] = [digest_of("sha256_hex", text) for text in texts]
    all_different: list[str | None] = [digest_of("md5_base64", str(number)) for number in range(MANY)]
    uri = write_hashes(tmp_path, sha256_hex=many, md5_base64=all_different, hmac_hex=[None])
    found = check_values(spark, uri, hashes_table(), KEYS, ROWS)
    assert set(found) == set(HASHED)
    assert found["sha256_hex"] == pytest.approx(1_000, rel=0.15)  # three times the deviation that is promised
    assert found["md5_base64"] == pytest.approx(MANY, rel=0.15)
    assert found["sha1_hex"] == 1
    assert found["hmac_hex"] == 0


def test_a_table_of_dates_and_small_numbers_has_nothing_to_look_at(spark: SparkSession) -> None:
    table = parse_table('name = "x"\ncomment = "x"\n[columns.a]\ncomment = "x"\ntype = "date"', "x")
    assert check_values(spark, "file:///no/such/folder", table, {}, ROWS) == {}


def test_the_hash_of_nothing_is_found_unless_the_column_says_so(spark: SparkSession, tmp_path: Path) -> None:
    of_nothing: dict[str, list[str | None]] = {
        name: [digest_of(name, ""), digest_of(name, "a"), digest_of(name, "")] for name in HASHED
    }
    uri = write_hashes(tmp_path, **of_nothing)
    with pytest.raises(VerificationError) as caught:
        check_values(spark, uri, hashes_table(), KEYS, ROWS)
    counts = ", ".join(f"{name}: 2 values" for name in HASHED)
    assert str(caught.value) == (
        f"columns that must hold hashes alone hold something else ({counts}); nothing was published"
    )
    assert check_values(spark, uri, hashes_table('empty = "hash"'), KEYS, ROWS) == dict.fromkeys(HASHED, 2)


def test_what_has_not_the_form_of_its_algorithm_and_encoding_is_no_hash(spark: SparkSession, tmp_path: Path) -> None:
    foreign: dict[str, list[str | None]] = {
        # Hashes all of them, but of another algorithm or in another encoding.
        name: [digest_of(other, "a") for other in HASHED if len(digest_of(other, "a")) != len(digest_of(name, "a"))]
        for name in HASHED
    }
    for name, values in foreign.items():
        good = digest_of(name, "a")
        # A text of the right length, one too short, too long or none at all, and a foreign character.
        values += [
            "jane.doe@example.com".ljust(len(good), "m"),
            good[:-1],
            f"{good}0",
            "",
            f"{good[:-1]}\n",
            f" {good[1:]}",
        ]
    uri = write_hashes(tmp_path, **foreign)
    with pytest.raises(VerificationError) as caught:
        check_values(spark, uri, hashes_table(), KEYS, ROWS)
    for name, values in foreign.items():
        assert f"{name}: {len(values)} values" in str(caught.value)
    assert "jane" not in str(caught.value)
    assert "city" not in str(caught.value)


def test_a_hash_in_upper_case_is_none_that_anybody_would_match(spark: SparkSession, tmp_path: Path) -> None:
    uri = write_hashes(tmp_path, sha1_hex=[digest_of("sha1_hex", "a").upper()])
    with pytest.raises(VerificationError, match="sha1_hex: 1 values"):
        check_values(spark, uri, hashes_table(), KEYS, ROWS)


# --- what nobody has declared

GUARDED = """
name = "events"
comment = "x"
partitions = ["source"]
audit = ["source_file"]
[columns.id]
comment = "x"
personal_data = "identifier"
[columns.city]
comment = "x"
personal_data = "location"
publish = "clear"
[columns.note]
comment = "x"
[columns.score]
comment = "x"
type = "bigint"
[columns.source]
comment = "x"
default = "none"
"""


def write_events(folder: Path, source: str = "web", **others: list[Any]) -> str:
    """Write three harmless rows but for the columns in ``others``; return where."""
    columns = {
        "id": [hmac.digest(KEYS["default"], text, "sha256").hex() for text in (b"1", b"2", b"3")],
        "city": ["Bern", None, ""],
        "note": ["fine", None, ""],
        "score": [1, 2, None],
        "source_file": ["export_20261122_101500.csv"] * 3,
        **others,
    }
    types = {"score": pa.int64()}
    arrays = {name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()}
    (folder / f"source={source}").mkdir()
    pq.write_table(pa.table(arrays), folder / f"source={source}" / "1.parquet")
    return f"file://{folder}"


def refusal(spark: SparkSession, uri: str, text: str = GUARDED) -> str:
    with pytest.raises(VerificationError) as caught:
        check_values(spark, uri, parse_table(text, "events.toml"), KEYS, ROWS)
    return str(caught.value)


def test_harmless_and_declared_values_are_published(spark: SparkSession, tmp_path: Path) -> None:
    uri = write_events(tmp_path, city=["jane@example.com", "+49 170 1234567", None])
    assert check_values(spark, uri, parse_table(GUARDED, "x"), KEYS, ROWS) == {"id": 3}


def test_a_leak_is_told_with_columns_and_counts_and_no_value(spark: SparkSession, tmp_path: Path) -> None:
    uri = write_events(tmp_path, note=["jane@example.com", "mail john%40example.com", "call +49 170 1234567"])
    assert refusal(spark, uri) == (
        "table events: column note holds 2 values that look like e-mail addresses, column note holds 1 value that "
        "looks like phone numbers; nothing was published. Hash the column (personal_data = …), leave it out, or "
        'declare in its table file that such values are expected there (resembles = ["email"])'
    )
    expected = GUARDED.replace('[columns.note]\ncomment = "x"', '[columns.note]\ncomment = "x"\nresembles = ["email"]')
    assert "column note holds 1 value that looks like phone numbers;" in refusal(spark, uri, expected)
    declared = expected.replace('["email"]', '["email", "phone"]')
    assert check_values(spark, uri, parse_table(declared, "x"), KEYS, ROWS) == {"id": 3}


def test_partition_values_and_file_names_are_looked_at(spark: SparkSession, tmp_path: Path) -> None:
    files = ["jane@example.com.csv", "export.csv", "export.csv"]
    uri = write_events(tmp_path, source="%2B491701234567", source_file=files)
    message = refusal(spark, uri)
    assert "column source holds 3 values that look like phone numbers" in message
    assert "column source_file holds 1 value that looks like e-mail addresses" in message
    assert "Rename the files, or leave source_file out of audit." in message
    assert "jane" not in message
    assert "49170" not in message


def test_numbers_are_looked_at(spark: SparkSession, tmp_path: Path) -> None:
    cards = [4242424242424242, 4111111111111111, 5555555555554444, 378282246310005, 6011111111111117, 3566002020360505]
    others: dict[str, Any] = {name: ["x"] * 6 for name in ("note", "city", "source_file")}
    ids = [hmac.digest(KEYS["default"], text, "sha256").hex() for text in (b"1", b"2", b"3") * 2]
    uri = write_events(tmp_path, id=ids, score=cards, **others)
    assert "column score holds 6 values that look like payment card numbers" in refusal(spark, uri)
