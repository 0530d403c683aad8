"""What a run makes of a table in the catalog: its location, partitions and parameters, and when that is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from jobs.runtime.catalog import Catalog
from jobs.runtime.errors import CatalogConflictError, VerificationError
from jobs.runtime.hash_keys import key_id
from jobs.runtime.merge import LOADED_THROUGH, VERSION_KEYS, VERSIONS
from jobs.runtime.published_table import PublishedPartition, PublishedTable, describe_table
from schemas.feed import Feed
from schemas.table import Table
from transforms.frames.mapping import country_field

#: Table parameter: the connectors whose rows the table has.
FED_BY: Final = "fed_by"
#: Table parameter: the run whose rows it has, where the one that it shows has only taken some out.
STANDS_UPON: Final = "stands_upon"

_SWITCH_ATTEMPTS: Final = 5


def present_table(catalog: Catalog, name: str) -> PublishedTable | None:
    """Return the table as it shows a run of ours, None where there is none, or one that is only being made.

    Raises CatalogConflictError where there is a table of that name that no run of ours has made.
    """
    present = catalog.get(name)
    if present is not None and not present.is_ours:
        raise CatalogConflictError(
            f"{catalog.describe()} has a table {name} that was not made here; it stays as it is. Publish under another "
            "name, in another database, or drop that table first"
        )
    return present if present is not None and present.run_id else None


def seen_table(catalog: Catalog, name: str) -> PublishedTable | None:
    """Return the table as the catalog has it, one that is only being made included; never one of somebody else."""
    present_table(catalog, name)
    return catalog.get(name)


def shows(present: PublishedTable | None, run_id: str) -> bool:
    """Tell whether the table shows the run, whole."""
    return present is not None and present.run_id == run_id and not present.claimed_by


def check_base(
    present: PublishedTable | None,
    name: str,
    run_id: str,
    base: str,
    *,
    advice: str = "Run again: the rows are merged anew",
) -> None:
    """Raise CatalogConflictError, with ``advice``, where the table is no longer what the run was merged with."""
    now = present.run_id if present is not None else ""
    if now != base:
        raise CatalogConflictError(
            f"table {name} shows run {now or 'none'} by now, and run {run_id} was made for {base or 'none'}; "
            f"it was left as it is. {advice}"
        )


def switch(
    catalog: Catalog,
    name: str,
    run_id: str,
    make: Callable[[PublishedTable | None], PublishedTable],
    *,
    base: str,
    before: PublishedTable | None,
) -> PublishedTable:
    """Point the table, as it was seen ``before``, to what ``make`` makes of it for the run; return what it is now.

    A conflict is tried again as long as the table shows the ``base`` run as before: somebody has changed something
    about it that is no business of ours, such as its statistics. Raises CatalogConflictError where that does not end.
    """
    attempts = 0
    while True:
        table = make(before)
        try:
            catalog.put(table, before.version if before is not None else "")
        except CatalogConflictError:
            attempts += 1
            if attempts == _SWITCH_ATTEMPTS:
                raise
            time.sleep(2**attempts / 20)
            before = seen_table(catalog, name)
            if before is not None and shows(before, run_id):  # our own call, whose answer was lost: it was repeated
                return before
            check_base(before, name, run_id, base)
        else:
            return table


def previous_key_id(before: Mapping[str, str], key_id: str) -> str:
    """Return the keys that a table was hashed with before those called ``key_id``; empty where there were none.

    ``before`` are the parameters of the table as it stood: a run with its keys carries on what they had replaced.
    """
    known = before.get("hash_key_id", "")
    return known if known and known != key_id else before.get("previous_hash_key_id", "")


def making_of(table: Table, keys: Mapping[str, bytes]) -> dict[str, str]:
    """Return the parameters that say how the values of a table are made: profiles, hashes and keys."""
    return {
        "schema_hash": table.schema_hash,
        "profiles": ",".join(f"{c.name}={c.profile}:{c.normalize}" for c in table.columns if c.type == "string"),
        "hashes": ",".join(
            f"{c.name}={c.hash.algorithm}/{c.hash.encoding}" + (f"/{c.hash.key}" if c.hash.keyed else "")
            for c in table.hashed_columns
            if c.hash is not None
        ),
        "hash_key_id": key_id(keys),
    }


def published_table(
    table: Table, feed: Feed, entry: Mapping[str, Any], present: PublishedTable | None, *, connector: str, run_id: str
) -> PublishedTable:
    """Return the table as it is to stand after the run whose transform noted ``entry``."""
    before = dict(present.parameters) if present is not None else {}
    parameters = {
        "run_id": run_id,
        "connector": connector,
        FED_BY: ",".join(sorted({connector, *_fed_by(feed, entry, before)})),
        "load": feed.load,
        "row_count": str(entry["rows"]),
        **entry["making"],
        "phonenumbers": entry["phonenumbers"],
        "country_source": _country_source(feed, table),
        VERSIONS: entry["versions"],
        VERSION_KEYS: entry["version_keys"],
        LOADED_THROUGH: entry["loaded_through"],
        "schema_changes": "; ".join(entry["schema_changes"]) or before.get("schema_changes", ""),
        "previous_run": before.get("run_id", ""),
        "previous_location": present.location if present is not None else "",
        "previous_hash_key_id": previous_key_id(before, entry["making"].get("hash_key_id", "")),
    }
    partitions = [PublishedPartition(**{**each, "values": tuple(each["values"])}) for each in entry["partitions"]]
    return describe_table(table, entry["location"], partitions if table.partitions else (), parameters)


def _fed_by(feed: Feed, entry: Mapping[str, Any], before: Mapping[str, str]) -> list[str]:
    """Return which connectors' rows stay in a table that the run does not replace."""
    if feed.load == "full_refresh" and not entry["versions"]:
        return []
    return [name for name in before.get(FED_BY, before.get("connector", "")).split(",") if name]


def _country_source(feed: Feed, table: Table) -> str:
    """Say where a row's country came from, which decides what a national phone number or a postal code means."""
    if feed.country is not None:
        return f"always {feed.country}"
    field = country_field(feed, table)
    default = f"default {feed.default_country}" if feed.default_country is not None else ""
    return ", ".join(part for part in (f"field {field}" if field is not None else "", default) if part) or "none"


def check_shrink(table: Table, run_id: str, present: PublishedTable | None, rows: int, *, allow_shrink: bool) -> None:
    """Raise VerificationError where the table would lose a greater share of its rows than its file allows."""
    before = present.rows if present is not None else 0
    if rows < before * (1 - table.max_shrink) and not allow_shrink:
        raise VerificationError(
            f"run {run_id} would shrink table {table.name} from {before:,} to {rows:,} rows, by more than the "
            f"{table.max_shrink:.0%} that its file allows; nothing was published. Ask the source whether the delivery "
            "is whole; if it is right, run again with --allow-shrink"
        )
