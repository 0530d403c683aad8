"""How fast, and in how much memory, encrypted files are opened: ours beside the obvious alternatives."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.measure import Measured, python_command, run_measured, table
from tests.fixtures.aep_delivery import Keys, encrypt_envelope, encrypt_openpgp, key_files, make_keys, write_profiles

_ONE_SHOT_LIMIT: Final = 1024  # MiB; the one-shot way takes more than five times that in memory
_ROWS: Final = 50_000


def run_codec(scratch: Path, mebibytes: int, repeat: int) -> list[dict[str, Any]]:
    """Make the files once, measure each way ``repeat`` times in fresh processes, print the table, return the values."""
    folder = scratch / f"codec-{mebibytes}"
    keys = _files(folder, mebibytes)
    clear_size = (folder / "clear.csv").stat().st_size
    results: list[dict[str, Any]] = []

    def note(file: str, way: str, command: list[str], *, prints_data: bool = False) -> None:
        for number in range(repeat):
            _read_once(folder / file)
            measured = run_measured(command, discard=prints_data)
            seconds = measured.seconds if prints_data else _own_seconds(measured, clear_size)
            rate = clear_size / seconds / 1e6
            results.append(
                {"file": file, "way": way, "run": number, "clear_bytes": clear_size, "seconds": round(seconds, 3)}
                | {"mb_per_second": round(rate, 1), "peak_mib": measured.peak_mib}
            )

    def worker(way: str, file: str) -> list[str]:
        return python_command("tests.benchmarks.codec_worker", way, str(folder / file), str(folder / "keys"))

    note("envelope", "ours, streamed", worker("streamed", "envelope"))
    if mebibytes <= _ONE_SHOT_LIMIT:
        note("envelope", "cryptography, one shot", worker("one-shot", "envelope"))
    note("sequoia.gpg", "ours", worker("openpgp", "sequoia.gpg"))
    if shutil.which("gpg"):
        with _gpg(keys) as gpg:
            for file, options in {"gpg-default.gpg": [], "gpg-uncompressed.gpg": ["--compress-algo", "none"]}.items():
                _encrypt_with_gpg(gpg, folder / "clear.csv", folder / file, options)
                note(file, "ours", worker("openpgp", file))
                note(file, "gpg", [*gpg, "--decrypt", str(folder / file)], prints_data=True)
    _print(results)
    return results


def _files(folder: Path, mebibytes: int) -> Keys:
    if (folder / "complete").exists():
        return key_files(folder / "keys")
    folder.mkdir(parents=True, exist_ok=True)
    keys = make_keys(folder / "keys")
    clear = folder / "clear.csv"
    # Growing an export by whole copies of different people is quicker than knowing how many rows a MiB has.
    sample = folder / "sample.csv"
    write_profiles(sample, _ROWS, seed=1)
    rows = int(_ROWS * (mebibytes << 20) / sample.stat().st_size)
    sample.unlink()
    write_profiles(clear, rows, seed=1)
    encrypt_envelope(clear, folder / "envelope", keys.rsa_public.read_bytes())
    encrypt_openpgp(clear, folder / "sequoia.gpg", keys.certificate)
    (folder / "complete").touch()
    return keys


@contextmanager
def _gpg(keys: Keys) -> Iterator[list[str]]:
    # A home of its own in the system's temporary folder: the agent's socket needs a short path.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]
        gpg += ["--passphrase-file", str(keys.pgp_passphrase), "--trust-model", "always"]
        try:
            subprocess.run([*gpg, "--import", str(keys.pgp_secret)], check=True, capture_output=True)
            yield gpg
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)


def _encrypt_with_gpg(gpg: list[str], source: Path, target: Path, options: list[str]) -> None:
    if not target.exists():
        made = target.with_suffix(".part")
        command = [
            *gpg,
            *options,
            "--recipient",
            "landing@example.com",
            "--output",
            str(made),
            "--encrypt",
            str(source),
        ]
        subprocess.run(command, check=True, capture_output=True)
        made.rename(target)


def _read_once(path: Path) -> None:
    """Bring a file into the page cache, so that no way pays for the disk."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _own_seconds(measured: Measured, clear_size: int) -> float:
    result = json.loads(measured.output)
    if result["bytes"] != clear_size:
        raise AssertionError(f"{result['bytes']} clear bytes instead of {clear_size}")
    return float(result["seconds"])


def _print(results: list[dict[str, Any]]) -> None:
    rows = [
        (
            result["file"],
            result["way"],
            f"{result['seconds']:.2f}",
            f"{result['mb_per_second']:,.0f}",
            f"{result['peak_mib']:,}",
        )
        for result in results
    ]
    print(f"\nOpening {results[0]['clear_bytes'] / 1e6:,.0f} MB of clear text")
    print(table(("file", "way", "seconds", "MB/s", "peak MiB"), rows))
