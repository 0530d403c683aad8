"""Deliveries that give themselves away: every row says which delivery it is of, and every delivery has as many rows.

What a table must hold after a sequence of deliveries follows from its load mode alone, and is worked out here without
any code of the jobs. A mixture of two states of a table fits none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.jobs.own_source import Source

MODES: Final = ("full_refresh", "append", "upsert", "partition_overwrite")
ROWS: Final = 12
PARTS: Final = ("a", "b", "c")
NAME: Final = "source"
TABLE: Final = "people"

_TABLE: Final = """
name = "people"
comment = "People, each row with the delivery that it came in"
load = "{mode}"
{keys}
{partitions}
[columns.id]
comment = "Id"
[columns.generation]
comment = "Number of the delivery"
[columns.part]
comment = "Part"
default = "none"
"""
_CONNECTOR: Final = r"""
name = "source"
comment = "Deliveries that give themselves away"
table = "people"
[delivery]
snapshot = '(?P<snapshot>\d{8})\.csv'
keep = "all"
"""
_NEWEST: Final = _CONNECTOR.replace('keep = "all"\n', "")

#: What a table holds: how many rows of each delivery.
State = Mapping[str, int]


def make_source(folder: Path, mode: str, *, partitioned: bool = True, name: str = NAME) -> Source:
    """Make a source called ``name`` whose table is loaded by ``mode``; two of one folder feed one table."""
    keys = {"append": 'keys = ["id", "part"]', "upsert": 'keys = ["id"]'}.get(mode, "")
    partitions = 'partitions = ["part"]' if partitioned else ""
    folder.mkdir(parents=True, exist_ok=True)
    text = _TABLE.format(mode=mode, keys=keys, partitions=partitions)
    connector = (_NEWEST if mode == "full_refresh" else _CONNECTOR).replace('"source"', f'"{name}"')
    return Source(folder, connector, {TABLE: text}, name=name)


def name_of(generation: int) -> str:
    """Return what the delivery's file is called."""
    return f"202401{generation:02d}.csv"


def delivery(mode: str, generation: int) -> str:
    """Return the file of a delivery: the same people each time, but for ``append``, where all are new."""
    lines = ["id,generation,part"]
    for number in range(ROWS):
        identity = f"{generation}-{number}" if mode == "append" else str(number)
        lines.append(f"{identity},{generation},{PARTS[number % len(PARTS)]}")
    return "\n".join(lines) + "\n"


def after(mode: str, generations: Iterable[int]) -> State:
    """Return what the table holds when those deliveries were loaded."""
    loaded = sorted(set(generations))
    kept = loaded if mode == "append" else loaded[-1:]
    return {str(generation): ROWS for generation in kept}


def state_of(rows: Iterable[Mapping[str, Any]]) -> State:
    """Return what rows say of the table's state; each person once, in the right part."""
    rows = list(rows)
    numbers = [int(row["id"].rpartition("-")[2]) for row in rows]
    assert all(row["part"] == PARTS[number % len(PARTS)] for row, number in zip(rows, numbers, strict=True))
    assert len({row["id"] for row in rows}) == len(rows)
    return dict(Counter(row["generation"] for row in rows))
