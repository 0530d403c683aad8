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


def make_report(workspace: Workspace, run: Run, archived: dict[str, Any]) -> dict[str, Any]:
    """Return the report of a published run, ready to become JSON."""
    manifest = run.manifest
    decrypted, transformed, published = (run.finished(step) for step in ("decrypt", "transform", "publish"))
    files = decrypted["files"]
    accounting = Accounting(tuple(FileAccount(**each) for each in transformed["accounting"]))
    table = workspace.table
    return {
        "run_id": run.run_id,
        "connector": workspace.connector.name,
        "table": table.name,
        "rows": {
            "read": accounting.read,
            "published": accounting.published,
            "duplicates": accounting.duplicates,
            "rejected": accounting.rejected,
            "rejected_by_reason": accounting.reasons,
        },
        "files": [
            {
                "name": each["name"],
                "codec": each["codec"],
                "bytes": each["size"],
                "clear_bytes": each["clear_size"],
                "seconds": each["seconds"],
                "ignored_columns": each["ignored_columns"],
                "absent_fields": each["absent_fields"],
                **next((vars(account) for account in accounting.files if account.name == each["name"]), {}),
            }
            for each in files
            if not each["reason"]
        ],
        "quarantined": [
            {name: each[name] for name in ("name", "reason", "detail")} for each in files if each["reason"]
        ],
        "superseded": [entry.name for entry in manifest.entries if entry.role == SUPERSEDED],
        "notes": list(manifest.notes),
        "left_in_landing": archived["left"],
        "columns": {
            column.name: {
                "published_as": "clear" if column.hash is None else f"{column.hash.algorithm}/{column.hash.encoding}",
                "profile": column.profile,
                "delivered": _delivered(column.field, files),
                "published": transformed["fill"][column.name],
                "distinct": transformed["distinct"].get(column.name),
            }
            for column in table.columns
        },
        "match_readiness": transformed["match_readiness"],
        "steps": {
            "decrypt": _step(decrypted["seconds"], sum(each["clear_size"] for each in files), accounting.read),
            "transform": _step(transformed["seconds"], transformed["size"], accounting.read),
            "verify": _step(transformed["verify_seconds"], transformed["size"], accounting.published),
            "publish": _step(published["seconds"]),
            "archive": _step(archived["seconds"], sum(entry.size for entry in manifest.entries)),
        },
        "location": transformed["location"],
        "objects": transformed["objects"],
        "bytes": transformed["size"],
        "partitions": len(transformed["partitions"]),
        "catalog": workspace.catalog.describe(),
        "query": _query(workspace, transformed["location"]),
        "rejects": workspace.storage.uri(workspace.rejects(run.run_id).rstrip("/")),
        "archive": workspace.storage.uri(workspace.archive(run.run_id).rstrip("/")),
        "advice": _advice(transformed),
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


def _query(workspace: Workspace, location: str) -> str:
    if location.startswith("s3://"):
        return f'SELECT count(*) FROM "{workspace.table.name}"'  # noqa: S608  shown to the reader, never run
    return f'spark.read.parquet("{location}").show()'


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
    names = (
        "run_id",
        "connector",
        "table",
        "rows",
        "quarantined",
        "superseded",
        "left_in_landing",
        "location",
        "steps",
    )
    return {name: report[name] for name in names}


def summary_of(report: dict[str, Any]) -> str:
    """Return the summary that ends a run, as text."""
    rows = report["rows"]
    lines = [
        "",
        f"Run {report['run_id']} · {report['connector']} → table {report['table']}",
        "",
        f"  read        {rows['read']:>14,} rows in {len(report['files'])} files",
        f"  published   {rows['published']:>14,}",
        f"  duplicates  {rows['duplicates']:>14,}",
        f"  rejected    {rows['rejected']:>14,}" + _reasons(rows["rejected_by_reason"]),
        "",
        f"  {'file':<58} {'codec':<14} {'read':>11} {'published':>11} {'duplicates':>11} {'rejected':>9}",
    ]
    for each in report["files"][:_FILES_SHOWN]:
        rejected = sum(each["rejected"].values())
        counts = f"{each['read']:>11,} {each['published']:>11,} {each['duplicates']:>11,} {rejected:>9,}"
        lines.append(f"  {_short(each['name'], 58):<58} {each['codec']:<14} {counts}")
    if len(report["files"]) > _FILES_SHOWN:
        lines.append(f"  … and {len(report['files']) - _FILES_SHOWN} more, all in report.json")
    lines += [f"  quarantined: {each['name']}: {each['reason']}" for each in report["quarantined"]]
    lines += [f"  superseded by a newer export, archived unread: {name}" for name in report["superseded"]]
    partitions = f"{report['partitions']} partitions"
    width = max(24, *map(len, report["columns"]))
    shares = f"{'delivered':>10} {'published':>10} {'distinct':>11}"
    lines += ["", f"  {'column':<{width}} {'profile':<26} {'published as':<20} {shares}"]
    for name, column in report["columns"].items():
        shares = f"{_share(column['delivered']):>10} {_share(column['published']):>10}"
        distinct = "-" if column["distinct"] is None else f"~{column['distinct']:,}"
        described = f"{column['profile']:<26} {column['published_as']:<20} {shares} {distinct:>11}"
        lines.append(f"  {name:<{width}} {described}")
    lines += _readiness_lines(report["match_readiness"])
    lines += ["", f"  {'step':<12} {'seconds':>9} {'MB/s':>9} {'rows/s':>11}"]
    for name, step in report["steps"].items():
        rows_per_second = format(step["rows_per_second"], ",") if "rows_per_second" in step else ""
        speed = f"{step.get('mb_per_second', ''):>9} {rows_per_second:>11}"
        lines.append(f"  {name:<12} {step['seconds']:>9.2f} {speed}".rstrip())
    lines += [
        "",
        f"  {report['bytes'] / 1e6:,.1f} MB in {report['objects']} objects, {partitions}: {report['location']}",
        f"  table in {report['catalog']}",
        f"  query   {report['query']}",
        f"  rejects {report['rejects']}",
    ]
    lines += [f"  note: {text}" for text in [*report["notes"], *report["advice"]]]
    return "\n".join(lines) + "\n"


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
