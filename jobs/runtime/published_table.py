"""A table as it stands in a catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.table import Table


@dataclass(frozen=True)
class PublishedColumn:
    """A column as the catalog has it."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class PublishedPartition:
    """A partition: its values in the order of the partition keys, and the folder that holds exactly its files.

    ``rows`` is how many it has; ``delivered`` when its rows were, where a newer delivery replaces them all.
    """

    values: tuple[str, ...]
    location: str
    rows: int = 0
    delivered: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """A table as it stands in a catalog.

    ``location`` is the folder that holds the files, or the partitions' folders. ``parameters`` are ours alone, without
    prefix. ``version`` is the catalog's; it is empty for a table that is not there yet.
    """

    name: str
    comment: str
    location: str
    columns: tuple[PublishedColumn, ...]
    partition_keys: tuple[PublishedColumn, ...]
    partitions: tuple[PublishedPartition, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    @property
    def run_id(self) -> str:
        """The run that it shows; empty for a table of somebody else."""
        return self.parameters.get("run_id", "")

    @property
    def claimed_by(self) -> str:
        """The run that is in the middle of switching it; empty where none is."""
        return self.parameters.get("switching_to", "")

    @property
    def is_ours(self) -> bool:
        """Whether a run of ours has made it."""
        return bool(self.run_id or self.claimed_by)

    @property
    def rows(self) -> int:
        """How many rows it has, as the run that it shows has counted them."""
        return int(self.parameters.get("row_count", "0"))

    @property
    def locations(self) -> tuple[str, ...]:
        """The folders that hold its files."""
        return tuple(partition.location for partition in self.partitions) or (self.location,)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PublishedTable:
        """Read the form that ``dataclasses.asdict`` makes."""
        return cls(
            name=document["name"],
            comment=document["comment"],
            location=document["location"],
            columns=tuple(PublishedColumn(**column) for column in document["columns"]),
            partition_keys=tuple(PublishedColumn(**column) for column in document["partition_keys"]),
            partitions=tuple(
                PublishedPartition(**{**partition, "values": tuple(partition["values"])})
                for partition in document["partitions"]
            ),
            parameters=dict(document["parameters"]),
            version=document.get("version", ""),
        )


def describe_table(
    table: Table, location: str, partitions: Iterable[PublishedPartition], parameters: Mapping[str, str]
) -> PublishedTable:
    """Return ``table`` as it is to stand in the catalog, with its files at ``location``."""
    return PublishedTable(
        name=table.name,
        comment=table.comment,
        location=location,
        columns=tuple(PublishedColumn(column.name, column.type, column.comment) for column in table.data_columns),
        partition_keys=tuple(
            PublishedColumn(column.name, column.type, column.comment) for column in table.partition_columns
        ),
        partitions=tuple(sorted(partitions, key=lambda partition: partition.values)),
        parameters=dict(parameters),
    )
