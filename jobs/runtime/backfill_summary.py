"""How a backfill went: what became of each unit, in counts, for the ledger, the log and a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jobs.runtime.ledger import Run
from jobs.runtime.progress import tell

_COUNTED: Final = ("read", "published", "duplicates", "deletes", "rejected")


def counts_of(run: Run) -> dict[str, Any]:
    """Return the counts of an archived run, and how many seconds its steps took."""
    report = run.report
    steps = report["steps"]
    return {
        **{name: report["rows"][name] for name in _COUNTED},
        "seconds": round(sum(step["seconds"] for step in steps.values()), 1),
    }


def span(seconds: float) -> str:
    """Return a time as a person would say it."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def tell_summary(summary: Mapping[str, Any]) -> None:
    """Print the summary, a line a unit, and why units were left out."""
    units = summary["units"]
    width = max(len("together"), *(len(unit["name"]) for unit in units))
    counted = [name for name in _COUNTED if name != "deletes" or any(unit.get(name) for unit in units)]
    tell(f"\nBackfill {summary['backfill']} · {summary['connector']}: {len(units):,} units\n")
    tell(f"  {'unit':<{width}} {'objects':>9} " + " ".join(f"{name:>12}" for name in counted) + f" {'seconds':>9}")
    for unit in units:
        if unit["state"] == "skipped":
            tell(f"  {unit['name']:<{width}} {unit['objects']:>9,} left out")
            continue
        numbers = " ".join(f"{unit[name]:>12,}" for name in counted)
        tell(f"  {unit['name']:<{width}} {unit['objects']:>9,} {numbers} {unit['seconds']:>9,.1f}")
    loaded = [unit for unit in units if unit["state"] == "loaded"]
    numbers = " ".join(f"{sum(unit[name] for unit in loaded):>12,}" for name in counted)
    objects, seconds = sum(unit["objects"] for unit in loaded), sum(unit["seconds"] for unit in loaded)
    tell(f"  {'together':<{width}} {objects:>9,} {numbers} {seconds:>9,.1f}")
    for unit in units:
        if unit["state"] == "skipped":
            reason = unit["reason"].replace("\n", "\n    ")
            tell(f"\n  left out {unit['name']}: {reason}")


def message_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary for a notification: counts alone, for units may bear the names of files."""
    loaded = [unit for unit in summary["units"] if unit["state"] == "loaded"]
    counts = {name: sum(unit[name] for unit in loaded) for name in ("objects", "bytes", *_COUNTED, "seconds")}
    units = {"loaded": len(loaded), "skipped": len(summary["units"]) - len(loaded)}
    return {**{name: summary[name] for name in ("backfill", "connector", "source", "mode")}, "units": units, **counts}
