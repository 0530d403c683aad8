# ruff: noqa: E501 -- a table of cases reads best in few lines
from __future__ import annotations

from pyspark.sql import SparkSession

from schemas import reference
from tests.transforms.columns.cases import Case, check
from transforms.columns.lookup import folded_text
from transforms.columns.state import normalize_state

CASES: list[Case] = [
    ("CA", "US", "CA"), (" ny ", "US", "NY"), ("Calif.", "US", "CA"), ("N.Y.", "US", "NY"), ("new  york", "US", "NY"),
    ("Washington, D.C.", "US", "DC"), ("District of Columbia", "US", "DC"), ("Puerto Rico", "US", "PR"), ("ae", "US", "AE"),
    ("West Virginia", "US", "WV"), ("Hawai\u2018i", "US", "HI"), ("US-TX", "US", "TX"), ("Ontario", "US", None), ("XX", "US", None),
    ("Québec", "CA", "QC"), ("QUEBEC", "CA", "QC"), ("Nouvelle-Écosse", "CA", "NS"), ("Île-du-Prince-Édouard", "CA", "PE"),
    ("nfld", "CA", "NL"), ("ON", "CA", "ON"), ("Texas", "CA", None), ("CA", "CA", None),
    ("Baden-Württemberg", "DE", "BADEN-WÜRTTEMBERG"), (" new  south\u00a0wales ", "AU", "NEW SOUTH WALES"), ("Bayern", None, "BAYERN"),
    ("CA", None, "CA"), ("..", "US", None),
]  # fmt: skip


def test_states(spark: SparkSession) -> None:
    check(spark, normalize_state, CASES)


def test_reference_is_whole() -> None:
    data = reference.load("states")
    assert (len(data["US"]), len(data["CA"])) == (50 + 1 + 8 + 3, 13)
    for country, states in data.items():
        keys = {(folded_text(name), code) for code, names in states.items() for name in (code, *names)}
        assert len(dict(keys)) == len(keys), f"two states of {country} share a spelling"
