"""Finding lists of people and reading their headers, before Spark starts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.runtime.configuration import load_configuration
from jobs.runtime.errors import ArgumentError
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.published_table import PublishedColumn, PublishedTable
from jobs.runtime.suppression import PeopleList, check_lists, fingerprint_of, open_lists


def opened(folder: Path, references: str) -> tuple[PeopleList, ...]:
    return open_lists(references, FileCatalog(LocalStorage(folder)))


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (b"email,phone\na@x.org,1\n", ","),
        (b"\xef\xbb\xbfE-Mail;Phone\r\n", ";"),
        (b'"email"\t"phone"', "\t"),
        (b"e mail|PHONE|city\n", "|"),
    ],
)
def test_a_header_is_read_with_the_delimiter_by_which_it_says_most(tmp_path: Path, data: bytes, delimiter: str) -> None:
    (tmp_path / "list.csv").write_bytes(data)
    (found,) = opened(tmp_path, f"file://{tmp_path}/list.csv")
    connector, tables = load_configuration("aep_profiles", None)
    check_lists([found], connector, tables)
    feed = connector.feeds[0]
    assert found.header(feed, tables[feed.name])[0] == delimiter
    assert found.fingerprint != hashlib.sha256(data).hexdigest(), "who is on a short list could be guessed"


def test_parquet_folders_and_tables_have_headers_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    pq.write_table(pa.table({"email": ["a"]}), tmp_path / "folder" / "1.parquet")
    column = PublishedColumn("phone", "string", "")
    table = PublishedTable("gone", "", "file:///x", (column,), (), (), {"run_id": "r1", "connector": "c"})
    FileCatalog(LocalStorage(tmp_path)).put(table, "")
    folder, file, ours = opened(tmp_path, f"file://{tmp_path}/folder/, file://{tmp_path}/folder/1.parquet,gone")
    assert [dict(each.headers) for each in (folder, file, ours)] == [
        {"": ("email",)},
        {"": ("email",)},
        {"": ("phone",)},
    ]
    assert ours.fingerprint == "table gone of run r1"
    before = fingerprint_of([folder])
    pq.write_table(pa.table({"email": ["a", "b"]}), tmp_path / "folder" / "2.parquet")
    (after,) = opened(tmp_path, f"file://{tmp_path}/folder")
    assert fingerprint_of([after]) != before


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("l.csv", b"", "is neither Parquet nor a CSV file"),
        ("l.csv", "email\n".encode("utf-16"), "is neither Parquet nor a CSV file"),
        ("l.parquet", b"PAR1 and no more", "is no whole Parquet file"),
        ("folder/l.csv", b"email\n", "a folder must hold Parquet files alone"),
        ("other", b"x", "is not there, or is empty"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    reference = f"file://{tmp_path}/{name.partition('/')[0] if name != 'other' else 'nothing'}"
    with pytest.raises(ArgumentError, match=told):
        opened(tmp_path, reference)


def test_no_reference_is_no_list(tmp_path: Path) -> None:
    assert opened(tmp_path, "") == ()
    assert fingerprint_of(()) == ""


def test_a_header_that_is_a_person_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("ann@x.org,Ann\nbob@x.org,Bob\n")
    connector, tables = load_configuration("aep_profiles", None)
    with pytest.raises(ArgumentError, match="none of its columns") as raised:
        check_lists(opened(tmp_path, f"file://{tmp_path}/list.csv"), connector, tables)
    assert "ann" not in str(raised.value).casefold()
    assert "email" in str(raised.value)
