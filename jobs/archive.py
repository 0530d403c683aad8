"""Archive a published delivery: landing/ to archive/, and the clear raw/ parts away.

    spark-submit jobs/archive.py --connector aep_profiles --root file:///data/acme

Moves exactly the objects of the run's manifest, each only if it is still the version that was loaded; what has arrived
since stays for the next run. Only a published run is archived. Leaves the run's entry "archive" and its report in the
ledger, and sends one message where a topic is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import concurrent.futures
import time
from dataclasses import dataclass
from typing import Any, Final

from jobs.runtime.args import option
from jobs.runtime.decode import Decoded
from jobs.runtime.errors import ObjectChangedError
from jobs.runtime.ledger import Run, latest_run, run_to_work_on
from jobs.runtime.lock import hold_lock
from jobs.runtime.manifest import Entry
from jobs.runtime.notify import check_topic, send
from jobs.runtime.progress import tell
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.report import make_report, message_of, summary_of, write_report
from jobs.runtime.retention import folders_of
from jobs.runtime.script import ConnectorArgs, run_script
from jobs.runtime.snapshots import newest_snapshots
from jobs.runtime.workspace import Workspace, open_workspace
from transforms.streams.bad_file import REPORTED_ONLY

_MOVERS: Final = 32  # objects that are moved at the same time


@dataclass(frozen=True)
class Args(ConnectorArgs):
    """The arguments of this job."""

    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    topic: str | None = option("ARN of an SNS topic for one message a run", default=None)


def archive(workspace: Workspace, run: Run, topic: str | None) -> None:
    """Archive the run, and tell how it went."""
    tell(summary_of(archive_run(workspace, run, topic)))


def archive_run(workspace: Workspace, run: Run, topic: str | None = None) -> dict[str, Any]:
    """Move the run's objects, drop its clear parts, send the message where there is a topic; return its report.

    A run that dies right after its message sends it once more: twice is better than never.
    """
    storage = workspace.storage
    began = time.monotonic()
    run.finished("publish")
    manifest = run.manifest
    decoded = Decoded.from_document(run.finished("decrypt"))
    bad = {each.ordinal for each in decoded.files if each.reason and each.reason not in REPORTED_ONLY}

    def move(entry: Entry) -> bool:
        return _move(workspace, run, entry, quarantined=entry.ordinal in bad)

    delivered = () if manifest.kept_in else manifest.entries  # originals in the archive stay where they are
    with concurrent.futures.ThreadPoolExecutor(_MOVERS) as pool:
        moved = list(pool.map(move, delivered))
    left = [entry.name for entry, is_moved in zip(delivered, moved, strict=True) if not is_moved]
    dropped = storage.delete_prefix(workspace.raw(run.run_id))
    _drop_leftovers(workspace, run)
    for name in left:
        tell(f"  left {name} in landing/: it is not the version that was loaded, so it belongs to the next run")
    entry = {
        "seconds": time.monotonic() - began,
        "moved": len(delivered) - len(left),
        "left": left,
        "raw_dropped": dropped,
        "snapshots": _snapshots(workspace, run),
    }
    report = make_report(workspace, run, entry)
    write_report(run, report)
    send(topic, f"cleanroom-etl: {workspace.connector.name} published", message_of(report))
    run.finish("archive", entry)
    return report


def _move(workspace: Workspace, run: Run, entry: Entry, *, quarantined: bool) -> bool:
    """Move one object, if it is still the version in the manifest; a bad one is in quarantine already."""
    storage = workspace.storage
    source = entry.object_at(workspace.landing + entry.name)
    present = storage.find(source.key)
    target = workspace.archive(run.run_id) + entry.name
    if present is None:
        return quarantined or storage.find(target) is not None  # an earlier attempt has moved it
    if present.etag != entry.etag:
        return False
    try:
        if not quarantined:
            storage.copy(source, target)
        storage.delete(source)
    except ObjectChangedError:
        return False
    return True


def _drop_leftovers(workspace: Workspace, run: Run) -> None:
    """Delete staged rows, and what attempts have left of which nothing was published.

    A table may have been published by an earlier attempt than another table of the same run.
    """
    entry = run.finished("transform")
    tables = [PublishedTable.from_document(each) for each in run.finished("publish")["tables"].values()]
    needed = set().union(*(folders_of(workspace.storage, table) for table in tables))
    for name in entry["tables"]:
        workspace.storage.delete_prefix(workspace.staged(name, run.run_id))
        for folder in (workspace.curated(name, run.run_id), workspace.versions(name, run.run_id)):
            for number in range(1, entry["attempt"]):
                left = f"{folder}attempt={number}/"
                if not any(f"{key}/".startswith(left) for key in needed):
                    workspace.storage.delete_prefix(left)


def _snapshots(workspace: Workspace, run: Run) -> dict[str, str]:
    """Return the newest export of each audience that was ever loaded, so that an older one that comes late is known."""
    delivery = workspace.connector.delivery
    if delivery.snapshot is None or delivery.keep == "all":
        return {}
    last = latest_run(workspace.storage, workspace.connector.name)
    loaded = last.finished("archive").get("snapshots", {}) if last is not None else {}
    return newest_snapshots((entry.name for entry in run.manifest.data), delivery, loaded)


def main(args: Args) -> None:
    """Run this job by itself."""
    check_topic(args.topic)
    workspace = open_workspace(args.connector, args.table, args.root, curated_root=args.curated_root)
    name = workspace.connector.name
    with hold_lock(workspace.storage, name):
        run = run_to_work_on(workspace.storage, name, args.run_id)
        if run is None:
            tell(f"nothing to do: no run of {name} waits for archive; jobs/decrypt.py starts one")
            return
        archive(workspace, run, args.topic)


if __name__ == "__main__":
    run_script(Args, main)
