"""Text: encodings, delimited rows, JSON; held against Python's decoders, its csv module and its json module."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from schemas.file_format import Format
from schemas.value_path import parse_path, path_problem, text_of
from schemas.vocabulary import TEXT_ENCODINGS
from tests.fuzz.target import CANARY, Target, check_message, check_refusal, chunk_size, pieces, require
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import DelimitedRecords, DelimitedText
from transforms.streams.json_records import JsonRecords
from transforms.streams.records import Records, SourceNames
from transforms.streams.text_encoding import to_utf8

#: Every row of a file by its number, and the numbers of those that were refused.
Rows = tuple[dict[int, dict[str, str | None]], list[int]]

_NAMES: Final = SourceNames({"id": ("id",), "email": ("email", "person.email"), "city": ("city", "homes[0].city")})
FORMATS: Final = (
    Format(),
    Format(escape="\\"),
    Format(quote="", escape=""),
    Format(quote="", escape="\\"),
    Format(escape="\\", escape_unquoted=True),
    Format(delimiter="\t"),
    Format(delimiter="þ"),
    Format(delimiter="|", quote="'", escape="'"),
    Format(header=False, columns=("id", "email", "city")),
    Format(delimiter="\x01", quote="", escape=""),
)


def read(open_records: Callable[[], Records]) -> Rows | str:
    """Return what a reader makes of a file: its rows, or the reason why it is refused."""
    rows: dict[int, dict[str, str | None]] = {}
    refused: list[int] = []
    try:
        for batch in open_records().batches():
            numbers = batch.numbers.to_pylist()
            require("each row has a number", holds=len(numbers) == batch.rows.num_rows)
            for column in batch.rows.columns:
                column.validate(full=True)
            rows.update(zip(numbers, batch.rows.to_pylist(), strict=True))
            refused += [row.number for row in batch.refused]
            for row in batch.refused:
                check_message(row.detail)
    except BadFile as problem:
        return check_refusal(problem)
    every = sorted([*rows, *refused])
    first = every[0] if every else 0
    require("every row has a number of its own, without a gap", holds=every == [*range(first, first + len(every))])
    return rows, sorted(refused)


def run_encoding(data: bytes) -> None:
    """The first two bytes choose the encoding and the size of chunks."""
    if len(data) < 2:
        return
    encoding = TEXT_ENCODINGS[data[0] % len(TEXT_ENCODINGS)]
    raw = data[2:]
    try:
        text = b"".join(to_utf8(pieces(raw, chunk_size(data[1])), encoding)).decode()
    except BadFile as problem:
        require("it is the text that is refused", holds=check_refusal(problem) == "undecodable_text")
        unmarked = b"\0" in raw[:16]  # which would be UTF-16
        require("what Python reads is read", holds=_python(raw, encoding) is None or unmarked)
        return
    require("Python reads the same", holds=text == _python(raw, encoding))


def _python(raw: bytes, encoding: str) -> str | None:
    for mark, marked in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if raw.startswith(mark):
            raw, encoding = raw[len(mark) :], marked
            break
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def run_delimited(data: bytes) -> None:
    """The first two bytes choose the format, the size of chunks and whether further columns are wanted."""
    if len(data) < 2:
        return
    layout = FORMATS[data[0] % len(FORMATS)]
    names = SourceNames(_NAMES.fields, extras=bool(data[1] & 1))
    raw = data[2:]

    def read_in(size: int) -> Rows | str:
        return read(lambda: DelimitedRecords(to_utf8(pieces(raw, size)), layout, names))

    whole = read_in(len(raw) + 1)
    parted = read_in(chunk_size(data[1] >> 1))
    # A file that is wrong in two ways is refused for the one that is met first, which chunks decide.
    refused = isinstance(whole, str) and isinstance(parted, str)
    require("it makes no difference how a file is cut into chunks", holds=refused or whole == parted)


def run_csv(data: bytes) -> None:
    """Rows that Python's csv module writes come back; the bytes 0xFE and 0xFF part values and rows."""
    if len(data) < 2:
        return
    cells = [[cell.decode(errors="ignore") for cell in row.split(b"\xfe")] for row in data[2:].split(b"\xff")]
    width = max(2, *map(len, cells))
    rows = [[*row, *[""] * (width - len(row))] for row in cells]
    header = [f"c{number}" for number in range(width)]
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL if data[0] & 1 else csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerows([header, *rows])
    written = target.getvalue()
    if "\x1a,," in written:  # the mark of the end, which is refused
        return
    text = DelimitedText(pieces(written.encode(), chunk_size(data[1])), Format())
    found: list[list[str]] = []
    for batch in text.batches({name: name for name in header}):
        require("no row is refused", holds=not batch.refused)
        found += [list(row.values()) for row in batch.rows.to_pylist()]
    require("what was written is read", holds=found == rows)


def run_json(data: bytes) -> None:
    """The first byte chooses the size of chunks and whether further columns are wanted."""
    if not data:
        return
    names = SourceNames(_NAMES.fields, extras=bool(data[0] & 1))
    raw = data[1:]

    def read_in(size: int) -> Rows | str:
        return read(lambda: JsonRecords(to_utf8(pieces(raw, size)), names))

    whole = read_in(len(raw) + 1)
    parted = read_in(chunk_size(data[0] >> 1))
    require("it makes no difference how a file is cut into chunks", holds=whole == parted)
    objects = None if isinstance(whole, str) else _json_lines(raw)
    if objects is not None and not isinstance(whole, str):
        rows, refused = whole
        none = [number for number, one in objects.items() if one is None]
        require("what is no object is refused, and nothing else", holds=refused == none)
        for number, row in rows.items():
            value = (objects[number] or {}).get("email")
            if isinstance(value, str):
                require("a value is what json reads", holds=row.get("email") == value)


def _json_lines(raw: bytes) -> dict[int, dict[str, Any] | None] | None:
    """Return the objects of JSON lines as Python reads them; None where it is not lines, or something is too subtle."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return None
    lines = [line for line in raw.decode().split("\n") if line.strip(" \t\r")]
    objects: dict[int, dict[str, Any] | None] = {}
    for number, line in enumerate(lines, 1):
        try:
            one = _strict(line)
            json.dumps(one, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half a surrogate pair, which ours refuses where it is asked for
            return None
        except (ValueError, RecursionError):
            one = None
        objects[number] = one if isinstance(one, dict) else None
    return objects if objects and objects[1] is not None else None


def _strict(line: str) -> Any:
    """Read a document as the standard means it; numbers are all 0, for Python refuses long ones."""
    return json.loads(
        line, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_int=_zero, parse_float=_zero
    )


def _zero(_: str) -> int:
    return 0


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _no_constant(_: str) -> None:
    raise ValueError("no JSON")


def run_path(data: bytes) -> None:
    """A name of a nested value and, behind a NUL, a document: what is accepted as a name finds a value or nothing."""
    name, _, document = data.partition(b"\0")
    path = name.decode(errors="ignore")
    if path_problem(path) is not None:
        return
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return
    get = parse_path(path).get
    text = text_of(get(value) if get else value)
    require("a value becomes text", holds=text is None or isinstance(text, str))


def _cut(seeds: Sequence[bytes], heads: int, count: int) -> Sequence[bytes]:
    """Put bytes that choose before each seed."""
    choices: Iterator[int] = itertools.cycle(range(0, 24, 3))
    return [bytes([head, *[next(choices)] * (count - 1)]) + seed for seed in seeds for head in range(heads)]


_LINES: Final = (
    "id,email,city,other",
    f'1,{CANARY}@example.com,"Foo, ""Bar""",ä',
    '2,"a\nb",,',
    "",
    "3,x",
    '4,\\"q\\",a\\,b,z',
    "",
)
_TEXT: Final = "\n".join(_LINES).encode()
_UTF_16: Final = _TEXT.decode().encode("utf-16")
_JSON: Final = (
    f'{{"id":1,"email":"{CANARY}@example.com","homes":[{{"city":"X"}}],"n":{{"a":1.50,"b":null}}}}\n{{"id":"2"}}\n[1]\n'.encode(),
    f'[{{"id":1,"person":{{"email":"{CANARY}"}}}},\n{{"id":true,"email":"\\u00e4","x":[1,{{}}]}}]'.encode(),
    b'{\n "id": 1\n}\n{\n "id": 2e5, "id2": NaN}\n',
    b'{"id":1,"id":2}\n{"id":"\\ud800"}\n{"a":{"a":{"a":{}}}}\n',
)


def _delimited_seeds() -> Sequence[bytes]:
    delimited = [_TEXT.replace(b",", sign.encode()) for sign in ("\t", "þ", "\x01", "|")]
    return _cut(
        (_TEXT, *delimited, _TEXT.replace(b'"', b"\0"), _UTF_16, _TEXT.replace(b"\n", b"\r\n")), len(FORMATS), 2
    )


def _encoding_seeds() -> Sequence[bytes]:
    return _cut((_TEXT, _UTF_16, "ÄÖ€\n".encode() * 9), len(TEXT_ENCODINGS), 2)


TARGETS: Final = (
    Target("encoding", run_encoding, _encoding_seeds),
    Target("delimited", run_delimited, _delimited_seeds),
    Target("csv", run_csv, lambda: [b'\x00\x03a\xfeb\xff\xfe1,2\xffx\ny\xfe"q"', b"\x03\x01\xfe\xff \xfe\r"]),
    Target("json", run_json, lambda: _cut(_JSON, 4, 1)),
    Target("path", run_path, lambda: [b'a[key=p].v.*\0[{"key":"p","v":{"s":1}}]', b'a[0].b[]\0[{"b":[1,null]}]']),
)
