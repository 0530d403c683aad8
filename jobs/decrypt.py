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

import dataclasses
import json
import time
from dataclasses import dataclass

from jobs.runtime.args import option
from jobs.runtime.decode import Decoded, DecodePlan, FileOutcome, KeyReferences, decode_files
from jobs.runtime.delivered_objects import entries_of, present_states
from jobs.runtime.errors import BadFilesError, EmptyDeliveryError, UnreadableDeliveryError
from jobs.runtime.ledger import Run, new_run_id, run_to_work_on, start_run
from jobs.runtime.lock import hold_lock
from jobs.runtime.manifest import DATA, SUPERSEDED, Entry, Manifest
from jobs.runtime.progress import progress, tell
from jobs.runtime.readiness import Listing, Verdict, classify, wait_until_whole
from jobs.runtime.script import ConnectorArgs, run_script
from jobs.runtime.session import open_session
from jobs.runtime.workspace import Workspace, open_workspace
from schemas.delivery import Delivery
from schemas.vocabulary import READY_RULES
from transforms.streams.bad_file import NOT_THE_FILES_FAULT, REASONS, REPORTED_ONLY


@dataclass(frozen=True)
class Args(ConnectorArgs):
    """The arguments of this job."""

    envelope_key: str | None = option(
        "opens envelopes: file:/rsa.pem or kms:<key>; several, parted by commas, are tried in turn", default=None
    )
    pgp_key: str | None = option(
        "OpenPGP secret key: file:/… or secretsmanager:…; several, parted by commas, are tried in turn", default=None
    )
    pgp_passphrase: str | None = option(
        "its passphrase: file:/… or secretsmanager:…; of several keys one for all or one for each", default=None
    )
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
    if run is not None:
        decrypt_run(workspace, run, args)
    return run


def decrypt_run(workspace: Workspace, run: Run, args: Args) -> None:
    """Decrypt the objects of ``run``, unless that was done before and its clear parts are still there."""
    if run.entry("decrypt") is not None:
        if not _is_raw_lost(workspace, run):
            tell(f"run {run.run_id}: decrypt was done before")
            return
        tell(f"run {run.run_id}: its clear parts have expired since; it is decrypted again")
        run.reopen("decrypt")
    keys = KeyReferences(args.envelope_key, args.pgp_key, args.pgp_passphrase)
    manifest = run.manifest
    attempt = run.begin("decrypt")
    plan = DecodePlan(
        root=workspace.storage.root,
        connector=workspace.connector,
        keys=keys,
        source=workspace.source(manifest),
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
    _drop_repeated_rejects(workspace, run, decoded)
    run.finish("decrypt", {"seconds": seconds, "attempt": attempt, **decoded.to_document()})


def _drop_repeated_rejects(workspace: Workspace, run: Run, decoded: Decoded) -> None:
    """Delete rejects that attempts and tasks have left which died: what they refused was refused once more since."""
    folder = workspace.rejects(run.run_id)
    kept = set(decoded.refused)
    for item in list(workspace.storage.list(f"{folder}decrypt-")):
        if item.key not in kept:
            workspace.storage.delete_prefix(item.key)


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
    run = run_to_work_on(storage, connector.name, args.run_id)
    if run is not None and (args.run_id is not None or run.entry("decrypt") is not None):
        return run
    verdict = wait_for_delivery(workspace, args)
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


def wait_for_delivery(workspace: Workspace, args: Args) -> Verdict:
    """Wait until what lands is whole; return its objects. Raises DeliveryIncompleteError where that takes too long."""
    storage = workspace.storage
    delivery = _delivery(workspace.connector.delivery, args)

    def look() -> Listing:
        items = list(storage.list(workspace.landing))
        return classify(items, delivery, storage.now(), storage.read, workspace.landing)

    return wait_until_whole(look, delivery, tell=tell)


def _entries(workspace: Workspace, verdict: Verdict, *, allow_older: bool) -> tuple[Entry, ...]:
    present = present_states(workspace.storage, (item.key for item in (*verdict.data, *verdict.markers)))
    data, markers = ([present.get(item.key, item) for item in items] for items in (verdict.data, verdict.markers))
    return entries_of(workspace, data, markers, allow_older=allow_older)


def _quarantine(workspace: Workspace, run: Run, bad: list[FileOutcome], on_bad_file: str) -> None:
    """Put a copy of every bad file, as it was delivered, beside a file that says why; stop unless told to go on.

    An archive with members that no feed takes is copied as well, and loaded all the same.

    Raises UnreadableDeliveryError where any file was not read for a reason that says nothing about it, else
    BadFilesError.
    """
    storage = workspace.storage
    manifest = run.manifest
    entries = {entry.ordinal: entry for entry in manifest.data}
    folder = workspace.quarantine(run.run_id)
    found: dict[int, list[FileOutcome]] = {}
    for outcome in bad:
        if outcome.reason not in NOT_THE_FILES_FAULT:  # a run that goes on with the file must not show it as refused
            found.setdefault(outcome.ordinal, []).append(outcome)
    for ordinal, outcomes in found.items():
        entry = entries[ordinal]
        source = entry.object_at(workspace.source(manifest) + entry.name)
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
    lines = [f"  {each.name}: {each.reason}: {each.detail}\n    {REASONS[each.reason]}" for each in bad]
    if any(outcome.reason in NOT_THE_FILES_FAULT for outcome in bad):
        raise UnreadableDeliveryError(
            f"run {run.run_id}: {len(bad)} of {len(entries)} files could not be read; nothing was published:\n"
            + "\n".join(lines)
            + "\nNot all of that is the files' fault: see to it, and run again"
        )
    if bad and on_bad_file != "quarantine":
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
