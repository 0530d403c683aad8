"""Connector and table files: packaged ones by name, the user's own by URI; all checked before Spark starts."""

from __future__ import annotations

from importlib import resources

from jobs.runtime.errors import ArgumentError
from jobs.runtime.storage import read_uri
from schemas.connector import Connector, parse_connector, table_name_of
from schemas.problems import nearest
from schemas.table import Table, parse_table


def load_configuration(connector: str, table: str | None) -> tuple[Connector, Table]:
    """Return the connector and the table that it feeds.

    ``connector`` and ``table`` are names of packaged files, or URIs (``file:///…/x.toml``, ``s3://…``) of the user's
    own. Without ``table`` the connector's own one is taken. Raises SchemaError with every problem found.
    """
    connector_text, connector_origin = _read(connector, "connectors")
    table_text, table_origin = _read(table or table_name_of(connector_text, connector_origin), "tables")
    parsed = parse_table(table_text, table_origin)
    return parse_connector(connector_text, connector_origin, parsed), parsed


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
