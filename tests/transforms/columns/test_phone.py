from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final

import phonenumbers
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.transforms.columns import phone_equality
from tests.transforms.columns.cases import Case, check
from tests.transforms.columns.phone_equality import made_rows, reference, usual_rows
from transforms.columns import phone, phone_library
from transforms.columns.phone import UNSETTLED, metadata_version, normalize_phone, settle_by_library, settle_natively

Row = tuple[str | None, str | None]

NUMBERS: Final = 8_000  # python -m tests.transforms.columns.phone_equality --numbers 1000000 for more
FLOOR: Final = 0.95  # measured 0.965; the rest: Argentina's mobiles, toll-free numbers of Australia and Korea

CASES: list[Case] = [
    ("(206) 555-0100", "US", "+12065550100"),
    ("206.555.0100", "CA", "+12065550100"),
    ("1-206-555-0100", "US", "+12065550100"),
    ("011 44 20 7946 0958", "US", "+442079460958"),
    ("+1 206-555-0100", None, "+12065550100"),
    ("0044 20 7946 0958", None, None),  # 00 is dialled in many countries, but not in all
    ("0044 20 7946 0958", "US", None),
    ("+44 (0)20 7946 0958", "GB", "+442079460958"),
    ("+44 (0)20 7946 0958", "US", "+442079460958"),
    ("020 7946 0958", "GB", "+442079460958"),
    ("020\u20137946\u00a00958", "GB", "+442079460958"),
    ("442079460958", "GB", "+442079460958"),
    ("06 12 34 56 78", "FR", "+33612345678"),
    ("06 698 12345", "IT", "+390669812345"),
    ("+39 06 698 12345", None, "+390669812345"),
    ("91234 56789", "IN", "+919123456789"),
    ("91 98123 45678", "IN", "+919812345678"),
    ("0049 30 123456", "DE", "+4930123456"),
    ("010 1 206 555 0100", "JP", "+12065550100"),
    ("011 15-1234-5678", "AR", "+5491112345678"),  # a mobile's 15 goes, a 9 comes
    ("\uff0b\uff11 \uff12\uff10\uff16 \uff15\uff15\uff15 \uff10\uff11\uff10\uff10", None, "+12065550100"),
    ("\u0662\u0660\u0666\u0665\u0665\u0665\u0660\u0661\u0660\u0660", "US", "+12065550100"),
    ("\u0968\u0966\u096c 555 0100", "US", "+12065550100"),
    ("\ufeff 206 555 0100\t", "US", "+12065550100"),
    ("206\t555\t0100", "US", None),
    # The right length is possible, whatever the area code.
    ("055 555 0100", "US", "+10555550100"),
    ("206 155 0100", "US", "+12061550100"),
    ("106 555 0100", "US", "+11065550100"),
    ("+1 206 055 0100", "DE", "+12060550100"),
    ("555-0100", "US", None),
    ("+1 555 0100", None, None),
    ("206 555 0100", None, None),
    ("206 555 0100", "AQ", None),
    ("206 555 0100", "us", None),
    ("S206 555 0100", "U", None),
    ("1-800-FLOWERS", "US", "+18003569377"),
    ("206-555-0100 x12", "US", "+12065550100"),
    ("206-555-0100;ext=5", "US", "+12065550100"),
    ("tel:+1-206-555-0100;ext=12", None, "+12065550100"),
    ("tel:206-555-0100;phone-context=+1", None, "+12065550100"),
    ("206-555-0100, 206-555-0101", "US", None),
    ("206-555-0100 / 206-555-0101", "US", None),
    ("206-555-0100 / x12", "US", "+12065550100"),
    ("n/a", "US", None),
    ("+", "US", None),
    ("++1 206 555 0100", "US", "+12065550100"),
    ("0", "GB", None),
    ("00", "GB", None),
    ("00000000000000", "GB", None),
    ("0033US2065550100", "FR", None),
    ("+999 123 456 789", None, None),
    ("1" * 5000, "US", None),
    (f"206{' ' * 240}5550100", "US", "+12065550100"),
    (f"206{' ' * 241}5550100", "US", None),  # the library reads 250 characters at most
    ("\U0001f4de 206 555 0100", "US", "+12065550100"),
    ("?+1 206 555 0100", None, "+12065550100"),
    ("??", "US", None),
]
LENIENT: list[Case] = [
    ("555-0100", "US", "+15550100"),
    ("+1 555 0100", None, "+15550100"),
    ("206 555 0100", "US", "+12065550100"),
    ("55 0100", "US", None),
]
OWN_CODE: list[Case] = [
    ("65 1243 5678", "SG", "+6512435678"),  # the documentation of UID2, getting started, phone number normalization
    ("6512435678", "SG", "+6512435678"),
    ("(65) 1243 5678 ext. 9", "SG", "+6512435678"),
    ("\uff16\uff15 1243 5678", "SG", "+6512435678"),
    ("65 6123 4567", "SG", "+6561234567"),
    ("6123 4567", "SG", "+6561234567"),
    ("1 (234) 567-8901", "US", "+12345678901"),
    ("0491 570 006", "AU", "+61491570006"),
    ("65 1243 5678", None, None),
    ("1 555 0100", "US", None),
]


def test_numbers(spark: SparkSession) -> None:
    check(spark, normalize_phone, CASES)


@pytest.fixture(scope="module")
def by_mode(spark: SparkSession) -> dict[str, dict[Row, str | None]]:
    rows = [case[:2] for case in [*LENIENT, *OWN_CODE]]
    found = phone_equality.resolved(spark.createDataFrame(rows, "value string, country string").coalesce(1)).collect()
    return {mode: {(row.value, row.country): row[mode] for row in found} for mode in phone_equality.MODES}


def test_local_numbers_where_they_are_let_pass(
    by_mode: dict[str, dict[Row, str | None]],
) -> None:
    assert [(*case[:2], by_mode["lenient"][case[:2]]) for case in LENIENT] == LENIENT
    assert by_mode["possible"]["555-0100", "US"] is None


def test_own_calling_code_without_plus(by_mode: dict[str, dict[Row, str | None]]) -> None:
    assert [(*case[:2], by_mode["own code"][case[:2]]) for case in OWN_CODE] == OWN_CODE
    assert by_mode["possible"]["65 1243 5678", "SG"] == "+656512435678"


def test_every_number_is_what_the_library_says(spark: SparkSession, tmp_path: Path) -> None:
    result = phone_equality.compare(spark, list(made_rows(NUMBERS)), tmp_path)
    assert result.mismatches == []
    assert result.resolved.total() > NUMBERS / 2
    # What the library reads differently the second time (0.1 %) is nothing of ours.
    assert result.unstable < result.rows["again"] / 100


def staged(spark: SparkSession, rows: Sequence[Row], *, own_code: bool = False) -> DataFrame:
    frame = spark.createDataFrame(rows, "value string, country string").coalesce(1)
    return frame.withColumn("settled", settle_natively(F.col("value"), F.col("country"), own_code=own_code))


def test_tables_settle_nearly_all_numbers_as_people_write_them(spark: SparkSession) -> None:
    rows = [(row.value, row.country) for row in usual_rows(100)]
    known = [
        not row.settled.startswith(UNSETTLED)
        for row in staged(spark, rows).collect()
        if reference(row.value, row.country) is not None
    ]
    assert len(known) > 3000
    assert sum(known) / len(known) >= FLOOR


def test_tables_leave_the_value_as_it_came(spark: SparkSession) -> None:
    rows = [
        ("(206) 555-0100", "US", "+12065550100"),
        ("+65 6123 4567", "SG", "+6561234567"),
        ("6123 4567", "SG", "+6561234567"),
        (" 206\n555 0100 x1", "US", "? 206\n555 0100 x1"),
        ("65 6123 4567", "SG", "?65 6123 4567"),
        ("1-206-555-0100", "US", "+12065550100"),  # reads the same either way
        ("?1", None, "??1"),
        ("n/a \u0420", "US", None),  # no digit, no number
        (None, "US", None),
    ]
    found = staged(spark, [row[:2] for row in rows], own_code=True).collect()
    assert [tuple(row) for row in found] == rows


def test_python_sees_only_what_is_left_open_and_spark_computes_the_tables_once(spark: SparkSession) -> None:
    frame = staged(spark, [("206 555 0100", "US")])
    plan = frame.select("value", F.sha2(settle_by_library(F.col("settled"), F.col("country")), 256))
    text = str(plan._jdf.queryExecution().executedPlan())
    assert text.count("regexp_extract_all(") == 1
    (call,) = re.findall(r"ArrowEvalPython \[(.*)\]#?\d*, \[pythonUDF0", text)
    assert call.count("CASE WHEN StartsWith(settled") == 2


def test_another_version_of_the_library_settles_everything(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phonenumbers, "__version__", "8.13.36")
    assert metadata_version() == "8.13.36"
    rows = [("206 555 0100", "US"), ("n/a", "US"), (None, "US")]
    assert [row.settled for row in staged(spark, rows).collect()] == ["?206 555 0100", "?n/a", None]


def test_missing_library_is_named(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    message = re.escape(
        f"phonenumbers is not installed on the workers: add phonenumberslite=={phone_library.tables_version()} "
        "to --additional-python-modules"
    )
    with pytest.raises(ImportError, match=f"^{message}$"):
        metadata_version()
    with pytest.raises(ImportError, match=f"^{message}$"):
        staged(spark, [("206 555 0100", "US")])
    with pytest.raises(ImportError, match=f"^{message}$"):
        phone_library.e164("206 555 0100", "US")


def test_no_text_raises() -> None:
    chance = random.Random(5)
    for _ in range(20_000):
        text = "".join(chr(chance.choice((chance.randrange(0x20, 0x80), chance.randrange(0x110000)))) for _ in range(9))
        country = chance.choice((None, "US", "", text))
        assert phone_library.e164(f"+1 206{text}", country) == reference(f"+1 206{text}", country)


def test_phone_context_that_would_stop_the_library_for_good() -> None:
    assert phone_library.e164(f"206 555 0100;phone-context={'aa.' * 70}!", "US") is None
    assert phone_library.e164(f"206 555 0100;phone-context={'aa.' * 70}a", "US") == "+12065550100"


def test_phone_contexts_are_those_of_the_library() -> None:
    valid = phonenumbers.phonenumberutil._is_phone_context_valid
    for length in range(1, 6):
        for signs in product("aZ1\u0663-._+", repeat=length):
            context = "".join(signs)
            if not context.startswith("+"):
                assert phone_library._is_harmless(f"1;phone-context={context};isub=1") == bool(valid(context)), context


def test_signs_that_the_tables_pass_over_are_those_of_the_library() -> None:
    assert re.fullmatch(f"[{phonenumbers.phonenumberutil._VALID_PUNCTUATION}]+", phone._PUNCTUATION)
    assert not set(phone._PUNCTUATION) & set("xX~\uff5e,;#")  # those begin an extension


def test_no_digit_lies_outside_of_what_the_tables_call_digits() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    first = min(ord(sign) for sign in re.findall(r"\d", every) if sign not in "0123456789")
    assert f"\\u{first:04x}" in phone._DIGIT


def test_region_tables_are_what_the_metadata_yields() -> None:
    script = Path(__file__).parents[2] / "fixtures" / "make_phone_regions.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
