"""Figures of a suite that breaks things on purpose: printed for the person, kept as JSON for the documentation."""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyspark

RESULTS = Path(__file__).parent / "results"


def write_figures(name: str, figures: Mapping[str, int | float], failures: Sequence[str]) -> int:
    """Print the figures and failures of the suite ``name``, keep them below results/; return the exit code."""
    width = max((len(label) for label in figures), default=0)
    print(f"{name}:")
    for label, value in figures.items():
        print(f"  {label:<{width}}  {value:,}")
    for failure in failures:
        print(f"  FAILED: {failure}")
    document = {
        "suite": name,
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "versions": {"python": platform.python_version(), "pyspark": pyspark.__version__},
        "figures": dict(figures),
        "failures": list(failures),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0
