# ruff: noqa: E501 -- a table of cases reads best in few lines
from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType
from pyspark.sql import SparkSession

from tests.transforms.columns.cases import Case, check, normalized
from transforms.columns.phone import normalize_phone

REGIONS = [
    "US",
    "GB",
    "DE",
    "FR",
    "IT",
    "ES",
    "CA",
    "JP",
    "IN",
    "AU",
    "BR",
    "MX",
    "NL",
    "SE",
    "CH",
    "PL",
    "PT",
    "BE",
    "AT",
    "DK",
    "NO",
    "FI",
    "IE",
    "NZ",
    "ZA",
    "CN",
    "KR",
    "SG",
    "HK",
    "TR",
    "RU",
    "GR",
    "CZ",
    "IL",
    "AE",
    "SA",
    "CL",
    "CO",
    "PR",
    "JM",
    "AR",
]
FLOOR = 0.95  # measured 0.965; what is missed are Argentina's mobiles and toll-free numbers of Australia and Korea
TYPES = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE)

CASES: list[Case] = [
    ("(206) 555-0100", "US", "+12065550100"),
    ("206.555.0100", "CA", "+12065550100"),
    ("1-206-555-0100", "US", "+12065550100"),
    ("011 44 20 7946 0958", "US", "+442079460958"),
    ("+1 206-555-0100", None, "+12065550100"),
    ("0044 20 7946 0958", None, "+442079460958"),  # ITU-T E.123 recommends 00
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
    ("\uff0b\uff11 \uff12\uff10\uff16 \uff15\uff15\uff15 \uff10\uff11\uff10\uff10", None, "+12065550100"),
    ("\u0662\u0660\u0666\u0665\u0665\u0665\u0660\u0661\u0660\u0660", "US", "+12065550100"),
    ("\ufeff 206 555 0100\t", "US", "+12065550100"),
    ("055 555 0100", "US", None),
    ("206 155 0100", "US", None),
    ("106 555 0100", "US", None),
    ("+1 206 055 0100", "DE", None),
    ("555-0100", "US", None),
    ("206 555 0100", None, None),
    ("206 555 0100", "AQ", None),
    ("1-800-FLOWERS", "US", None),
    ("206-555-0100 x12", "US", None),
    ("206-555-0100;ext=5", "US", None),
    ("206-555-0100, 206-555-0101", "US", None),
    ("+", "US", None),
    ("++1 206 555 0100", "US", None),
    ("0", "GB", None),
    ("00", "GB", None),
    ("00000000000000", "GB", None),
    ("0033US2065550100", "FR", None),
    ("+999 123 456 789", None, None),
    ("1" * 5000, "US", None),
    ("\U0001f4de 206 555 0100", "US", None),
]


def test_numbers(spark: SparkSession) -> None:
    check(spark, normalize_phone, CASES)


def reference(value: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        return None
    return (
        phonenumbers.format_number(number, PhoneNumberFormat.E164) if phonenumbers.is_possible_number(number) else None
    )


def shapes(national: str, region: str, code: int) -> dict[str, str]:
    """Return the ways to write one number."""
    number = PhoneNumber(
        country_code=code, national_number=int(national), italian_leading_zero=national[0] == "0" or None
    )
    local = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    digits = "".join(filter(str.isdigit, local))
    prefix = {"US": "011", "CA": "011", "JP": "010", "AU": "0011"}.get(region, "00")
    return {
        "local": local,
        "digits": digits,
        "national": national,
        "abroad": abroad,
        "e164": phonenumbers.format_number(number, PhoneNumberFormat.E164),
        "prefix": f"{prefix} {abroad[1:]}",
        "dots": local.replace(" ", ".").replace("-", "."),
        "slash": local.replace(" ", "/", 1),
        "zero": f"+{code} (0){national}",
        "code": f"{code}{national}",
        "wide": local.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)}),
        "arabic": digits.translate({ord(str(digit)): 0x0660 + digit for digit in range(10)}),
        "brackets": f"({digits[:3]}) {digits[3:]}",
        "dash": local.replace(" ", "\u2013"),
    }


def generated(each: int) -> list[tuple[str, str | None]]:
    """Return numbers of every region and shape: the library's examples with their last digits changed, now and then broken."""
    chance = random.Random(20)
    rows: list[tuple[str, str | None]] = []
    for region in REGIONS:
        examples = [found for kind in TYPES if (found := phonenumbers.example_number_for_type(region, kind))]
        for _ in range(each):
            example = chance.choice(examples)
            national = phonenumbers.national_significant_number(example)
            cut = chance.randint(1, 5)
            national = national[:-cut] + "".join(chance.choices("0123456789", k=cut))
            if chance.random() < 0.1:
                national = chance.choice((national[:-1], national + "7"))
            name, text = chance.choice(list(shapes(national, region, example.country_code or 0).items()))
            country = chance.choice((region, region, None, *REGIONS)) if name in ("abroad", "e164") else region
            rows.append((text, country))
        rows += [("".join(chance.choices("0123456789", k=chance.randint(2, 15))), region) for _ in range(each // 10)]
    return rows


def test_whatever_resolves_is_what_the_library_says(spark: SparkSession) -> None:
    rows = generated(100)
    found = normalized(spark, normalize_phone, rows)
    expected = [reference(*row) for row in rows]
    triples = list(zip(rows, found, expected, strict=True))
    assert [triple for triple in triples if triple[1] is not None and triple[1] != triple[2]] == []
    known = [ours is not None for _, ours, theirs in triples if theirs is not None]
    assert len(known) > 3000
    assert sum(known) / len(known) >= FLOOR


def test_random_digits_of_every_region_never_resolve_wrongly(spark: SparkSession) -> None:
    chance = random.Random(3)
    rows = [
        (
            chance.choice(("", "", "+", "00", "0", str(code)))
            + "".join(chance.choices("0123456789", k=chance.randint(4, 14))),
            region,
        )
        for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
        for region in regions
        if region in phonenumbers.SUPPORTED_REGIONS
        for _ in range(20)
    ]
    found = normalized(spark, normalize_phone, rows)
    assert [
        (*row, ours) for row, ours in zip(rows, found, strict=True) if ours is not None and ours != reference(*row)
    ] == []


def test_region_tables_are_what_the_metadata_yields() -> None:
    script = Path(__file__).parents[2] / "fixtures" / "make_phone_regions.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
