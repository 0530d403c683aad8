"""What a job that forgets people has found and done: notes that are written once, so that it can be killed at any time.

A record is a folder ``state/<connector>/forget=<id>/``. What was found is noted before anything is changed, so its
counts are those of the whole, however many attempts it takes. A record without a receipt is not finished.
"""

from __future__ import annotations

import json
from typing import Any, Final

from jobs.runtime.errors import ObjectExistsError
from jobs.runtime.ledger import new_run_id
from jobs.runtime.storage import Storage

_FORGET: Final = "forget="
_BEGUN: Final = "begun"
RECEIPT: Final = "receipt"


class ForgetRecord:
    """The notes of one job that forgets people, through all of its attempts."""

    def __init__(self, storage: Storage, connector: str, forget_id: str) -> None:
        self.storage, self.forget_id = storage, forget_id
        self._folder = f"state/{connector}/{_FORGET}{forget_id}/"

    def key(self, name: str) -> str:
        """Return the key of one of the record's files."""
        return f"{self._folder}{name}.json"

    def note(self, name: str) -> dict[str, Any] | None:
        """Return a note, None where it was not written yet."""
        if self.storage.find(self.key(name)) is None:
            return None
        document: dict[str, Any] = json.loads(self.storage.read(self.key(name)))
        return document

    def write(self, name: str, note: dict[str, Any]) -> dict[str, Any]:
        """Write a note; return it."""
        self.storage.create(self.key(name), json.dumps(note, indent=1, sort_keys=True).encode())
        return note

    def drop(self, name: str) -> None:
        """Take a note back, for what it was made upon has changed."""
        present = self.storage.find(self.key(name))
        if present is not None:
            self.storage.delete(present)

    def begin_attempt(self) -> int:
        """Count a new attempt; return its number, from 1."""
        number = 1
        while True:
            try:
                self.write(f"attempt-{number}", {"at": self.storage.now()})
            except ObjectExistsError:
                number += 1
            else:
                return number


def open_record(storage: Storage, connector: str, begun: dict[str, Any]) -> ForgetRecord:
    """Return the newest record, where it is unfinished and of the same lists and the same latest run; else a new one.

    ``begun`` has both, as ``lists`` and ``latest``: what was found before another run or record came is not all there
    is now.
    """
    records = records_of(storage, connector)
    newest = max(records, default="")
    if newest and f"{RECEIPT}.json" not in records[newest]:
        record = ForgetRecord(storage, connector, newest)
        noted = record.note(_BEGUN) or {}
        if all(noted.get(name) == begun[name] for name in ("lists", "latest")):
            return record
    record = ForgetRecord(storage, connector, new_run_id(storage.now()))
    record.write(_BEGUN, begun)
    return record


def records_of(storage: Storage, connector: str) -> dict[str, set[str]]:
    """Return the names of the files of each record of the connector, by the records' ids."""
    names: dict[str, set[str]] = {}
    prefix = f"state/{connector}/{_FORGET}"
    for item in storage.list(prefix):
        forget_id, _, name = item.key.removeprefix(prefix).partition("/")
        names.setdefault(forget_id, set()).add(name)
    return names
