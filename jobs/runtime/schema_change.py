"""What differs between a table as it stands in the catalog and as its file has it now, and whether that may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from jobs.runtime.errors import VerificationError
from jobs.runtime.published_table import PublishedTable
from schemas.table import Table

_WHOLE: Final = ("smallint", "int", "bigint")
_DECIMAL: Final = re.compile(r"decimal\((\d+),(\d+)\)")


def schema_changes(present: PublishedTable | None, table: Table) -> list[str]:
    """Name every difference in columns and types, for the summary and the table's parameters.

    Raises VerificationError where old and new files could not be read together: another list of partition columns, or
    a type that does not hold every value of the old one.
    """
    if present is None:
        return []
    before = {column.name: column.type for column in present.columns}
    now = {column.name: column.type for column in table.data_columns}
    keys = [(key.name, key.type) for key in present.partition_keys]
    wanted = [(column.name, column.type) for column in table.partition_columns]
    if keys != wanted:
        raise VerificationError(
            f"table {table.name} is partitioned by {_listed(keys)}, its file says {_listed(wanted)}; that needs a "
            "table of another name. Nothing was published"
        )
    narrowed = [
        f"{name} from {before[name]} to {kind}"
        for name, kind in now.items()
        if name in before and not _holds(kind, before[name])
    ]
    if narrowed:
        raise VerificationError(
            f"table {table.name}: {', '.join(narrowed)} would not hold every value there is; nothing was published. "
            "Give the column its old type, or another name"
        )
    return [
        *(f"added {name} {kind}" for name, kind in now.items() if name not in before),
        *(f"removed {name}" for name in before if name not in now),
        *(
            f"widened {name} from {before[name]} to {kind}"
            for name, kind in now.items()
            if before.get(name, kind) != kind
        ),
    ]


def _listed(columns: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns) or "nothing"


def _holds(new: str, old: str) -> bool:
    """Tell whether a column of the type ``new`` can show every value of the type ``old``, also from old files."""
    if new == old:
        return True
    if new in _WHOLE and old in _WHOLE:
        return _WHOLE.index(new) > _WHOLE.index(old)
    one, other = _DECIMAL.fullmatch(new), _DECIMAL.fullmatch(old)
    return bool(one and other and one[2] == other[2] and int(one[1]) >= int(other[1]))


def check_same_hashes(present: PublishedTable | None, table: Table, parameters: Mapping[str, str]) -> None:
    """See that rows which stay in the table were made in the same way as those that come.

    ``parameters`` are those that the run would give the table. Raises VerificationError where key, hashing or
    normalisation of a column differ: one person would have two hashes.
    """
    if present is None:
        return
    changed = []
    if present.parameters.get("hash_key_id", "") != parameters["hash_key_id"]:
        changed.append("the hash key")
    there = {column.name for column in (*present.columns, *present.partition_keys)}
    stay = [column.name for column in table.columns if column.name in there]
    for name in ("hashes", "profiles"):
        before = _by_column(present.parameters.get(name, ""))
        now = _by_column(parameters[name])
        changed += [f"{name} of {column}" for column in stay if before.get(column) != now.get(column)]
    if changed:
        raise VerificationError(
            f"table {table.name} keeps rows of earlier runs, and {', '.join(changed)} differs from theirs: one person "
            "would have two hashes. Nothing was published. Load all deliveries anew from archive/ into a new table"
        )


def _by_column(text: str) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in text.split(",") if entry)
