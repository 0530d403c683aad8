from __future__ import annotations

from pyspark.sql import SparkSession

from schemas import reference
from tests.transforms.columns.cases import Case, check, normalized
from transforms.columns.country import normalize_country
from transforms.columns.lookup import folded_text

CASES: list[Case] = [
    (text, None, code)
    for code, texts in {
        "US": ("US", "us", "USA", "U.S.A.", "United States", "united states of america", " US "),
        "GB": ("GB", "UK", "Great Britain", "England", "Northern Ireland", "United Kingdom"),
        "DE": ("Deutschland", "DEU", "germany", "D.E."),
        "CI": ("Côte d\u2019Ivoire", "COTE D'IVOIRE", "Ivory Coast"),
        "TR": ("Türkiye", "Turkey"),
        "CH": ("Schweiz", "Suisse"),
        "BA": ("Bosnia and Herzegovina", "Bosnia & Herzegovina"),
        "KR": ("Korea, Republic of", "South Korea"),
        None: ("XX", "U", "Atlantis", "840", "日本国旗", "A A A"),
    }.items()
    for text in texts
]


def test_countries(spark: SparkSession) -> None:
    check(spark, normalize_country, CASES)


def test_every_spelling_of_the_reference_finds_its_country(spark: SparkSession) -> None:
    countries = reference.load("countries")["countries"]
    rows = [(text, code) for code, texts in countries.items() for text in (code, *texts)]
    assert normalized(spark, normalize_country, rows) == [code for _, code in rows]
    assert len(countries) == 249
    keys = [folded_text(text) for text, _ in rows]
    assert len(keys) == len(set(keys)), "two countries share a spelling"
