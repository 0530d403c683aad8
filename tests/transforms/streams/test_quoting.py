from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from schemas.file_format import Format
from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams.delimited import DelimitedText
from transforms.streams.quoting import double_quotes

_ROWS = 4000
_NAMES = ("number", "first", "middle", "last")

#: The writer trims, and takes every character up to the blank for one to be trimmed.
_TRIMMED = "".join(map(chr, range(33)))

#: Values that have broken CSV readers; the generated ones are made of the same stuff.
_KNOWN = [
    *("5 Dock\\", "5 Dock\\,", "\\", "\\\\", '\\"', '"\\', '"\\"', '\\",', ',\\"', "a\\,b\\", "C:\\new\\table, x"),
    *('"', '""', '"""', '"a"', 'a"b', '",', ',"', '","', '"\n"', "'", "''", "'\"", "\"'", "',", "it's", 'it\'s, "x"'),
    *("a\nb", "a\r\nb", "a\rb", "\n", "\r", "a\n", ",", ",,", ",\n", " ", " a ", "\ta", "", None, "null", "#a", "\0"),
    *("é,ü", "名前", "😀,\\", "\u00a0", "\u2028,", "\x01,\x1a", "\ufeffa,"),
]


@dataclass(frozen=True)
class _Written:
    data: bytes
    written: list[tuple[str, ...]]
    read_by_spark: list[tuple[str, ...]]


def _cells(known: list[str | None]) -> list[tuple[str | None, ...]]:
    rng = random.Random(1)

    def cell() -> str | None:
        if rng.random() < 0.1:
            return rng.choice(known)
        return "".join(rng.choices("a\"\\,\n '\ré", (5, 4, 4, 3, 1, 1, 2, 1, 1), k=rng.randint(0, 7)))

    alike: list[tuple[str | None, ...]] = [(value, value, value) for value in known]
    return alike + [(cell(), cell(), cell()) for _ in range(_ROWS - len(known))]


def _write(spark: SparkSession, folder: Path, known: list[str | None], **options: str) -> _Written:
    """Let Spark write awkward values, and read its own file; null and empty are one to us."""
    written = [(str(number), *cells) for number, cells in enumerate(_cells(known))]
    frame = spark.createDataFrame(written, ", ".join(f"{name} string" for name in _NAMES))
    frame.coalesce(1).write.options(header="true", **options).csv(str(folder))
    (part,) = folder.glob("part-*.csv")
    reader = spark.read.options(header="true", multiLine="true", enforceSchema="false", **options)
    back = [tuple(value or "" for value in row) for row in reader.schema(frame.schema).csv(str(folder)).collect()]
    return _Written(part.read_bytes(), [tuple(value or "" for value in row) for row in written], back)


@pytest.fixture(scope="module", params=["\\", "'"], ids=["backslash", "apostrophe"])
def escape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def from_spark(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, escape: str) -> _Written:
    return _write(spark, tmp_path_factory.mktemp("spark") / "csv", _KNOWN, escape=escape)


def _read(data: bytes, layout: Format, size: int = 1 << 16) -> list[tuple[str, ...]]:
    text = DelimitedText(pieces(data, size), layout)
    batches = list(text.batches({name: name for name in text.header}))
    assert not any(batch.refused for batch in batches)
    return [tuple(row.values()) for batch in batches for row in batch.rows.to_pylist()]


def test_what_spark_writes_is_read_as_spark_reads_it(from_spark: _Written, escape: str) -> None:
    assert len(from_spark.read_by_spark) == _ROWS
    assert _read(from_spark.data, Format(delimiter=",", quote='"', escape=escape)) == from_spark.read_by_spark


def test_what_spark_writes_is_read_as_it_was_meant(from_spark: _Written, escape: str) -> None:
    meant = [tuple(value.strip(_TRIMMED) for value in row) for row in from_spark.written]
    assert _read(from_spark.data, Format(delimiter=",", quote='"', escape=escape)) == meant


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 16])
def test_chunks_do_not_matter_to_what_spark_writes(size: int, from_spark: _Written, escape: str) -> None:
    data = from_spark.data[: 20_000 if size < 7 else None]
    whole = b"".join(double_quotes(iter([data]), b",", b'"', escape.encode()))
    assert whole != data
    assert b"".join(double_quotes(pieces(data, size), b",", b'"', escape.encode())) == whole


def test_values_that_spark_wraps_in_zeros_are_read_as_they_were_meant(spark: SparkSession, tmp_path: Path) -> None:
    # Spark's own reader gets these wrong; without quotes its writer prints an empty value as two quotes.
    known = [value for value in _KNOWN if value is None or "\x01" not in value]
    wrapped = _write(spark, tmp_path / "csv", known, quote="")
    meant = [
        (str(number), *("" if cell is None else cell.strip(_TRIMMED) or '""' for cell in cells))
        for number, cells in enumerate(_cells(known))
    ]
    assert _read(wrapped.data, Format(delimiter=",", quote="", escape="\\")) == meant
    assert wrapped.read_by_spark != meant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"a\\"b",c\n', b'"a""b",c\n'),
        (b'"a\\\\",c\n', b'"a\\",c\n'),
        (b'"\\\\\\"",c\n', b'"\\""",c\n'),
        (b'"\\\\\\\\\\x",c\n', b'"\\\\\\x",c\n'),
        (b'"a\\b",c\n', b'"a\\b",c\n'),  # an escape before anything else is text
        (b"5 Dock\\,c\n", b"5 Dock\\,c\n"),  # as it is in a value without quotes
        (b"5 Dock\\\\,c\n", b"5 Dock\\\\,c\n"),
        (b'5 Dock\\,"a\\"b"\n', b'5 Dock\\,"a""b"\n'),
        (b'"","\\""\n', b'"",""""\n'),
        (b'"a,\n","b\\",c"\r\n"\\""\r"\\""', b'"a,\n","b"",c"\r\n""""\r""""'),
        (b'xa",\\\\,"y\\\\"\n', b'xa",\\\\,"y\\"\n'),  # a quote inside a value does not open one
        (b"", b""),
        (b"\\", b"\\"),
    ],
)
def test_quotes_are_doubled_inside_quoted_values_only(text: bytes, expected: bytes) -> None:
    for size in (1, 2, 3, 7, 1000):
        assert b"".join(double_quotes(pieces(text, size), b",", b'"', b"\\")) == expected


@PROPERTY
@given(st.text('a"\\,\n;é', max_size=40), CHUNK_SIZES)
def test_chunks_do_not_matter_even_where_quotes_are_irregular(text: str, size: int) -> None:
    data = text.encode()
    whole = b"".join(double_quotes(iter([data]), b",", b'"', b"\\"))
    assert b"".join(double_quotes(pieces(data, size), b",", b'"', b"\\")) == whole


@PROPERTY
@given(st.text('a"\\,\n', max_size=12), CHUNK_SIZES, st.sampled_from([b",", b";", b"\t"]))
def test_the_rest_of_a_file_is_the_same_behind_regular_text(text: str, size: int, delimiter: bytes) -> None:
    cell = text.encode()
    escaped = b'"' + cell.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    doubled = b'"' + cell.replace(b'"', b'""') + b'"'
    row = [b"x\\", escaped, b"5\\" + delimiter + b"y", escaped]
    expected = [b"x\\", doubled, b"5\\" + delimiter + b"y", doubled]
    made = b"".join(double_quotes(pieces(delimiter.join(row) + b"\n", size), delimiter, b'"', b"\\"))
    assert made == delimiter.join(expected) + b"\n"


@pytest.mark.parametrize(
    ("row", "ours", "by_spark"),
    [
        # Spark's writer prints none of these: quotes that are doubled although the escape is another character,
        (b'"a""b",c', ('a"b', "c"), ('"a""b"', "c")),
        (b'"a"",b",c', ('a",b', "c"), ('a"', 'b"')),
        # text behind a closing quote,
        (b'"a"b,c', ("ab", "c"), ('"a"b', "c")),
        # and quotes inside a value that is not quoted, which are text to both.
        (b'a"b,c', ('a"b', "c"), ('a"b', "c")),
        (b'a\\"b,c', ('a\\"b', "c"), ('a\\"b', "c")),
    ],
)
def test_what_no_writer_should_print_is_read_in_a_known_way(
    row: bytes, ours: tuple[str, ...], by_spark: tuple[str, ...], spark: SparkSession, tmp_path: Path
) -> None:
    data = b"x,y\n" + row + b"\n"
    (tmp_path / "rows.csv").write_bytes(data)
    read = spark.read.options(header="true", multiLine="true").schema("x string, y string").csv(str(tmp_path))
    assert _read(data, Format(delimiter=",", quote='"', escape="\\")) == [ours]
    assert [tuple(found) for found in read.collect()] == [by_spark]
