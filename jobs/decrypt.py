"""Decrypt a delivery: landing/ to raw/.

    spark-submit jobs/decrypt.py --connector aep_profiles --root file:///data/acme \
        --envelope-key file:/secure/rsa.pem --pgp-key file:/secure/key.asc --pgp-passphrase file:/secure/pass

Waits until the delivery is whole, freezes a manifest of its objects, and decodes them in Spark tasks, large ones in one
of their own: verify, decrypt, unpack, decode, parse, write Parquet parts. Files that cannot be used go to quarantine/
with a reason, rows that do not fit their header to rejects/. Leaves the run's manifest and its entry "decrypt" in the
ledger.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import concurrent.futures
import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.runtime.args import option
from jobs.runtime.decode import Decoded, DecodePlan, FileOutcome, KeyReferences, decode_files
from jobs.runtime.errors import BadFilesError, EmptyDeliveryError
from jobs.runtime.ledger import Run, latest_run, named_run, new_run_id, start_run, unfinished_run
from jobs.runtime.lock import hold_lock
from jobs.runtime.manifest import DATA, MARKER, SUPERSEDED, Entry, Manifest, in_delivery_order
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.progress import progress, tell
from jobs.runtime.readiness import Listing, Verdict, classify, wait_until_whole
from jobs.runtime.script import ConnectorArgs, run_script
from jobs.runtime.session import open_session
from jobs.runtime.snapshots import select_snapshots
from jobs.runtime.workspace import Workspace, open_workspace
from schemas.delivery import Delivery
from schemas.vocabulary import READY_RULES
from transforms.streams.bad_file import NOT_THE_FILES_FAULT, REASONS, REPORTED_ONLY

_LOOKERS: Final = 32  # objects asked about at the same time


@dataclass(frozen=True)
class Args(ConnectorArgs):
    """The arguments of this job."""

    envelope_key: str | None = option("opens envelopes: file:/rsa.pem or kms:<key>", default=None)
    pgp_key: str | None = option("OpenPGP secret key: file:/… or secretsmanager:…", default=None)
    pgp_passphrase: str | None = option("its passphrase: file:/… or secretsmanager:…", default=None)
    ready: str | None = option(
        "instead of the connector's rule for a whole delivery", choices=READY_RULES, default=None
    )
    quiet_seconds: int | None = option("instead of the connector's quiet period", default=None)
    max_wait_seconds: int | None = option("instead of the connector's longest wait", default=None)
    on_bad_file: str = option("stop, or go on without it", choices=("stop", "quarantine"), default="stop")
    allow_empty: bool = option("let a delivery without rows empty the table", default=False)
    allow_older: bool = option("load an export although a newer one of its audience was loaded", default=False)


def decrypt(workspace: Workspace, args: Args) -> Run | None:
    """Decrypt the unfinished run, or else a new one; return it, or None where nothing has landed."""
    run = _run_to_decrypt(workspace, args)
    if run is None or run.entry("decrypt") is not None:
        return run
    manifest = run.manifest
    attempt = run.begin("decrypt")
    plan = DecodePlan(
        root=workspace.storage.root,
        connector=workspace.connector,
        keys=KeyReferences(args.envelope_key, args.pgp_key, args.pgp_passphrase),
        landing=workspace.landing,
        raw=f"{workspace.raw(run.run_id)}attempt={attempt}/",
        rejects=f"{workspace.rejects(run.run_id)}decrypt-{attempt}/",
        with_extras=tuple(name for name, table in workspace.tables.items() if table.extra is not None),
    )
    size = sum(entry.size for entry in manifest.data)
    tell(f"run {run.run_id}: decrypting {len(manifest.data)} objects, {size / 1e6:,.1f} MB")
    spark = open_session("cleanroom-etl decrypt")
    began = time.monotonic()
    with progress(spark, "decrypt"):
        decoded = decode_files(spark, plan, manifest.data)
    seconds = time.monotonic() - began
    _quarantine(workspace, run, [outcome for outcome in decoded.files if outcome.reason], args.on_bad_file)
    if manifest.data and not args.allow_empty:
        _check_not_empty(workspace, run, decoded)
    run.finish("decrypt", {"seconds": seconds, "attempt": attempt, **decoded.to_document()})
    return run


def _check_not_empty(workspace: Workspace, run: Run, decoded: Decoded) -> None:
    """Refuse a delivery that would empty a table: no rows for a feed whose deliveries are the table."""
    for feed in workspace.connector.feeds:
        files = [each for each in decoded.files if each.feed == feed.name and not each.reason]
        came = bool(files) or len(workspace.connector.feeds) == 1
        if feed.load == "full_refresh" and came and not sum(each.rows for each in files):
            raise EmptyDeliveryError(
                f"run {run.run_id}: the delivery has no rows for table {feed.table}. The table stays as it is. Ask the "
                "source; if the audience really is empty, run again with --allow-empty"
            )


def _run_to_decrypt(workspace: Workspace, args: Args) -> Run | None:
    """Find the run to work on. One that has not got past decrypt is given up where landing has changed since.

    Not so one whose clear parts expired after it had begun to transform: a table may show it already.
    """
    connector = workspace.connector
    storage = workspace.storage
    if args.run_id is not None:
        return named_run(storage, connector.name, args.run_id)
    run = unfinished_run(storage, connector.name)
    if run is not None and run.entry("decrypt") is not None:
        if not _is_raw_lost(workspace, run):
            tell(f"run {run.run_id}: decrypt was done before")
            return run
        tell(f"run {run.run_id}: its clear parts have expired since; it is decrypted again")
        run.reopen("decrypt")
        return run
    verdict = _wait(workspace, _delivery(connector.delivery, args))
    entries = _entries(workspace, verdict, allow_older=args.allow_older)
    if run is not None:
        if run.has_begun("transform") or {(entry.name, entry.etag) for entry in entries} == {
            (entry.name, entry.etag) for entry in run.manifest.entries
        }:
            return run
        tell(f"run {run.run_id}: given up, for landing has changed since; a new run takes what is there now")
        run.abandon("landing changed before decrypt was done")
        workspace.storage.delete_prefix(workspace.raw(run.run_id))
    if not any(entry.role in (DATA, SUPERSEDED) for entry in entries):
        return None
    return start_run(storage, Manifest(new_run_id(storage.now()), connector.name, entries, verdict.notes))


def _is_raw_lost(workspace: Workspace, run: Run) -> bool:
    """Tell whether what decrypt has left is gone before it was used: raw/ is kept for a few days only."""
    if run.entry("transform") is not None:
        return False
    there = {item.key for item in workspace.storage.list(workspace.raw(run.run_id))}
    return any(part.key not in there for part in Decoded.from_document(run.finished("decrypt")).parts)


def _delivery(delivery: Delivery, args: Args) -> Delivery:
    given = {name: getattr(args, name) for name in ("ready", "quiet_seconds", "max_wait_seconds")}
    return dataclasses.replace(delivery, **{name: value for name, value in given.items() if value is not None})


def _wait(workspace: Workspace, delivery: Delivery) -> Verdict:
    storage = workspace.storage

    def look() -> Listing:
        items = list(storage.list(workspace.landing))
        return classify(items, delivery, storage.now(), storage.read, workspace.landing)

    return wait_until_whole(look, delivery, tell=tell)


def _entries(workspace: Workspace, verdict: Verdict, *, allow_older: bool) -> tuple[Entry, ...]:
    """Give every object of the delivery its role and its place: data first, in the order of delivery."""
    delivery = workspace.connector.delivery
    last = latest_run(workspace.storage, workspace.connector.name)
    loaded = last.finished("archive").get("snapshots", {}) if last is not None and not allow_older else {}
    kept, superseded = select_snapshots(verdict.data, workspace.landing, delivery, loaded)
    roles = (
        [(item, DATA) for item in in_delivery_order(kept, workspace.landing, delivery)]
        + [(item, SUPERSEDED) for item in superseded]
        + [(item, MARKER) for item in verdict.markers]
    )
    present = _present_states(workspace, [item for item, _ in roles])
    return tuple(
        Entry(ordinal, item.key.removeprefix(workspace.landing), now.size, now.version, now.etag, now.modified, role)
        for ordinal, ((item, role), now) in enumerate(zip(roles, present, strict=True))
    )


def _present_states(workspace: Workspace, items: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    """Ask for each object's state, many at a time: a listing does not tell the version."""
    with concurrent.futures.ThreadPoolExecutor(_LOOKERS) as pool:
        return list(pool.map(lambda item: workspace.storage.find(item.key) or item, items))


def _quarantine(workspace: Workspace, run: Run, bad: list[FileOutcome], on_bad_file: str) -> None:
    """Put a copy of every bad file, as it was delivered, beside a file that says why; stop unless told to go on.

    An archive with members that no feed takes is copied as well, and loaded all the same.
    """
    storage = workspace.storage
    entries = {entry.ordinal: entry for entry in run.manifest.data}
    folder = workspace.quarantine(run.run_id)
    found: dict[int, list[FileOutcome]] = {}
    for outcome in bad:
        found.setdefault(outcome.ordinal, []).append(outcome)
    for ordinal, outcomes in found.items():
        entry = entries[ordinal]
        source = entry.object_at(workspace.landing + entry.name)
        present = storage.find(source.key)
        readable = all(outcome.reason != "unreadable_object" for outcome in outcomes)
        if present is not None and present.etag == source.etag and readable:
            storage.copy(source, folder + entry.name)
        reasons = [
            {
                "file": outcome.name,
                "reason": outcome.reason,
                "detail": outcome.detail,
                "what_to_do": REASONS[outcome.reason],
            }
            for outcome in outcomes
        ]
        with storage.open_output(f"{folder}{entry.name}.reason.json") as file:
            file.write(json.dumps(reasons[0] if len(reasons) == 1 else reasons, indent=1).encode())
    for outcome in bad:
        if outcome.reason in REPORTED_ONLY:
            tell(f"  {outcome.name}: {outcome.reason}: {outcome.detail}; it was not loaded")
    bad = [outcome for outcome in bad if outcome.reason not in REPORTED_ONLY]
    skippable = on_bad_file == "quarantine" and not any(outcome.reason in NOT_THE_FILES_FAULT for outcome in bad)
    if bad and not skippable:
        lines = [f"  {each.name}: {each.reason}: {each.detail}\n    {REASONS[each.reason]}" for each in bad]
        raise BadFilesError(
            f"run {run.run_id}: {len(bad)} of {len(entries)} files cannot be used; nothing was published:\n"
            + "\n".join(lines)
            + f"\nCopies are in {storage.uri(workspace.quarantine(run.run_id))}. "
            "Put good files into landing/ and run again, or go on without these with --on-bad-file quarantine"
        )
    for outcome in bad:
        tell(f"  quarantined {outcome.name}: {outcome.reason}: {outcome.detail}")


def main(args: Args) -> None:
    """Run this job by itself."""
    workspace = open_workspace(args.connector, args.table, args.root)
    with hold_lock(workspace.storage, workspace.connector.name):
        run = decrypt(workspace, args)
    if run is None:
        tell(f"nothing to do: nothing has landed in {workspace.storage.uri(workspace.landing)}")
        return
    files = run.finished("decrypt")["files"]
    rows = sum(each["rows"] for each in files)
    tell(f"run {run.run_id}: decrypted {rows:,} rows from {len(files)} objects; next: jobs/transform.py")


if __name__ == "__main__":
    run_script(Args, main)
