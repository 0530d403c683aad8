"""Leak hunt: canaries in every kind of input and load mode, and a search of every byte that is not for clear data.

    python -m tests.torture.leaks

Each run is a process of its own, started by spark-submit as its user starts it. Searched are: everything below --root
but for the folders that are made for clear data or hold originals; everything that the run wrote elsewhere, temporary,
shuffle and spill files as they were while it ran, those without a name too; what it printed; its event log; its UI;
arguments and environment of its processes. Files of raw/ are clear while a run goes on, by design, and must be gone
with it; rejects/ hold values only of the feed that asks for them.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fixtures.key_files import make_keys
from tests.torture.canaries import PERSONAL, Hit, Search, Secrets
from tests.torture.figures import write_figures
from tests.torture.leaks_decoding import Bench, Findings, define
from tests.torture.leaks_inputs import (
    FEEDS,
    NAME,
    Sealer,
    broken_files,
    definitions,
    delimited,
    good_files,
    json_lines,
    parquet,
    rows,
    told_notes,
)
from tests.torture.leaks_watch import CMDLINE, Watch

PROJECT: Final = Path(__file__).resolve().parents[2]
_PARTNER_KEY: Final = "canary-partner-key-"  # longer than a block of SHA-256, so that HMAC hashes it first
_NOON: Final = 1_706_788_800.0

EVENT_LOG: Final = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}
_LOGGING: Final = """\
rootLogger.level = {level}
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{{HH:mm:ss}} %p %c: %m%n%ex
{more}
"""
#: Levels of named loggers stay when the session asks for errors alone.
_NAMED: Final = "logger.l{number}.name = {name}\nlogger.l{number}.level = {level}\n"


@dataclass
class Figures:
    """What was done so far."""

    runs: int = 0
    files: int = 0
    bytes: int = 0
    live_files: int = 0
    live_bytes: int = 0
    hits: list[Hit] = field(default_factory=list)


@dataclass
class Run:
    """A run that has ended."""

    status: int
    printed: str
    hits: list[Hit]


#: So much of a run is shown by its UI to the end of it.
_REMEMBERED: Final = dict.fromkeys(
    ("spark.sql.ui.retainedExecutions", "spark.ui.retainedJobs", "spark.ui.retainedStages"), "1000"
)


class LeakSite:
    """A company with canaries in its deliveries, whose jobs are run and searched."""

    def __init__(self, folder: Path, figures: Figures, *, max_share: float = 0.9, feeds: Sequence[str] = FEEDS) -> None:
        """Make keys and definitions of ``feeds`` below ``folder``."""
        self.folder, self.figures, self._feeds = folder, figures, feeds
        self.root = folder / "root"
        self.keys = make_keys(folder / "keys")
        self.partner_key = folder / "keys" / "partner.key"
        self.partner_key.write_text(_PARTNER_KEY + os.urandom(40).hex())
        self.sealer = Sealer(self.keys)
        self.connector = define(folder / "definitions", max_share=max_share, feeds=feeds)
        self._clock = _NOON
        self._clear_while_running: tuple[str, ...] = ()

    @property
    def secrets(self) -> Secrets:
        """All secrets that were planted so far."""
        return Secrets.of(self.keys, self.sealer.data_keys, {"partner's key": self.partner_key.read_bytes()})

    def land(self, files: dict[str, bytes]) -> None:
        """Push the files that a feed takes to landing/, a minute after those before."""
        folder = self.root / "landing" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        self._clock += 60
        for name, data in files.items():
            if name.partition("_")[0] not in self._feeds:
                continue
            (folder / name).write_bytes(data)
            os.utime(folder / name, (self._clock, self._clock))

    def arguments(self, *more: str) -> list[str]:
        """Return the arguments of the pipeline."""
        return [
            f"--connector={self.connector}",
            f"--root=file://{self.root}",
            f"--hash-key=own=file:{self.keys.hash_key},partner=file:{self.partner_key}",
            f"--envelope-key=file:{self.keys.rsa_private}",
            f"--pgp-key=file:{self.keys.pgp_secret}",
            f"--pgp-passphrase=file:{self.keys.pgp_passphrase}",
            "--quiet-seconds=0",
            *more,
        ]

    def leave_notes_clear(self) -> None:
        """Define the note as a column that is published as it is; while a run goes on, its rows may hold it."""
        for name, text in definitions(feeds=self._feeds, clear_note=True)[1].items():
            (self.folder / "definitions" / "tables" / f"{name}.toml").write_text(text)
        self._clear_while_running = ("curated", "staged")

    def is_clear(self, path: Path) -> bool:
        """Tell whether a file is where clear data may be, now or as an original."""
        try:
            parts = path.relative_to(self.root).parts
        except ValueError:
            return False
        if parts[:1] == ("rejects",):
            return parts[-2:-1] == ("kept",) or parts[-1] == "kept" or ("_temporary" in parts and "kept" in parts)
        # What is being written gets its place when it is whole, and is searched there.
        return parts[:1] in {("landing",), ("raw",), ("archive",), ("quarantine",), (".partial",)}

    def run(
        self,
        *more: str,
        job: str = "pipeline",
        arguments: Sequence[str] | None = None,
        conf: dict[str, str] | None = None,
        level: str = "info",
        loggers: dict[str, str] | None = None,
        ui: bool = True,
        disturb: Callable[[subprocess.Popen[bytes]], None] | None = None,
        prepare: Callable[[], None] | None = None,
        typed: bool = False,
    ) -> Run:
        """Run a job, watch it, and search all that it leaves and shows.

        ``disturb`` is called while it runs, ``prepare`` in its process before it starts; ``typed`` says that its user
        has typed a secret, so that its command line is not searched. Returns with its hits.
        """
        number = self.figures.runs
        events = self.folder / f"events-{number}"
        events.mkdir()
        named = "".join(_NAMED.format(number=n, name=k, level=v) for n, (k, v) in enumerate((loggers or {}).items()))
        log_settings = self.folder / f"log4j2-{number}.properties"
        log_settings.write_text(_LOGGING.format(level=level, more=named))
        port = _free_port()
        settings = {
            **EVENT_LOG,
            **_REMEMBERED,
            "spark.eventLog.dir": f"file://{events}",
            "spark.ui.enabled": str(ui).lower(),
            "spark.ui.port": str(port),
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{log_settings}",
            **(conf or {}),
        }
        memory = "2g" if loggers else "1g"  # Spark at DEBUG makes a text of each plan after each of its rules
        command = ["spark-submit", "--master", "local[2]", "--driver-memory", memory]
        command += [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        words = self.arguments(*more) if arguments is None else list(arguments)
        command += [str(PROJECT / "jobs" / f"{job}.py"), *words]
        run = self.run_command(
            command, places=[events], ui_port=port if ui else None, disturb=disturb, prepare=prepare, typed=typed
        )
        logged = settings["spark.eventLog.enabled"] == "false" or any(events.rglob("*"))
        assert logged or disturb is not None, f"there is no event log to search: {run.printed[-2000:]}"
        return run

    def run_command(
        self,
        command: Sequence[str],
        *,
        places: Sequence[Path] = (),
        ui_port: int | None = None,
        disturb: Callable[[subprocess.Popen[bytes]], None] | None = None,
        prepare: Callable[[], None] | None = None,
        typed: bool = False,
    ) -> Run:
        """Run any program and search the same way, ``places`` as well."""
        self.figures.runs += 1
        number = self.figures.runs
        scratch, kept = (self.folder / f"{name}-{number}" for name in ("scratch", "kept"))
        scratch.mkdir()
        output = self.folder / f"printed-{number}"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                list(command),
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=_variables(scratch),
                cwd=scratch,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509  limits of the process alone
            )
            watch = Watch(process.pid, [scratch, self.root], kept, is_clear=self._is_clear_now, ui_port=ui_port)
            watch.start()
            try:
                if disturb is not None:
                    disturb(process)
                status = process.wait(timeout=400)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                watch.finish()
        assert CMDLINE in watch.answers, "no command line of its processes was seen"
        assert status or ui_port is None or watch.has_seen_ui, "its UI was not seen"
        hits = self._search(watch, [output, scratch, *places], typed=typed)
        self.figures.hits += hits
        return Run(status, output.read_text(errors="replace"), hits)

    def _is_clear_now(self, path: Path) -> bool:
        return self.is_clear(path) or any(path.is_relative_to(self.root / area) for area in self._clear_while_running)

    def _search(self, watch: Watch, places: Sequence[Path], *, typed: bool) -> list[Hit]:
        search = Search(self.secrets)
        hits: list[Hit] = []
        for name, path in watch.files:
            if typed and name.startswith(CMDLINE):
                continue
            self.figures.live_files += 1
            self.figures.live_bytes += path.stat().st_size
            hits += search.in_file(path, f"{name} (while running)")
        for place in (*places, self.root):
            for path in [place] if place.is_file() else sorted(place.rglob("*")):
                if path.is_file() and not self.is_clear(path):
                    self.figures.files += 1
                    self.figures.bytes += path.stat().st_size
                    state = path.stat()
                    if (state.st_dev, state.st_ino) not in watch.seen:
                        hits += search.in_file(path, str(path.relative_to(self.folder)))
        return hits

    def left_clear(self) -> list[str]:
        """Return clear files that a run which has come to its end should not have left."""
        folders = (self.root / "raw", self.root / ".partial", self.root / "landing")
        return [
            str(path.relative_to(self.root))
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file() and path.name != "lock"
        ]

    def wait_for(self, pattern: str) -> Callable[[subprocess.Popen[bytes]], None]:
        """Return a disturbance that waits until a file of ``pattern`` is there below state/."""

        def wait(process: subprocess.Popen[bytes]) -> None:
            deadline = time.monotonic() + 240
            while not list((self.root / "state").glob(pattern)):
                assert process.poll() is None, "it ended before it could be disturbed"
                assert time.monotonic() < deadline
                time.sleep(0.02)

        return wait


def _variables(scratch: Path) -> dict[str, str]:
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_DIRS": str(scratch),
        "TMPDIR": str(scratch),
    }
    variables.pop("PYSPARK_SUBMIT_ARGS", None)
    return variables


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


#: Who runs a job can make these talk at DEBUG, although the session asks for errors alone.
DEBUG_LOGGERS: Final = dict.fromkeys(("org.apache.spark", "org.apache.parquet", "org.apache.hadoop"), "debug")


def published(
    folder: Path,
    figures: Figures,
    *,
    feeds: Sequence[str] = FEEDS,
    conf: dict[str, str] | None = None,
    debug: bool = False,
    again: bool = True,
) -> list[str]:
    """Load a delivery of good and broken files, then ``again`` one on top, without people who are on a list."""
    site = LeakSite(folder, figures, feeds=feeds)
    site.land({**good_files(site.sealer), **broken_files(site.sealer)})
    wrong = [*expect(site.run("--on-bad-file=quarantine", conf=conf), 0, "Run "), *left(site)]
    if not again:
        return wrong
    site.land(good_files(site.sealer, 30))
    listed = folder / "listed.csv"
    listed.write_text(f"email,phone\n{PERSONAL['e-mail'][0]},\n,{PERSONAL['phone'][0]}\n")
    run = site.run(f"--suppression-list=file://{listed}", conf=conf, loggers=DEBUG_LOGGERS if debug else None)
    return [*wrong, *expect(run, 0, "Run "), *left(site)]


def refused_files(folder: Path, figures: Figures) -> list[str]:
    """Stop at files that cannot be used."""
    site = LeakSite(folder, figures)
    site.land(broken_files(site.sealer))
    return expect(site.run(), 1, "cannot be used")


def refused_rows(folder: Path, figures: Figures) -> list[str]:
    """Stop at too many rejects."""
    site = LeakSite(folder, figures, max_share=0.01)
    site.land(good_files(site.sealer))
    return expect(site.run(), 1, "more than the 1% that feed people allows (rejects.max_share); nothing was published")


def wrong_secrets(folder: Path, figures: Figures) -> list[str]:
    """Take files for keys that are others, and a text for a reference that is the secret itself."""
    site = LeakSite(folder, figures)
    site.land(good_files(site.sealer))
    swapped = site.arguments(
        f"--pgp-passphrase=file:{site.keys.hash_key}", f"--envelope-key=file:{site.keys.pgp_secret}"
    )
    kept = [*swapped[:3], *swapped[6:]]
    kept.append(f"--pgp-key=file:{site.keys.rsa_private}")
    wrong = expect(site.run(arguments=kept), 1, f"file:{site.keys.pgp_secret} is no RSA private key in PEM form")
    # What Spark itself makes of a command line, it writes to its event log and shows in its UI.
    typed = site.arguments(f"--envelope-key={site.keys.rsa_private.read_text()}")
    del typed[3]
    run = site.run(arguments=typed, conf={"spark.eventLog.enabled": "false"}, ui=False, typed=True)
    return [*wrong, *expect(run, 1, "give file:/path/rsa.pem or kms:alias/name")]


def in_the_way(folder: Path, figures: Figures) -> list[str]:
    """Crash in Spark: the place where the tables shall be written is no folder."""
    site = LeakSite(folder, figures)
    site.land(good_files(site.sealer))
    (site.root / "curated").write_text("in the way")
    return expect(site.run(), 1, "its message may hold data and is not shown")


def stopped_by_the_guard(folder: Path, figures: Figures) -> list[str]:
    """Stop at a column that is published as it is and holds what it must not; nothing of it is left."""
    site = LeakSite(folder, figures, feeds=["people"])
    site.leave_notes_clear()
    site.land(told_notes())
    run = site.run()
    wrong = expect(run, 1, "table people: column note holds ")
    wrong += [] if "nothing was published. Hash the column" in run.printed else ["it did not say what to do"]
    if (site.root / "state" / "catalog" / "people.json").exists():
        wrong.append("the table is in the catalog")
    return wrong


def scanned(folder: Path, figures: Figures) -> list[str]:
    """Look for personal data in clear files of each format, which are somebody else's."""
    site = LeakSite(folder, figures)
    found = rows()
    files = {"csv": delimited(found).encode(), "json": json_lines(found), "parquet": parquet(found)}
    wrong = []
    for form, data in files.items():
        clear = folder / "clear" / form
        clear.mkdir(parents=True)
        (clear / f"1.{form}").write_bytes(data)
        run = site.run(job="scan", arguments=[f"--path=file://{clear}", f"--format={form}"])
        wrong += expect(run, 1, "columns hold values that look like personal data: ")
    return wrong


def disk_full(folder: Path, figures: Figures) -> list[str]:
    """Crash where a file cannot grow any more, as on a full disk; a run after it finishes."""
    site = LeakSite(folder, figures)
    site.land(good_files(site.sealer))
    most = 24 << 10
    first = site.run(
        prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY)),
        conf={"spark.eventLog.enabled": "false"},
        ui=False,
    )
    return [*disturbed(first), *expect(site.run(), 0, "Run "), *left(site)]


def killed(
    folder: Path,
    figures: Figures,
    *,
    moment: str,
    sign: signal.Signals,
    again: bool = True,
    feeds: Sequence[str] = FEEDS,
) -> list[str]:
    """Kill all processes of a run when ``moment`` is written, core files allowed; then the same command once more."""
    site = LeakSite(folder, figures, feeds=feeds)
    site.land(good_files(site.sealer))
    wait = site.wait_for(f"{NAME}/run=*/{moment}")

    def kill(process: subprocess.Popen[bytes]) -> None:
        wait(process)
        time.sleep(0.5)
        os.killpg(process.pid, sign)

    cores = resource.RLIM_INFINITY if sign == signal.SIGABRT else 0
    first = site.run(
        disturb=kill, prepare=lambda: resource.setrlimit(resource.RLIMIT_CORE, (cores, resource.RLIM_INFINITY))
    )
    wrong = disturbed(first)
    return [*wrong, *expect(site.run(), 0, "Run "), *left(site)] if again else wrong


def disturbed(run: Run) -> list[str]:
    """Return what is wrong with a run that could not come to its end: that it did, what it let out."""
    wrong = [] if run.status else ["it was disturbed, and ended well"]
    return [*wrong, *map(str, sorted(set(run.hits)))]


def expect(run: Run, status: int, text: str) -> list[str]:
    """Return what is wrong with a run: its status, what it printed, what it let out."""
    wrong = [f"exit status {run.status} instead of {status}: {run.printed[-1500:]}"] if run.status != status else []
    wrong += [f"it did not say {text!r}: {run.printed[-1500:]}"] if text not in run.printed else []
    return [*wrong, *map(str, sorted(set(run.hits)))]


def left(site: LeakSite) -> list[str]:
    """Return the clear files that should be gone."""
    return [f"clear data is left in {name}" for name in site.left_clear()]


_COMPRESSED: Final = {
    codec: {"spark.eventLog.compress": "true", "spark.eventLog.compression.codec": codec, **more}
    for codec, more in (("zstd", {"spark.eventLog.rolling.enabled": "true"}), ("lz4", {}), ("snappy", {}))
}
SCENARIOS: Final[dict[str, Callable[[Path, Figures], list[str]]]] = {
    "published": published,
    "published, DEBUG": functools.partial(published, debug=True),
    "refused files": refused_files,
    "refused rows": refused_rows,
    "wrong secrets": wrong_secrets,
    "in the way": in_the_way,
    "stopped by the guard": stopped_by_the_guard,
    "scanned": scanned,
    "disk full": disk_full,
    **{
        f"killed at {moment}": functools.partial(killed, moment=moment, sign=signal.SIGKILL)
        for moment in ("manifest.json", "decrypt.attempt-1.json", "transform.attempt-1.json", "publish.json")
    },
    "aborted": functools.partial(killed, moment="transform.attempt-1.json", sign=signal.SIGABRT, again=False),
    **{
        f"published, event log in {codec}": functools.partial(published, conf=conf)
        for codec, conf in _COMPRESSED.items()
    },
}


_DECODING: Final = "decoding"


def decoding(folder: Path, seed: int, count: int) -> Findings:
    """Decode every seed and ``count`` changed files, and draft connectors of a tenth as many; return what was found."""
    bench, findings, source = Bench(folder), Findings(), random.Random(seed)
    bench.decode(bench.files.items(), findings)
    bench.decode(bench.mutated(source.randrange, count, without=(".gpg",)), findings, names=False)
    messages = (each for each in bench.mutated(source.randrange, count // 20) if each[0].endswith(".gpg"))
    bench.decode(messages, findings, names=False)
    encrypted = (".gpg", ".enc")
    # Drafts name the columns of their samples.
    without = (*encrypted, "names_are_values.json", "twice_in_header.csv")
    bench.draft([each for each in bench.files.items() if not each[0].endswith(without)], findings)
    bench.draft(bench.mutated(source.randrange, count // 10, without=without, plant=False), findings)
    return findings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite in full."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--only", action="append", choices=(*SCENARIOS, _DECODING), help="only this scenario (may be repeated)"
    )
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--part", type=Path, help="write the figures there, to be joined later, and not to results/")
    parser.add_argument("--join", type=Path, nargs="+", help="run nothing, and join such parts")
    args = parser.parse_args(argv)
    if args.join:
        return _join(args.join)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that runs are ended, which have a session of their own
    figures, failures = Figures(), []
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder:
        findings = Findings()
        if args.only is None or _DECODING in args.only:
            findings = decoding(Path(folder, "decoding"), args.seed, args.mutations)
        failures += [f"decoding: {hit}" for hit in sorted(set(findings.hits))]
        for number, name in enumerate(name for name in SCENARIOS if args.only is None or name in args.only):
            began = time.monotonic()
            place = Path(folder, f"{number:02}")
            place.mkdir()
            before = len(figures.hits)
            found = SCENARIOS[name](place, figures)
            # Whatever a scenario makes of its runs, what any of them let out is a failure.
            found += [str(hit) for hit in sorted(set(figures.hits[before:])) if str(hit) not in found]
            failures += [f"{name}: {each}" for each in found]
            print(f"{name}: {time.monotonic() - began:.0f} s, {len(found)} findings", flush=True)
    counted = {
        "files decoded in one process": findings.outcomes.total(),
        "bytes of what that said and wrote": findings.searched_bytes,
        "runs by spark-submit": figures.runs,
        "files searched after them": figures.files,
        "bytes of those": figures.bytes,
        "files and answers searched as they were while they ran": figures.live_files,
        "bytes of these": figures.live_bytes,
        "hits": len(set(figures.hits)) + len(set(findings.hits)),
    }
    if args.part is not None:
        args.part.write_text(json.dumps({"figures": counted, "failures": failures}))
        print("\n".join(failures))
        return 1 if failures else 0
    return _write(counted, failures)


def _join(parts: Sequence[Path]) -> int:
    documents = [json.loads(part.read_text()) for part in parts]
    names = documents[0]["figures"]
    counted = {name: sum(document["figures"][name] for document in documents) for name in names}
    return _write(counted, [failure for document in documents for failure in document["failures"]])


def _write(counted: dict[str, int], failures: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        site = LeakSite(Path(folder), Figures())
        good_files(site.sealer)
        search = Search(site.secrets)
    planted = {"values and secrets planted in every delivery": search.count, "patterns searched": search.patterns}
    return write_figures("leaks", {**planted, **counted}, failures)


if __name__ == "__main__":
    sys.exit(main())
