"""How a run went: from its ledger entries to one document, one summary and one message. Counts, never values."""

from __future__ import annotations

import json
from typing import Any, Final

from jobs.runtime.accounting import Accounting, FileAccount
from jobs.runtime.errors import ObjectExistsError
from jobs.runtime.ledger import Run
from jobs.runtime.manifest import SUPERSEDED
from jobs.runtime.workspace import Workspace

_GOOD_OBJECT: Final = 100 << 20  # Clean Rooms advises objects of 100 MB to 1 GB
_FILES_SHOWN: Final = 10
_TABLES_SHOWN: Final = 3


def make_report(workspace: Workspace, run: Run, archived: dict[str, Any]) -> dict[str, Any]:
    """Return the report of a published run, ready to become JSON."""
    manifest = run.manifest
    decrypted, transformed, published = (run.finished(step) for step in ("decrypt", "transform", "publish"))
    files = decrypted["files"]
    entries = transformed["tables"]
    accounts = {
        (name, each["name"]): FileAccount(**each) for name, entry in entries.items() for each in entry["accounting"]
    }
    accounting = Accounting(tuple(accounts.values()))
    written = sum(entry["size"] for entry in entries.values())
    return {
        "run_id": run.run_id,
        "connector": workspace.connector.name,
        "rows": _rows(accounting),
        "files": [_file(each, accounts, workspace) for each in files if not each["reason"]],
        "quarantined": [
            {name: each[name] for name in ("name", "reason", "detail")} for each in files if each["reason"]
        ],
        "superseded": [entry.name for entry in manifest.entries if entry.role == SUPERSEDED],
        "notes": list(manifest.notes),
        "left_in_landing": archived["left"],
        "tables": {name: _table(workspace, name, entry, files) for name, entry in entries.items()},
        "steps": {
            "decrypt": _step(decrypted["seconds"], sum(each["clear_size"] for each in files), accounting.read),
            "transform": _step(sum(each["seconds"] for each in entries.values()), written, accounting.read),
            "verify": _step(sum(each["verify_seconds"] for each in entries.values()), written, accounting.published),
            "publish": _step(published["seconds"]),
            "archive": _step(archived["seconds"], sum(entry.size for entry in manifest.entries)),
        },
        "catalog": published["catalog"],
        "rejects": workspace.storage.uri(workspace.rejects(run.run_id).rstrip("/")),
        "archive": workspace.storage.uri(workspace.archive(run.run_id).rstrip("/")),
    }


def _rows(accounting: Accounting) -> dict[str, Any]:
    return {
        "read": accounting.read,
        "published": accounting.published,
        "duplicates": accounting.duplicates,
        "deletes": accounting.deletes,
        **({"suppressed": accounting.suppressed} if accounting.suppressed else {}),
        "rejected": accounting.rejected,
        "rejected_by_reason": accounting.reasons,
    }


def _file(each: dict[str, Any], accounts: dict[tuple[str, str], FileAccount], workspace: Workspace) -> dict[str, Any]:
    table = workspace.connector.feed(each["feed"]).table
    account = accounts.get((table, each["name"]))
    return {
        "name": each["name"],
        "table": table,
        "codec": each["codec"],
        "bytes": each["size"],
        "clear_bytes": each["clear_size"],
        "seconds": each["seconds"],
        "ignored_columns": each["ignored_columns"],
        "absent_fields": each["absent_fields"],
        **(vars(account) if account is not None else {}),
    }


def _table(workspace: Workspace, name: str, entry: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    own = [each for each in files if each["feed"] == entry["feed"] and not each["reason"]]
    return {
        "load": entry["load"],
        "rows": entry["rows"],
        "rows_of_the_run": _rows(Accounting(tuple(FileAccount(**each) for each in entry["accounting"]))),
        "displaced": entry["displaced"],
        "columns": {
            column["name"]: {
                "published_as": column["published_as"],
                "profile": column["profile"],
                "delivered": _delivered(column["field"], own),
                "published": entry["fill"].get(column["name"]),
                "distinct": entry["distinct"].get(column["name"]),
            }
            for column in entry["columns"]
        },
        "match_readiness": entry["match_readiness"],
        "schema_changes": entry["schema_changes"],
        "absent_fields": sorted({field for each in own for field in each["absent_fields"]}),
        "location": entry["location"],
        "objects": entry["objects"],
        "bytes": entry["size"],
        "written_rows": entry["written_rows"],
        "written_partitions": entry["written_partitions"],
        "partitions": len(entry["partitions"]),
        "query": _query(workspace, name),
        "advice": _advice(entry),
    }


def _delivered(field: str, files: list[dict[str, Any]]) -> float | None:
    """Return the share of parsed rows that came with any text in ``field``."""
    rows = sum(each["rows"] for each in files)
    return sum((each["filled"] or {}).get(field, 0) for each in files) / rows if rows else None


def _step(seconds: float, size: int = 0, rows: int = 0) -> dict[str, float]:
    step = {"seconds": round(seconds, 2)}
    if size and seconds:
        step["mb_per_second"] = round(size / 1e6 / seconds, 1)
    if rows and seconds:
        step["rows_per_second"] = round(rows / seconds)
    return step


def _query(workspace: Workspace, table: str) -> str:
    """Return what to type to look into the table; a table's partitions may lie in the folders of several runs."""
    root = workspace.storage.root
    if root.startswith("s3://"):
        return f'SELECT count(*) FROM "{table}"'  # noqa: S608  shown to the reader, never run
    return f'spark-submit jobs/query.py --root {root} --sql "SELECT * FROM {table} LIMIT 5"'  # noqa: S608  likewise


def _advice(transformed: dict[str, Any]) -> list[str]:
    objects, size = transformed["objects"], transformed["size"]
    if objects > 1 and size > _GOOD_OBJECT and size / objects < _GOOD_OBJECT:
        return [f"the {objects} objects are smaller than the 100 MB that Clean Rooms advises; fewer partitions help"]
    return []


def write_report(run: Run, report: dict[str, Any]) -> None:
    """Write ``report.json`` beside the run's ledger entries; a rerun of the last step leaves the first one."""
    try:
        run.storage.create(run.key("report.json"), json.dumps(report, indent=1).encode())
    except ObjectExistsError:
        return


def message_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return the short form for a notification."""
    names = ("run_id", "connector", "rows", "quarantined", "superseded", "left_in_landing", "steps")
    tables = {
        name: {key: table[key] for key in ("load", "rows", "schema_changes", "location")}
        for name, table in report["tables"].items()
    }
    return {**{name: report[name] for name in names}, "tables": tables}


def summary_of(report: dict[str, Any]) -> str:
    """Return the summary that ends a run, as text."""
    rows = report["rows"]
    tables = report["tables"]
    into = f"table {next(iter(tables))}" if len(tables) == 1 else f"{len(tables)} tables"
    deletes = [f"  deletions   {rows['deletes']:>14,}"] if rows["deletes"] else []
    suppressed = [f"  suppressed  {rows['suppressed']:>14,}"] if "suppressed" in rows else []
    lines = [
        "",
        f"Run {report['run_id']} · {report['connector']} → {into}",
        "",
        f"  read        {rows['read']:>14,} rows in {len(report['files'])} files",
        f"  published   {rows['published']:>14,}",
        f"  duplicates  {rows['duplicates']:>14,}",
        *deletes,
        *suppressed,
        f"  rejected    {rows['rejected']:>14,}" + _reasons(rows["rejected_by_reason"]),
        "",
        f"  {'file':<58} {'codec':<14} {'read':>11} {'published':>11} {'duplicates':>11} {'rejected':>9}",
    ]
    for each in report["files"][:_FILES_SHOWN]:
        rejected = sum(each["rejected"].values())
        counts = f"{each['read']:>11,} {each['published']:>11,} {each['duplicates']:>11,} {rejected:>9,}"
        lines.append(f"  {_short(each['name'], 58):<58} {_short(each['codec'], 14):<14} {counts}")
    if len(report["files"]) > _FILES_SHOWN:
        lines.append(f"  … and {len(report['files']) - _FILES_SHOWN} more, all in report.json")
    lines += [f"  not loaded: {each['name']}: {each['reason']}" for each in report["quarantined"]]
    lines += [f"  superseded by a newer export, archived unread: {name}" for name in report["superseded"]]
    if len(tables) > _TABLES_SHOWN:
        lines += _tables_lines(tables)
    else:
        for name, table in tables.items():
            lines += _table_lines(name, table, alone=len(tables) == 1)
    lines += ["", f"  {'step':<12} {'seconds':>9} {'MB/s':>9} {'rows/s':>11}"]
    for name, step in report["steps"].items():
        rows_per_second = format(step["rows_per_second"], ",") if "rows_per_second" in step else ""
        speed = f"{step.get('mb_per_second', ''):>9} {rows_per_second:>11}"
        lines.append(f"  {name:<12} {step['seconds']:>9.2f} {speed}".rstrip())
    lines += ["", f"  tables in {report['catalog']}", f"  rejects {report['rejects']}"]
    advice = [f"{name}: {text}" for name, table in tables.items() for text in table["advice"]]
    lines += [f"  note: {text}" for text in [*report["notes"], *advice]]
    return "\n".join(lines) + "\n"


def _tables_lines(tables: dict[str, Any]) -> list[str]:
    """Return a line a table, where there are many; report.json has the columns of each."""
    width = max(len(name) for name in tables)
    lines = ["", f"  {'table':<{width}} {'load':<19} {'rows now':>12} {'new':>11} {'displaced':>10} {'partitions':>11}"]
    for name, table in tables.items():
        counts = f"{table['rows']:>12,} {table['rows_of_the_run']['published']:>11,} {table['displaced']:>10,}"
        partitions = (
            "-" if table["written_partitions"] is None else f"{table['written_partitions']}/{table['partitions']}"
        )
        lines.append(f"  {name:<{width}} {table['load']:<19} {counts} {partitions:>11}")
        lines += _change_lines(table)
    return lines


def _change_lines(table: dict[str, Any]) -> list[str]:
    lines = [f"    schema: {change}" for change in table["schema_changes"]]
    if table["absent_fields"]:
        lines.append(f"    not delivered, so null: {', '.join(table['absent_fields'])}")
    return lines


def _table_lines(name: str, table: dict[str, Any], *, alone: bool) -> list[str]:
    width = max(24, *map(len, table["columns"]))
    shares = f"{'delivered':>10} {'published':>10} {'distinct':>11}"
    lines = [
        "" if alone else f"\n  table {name}",
        f"  {'column':<{width}} {'profile':<26} {'published as':<20} {shares}",
    ]
    for column, described in table["columns"].items():
        shares = f"{_share(described['delivered']):>10} {_share(described['published']):>10}"
        distinct = "-" if described["distinct"] is None else f"~{described['distinct']:,}"
        text = f"{described['profile']:<26} {described['published_as']:<20} {shares} {distinct:>11}"
        lines.append(f"  {column:<{width}} {text}")
    lines += _readiness_lines(table["match_readiness"])
    changes = [line.removeprefix("  ") for line in _change_lines(table)]
    lines += ["", *changes] if changes else []
    partitions = f"{table['partitions']} partitions"
    if table["load"] != "full_refresh":
        touched = "" if table["written_partitions"] is None else f" in {table['written_partitions']} of its partitions"
        lines.append(
            f"  {table['load']}: the table has {table['rows']:,} rows now; {table['displaced']:,} were displaced, "
            f"{table['written_rows']:,} written{touched}"
        )
    lines += [
        "",
        f"  {table['bytes'] / 1e6:,.1f} MB in {table['objects']} objects, {partitions}: {table['location']}",
        f"  query   {table['query']}",
    ]
    return lines


def _readiness_lines(readiness: dict[str, Any] | None) -> list[str]:
    """Return what a disappointing match rate may come from, as shares of the published rows."""
    if readiness is None or not readiness["rows"]:
        return []
    rows = readiness["rows"]
    lines = []
    for name, column in readiness["columns"].items():
        invalid = ", ".join(f"{reason} {count / rows:.1%}" for reason, count in column["invalid_by_reason"].items())
        hashed = f"already hashed {column['already_hashed'] / rows:.1%}" if column["already_hashed"] else ""
        if invalid or hashed:
            lines.append(f"  {name}: " + ", ".join(part for part in (invalid, hashed) if part))
    lines += [
        f"  {pair}: normalised differently in {count / rows:.1%} of the rows"
        for pair, count in readiness["normalised_differently"].items()
    ]
    unknown = readiness["countries"]["named_but_unknown"]
    if unknown:
        lines.append(f"  country named but unknown: {unknown / rows:.1%}")
    return ["", "  match readiness (shares of the published rows)", *lines] if lines else []


def _reasons(reasons: dict[str, int]) -> str:
    return "  " + ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) if reasons else ""


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[-width + 1 :]
