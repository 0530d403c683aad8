from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from schemas import vocabulary
from tests.transforms.columns.cases import normalized
from transforms.blanks import BLANKS
from transforms.columns.registry import NORMALIZERS

COUNTRIES = st.sampled_from([None, "US", "CA", "GB", "DE", "IT", "JP", "AQ"])
# Any text that UTF-8 can hold, texts near to what people write, and what looks like a number or an address.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(
        st.sampled_from("aZéßİ\u0131Σς09.@+-() ,#'\u2019\u00a0\u200b\u200d\u0301\uff10\u0660/" + BLANKS), max_size=30
    ),
    st.from_regex(re.compile(r"\+?[0-9 ()-]{6,16}", re.ASCII), fullmatch=True),
    st.from_regex(re.compile(r"[A-Za-z0-9.+]{1,9}@[a-z0-9-]{1,9}\.[a-z0-9]{2,5}", re.ASCII), fullmatch=True),
)


def test_every_normalizer_of_the_vocabulary_is_there() -> None:
    assert tuple(NORMALIZERS) == vocabulary.NORMALIZERS


@pytest.mark.parametrize("kind", vocabulary.NORMALIZERS)
def test_twice_is_once(kind: str, spark: SparkSession) -> None:
    @settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(st.tuples(TEXTS, COUNTRIES), min_size=100, max_size=200))
    def holds(rows: list[tuple[str, str | None]]) -> None:
        normalized(spark, NORMALIZERS[kind], rows)

    holds()
