"""Whole files through all layers at once, by the function that runs in a Spark task, and as samples."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobs.runtime.decode import DecodePlan, FileOutcome, KeyReferences, decode_task
from jobs.runtime.errors import ArgumentError
from jobs.runtime.manifest import Entry
from jobs.runtime.sample_file import read_sample
from jobs.runtime.storage import open_storage
from schemas.connector import Connector, parse_connector
from schemas.table import parse_table
from tests.fixtures.fernet_writer import encrypt_envelope
from tests.fixtures.key_files import Keys, make_keys
from tests.fuzz import binary_records, texts
from tests.fuzz.target import CANARY, Target, check_message, require
from transforms.streams.bad_file import REASONS

_TABLE: Final = """
name = "people"
comment = "people"
[columns.id]
type = "string"
comment = "id"
[columns.email]
type = "string"
comment = "email"
[columns.city]
type = "string"
comment = "city"
"""
_CONNECTOR: Final = r"""
name = "people"
comment = "people"
table = "people"
[delivery]
codecs = ["openpgp", "envelope", "plain"]
archives = ["zip", "tar"]
ignore = ["*.md"]
archive_limits = { members = 20, clear_bytes = 4_000_000, ratio = 50 }
[format]
types = ["delimited", "json", "parquet", "avro"]
escape = '\'
[columns.id]
[columns.email]
aliases = ["person.email"]
[columns.city]
aliases = ["homes[0].city"]
"""
_NAME: Final = "gold.csv"
_CLEAR: Final = f"id,email,city\n1,{CANARY}@example.com,X\n2,,\n3,ragged\n".encode()


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


@functools.cache
def _keys() -> Keys:
    return make_keys(_folder() / "keys")


@functools.cache
def _connector() -> Connector:
    return parse_connector(_CONNECTOR, "people", {"people": parse_table(_TABLE, "people")})


@functools.cache
def _plan() -> DecodePlan:
    keys = _keys()
    references = KeyReferences(*(f"file:{path}" for path in (keys.rsa_private, keys.pgp_secret, keys.pgp_passphrase)))
    root = f"file://{_folder()}/"
    return DecodePlan(root, _connector(), references, "landing/", "raw/", "rejects/", ("people",))


def decode(data: bytes) -> list[FileOutcome]:
    """Return what becomes of a delivered file."""
    path = _folder() / "landing" / _NAME
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    found = open_storage(_plan().root).find(f"landing/{_NAME}")
    require("the file is there", holds=found is not None)
    if found is None:
        return []
    entry = Entry(0, _NAME, found.size, found.version, found.etag, found.modified, "data")
    done = decode_task(_plan(), [entry])
    kept = sum(part.rows for part in done.parts)
    for part in done.parts:
        (_folder() / part.key).unlink()
    require("every row of the parts is accounted for", holds=kept == sum(outcome.rows for outcome in done.files))
    return list(done.files)


def run_delivery(data: bytes) -> None:
    """A delivered file is read, or refused with a reason; one that is refused leaves no row."""
    for outcome in decode(data):
        require(f"{outcome.reason} is no reason", holds=outcome.reason in ("", *REASONS))
        require("a refused file leaves no row", holds=not outcome.reason or not outcome.delivered_rows)
        if "!" not in outcome.name and "member" not in outcome.detail:
            check_message(outcome.detail)


def run_sample(data: bytes) -> None:
    """A sample is understood, or refused in the words of an ArgumentError that holds no value."""
    path = _folder() / "sample"
    path.write_bytes(data[1:])
    header = (None, True, False)[data[0] % 3] if data else None
    try:
        sample = read_sample(f"file://{path}", 5, header=header)
    except ArgumentError as error:
        if "member" not in str(error):
            check_message(str(error))
        return
    require("every row has a value for each name", holds={len(row) for row in sample.rows} <= {len(sample.names)})


def clear_files() -> Sequence[bytes]:
    """Return small files of every kind, in clear."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", _CLEAR)
        archive.writestr("b.csv.gz", gzip.compress(_CLEAR))
    with tarfile.open(fileobj=tarred, mode="w") as packed:
        info = tarfile.TarInfo("a.csv")
        info.size = len(_CLEAR)
        packed.addfile(info, io.BytesIO(_CLEAR))
    files = [_CLEAR, _CLEAR.decode().encode("utf-16"), zipped.getvalue(), tarred.getvalue(), gzip.compress(_CLEAR)]
    files += [seed[1:] for target in binary_records.TARGETS if target.name != "avro-parts" for seed in target.seeds()]
    return [*files, *(seed[1:] for target in texts.TARGETS if target.name == "json" for seed in target.seeds())]


def _seeds() -> Sequence[bytes]:
    clear, sealed = _folder() / "clear", _folder() / "sealed"
    clear.write_bytes(_CLEAR)
    encrypt_envelope(clear, sealed, _keys().rsa_public.read_bytes())
    return [*clear_files(), sealed.read_bytes()]


def _sample_seeds() -> Sequence[bytes]:
    return [bytes([first]) + data for data in clear_files() for first in range(3)]


TARGETS: Final = (
    Target("delivery", run_delivery, _seeds, binary_records.MEMORY_OF_ARROW),
    Target("sample", run_sample, _sample_seeds, binary_records.MEMORY_OF_ARROW),
)
