"""What the decoders say of files that are full of canaries and changed at random: no Spark, many files.

Searched is everything that a Spark task would give away: its outcomes (which become ledger, report and messages), the
failure as the job tells it, the traceback as a Python worker would send it to the JVM with all exceptions behind it
that are not suppressed, and the rejects that it has written. The same for the drafts that ``jobs.new_connector`` makes.

``jobs.explain`` and ``jobs.conformance`` show values on purpose: those that their user typed or wrote into the file of
samples. ``jobs.query`` shows rows of published tables.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs import new_connector
from jobs.runtime.args import parse_args
from jobs.runtime.configuration import load_configuration
from jobs.runtime.decode import DecodePlan, KeyReferences, decode_task
from jobs.runtime.errors import failure_of
from jobs.runtime.manifest import DATA, Entry
from jobs.runtime.storage import open_storage
from tests.fixtures.key_files import make_keys
from tests.torture.canaries import Hit, Search, Secrets
from tests.torture.leaks_inputs import FEEDS, NAME, Sealer, broken_files, definitions, good_files, mutations


@dataclass
class Findings:
    """What was tried, what came of it (by reason, or the class of an error), how much was searched, what was found."""

    outcomes: Counter[str] = field(default_factory=Counter)
    searched_bytes: int = 0
    hits: list[Hit] = field(default_factory=list)

    def look(self, search: Search, text: str | bytes, place: str) -> None:
        """Search a text or bytes, and count them."""
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        self.searched_bytes += len(data)
        self.hits += search.in_bytes(data, place)


def define(folder: Path, *, max_share: float = 0.9, feeds: Sequence[str] = FEEDS) -> str:
    """Write the definitions below ``folder``; return the connector's URI."""
    connector, tables = definitions(max_share=max_share, feeds=feeds)
    for kind, texts in (("connectors", {NAME: connector}), ("tables", tables)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / kind / f"{name}.toml").write_text(text)
    return f"file://{folder}/connectors/{NAME}.toml"


class Bench:
    """Decodes files one by one in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Make keys, definitions and the seeds of all mutations."""
        self._folder = folder
        self._keys = make_keys(folder / "keys")
        self._sealer = Sealer(self._keys)
        self.files = {**good_files(self._sealer), **broken_files(self._sealer)}
        self.search = Search(Secrets.of(self._keys, self._sealer.data_keys))
        connector, _ = load_configuration(define(folder / "definitions"), None)
        keys = (self._keys.rsa_private, self._keys.pgp_secret, self._keys.pgp_passphrase)
        references = KeyReferences(*(f"file:{path}" for path in keys))
        self._plan = DecodePlan(f"file://{folder}/root", connector, references, "landing/", "raw/", "rejects/")
        self._storage = open_storage(self._plan.root)

    def decode(self, files: Iterable[tuple[str, bytes]], findings: Findings, *, names: bool = True) -> None:
        """Decode each file as a task of its own and search what comes of it.

        Without ``names`` not in the names of columns: those stand in reports, and a change may have put a value there.
        """
        for number, (name, data) in enumerate(files):
            self._decode(f"{number}, {name}", name, data, findings, names=names)

    def _decode(self, label: str, name: str, data: bytes, findings: Findings, *, names: bool) -> None:
        with self._storage.open_output(self._plan.source + name) as file:
            file.write(data)
        found = self._storage.find(self._plan.source + name)
        assert found is not None
        entry = Entry(0, name, found.size, found.version, found.etag, found.modified, DATA)
        outcome = "decoded"
        with _output() as printed:
            try:
                decoded = decode_task(self._plan, [entry])
            except Exception as error:  # noqa: BLE001  every one is looked at
                outcome = type(error).__name__
                findings.look(self.search, _as_a_worker_sends_it(error), f"traceback of {label}")
                findings.look(self.search, failure_of(_raising(error)), f"failure of {label}")
            else:
                document = decoded.to_document()
                for each in document["files"] if not names else ():
                    del each["ignored_columns"]
                findings.look(self.search, json.dumps(document), f"outcome of {label}")
                outcome = next((each.reason for each in decoded.files if each.reason), outcome)
        findings.outcomes[outcome] += 1
        findings.look(self.search, printed.getvalue(), f"output of {label}")
        rejects = self._folder / "root" / "rejects"
        for path in sorted(rejects.rglob("*")) if rejects.exists() else ():
            if path.is_file():
                findings.look(self.search, path.read_bytes(), f"rejects of {label}")
        for area in ("rejects", "raw", "landing"):
            shutil.rmtree(self._folder / "root" / area, ignore_errors=True)

    def draft(self, files: Iterable[tuple[str, bytes]], findings: Findings) -> None:
        """Let ``jobs.new_connector`` look at each file and search what it writes and says."""
        for number, (name, data) in enumerate(files):
            sample, out = self._folder / "sample" / name, self._folder / "drafts"
            sample.parent.mkdir(exist_ok=True)
            sample.write_bytes(data)
            words = [f"--file={sample}", "--name=draft", f"--out={out}", "--overwrite"]
            job = _drafting(words)
            with _output() as printed:
                failure = failure_of(job)
            findings.outcomes["drafted" if not failure else failure.partition(":")[2].split(";")[0].strip()[:24]] += 1
            findings.look(self.search, failure + printed.getvalue(), f"output of the draft of {number}, {name}")
            for path in sorted(out.rglob("*.toml")) if out.exists() else ():
                findings.look(self.search, path.read_bytes(), f"draft {path.parent.name} of {number}, {name}")
            shutil.rmtree(out, ignore_errors=True)
            sample.unlink()

    def mutated(
        self, choose: Callable[[int], int], count: int, *, without: tuple[str, ...] = (), plant: bool = True
    ) -> Iterator[tuple[str, bytes]]:
        """Yield changed files; ``without`` are endings of names to leave out: OpenPGP costs a process each.

        ``plant`` puts canaries anywhere, names of columns included.
        """
        seeds = {name: data for name, data in self.files.items() if not name.endswith(without) and len(data) < 1 << 20}
        return mutations(seeds, choose, count, plant=plant)


@contextlib.contextmanager
def _output() -> Iterator[io.StringIO]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield printed


def _raising(error: Exception) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def _drafting(words: list[str]) -> Callable[[], None]:
    return lambda: new_connector.main(parse_args(new_connector.Args, words))


def _as_a_worker_sends_it(error: Exception) -> str:
    """Return what PySpark's worker sends to the JVM, which logs it (pyspark.util.handle_worker_exception)."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)) + repr(error) + repr(error.args)
