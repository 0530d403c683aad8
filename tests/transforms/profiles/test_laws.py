"""What holds for every rule and every text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from schemas.table import HashOutput
from transforms.blanks import BLANKS
from transforms.columns.hashing import hash_value
from transforms.frames.normalise import Output, with_normalized
from transforms.profiles.registry import RULES
from transforms.profiles.rule import Rule

COUNTRIES = st.sampled_from([None, "US", "CA", "GB", "DE", "FR", "ES", "IT", "JP", "IN", "AQ"])
SIGNS = "aZéßİ\u0131Σς09.@+-() ,#/'\u2019<>\u00a0\u200b\u200d\u0301\uff10\u0660五\u01c5\ufb01" + BLANKS
# Any text that UTF-8 can hold, texts near to what people write, and what looks like a number, an address or a street.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(st.sampled_from(SIGNS), max_size=30),
    st.from_regex(re.compile(r"\+?[0-9 ()-]{6,16}", re.ASCII), fullmatch=True),
    st.from_regex(re.compile(r"[A-Za-z0-9.+]{1,9}@[a-z0-9-]{1,9}\.[a-z0-9]{2,5}", re.ASCII), fullmatch=True),
    st.lists(
        st.sampled_from(["12-B", "#5", "Apt#4-C", "Street", "Avenue", "Main", "c/o", "No.", "Straße", "10-20"]),
        max_size=6,
    ).map(" ".join),
)
MODULES = sorted({name.partition(".")[0] for name in RULES})
NOTHING = hashlib.sha256(b"").hexdigest()
OURS = ("house",)
#: Profiles whose plans are made in seconds, and those that most tables are made by.
QUICK = ("house", "uid2", "google", "liveramp", "amc_uploader")


def outputs_of(module: str, prefix: str, source: str | None = None) -> list[Output]:
    rules: dict[str, Rule] = {name: rule for name, rule in RULES.items() if name.startswith(f"{module}.")}
    return [Output(f"{prefix}{number}", source or f"once{number}", rule) for number, rule in enumerate(rules.values())]


@pytest.mark.parametrize(
    "module", [each if each in QUICK else pytest.param(each, marks=pytest.mark.long) for each in MODULES]
)
def test_laws(module: str, spark: SparkSession) -> None:
    once = outputs_of(module, "once", "raw")
    twice = outputs_of(module, "twice")

    @settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(st.tuples(TEXTS, COUNTRIES), min_size=150, max_size=250))
    def hold(rows: list[tuple[str, str | None]]) -> None:
        texts = [(text.strip(BLANKS) or None if module in OURS else text, country) for text, country in rows]
        data = [(number, *row) for number, row in enumerate([*texts, (None, "US"), (None, None)])]
        frame = spark.createDataFrame(data, "number int, raw string, country string")
        made = with_normalized(with_normalized(frame.coalesce(1), once, "country"), twice, "country")
        hashed = [hash_value(F.col(each.name), HashOutput("sha256", "hex")).alias(f"hash_{each.name}") for each in once]
        found = made.select("*", *hashed).orderBy("number").collect()
        for output, again in zip(once, twice, strict=True):
            check_rule(found, output, again)
        assert_partitions_do_not_matter(spark, data, found)

    def assert_partitions_do_not_matter(
        spark: SparkSession, data: Sequence[tuple[object, ...]], found: list[Row]
    ) -> None:
        frame = spark.createDataFrame(data, "number int, raw string, country string").repartition(3)
        apart = with_normalized(frame, once, "country").orderBy("number").collect()
        names = [output.name for output in once]
        assert [[row[name] for name in names] for row in apart] == [[row[name] for name in names] for row in found]

    hold()


def check_rule(found: list[Row], output: Output, again: Output) -> None:
    values = [row[output.name] for row in found]
    assert "" not in values
    assert NOTHING not in [row[f"hash_{output.name}"] for row in found]
    assert {row[output.name] for row in found if row["raw"] is None} == {None}
    if output.rule.idempotent and not output.rule.by_libphonenumber:
        assert [row[again.name] for row in found] == values, output.rule
