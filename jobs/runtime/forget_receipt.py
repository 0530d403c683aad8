"""What a job that forgets people tells in the end: counts by place, and what was not done. No key, hash or value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_BY_RULE: Final = "until the lifecycle rule of its bucket takes it, else until somebody deletes it"


@dataclass(frozen=True)
class Findings:
    """What was found: the notes of the search by table, of the rejects, and of the rest.

    ``unsearched`` are tables that the lists have no column for, ``former`` those that the connector does not fill any
    more, ``others`` further connectors that fill the same ones.
    """

    connector: str
    reason: str
    lists: Sequence[str]
    tables: Mapping[str, Mapping[str, Any]]
    rejects: Mapping[str, Any]
    leftovers: Mapping[str, Any]
    delete_quarantine: bool
    unsearched: Sequence[str]
    former: Sequence[str]
    others: Sequence[str]


def receipt_of(found: Findings) -> dict[str, Any]:
    """Return the receipt, ready to become JSON."""
    notes = found.tables
    return {
        "connector": found.connector,
        "reason": found.reason,
        "lists": list(found.lists),
        "people": max((note["people"] for note in notes.values()), default=0),
        "unusable": max((note["unusable"] for note in notes.values()), default=0),
        "tables": {
            name: {
                "rows": note["rows"],
                "folders": len(note["folders"]),
                "searched_by": note["searched_by"],
                "earlier_rows": sum(note["earlier"].values()),
                "earlier_folders": len(note["earlier"]),
                "unsearchable_folders": len(note["unsearchable"]),
            }
            for name, note in notes.items()
        },
        "rejects": {
            "rows": sum(each["rows"] for each in found.rejects["files"].values()),
            "files": len(found.rejects["files"]),
        },
        **{name: found.leftovers[name] for name in ("raw", "staged", "landing", "archive")},
        "quarantine": {**found.leftovers["quarantine"], "deleted": found.delete_quarantine},
        "not_done": _not_done(found),
    }


def _not_done(found: Findings) -> list[dict[str, Any]]:
    """Say what may still hold the people, how much of it there is, and until when."""
    archive, left = found.leftovers["archive"], []
    if archive["objects"]:
        how = "held them" if archive["by_source_file"] else "may hold them: the table does not say which do"
        left.append(_left("archive", len(archive["objects"]), f"originals that {how}; the receipt names them"))
    if archive["others"]:
        what = "originals that were not searched: of duplicate, rejected or superseded rows nothing tells the file"
        left.append(_left("archive", archive["others"], what))
    quarantined = found.leftovers["quarantine"]["objects"]
    if quarantined and not found.delete_quarantine:
        left.append(_left("quarantine", quarantined, "copies, not searched; --delete-quarantine deletes them all"))
    waiting = found.leftovers["landing"]["objects"]
    if waiting:
        what = "delivered and not loaded yet; a suppression list keeps the people out"
        left.append(_left("landing", waiting, what, "until the next run"))
    if found.rejects["unknown"]:
        what = "folders of rejects of feeds that the connector does not have any more, not searched"
        left.append(_left("rejects", len(found.rejects["unknown"]), what))
    if found.rejects["partial"]:
        what = "files of rejects without a field that people are found by: from before it was delivered, or renamed"
        left.append(_left("rejects", len(found.rejects["partial"]), what))
    if found.former:
        what = f"tables that the connector has filled and does not any more: {', '.join(found.former)}"
        left.append(
            _left("curated", len(found.former), what, "until this job is run with --table and their table file")
        )
    if found.unsearched:
        what = f"tables that the lists have no column for: {', '.join(found.unsearched)}"
        left.append(_left("curated", len(found.unsearched), what, "until a list with such a column is given"))
    if found.others:
        what = f"connectors that fill the same tables: {', '.join(found.others)}; run this job for them as well"
        left.append(_left("others", len(found.others), what))
    left.append(_left("source", 1, "the source itself; a suppression list keeps the people out", "always"))
    return left


def _left(place: str, count: int, what: str, until: str = _BY_RULE) -> dict[str, Any]:
    return {"place": place, "count": count, "what": what, "until": until}


def summary_of(receipt: Mapping[str, Any]) -> str:
    """Return the receipt as lines for the person who has asked."""
    verb = "Forgot" if "forget" in receipt else "Would forget"
    lines = ["", f"{verb} {receipt['people']:,} people · {receipt['connector']}", ""]
    for name, table in receipt["tables"].items():
        earlier = f"{table['earlier_rows']:>10,} rows in {table['earlier_folders']:,} folders"
        lines.append(f"  table {name:<28} {table['rows']:>10,} rows in {table['folders']:,} folders")
        lines.append(f"    earlier runs {'':<19} {earlier}")
        if table["unsearchable_folders"]:
            lines.append(f"    made with another key or rule    {table['unsearchable_folders']:>10,} folders, whole")
    rejects, quarantine = receipt["rejects"], receipt["quarantine"]
    lines.append(f"  rejects {'':<26} {rejects['rows']:>10,} rows in {rejects['files']:,} files")
    lines += [f"  {name:<34} {receipt[name]['objects']:>10,} objects" for name in ("raw", "staged")]
    if quarantine["deleted"]:
        lines.append(f"  quarantine {'':<23} {quarantine['objects']:>10,} objects")
    lines += ["", "  not done, and until when it lives"]
    lines += [
        f"  {each['place']:<11} {each['count']:>7,} {each['what']}; {each['until']}" for each in receipt["not_done"]
    ]
    return "\n".join(lines) + "\n"
