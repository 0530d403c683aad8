"""What a run makes of a table in the catalog: its location, partitions and parameters, and when that is refused."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from jobs.runtime.catalog import Catalog
from jobs.runtime.errors import CatalogConflictError, VerificationError
from jobs.runtime.merge import LOADED_THROUGH, VERSION_KEYS, VERSIONS
from jobs.runtime.published_table import PublishedPartition, PublishedTable, describe_table
from schemas.feed import Feed
from schemas.table import DEFAULT_KEY, Table
from transforms.frames.mapping import country_field


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


def key_id(keys: Mapping[str, bytes]) -> str:
    """Return a name for the keys that tells nothing about them, so that two runs can be seen to have had the same."""
    return ",".join(_key_id(name, key) for name, key in keys.items())


def _key_id(name: str, key: bytes) -> str:
    fingerprint = hmac.new(key, b"cleanroom-etl key id", hashlib.sha256).hexdigest()[:16]
    return fingerprint if name == DEFAULT_KEY else f"{name}={fingerprint}"


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
    }
    partitions = [PublishedPartition(**{**each, "values": tuple(each["values"])}) for each in entry["partitions"]]
    return describe_table(table, entry["location"], partitions if table.partitions else (), parameters)


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
