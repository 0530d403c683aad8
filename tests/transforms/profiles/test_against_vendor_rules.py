"""Every rule against a second implementation, one value at a time in plain Python, on values made to trip it."""

from __future__ import annotations

import re

import pytest
from pyspark.sql import SparkSession

from schemas.profile import profiles
from tests.fixtures import vendor_rules
from tests.fixtures.vendor_values import values
from transforms.frames.normalise import Output, with_normalized
from transforms.profiles.amc_uploader import COUNTRIES
from transforms.profiles.registry import rule_of

COUNT = 400
FIELDS = sorted({field for fields in vendor_rules.RULES.values() for field in fields})

#: Documentation does not say what white space is; programs do, each its own.
DOCUMENTS = ("google-ads", "meta@docs", "snap", "pinterest", "tiktok", "adobe", "google-data-manager@2026")
CONTROLS = re.compile("[\x1c-\x1f\x85\ufeff]")

#: Without a country we take a number to begin with its calling code, as one platform's page shows.
CALLING_CODE_FIRST = ("adobe@1", "meta@docs", "snap@1", "pinterest@1", "tiktok@2025-08")

#: Where the second implementation reads the sources in another way; why ours is right stands beside it.
OTHERWISE = {
    # The uploader gives every kind of value that it does not know the name's treatment, as its vectors show.
    ("amc-uploader@3.0.15", "mobile_ad_id"),
    ("amc-uploader@3.0.11", "mobile_ad_id"),
    # The operators take 10 to 15 digits; the second implementation applies no shortest length to computed numbers.
    ("uid2@docs", "phone"),
    # Cities and states are not hashed there; nothing but blanks is null here, blanks there.
    ("google-data-manager@2026", "city"),
    ("google-data-manager@2026", "state"),
    # Words with signs inside of them are none for us.
    ("pinterest@1", "gender"),
    # Names of countries and states are understood to different degrees; what is understood is the same.
    *((name, field) for name in ("meta@docs", "snap@1", "pinterest@1") for field in ("country", "state")),
}


def is_comparable(profile: str, field: str, value: str, country: str | None) -> bool:
    if profile.startswith("amc-uploader"):
        return country in COUNTRIES  # of others the uploader makes nothing at all; we hash what needs no country
    if field == "phone" and country is None and profile in CALLING_CODE_FIRST:
        return False
    if profile.startswith(DOCUMENTS):
        return not CONTROLS.search(value)
    return True


@pytest.mark.parametrize("field", FIELDS)
def test_rules_agree_with_a_second_implementation(field: str, spark: SparkSession) -> None:
    rows = [(number, *row) for number, row in enumerate(values(field, COUNT, seed=3))]
    asked = {
        f"p{number}": profile
        for number, profile in enumerate(profiles().values())
        if field in vendor_rules.RULES.get(profile.id, {}) and field in profile.fields
    }
    outputs = [Output(name, "raw", rule_of(profile, field)) for name, profile in asked.items()]
    frame = spark.createDataFrame(rows, "number int, raw string, country string").repartition(2)
    found = with_normalized(frame, outputs, "country").orderBy("number").collect()
    for name, profile in asked.items():
        pairs = [
            ((value, country), row[name], vendor_rules.normalize(profile.id, field, value, country))
            for row, (_, value, country) in zip(found, rows, strict=True)
            if is_comparable(profile.id, field, value, country)
        ]
        if (profile.id, field) in OTHERWISE:
            agreeing = sum(ours == theirs for _, ours, theirs in pairs)
            assert agreeing > 0.5 * len(pairs) or field == "mobile_ad_id", profile.id
        else:
            assert [pair for pair in pairs if pair[1] != pair[2]] == [], profile.id
        assert "" not in [ours for _, ours, _ in pairs]
