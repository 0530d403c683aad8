"""Many columns at once, and why a value became null. The reasons are what people see when a match rate disappoints."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas.profile import find_profile
from transforms.frames.normalise import REASON_OF, Output, with_normalized, with_reasons
from transforms.profiles.registry import RULES, rule_of
from transforms.profiles.rule import REASONS, Step, rule, step

COUNTRY = "__country"

# profile, kind of value, value, country, what it becomes, why it is null.
CASES: list[tuple[str, str, str | None, str | None, str | None, str | None]] = [
    ("cleanroom-etl", "state", "wash.", "US", "WA", None),
    ("cleanroom-etl", "state", None, "US", None, None),  # what was never there was not refused
    ("cleanroom-etl", "state", "Nowhere", "US", None, "not_a_state"),
    ("cleanroom-etl", "name", "\u200b", None, None, "nothing_left"),
    ("cleanroom-etl", "name", "JANE", None, "jane", None),
    ("uid2", "email", "a@b@c.com", None, None, "not_an_email"),
    ("uid2", "email", "...@gmail.com", None, None, "not_an_email"),  # of the user nothing is left
    ("uid2", "email", "A@x.com", None, "a@x.com", None),
    ("uid2", "phone", "65 1243 5678", None, None, "unknown_country"),
    ("uid2", "phone", "65 1243 5678", "SG", "+6512435678", None),
    ("uid2", "phone", "12", "SG", None, "not_a_phone"),
    ("uid2", "phone", "+1 206 555 0100", None, "+12065550100", None),
    ("uid2@sdk", "phone", "65 1243 5678", None, None, "not_a_phone"),  # no country would help this rule
    ("uid2", "hashed_email", "no hash", None, None, "not_a_hash"),
    ("amc", "phone", "020 7946 0958", None, None, "not_a_phone"),  # nor this one
    ("amc", "phone", "020 7946 0958", "GB", None, "not_a_phone"),
    ("amc", "first_name", "정", "KR", None, "nothing_left"),
    ("amc", "postal_code", "2139", "US", None, "not_a_postal_code"),
    ("amc", "postal_code", "98101", "SE", None, "unknown_country"),  # none of the nine that the uploader knows
    ("amc", "postal_code", "98101", None, None, "unknown_country"),
    ("amc", "postal_code", "2139", None, None, "unknown_country"),
    ("google-data-manager", "country", "USA", None, None, "not_a_country"),
    ("liveramp", "phone", "+49 30 901820", "DE", None, "not_a_phone"),  # possible, but not North American
    ("liveramp", "phone", "206 555 0100", "US", "2065550100", None),
    ("meta", "birth_date", "soon", None, None, "not_a_date"),
    ("meta", "gender", "x", None, None, "not_a_gender"),
    ("meta-param-builder", "city", "123", None, None, "not_a_name"),
]


def test_what_cases_become_and_why_they_are_null(spark: SparkSession) -> None:
    found = []
    for profile, kind in dict.fromkeys(case[:2] for case in CASES):
        rows = [(*case[2:4], number) for number, case in enumerate(CASES) if case[:2] == (profile, kind)]
        output = Output("out", "value", rule_of(find_profile(profile), kind))
        frame = spark.createDataFrame(rows, f"value string, {COUNTRY} string, number int").coalesce(1)
        normalized = with_reasons(with_normalized(frame, [output], COUNTRY), [output], COUNTRY)
        found += normalized.select("number", "out", REASON_OF + "out").collect()
    assert {row.number: (CASES[row.number][:4], row.out, row[2]) for row in found} == {
        number: (case[:4], *case[4:]) for number, case in enumerate(CASES)
    }


def test_the_cases_show_every_reason_that_a_rule_can_give() -> None:
    assert {case[5] for case in CASES} - {None} == set(REASONS) - {"hash_not_declared"}  # which mapping adds
    assert {reason for each in RULES.values() for reason in each.reasons} <= set(REASONS)


def test_many_columns_of_one_field_are_made_side_by_side(spark: SparkSession) -> None:
    profiles = ["cleanroom-etl", "amc", "uid2", "google-data-manager", "google-data-manager-doc", "aer", "meta"]
    outputs = [
        Output(f"out_{number}", "value", rule_of(find_profile(name), "email")) for number, name in enumerate(profiles)
    ]
    frame = spark.createDataFrame([("Jane.Doe+News@Gmail.com", "kept")], "value string, other string")
    made = with_normalized(frame.withColumn(COUNTRY, F.lit("US")), outputs, COUNTRY)
    assert made.columns[:3] == ["value", "other", COUNTRY]
    row = made.collect()[0]
    assert (row.value, row.other) == ("Jane.Doe+News@Gmail.com", "kept")
    # normalization-profiles: the same raw value by different profiles
    assert [row[output.name] for output in outputs] == [
        "jane.doe+news@gmail.com",
        "jane.doenews@gmail.com",
        "janedoe@gmail.com",
        "janedoe+news@gmail.com",
        "janedoe@gmail.com",
        "jane.doenews@gmail.com",
        "jane.doe+news@gmail.com",
    ]


def test_an_output_may_take_its_sources_name_and_no_outputs_leave_a_frame_alone(spark: SparkSession) -> None:
    lower = rule(step("lower", lambda value, _: F.lower(value), lambda value, _: F.concat(value, value)))
    frame = spark.createDataFrame([("A", "US")], f"value string, {COUNTRY} string")
    assert with_normalized(frame, [Output("value", "value", lower)], COUNTRY).collect() == [("aa", "US")]
    assert with_normalized(frame, [], COUNTRY).columns == ["value", COUNTRY]


def test_the_reason_is_that_of_the_first_step_that_refused(spark: SparkSession) -> None:
    def without(text: str, why: str) -> Step:
        return step(why, lambda value, _: F.when(value != F.lit(text), value), reason=why)

    refusing = rule(
        without("a", "first"),
        step("upper case", lambda value, _: F.upper(value)),
        without("B", "second"),
        without("C", "second"),
        without("D", "third"),
        needs_country=True,
    )
    output = Output("out", "value", refusing)
    cases = [
        ("a", "US", "first"),
        ("b", "US", "second"),
        ("c", "US", "second"),
        ("d", "US", "third"),
        ("e", "US", None),
        (None, "US", None),
        ("a", None, "first"),
        ("c", None, "second"),
        ("d", None, "unknown_country"),  # the last reason, where a country might have helped
        ("e", None, None),
        (None, None, None),
    ]
    frame = spark.createDataFrame([case[:2] for case in cases], f"value string, {COUNTRY} string").coalesce(1)
    rows = with_reasons(with_normalized(frame, [output], COUNTRY), [output], COUNTRY).collect()
    assert [(row.value, row[COUNTRY], row[REASON_OF + "out"]) for row in rows] == cases
