"""The whole way of a delivery in one Spark session: decrypt, transform, publish, archive.

    spark-submit jobs/pipeline.py --connector aep_profiles --root file:///data/acme \
        --hash-key file:/secure/hash.key --envelope-key file:/secure/rsa.pem

For local use and small deliveries; the three jobs beside this one are the same steps as Glue jobs of their own. After a
failure the same command goes on where the run stopped; after a success it says that there is nothing to do.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs import archive, decrypt, transform
from jobs.runtime.ledger import latest_run
from jobs.runtime.lock import hold_lock
from jobs.runtime.notify import check_topic, send
from jobs.runtime.progress import tell
from jobs.runtime.script import run_script
from jobs.runtime.suppression import PeopleList
from jobs.runtime.workspace import Workspace


@dataclass(frozen=True)
class Args(decrypt.Args, transform.Args, archive.Args):
    """The arguments of the three jobs together."""


def pipeline(
    workspace: Workspace, args: Args, keys: Mapping[str, bytes], suppression: Sequence[PeopleList] = ()
) -> None:
    """Bring the unfinished run, or else a new one, to its end."""
    with hold_lock(workspace.storage, workspace.connector.name) as lock:
        run = decrypt.decrypt(workspace, args)
        if run is None:
            _tell_nothing_to_do(workspace)
            return
        if run.next_step is None:
            tell(f"run {run.run_id} is complete; nothing to do")
            return
        transform.transform(workspace, run, keys, suppression)
        transform.publish(workspace, run, lock, allow_shrink=args.allow_shrink)
        archive.archive(workspace, run, args.topic)


def _tell_nothing_to_do(workspace: Workspace) -> None:
    last = latest_run(workspace.storage, workspace.connector.name)
    done = f"; the last run was {last.run_id}" if last is not None else ""
    tell(f"nothing to do: nothing new has landed in {workspace.storage.uri(workspace.landing)}{done}")


def main(args: Args) -> None:
    """Run this job by itself."""
    check_topic(args.topic)
    workspace = transform.workspace_of(args)
    keys = transform.read_keys(args, workspace.tables.values())
    lists = transform.read_lists(args, workspace)
    try:
        pipeline(workspace, args, keys, lists)
    except Exception as error:
        # The class alone: texts name files as their source has called them, and belong into the log.
        send(args.topic, f"cleanroom-etl: {workspace.connector.name} failed", {"error": type(error).__name__})
        raise


if __name__ == "__main__":
    run_script(Args, main)
