"""Small sources, one for each load mode, with deliveries in which much happens to rows and files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fixtures.fernet_writer import encrypt_envelope

NAME: Final = "source"
_HEADER: Final = "person,kind,at,note\n"

_COLUMNS: Final = """
[columns.person]
comment = "Hash of the person's id"
personal_data = "identifier"
[columns.kind]
comment = "What happened"
[columns.note]
comment = "More"
[columns.day]
comment = "Day (UTC)"
type = "date"
field = "at"
default = "1970-01-01"
"""
_CONNECTOR: Final = r"""
name = "source"
comment = "Events of persons"
table = "events"
[delivery]
snapshot = '(?P<snapshot>\d{8})_[a-z]+\.csv(\.gz|\.enc)?'
keep = "all"
[rejects]
missing = ["person"]
max_share = 0.6
"""
_TABLE: Final = """
name = "events"
comment = "Events"
"""


@dataclass(frozen=True)
class Scenario:
    """A source with two deliveries (clear text by name; ``.enc`` is sent as an envelope), the second on the first.

    ``jobs`` are the scripts that bring a delivery to its end, with ``more`` arguments; all are run again after a crash.
    ``setup`` are jobs, with arguments of their own, that are run before. ``in_units`` says that readers see the table
    in states between the old one and the new one.
    """

    name: str
    connector: str
    tables: Mapping[str, str]
    first: Mapping[str, str]
    second: Mapping[str, str]
    jobs: tuple[str, ...] = ("pipeline",)
    more: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[tuple[str, Mapping[str, str]], ...] = ()
    in_units: bool = False

    def define(self, folder: Path) -> None:
        """Write the definitions below ``folder``."""
        for kind, name, text in (
            ("connectors", NAME, self.connector),
            *(("tables", name, text) for name, text in self.tables.items()),
        ):
            path = folder / "definitions" / kind / f"{name}.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def delivered(files: Mapping[str, str], public_key: bytes) -> dict[str, bytes]:
    """Return the files as they are pushed."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            clear, sealed = Path(folder, "clear"), Path(folder, "sealed")
            clear.write_text(text)
            if name.endswith(".enc"):
                encrypt_envelope(clear, sealed, public_key)
                clear = sealed
            made[name] = b"\x1f\x8b\x08broken" if name.endswith(".gz") else clear.read_bytes()
    return made


def _rows(day: int, *people: str, kind: str = "open", note: str = "") -> str:
    return "".join(f"{person},{kind},2024-01-{day:02}T10:00:00Z,{note}\n" for person in people)


#: In the second delivery: new rows and old ones, a duplicate, a row without its person, one that is too short, an
#: envelope, a file that is broken.
_FIRST: Final = {
    "20240103_a.csv": _HEADER + _rows(1, "p1", "p2") + _rows(2, "p1", "p3"),
    "20240103_b.csv.enc": _HEADER + _rows(1, "p4") + _rows(3, "p5"),
}
_SECOND: Final = {
    "20240104_a.csv": _HEADER + _rows(2, "p1", "p6", "p6", note="new") + "too,short\n,open,2024-01-02T10:00:00Z,\n",
    "20240104_b.csv.enc": _HEADER + _rows(4, "p7", "p2", note="late") + ",open,2024-01-02T10:00:00Z,\n",
    "20240104_c.csv.gz": "",
}

_UPSERT: Final = f'{_TABLE}load = "upsert"\nkeys = ["person"]\n{_COLUMNS}'
_APPEND: Final = f'{_TABLE}load = "append"\nkeys = ["person", "day", "kind"]\npartitions = ["day"]\n{_COLUMNS}'

FULL: Final = Scenario(
    "full refresh",
    _CONNECTOR.replace('keep = "all"', ""),
    {"events": f'{_TABLE}keys = ["person", "day"]\naudit = ["source_file", "source_row", "run_id"]\n{_COLUMNS}'},
    _FIRST,
    {**_SECOND, "20240102_a.csv": _HEADER + _rows(1, "p9")},  # superseded
)
APPEND: Final = Scenario("append", _CONNECTOR, {"events": _APPEND}, _FIRST, _SECOND)
UPSERT: Final = Scenario(
    "upsert",
    _CONNECTOR + '[deletes]\nfield = "kind"\nvalues = ["left"]\n',
    {"events": _UPSERT},
    _FIRST,
    {**_SECOND, "20240104_d.csv": _HEADER + _rows(5, "p3", kind="left")},
)
OVERWRITE: Final = Scenario(
    "partition overwrite",
    _CONNECTOR.replace('keep = "all"', ""),
    {"events": f'{_TABLE}load = "partition_overwrite"\nkeys = ["person", "day"]\npartitions = ["day"]\n{_COLUMNS}'},
    _FIRST,
    _SECOND,
)
TWO_TABLES: Final = Scenario(
    "two tables",
    _CONNECTOR.replace('table = "events"\n', "").partition("[rejects]")[0]
    + "".join(
        f'[feeds.{feed}]\nfiles = ["*_{letter}.csv*"]\ntable = "{feed}"\n'
        f'[feeds.{feed}.rejects]\nmissing = ["person"]\nmax_share = 0.6\n'
        for feed, letter in (("events", "a"), ("people", "b"))
    ),
    {"events": _APPEND, "people": _UPSERT.replace('name = "events"', 'name = "people"')},
    _FIRST,
    {name: text for name, text in _SECOND.items() if not name.endswith(".gz")},
)
JOB_BY_JOB: Final = Scenario(
    "job by job", APPEND.connector, APPEND.tables, APPEND.first, APPEND.second, ("decrypt", "transform", "archive")
)

BACKFILL: Final = Scenario(
    "backfill",
    UPSERT.connector,
    UPSERT.tables,
    _FIRST,
    {**_SECOND, "20240105_a.csv": _HEADER + _rows(5, "p1", "p8", kind="click") + _rows(5, "p3", kind="left")},
    ("backfill",),
    {"run": "many"},
    (("backfill", {"plan": "many", "unit": "day", "reason": "many days"}),),
    in_units=True,
)
REBUILD: Final = Scenario(
    "rebuild",
    UPSERT.connector,
    UPSERT.tables,
    _FIRST,
    UPSERT.second,
    ("backfill",),
    {"run": "anew"},
    (("pipeline", {}), ("backfill", {"plan": "anew", "source": "archive", "reason": "once more"})),
)

SCENARIOS: Final = {
    each.name: each for each in (FULL, APPEND, UPSERT, OVERWRITE, TWO_TABLES, JOB_BY_JOB, BACKFILL, REBUILD)
}
