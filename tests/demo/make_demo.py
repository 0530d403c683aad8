"""Make keys and an encrypted delivery to try the pipeline on: python -m tests.demo.make_demo --folder .demo"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from tests.fixtures.aep_delivery import make_keys, write_delivery


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where keys/ and root/ are made")
    parser.add_argument("--rows", type=int, default=50_000, help="rows in the current files together")
    args = parser.parse_args(argv)
    folder: Path = args.folder
    for old in (folder / "keys", folder / "root"):
        shutil.rmtree(old, ignore_errors=True)  # a demonstration starts from nothing
    started = time.monotonic()
    keys = make_keys(folder / "keys", seed=1)
    delivery = write_delivery(folder / "root" / "landing" / "aep_profiles", keys, rows=args.rows)
    expected = delivery.expected
    seconds = time.monotonic() - started
    print(f"made-up delivery of {expected.rows:,} customer rows in {delivery.landing} ({seconds:.1f} s)")
    for name in (*delivery.files, *delivery.superseded):
        note = "superseded export, to be left out" if name in delivery.superseded else "current"
        size = (delivery.landing / name).stat().st_size / 1e6
        print(f"  {name:<54} {delivery.counts[name].rows:>9,} rows {size:>7.1f} MB  {note}")
    print(
        f"to be published: {expected.distinct_emails:,} e-mail addresses; to be rejected: {expected.rejects:,} rows; "
        f"duplicates: {expected.duplicates:,}"
    )


if __name__ == "__main__":
    main()
