"""Connector and table files: packaged ones by name, the user's own by URI; all checked before Spark starts."""

from __future__ import annotations

from importlib import resources

from jobs.runtime.errors import ArgumentError, StorageError
from jobs.runtime.storage import read_uri
from schemas.connector import Connector, parse_connector, tables_of
from schemas.problems import nearest
from schemas.table import Table, parse_table


def load_configuration(connector: str, table: str | None) -> tuple[Connector, dict[str, Table]]:
    """Return the connector and the tables that it feeds, by the names of its feeds.

    ``connector`` and ``table`` are names of packaged files, or URIs (``file:///…/x.toml``, ``s3://…``) of the user's
    own. Without ``table`` the connector's own ones are taken: those of a user's connector from the folder ``tables``
    beside the one it is in, or else the packaged ones. Raises SchemaError with every problem found.
    """
    text, origin = _read(connector, "connectors")
    named = tables_of(text, origin)
    if table is not None and len(named) > 1:
        raise ArgumentError(f"--table: connector {connector} fills {len(named)} tables, and names them itself")
    tables = {}
    for name in named:
        table_text, table_origin = _read(table, "tables") if table is not None else _read_table(name, connector)
        tables[name] = parse_table(table_text, table_origin)
    if table is not None:
        (only,) = tables.values()
        tables = {named[0]: only, only.name: only}
    parsed = parse_connector(text, origin, tables)
    return parsed, {feed.name: next(t for t in tables.values() if t.name == feed.table) for feed in parsed.feeds}


def _read_table(name: str, connector: str) -> tuple[str, str]:
    """Read a table that a connector names: one beside it, or a packaged one."""
    if ":" in connector and ":" not in name:
        beside = f"{connector.rpartition('/')[0].rpartition('/')[0]}/tables/{name}.toml"
        try:
            return read_uri(beside).decode(), beside
        except StorageError:
            pass
    return _read(name, "tables")


def _read(name: str, folder: str) -> tuple[str, str]:
    if ":" in name:
        try:
            return read_uri(name).decode(), name
        except UnicodeDecodeError:
            raise ArgumentError(f"{name} is not UTF-8 text") from None
    packaged = {entry.name.removesuffix(".toml"): entry for entry in resources.files(f"schemas.{folder}").iterdir()}
    if name not in packaged or not packaged[name].name.endswith(".toml"):
        names = [key for key, entry in packaged.items() if entry.name.endswith(".toml")]
        raise ArgumentError(
            f"there is no packaged file schemas/{folder}/{name}.toml "
            f"(your own file is given by its URI: file:///…/name.toml){nearest(name, names)}"
        )
    return packaged[name].read_text(encoding="utf-8"), f"schemas/{folder}/{name}.toml"
