"""Text in Spark against CPython itself, over every code point."""

# ruff: noqa: RUF001 -- letters that look alike are what this is about

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from transforms.profiles import python_text

SURROGATES = range(0xD800, 0xE000)
#: Assigned after Unicode 14, which the reference program's Python knew: newer Pythons and Spark 4 may know them.
NEWER = [
    range(0x0CF3, 0x0CF4), range(0x0ECE, 0x0ECF), range(0x1C89, 0x1C8B), range(0x2FFC, 0x3000), range(0x31EF, 0x31F0),
    range(0xA7CB, 0xA7CE), range(0xA7DA, 0xA7DD), range(0x10D40, 0x10D90), range(0x10EC2, 0x10F00),
    range(0x11240, 0x11242), range(0x11380, 0x113E3), range(0x11B00, 0x11B0A), range(0x11BC0, 0x11BFA),
    range(0x11F00, 0x11F5B), range(0x13439, 0x143FB), range(0x16100, 0x1613A), range(0x16D40, 0x16D7A),
    range(0x1B132, 0x1B133), range(0x1B155, 0x1B156), range(0x1CC00, 0x1CEB4), range(0x1D2C0, 0x1D2D4),
    range(0x1DF25, 0x1DF2B), range(0x1E030, 0x1E090), range(0x1E4D0, 0x1E5FB), range(0x2EBF0, 0x2EE5E),
    range(0x31350, 0x323B0),
]  # fmt: skip
#: Old letters that got a capital after Unicode 14, which Spark 4 knows.
NEW_CAPITALS = {"\u019b", "\u0264"}
BLOCK = 256


def known(code: int) -> bool:
    return code not in SURROGATES and not any(code in newer for newer in NEWER)


ALL = [chr(code) for code in range(1, sys.maxunicode + 1) if known(code)]


def differing(spark: SparkSession, texts: list[str], expected: list[object], column: Column) -> list[str]:
    """Return the texts for which ``column`` (of ``text``) is not what is expected; compared in Spark."""
    rows = [(texts[at : at + BLOCK], expected[at : at + BLOCK]) for at in range(0, len(texts), BLOCK)]
    kind = "boolean" if isinstance(expected[0], bool) else "string"
    frame = spark.createDataFrame(rows, f"texts array<string>, expected array<{kind}>").coalesce(2)
    pairs = frame.select(F.explode(F.arrays_zip("texts", "expected")).alias("pair"))
    each = pairs.select(F.col("pair.texts").alias("text"), F.col("pair.expected").alias("expected"))
    return [row.text for row in each.where(~column.eqNullSafe(F.col("expected"))).collect()]


@pytest.mark.parametrize(
    ("theirs", "ours", "allowed"),
    [
        (str.lower, python_text.lower, set()),
        (str.upper, python_text.upper, NEW_CAPITALS),
    ],
)
def test_case_is_pythons(
    theirs: Callable[[str], str], ours: Callable[[Column], Column], allowed: set[str], spark: SparkSession
) -> None:
    assert set(differing(spark, ALL, [theirs(text) for text in ALL], ours(F.col("text")))) <= allowed


@pytest.mark.parametrize(
    ("is_theirs", "pattern"),
    [
        (lambda text: re.fullmatch(r"\s", text) is not None, f"[{python_text.SPACE}]"),
        (lambda text: re.fullmatch(r"\w", text) is not None, f"[{python_text.word_class()}]"),
        (str.isnumeric, f"[{python_text.numeric_class()}]"),
    ],
    ids=["space", "word", "numeric"],
)
def test_classes_are_pythons(is_theirs: Callable[[str], bool], pattern: str, spark: SparkSession) -> None:
    assert differing(spark, ALL, [is_theirs(text) for text in ALL], F.col("text").rlike(rf"^{pattern}\z")) == []


def test_stripping_is_pythons(spark: SparkSession) -> None:
    texts = [f"{text}x{text}" for text in ALL if text.isspace() or ord(text) < 0x3100]
    assert differing(spark, texts, [text.strip() for text in texts], python_text.strip(F.col("text"))) == []


def test_a_sigma_at_the_end_of_a_word_is_pythons(spark: SparkSession) -> None:
    between = [chr(code) for code in range(1, 0x3100) if known(code)]
    texts = [shape.replace("_", text) for shape in ("ΑΣ_Α", "ΑΣ_", "Α_Σ", "_Σ", "_ΣΑ") for text in between]
    assert differing(spark, texts, [text.lower() for text in texts], python_text.lower(F.col("text"))) == []


def test_whole_words(spark: SparkSession) -> None:
    texts = ["ΟΔΥΣΣΕΥΣ", "ß", "ẞ", "ﬁ", "İ", "ı", "ŉ", "ǅ", "ΑΣ.", "Σ", "", "ΑΣ ΑΣ", "I", "i", "ΐ"]
    assert differing(spark, texts, [text.lower() for text in texts], python_text.lower(F.col("text"))) == []
    assert differing(spark, texts, [text.upper() for text in texts], python_text.upper(F.col("text"))) == []
