"""Where readers look a table up: AWS Glue's Data Catalog, or JSON documents in the same form beside the data.

Publishing is a compare-and-set: it succeeds only on the version that was read, so two runs can never both believe that
theirs is the table. Nothing here reads or moves data.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from jobs.runtime.errors import CatalogConflictError, ObjectChangedError, ObjectExistsError, PipelineError, describe
from jobs.runtime.storage import Storage
from schemas.table import Table

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import StorageDescriptorTypeDef, TableInputTypeDef

_BATCH: Final = 100  # BatchCreatePartition and BatchUpdatePartition take at most so many
_DELETE_BATCH: Final = 25  # BatchDeletePartition
_PREFIX: Final = "cleanroom_etl."  # of our table parameters


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


class Catalog(Protocol):
    """What the jobs need of a catalog."""

    def describe(self) -> str:
        """Say where this catalog is, for messages."""

    def names(self) -> list[str]:
        """Return the names of our tables, sorted."""

    def get(self, name: str) -> PublishedTable | None:
        """Return the table with its partitions and version, or None."""

    def put(self, table: PublishedTable, expected_version: str) -> None:
        """Create the table (``expected_version`` empty) or make it what is given, if it still has that version.

        CatalogConflictError where it has another one. Calling it again after it was interrupted finishes the work.
        """


class FileCatalog:
    """One JSON document a table; readers see a table with all its partitions change at once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def describe(self) -> str:
        """Say where this catalog is."""
        return self._storage.uri("state/catalog")

    @staticmethod
    def _key(name: str) -> str:
        return f"state/catalog/{name}.json"

    def names(self) -> list[str]:
        """List the documents."""
        keys = (item.key for item in self._storage.list("state/catalog/"))
        return sorted(key.rpartition("/")[2].removesuffix(".json") for key in keys if key.endswith(".json"))

    def get(self, name: str) -> PublishedTable | None:
        """Read the document; the version is its etag."""
        present = self._storage.find(self._key(name))
        if present is None:
            return None
        document = json.loads(self._storage.read(self._key(name)))
        after = self._storage.find(self._key(name))
        if after is None or after.etag != present.etag:
            return self.get(name)
        return PublishedTable.from_document({**document, "version": present.etag})

    def put(self, table: PublishedTable, expected_version: str) -> None:
        """Write the document conditionally."""
        document = asdict(table)
        del document["version"]
        data = json.dumps(document, indent=1).encode()
        try:
            if expected_version:
                self._storage.replace(self._key(table.name), data, expected_version)
            else:
                self._storage.create(self._key(table.name), data)
        except (ObjectExistsError, ObjectChangedError):
            raise CatalogConflictError(
                f"table {table.name} was changed by somebody else since this run looked; run again"
            ) from None


# --- AWS Glue: request builders, which are pure, and a thin client


def storage_descriptor(table: PublishedTable, location: str) -> StorageDescriptorTypeDef:
    """Return the Glue storage descriptor of Parquet files in ``location``."""
    return {
        "Columns": [{"Name": column.name, "Type": column.type, "Comment": column.comment} for column in table.columns],
        "Location": location.rstrip("/") + "/",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {
            "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        },
    }


def table_input(table: PublishedTable, more: Mapping[str, str] | None = None) -> TableInputTypeDef:
    """Return the Glue request for ``table``; ``more`` are further parameters of ours, without prefix."""
    ours = {f"{_PREFIX}{name}": value for name, value in {**table.parameters, **(more or {})}.items()}
    return {
        "Name": table.name,
        "Description": table.comment,
        "TableType": "EXTERNAL_TABLE",  # Clean Rooms refuses a table without a type
        "PartitionKeys": [
            {"Name": key.name, "Type": key.type, "Comment": key.comment} for key in table.partition_keys
        ],  # Athena needs the list even where it is empty
        "StorageDescriptor": storage_descriptor(table, table.location),
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE", "compressionType": "snappy", **ours},
    }


def partition_input(table: PublishedTable, partition: PublishedPartition) -> dict[str, Any]:
    """Return the Glue request for one partition, with the same columns as its table."""
    return {
        "Values": list(partition.values),
        "StorageDescriptor": storage_descriptor(table, partition.location),
        "Parameters": {
            "classification": "parquet",
            f"{_PREFIX}rows": str(partition.rows),
            f"{_PREFIX}delivered": partition.delivered,
        },
    }


def _batches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class GlueCatalog:
    """A database of AWS Glue's Data Catalog.

    A table without partitions changes at once. Glue has no call that changes a table and its partitions together, so
    a partitioned one is claimed by compare-and-set first, then its partitions are brought to what they shall be, then
    the table itself; between the first and the last a reader may see partitions of both runs. A run that died between
    them finishes the same work when it is run again, and until then no other run can claim the table.
    """

    def __init__(self, client: GlueClient, database: str) -> None:
        self._client, self._database = client, database

    def describe(self) -> str:
        """Say where this catalog is."""
        return f"Glue database {self._database}"

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._client, operation)(DatabaseName=self._database, **parameters)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("ConcurrentModificationException", "AlreadyExistsException"):
                raise CatalogConflictError(
                    f"the table was changed by somebody else since this run looked ({operation}); run again"
                ) from None
            if code == "EntityNotFoundException":
                raise _NotFoundError(f"{self.describe()}: {operation} found no such thing") from None
            raise PipelineError(f"{self.describe()}: {operation} failed: {describe(error)}") from None
        except BotoCoreError as error:
            raise PipelineError(f"{self.describe()}: {operation} failed: {describe(error)}") from None

    def names(self) -> list[str]:
        """List the tables of the database that have parameters of ours."""
        found: list[str] = []
        parameters: dict[str, Any] = {}
        while True:
            page = self._call("get_tables", **parameters)
            found += [
                table["Name"]
                for table in page["TableList"]
                if any(key.startswith(_PREFIX) for key in table.get("Parameters", {}))
            ]
            if not page.get("NextToken"):
                return sorted(found)
            parameters["NextToken"] = page["NextToken"]

    def get(self, name: str) -> PublishedTable | None:
        """Read the table and all its partitions."""
        try:
            found = self._call("get_table", Name=name)["Table"]
        except _NotFoundError:
            return None
        descriptor = found["StorageDescriptor"]
        return PublishedTable(
            name=name,
            comment=found.get("Description", ""),
            location=descriptor["Location"].rstrip("/"),
            columns=_columns(descriptor["Columns"]),
            partition_keys=_columns(found.get("PartitionKeys", [])),
            partitions=tuple(sorted(self._partitions(name), key=lambda partition: partition.values)),
            parameters={
                key.removeprefix(_PREFIX): value
                for key, value in found.get("Parameters", {}).items()
                if key.startswith(_PREFIX)
            },
            version=found.get("VersionId", ""),
        )

    def _partitions(self, name: str) -> Iterable[PublishedPartition]:
        parameters: dict[str, Any] = {"TableName": name, "ExcludeColumnSchema": True}
        while True:
            page = self._call("get_partitions", **parameters)
            for partition in page["Partitions"]:
                ours = partition.get("Parameters", {})
                yield PublishedPartition(
                    tuple(partition["Values"]),
                    partition["StorageDescriptor"]["Location"].rstrip("/"),
                    int(ours.get(f"{_PREFIX}rows", "0")),
                    ours.get(f"{_PREFIX}delivered", ""),
                )
            if not page.get("NextToken"):
                return
            parameters["NextToken"] = page["NextToken"]

    def put(self, table: PublishedTable, expected_version: str) -> None:
        """Create or switch the table; see the class for what readers see meanwhile."""
        run_id = table.parameters.get("run_id", "")
        present = self.get(table.name)
        # A run that died while switching had set the table's columns already: then all partitions are set again.
        described = present.columns if present is not None and not present.parameters.get("switching_to") else None
        if present is None:
            if expected_version:
                raise CatalogConflictError(f"table {table.name} was deleted since this run looked; run again")
            self._call("create_table", TableInput=table_input(table, {"switching_to": run_id}))
            present = self.get(table.name)
        elif present.parameters.get("switching_to") not in (None, "", run_id):
            raise CatalogConflictError(
                f"run {present.parameters['switching_to']} is in the middle of publishing {table.name}; "
                "run it again first"
            )
        elif present.parameters.get("switching_to") != run_id:
            if present.version != expected_version:
                raise CatalogConflictError(
                    f"table {table.name} was changed by somebody else since this run looked; run again"
                )
            if not table.partition_keys:
                self._call("update_table", TableInput=table_input(table), VersionId=expected_version)
                return
            claimed = dataclasses.replace(present, columns=table.columns)
            self._call(
                "update_table", TableInput=table_input(claimed, {"switching_to": run_id}), VersionId=expected_version
            )
            present = self.get(table.name)
        if present is None:
            raise CatalogConflictError(f"table {table.name} was deleted while this run published it; run again")
        self._switch_partitions(table, present, described)
        self._call("update_table", TableInput=table_input(table), VersionId=present.version)

    def _switch_partitions(
        self, table: PublishedTable, present: PublishedTable, described: tuple[PublishedColumn, ...] | None
    ) -> None:
        """Make the partitions what they shall be; ``described`` are the columns that those there are described with."""
        wanted = {partition.values: partition for partition in table.partitions}
        there = {partition.values: partition for partition in present.partitions}
        create = [partition_input(table, wanted[values]) for values in wanted if values not in there]
        update = [
            {"PartitionValueList": list(values), "PartitionInput": partition_input(table, wanted[values])}
            for values in wanted
            if values in there and (there[values] != wanted[values] or table.columns != described)
        ]
        delete = [{"Values": list(values)} for values in there if values not in wanted]
        for batch in _batches(create, _BATCH):
            self._done(self._call("batch_create_partition", TableName=table.name, PartitionInputList=batch))
        for batch in _batches(update, _BATCH):
            self._done(self._call("batch_update_partition", TableName=table.name, Entries=batch))
        for batch in _batches(delete, _DELETE_BATCH):
            self._done(self._call("batch_delete_partition", TableName=table.name, PartitionsToDelete=batch))

    def _done(self, answer: Mapping[str, Any]) -> None:
        errors = answer.get("Errors") or []
        if errors:
            code = errors[0].get("ErrorDetail", {}).get("ErrorCode", "")
            raise PipelineError(
                f"{self.describe()}: {len(errors)} partitions could not be switched ({code}); run again"
            )


class _NotFoundError(PipelineError):
    pass


def _columns(columns: Iterable[Mapping[str, Any]]) -> tuple[PublishedColumn, ...]:
    return tuple(PublishedColumn(column["Name"], column["Type"], column.get("Comment", "")) for column in columns)


def open_catalog(storage: Storage, database: str | None) -> Catalog:
    """Open the Glue database called ``database``, or, without one, the documents beside the data."""
    if database is None:
        return FileCatalog(storage)
    import boto3  # noqa: PLC0415  local runs need no AWS

    return GlueCatalog(boto3.client("glue"), database)
