"""What a running job shows to whoever looks: its files, also short-lived and unlinked ones, its processes, its UI."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import stat
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

#: What the names of answers begin with.
_UI: Final = "UI "
CMDLINE: Final = "/proc cmdline"
_PAUSE: Final = 0.02
_PROCESSES_EVERY: Final = 0.25  # seconds
_UI_EVERY: Final = 4.0  # once it answers; each answer is searched
#: Opens addresses of this machine, without a proxy that the environment may name.
_open: Final = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
#: What an address answers with that is not there yet, or not any more.
_NO_ANSWER: Final = (OSError, http.client.HTTPException)
_WRITING: Final = os.O_WRONLY | os.O_RDWR
_PAGES: Final = (
    "environment",
    "jobs",
    "stages",
    "executors",
    "allexecutors",
    "storage/rdd",
    "executors/driver/threads",
)


class Watch(threading.Thread):
    """Watches a process with all its descendants, which have its session id, until ``finish``.

    ``finish`` raises what has ended the watch before it was told to end.

    Files below ``folders``, but for those that ``is_clear`` tells, are kept by a hard link below ``kept`` the moment
    they are seen, so that their last bytes can be read long after they were deleted. Files that the processes write
    anywhere else, and those that have no name any more, are copied from /proc.
    """

    def __init__(self, session: int, folders: list[Path], kept: Path, *, is_clear: Any, ui_port: int | None) -> None:
        """Prepare; ``ui_port`` is where Spark's UI is, where it has one."""
        super().__init__(daemon=True)
        self._session, self._folders, self._kept, self._is_clear = session, folders, kept, is_clear
        self._ui_port = ui_port
        self._over = threading.Event()
        #: Device and inode of the files that are kept.
        self.seen: set[tuple[int, int]] = set()
        self._nameless: dict[str, int] = {}
        #: What was kept, by the name that it had: files, and answers of the UI and of /proc.
        self.files: list[tuple[str, Path]] = []
        self.answers: dict[str, set[bytes]] = {}
        self._problem: Exception | None = None
        kept.mkdir(parents=True)

    def finish(self) -> None:
        """Stop watching."""
        self._over.set()
        self.join()
        if self._problem is not None:
            raise RuntimeError("the watch broke, so not everything was seen") from self._problem

    def run(self) -> None:
        """Look, until told to stop."""
        try:
            self._look()
        except Exception as error:  # noqa: BLE001  whatever it is, ``finish`` raises it
            self._problem = error

    @property
    def has_seen_ui(self) -> bool:
        """Whether Spark's UI has ever answered."""
        return any(name.startswith(_UI) for name in self.answers)

    def _look(self) -> None:
        next_look = next_ui = 0.0
        while not self._over.is_set():
            for folder in self._folders:
                self._keep_files(folder)
            if time.monotonic() >= next_look:
                self._look_at_processes()
                next_look = time.monotonic() + _PROCESSES_EVERY
            if time.monotonic() >= next_ui:
                self._look_at_ui()
                next_ui = time.monotonic() + (_UI_EVERY if self.has_seen_ui else _PROCESSES_EVERY)
            self._over.wait(_PAUSE)

    def _keep_files(self, folder: Path) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return
        for entry in entries:
            with contextlib.suppress(OSError):
                path = Path(entry.path)
                if path == self._kept or self._is_clear(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    self._keep_files(path)
                elif entry.is_file(follow_symlinks=False):
                    self._keep(path, entry.stat(follow_symlinks=False))

    def _keep(self, path: Path, state: os.stat_result) -> None:
        key = (state.st_dev, state.st_ino)
        if key in self.seen:
            return
        target = self._kept / f"{len(self.files):06d}"
        try:
            os.link(path, target)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(path, target)  # of another disk
        self.seen.add(key)
        self.files.append((str(path), target))

    def _look_at_processes(self) -> None:
        for pid in _processes_of(self._session):
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    self._answer(f"/proc {name}", Path("/proc", str(pid), name).read_bytes())
            with contextlib.suppress(OSError):
                for descriptor in Path("/proc", str(pid), "fd").iterdir():
                    self._look_at_descriptor(pid, descriptor)

    def _look_at_descriptor(self, pid: int, descriptor: Path) -> None:
        with contextlib.suppress(OSError, ValueError):
            state = descriptor.stat()
            if not stat.S_ISREG(state.st_mode):
                return
            flags = re.search(r"flags:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text())
            if flags is None or not int(flags[1], 8) & _WRITING:
                return
            name = str(descriptor.readlink())
            if self._is_clear(Path(name)):
                return
            if not name.endswith(" (deleted)"):
                self._keep(Path(name), state)
            elif (state.st_dev, state.st_ino) not in self.seen and self._nameless.get(name) != state.st_size:
                self._nameless[name] = state.st_size
                target = self._kept / f"nameless-{len(self._nameless):06d}-{state.st_size}"
                shutil.copyfile(descriptor, target)
                self.files.append((f"{name}, {state.st_size} bytes", target))

    def _look_at_ui(self) -> None:
        if self._ui_port is None:
            return
        for path in self._ui_paths(f"http://127.0.0.1:{self._ui_port}"):
            with contextlib.suppress(*_NO_ANSWER), _open(path, timeout=5) as answer:
                self._answer(_UI + re.sub(r"\d+", "N", path.split("/", 3)[3]), answer.read())

    def _ui_paths(self, root: str) -> Iterator[str]:
        try:
            with _open(f"{root}/api/v1/applications", timeout=5) as answer:
                applications = json.load(answer)
        except (*_NO_ANSWER, ValueError):
            return
        yield from (f"{root}/{page}/" for page in ("environment", "jobs", "stages", "executors", "SQL", "storage"))
        for application in applications:
            api = f"{root}/api/v1/applications/{application['id']}"
            yield from (f"{api}/{page}" for page in _PAGES)
            yield f"{api}/sql?details=true&planDescription=true&offset=0&length=1000"
            yield f"{api}/stages?details=true&withSummaries=true"
            yield from (f"{root}/SQL/execution/?id={number}" for number in _newest_queries(api))

    def _answer(self, name: str, data: bytes) -> None:
        kept = self.answers.setdefault(name, set())
        digest = hashlib.sha256(data).digest()
        if digest not in kept:
            kept.add(digest)
            target = self._kept / f"answer-{len(self.files):06d}"
            target.write_bytes(data)
            self.files.append((f"{name}, answer {len(kept)}", target))


def _newest_queries(api: str) -> list[int]:
    try:
        with _open(f"{api}/sql?details=false&length=1000", timeout=5) as answer:
            return [int(each["id"]) for each in json.load(answer)][-3:]
    except (*_NO_ANSWER, ValueError):
        return []


def _processes_of(session: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                # pid (name) state parent group session …
                if folder.joinpath("stat").read_text().rpartition(")")[2].split()[3] == str(session):
                    yield int(folder.name)
