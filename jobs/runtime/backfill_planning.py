"""What is said of a backfill before anything is loaded: how much there is, and what it may cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from jobs.runtime.backfill_rebuild import other_feeders
from jobs.runtime.progress import tell
from jobs.runtime.published_table import PublishedTable
from schemas.backfill_plan import BackfillPlan

_UNITS_SHOWN: Final = 40

#: From the encrypted object to the published table: a million rows on two slow cores, in tests/benchmarks/results.
CORE_SECONDS_A_MEGABYTE: Final = 0.5
_CORES_A_DPU: Final = 4


def dpu_hours(size: int) -> float:
    """Return about how many DPU-hours of Glue it takes to load ``size`` bytes of encrypted objects."""
    return size / 1e6 * CORE_SECONDS_A_MEGABYTE / _CORES_A_DPU / 3600


def headline(plan: BackfillPlan, selection: str) -> str:
    """Return the line above a plan: what it is of, how much, and how it is run."""
    chosen = f" ({selection})" if selection else ""
    return (
        f"Backfill of {plan.connector} from {plan.source}/{chosen}: {len(plan.units):,} units, {plan.objects:,} "
        f"objects, {plan.size / 1e6:,.1f} MB, about {dpu_hours(plan.size):,.2f} DPU-hours. "
        f"Run it with --run {plan.name}."
    )


def tell_plan(plan: BackfillPlan, remarks: Sequence[str] = (), states: Mapping[str, str] | None = None) -> None:
    """Print the plan's units; ``states`` say something of some of them."""
    shown = plan.units[:_UNITS_SHOWN]
    width = max(len("together"), *(len(unit.name) for unit in shown))
    tell(f"backfill {plan.name} of {plan.connector} from {plan.source}/: {plan.mode}, published {plan.publish}")
    tell(f"  {'unit':<{width}} {'objects':>9} {'MB':>12}")
    for unit in shown:
        state = (states or {}).get(unit.name, "")
        tell(f"  {unit.name:<{width}} {unit.objects:>9,} {unit.size / 1e6:>12,.1f}  {state}".rstrip())
    if len(plan.units) > len(shown):
        tell(f"  … and {len(plan.units) - len(shown):,} more")
    tell(f"  {'together':<{width}} {plan.objects:>9,} {plan.size / 1e6:>12,.1f}")
    for remark in remarks:
        tell(f"  note: {remark}")


def hash_key_ids(tables: Iterable[PublishedTable | None]) -> str:
    """Return the fingerprints of the keys that the tables are hashed with."""
    ids = {table.parameters.get("hash_key_id", "") for table in tables if table is not None}
    return " ".join(sorted(ids - {""}))


def shared_remarks(plan: BackfillPlan, tables: Iterable[PublishedTable | None]) -> list[str]:
    """Return what to know of a plan whose tables other connectors feed too, and which is published at the end."""
    others = other_feeders(plan.connector, tables)
    if plan.publish != "at_end" or not others:
        return []
    described = ", ".join(f"{name} by {' and '.join(names)}" for name, names in others.items())
    remark = (
        f"Other connectors feed these tables too ({described}). One that publishes while this backfill is loaded keeps "
        "it from being published: stop them until it is over, or publish each_unit."
    )
    return [remark]
