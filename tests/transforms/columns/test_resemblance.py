"""What values resemble. Check digits are held against python-stdnum, phones are libphonenumber's own examples."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import phonenumbers
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from stdnum import iban, luhn
from stdnum.ca import sin
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.us import ssn

from schemas import vocabulary
from transforms.columns.resemblance import CERTAIN, KINDS, LIKELY, NOTHING, POSSIBLE

MANY = 2_000


def degrees(spark: SparkSession, kind: str, values: Iterable[str | None]) -> list[int | None]:
    frame = spark.createDataFrame([(value,) for value in values], "value string").coalesce(1)
    return [row.degree for row in frame.select(KINDS[kind].degree(F.col("value")).alias("degree")).collect()]


def test_every_kind_of_the_vocabulary_is_told() -> None:
    assert tuple(KINDS) == vocabulary.RESEMBLES


CASES: dict[str, list[tuple[str | None, int | None]]] = {
    "email": [
        ("jane.doe@example.com", CERTAIN),
        ("write to Jane <jane+news@mail.example.co.uk>, please", CERTAIN),
        ("mailto:jane@example.com?subject=x", CERTAIN),
        ("https://shop.example/thanks?e=jane%40example.com&x=1", CERTAIN),
        ("https://shop.example/?next=%2Fa%3Fe%3Djane%2540example.com", CERTAIN),
        ("müller@bücher.example", CERTAIN),
        ("jane\uff20example.com", CERTAIN),
        ("@example.com", NOTHING),
        ("follow @jane", NOTHING),
        ("jane@home", NOTHING),
        ("3 @ 4.50", NOTHING),
        ("https://maps.example/@52.52,13.40,15z", NOTHING),
        ("/img/logo@2x.png", NOTHING),
        ("img@2x-hero.png banner@1.5x.png hero@mobile.webp", NOTHING),
        ("sale%40off.html", NOTHING),
        ("https://www.tiktok.com/@jane.doe/video/1", NOTHING),
        ("https://l.example/?u=https%3A%2F%2Fmedium.com%2F%40acme.blog", NOTHING),
        ("git@github.com:acme/site", NOTHING),
        ("brigit@example.com", CERTAIN),
        ("see jane@example.com.", CERTAIN),
        ("lodash@4.17.21", NOTHING),
        ("", NOTHING),
        (None, None),
    ],
    "phone": [
        ("call +49 170 1234567 after six", CERTAIN),
        ("+12065550100", CERTAIN),
        ("tel%3A%2B12065550100", CERTAIN),
        ("(206) 555-0100", CERTAIN),
        ("206-555-0100", CERTAIN),
        ("1.206.555.0100", CERTAIN),
        ("01 23 45 67 89", CERTAIN),
        ("01\u00a023\u00a045\u00a067\u00a089", CERTAIN),
        ("+33\u202f6\u202f12\u202f34\u202f56\u202f78", CERTAIN),
        ("0049 170 1234567", CERTAIN),
        ("08.05.23 14.30", LIKELY),  # a time: not certain at least
        ("05-11-24 09-15", LIKELY),
        ("+1234567.89", NOTHING),
        ("2065550100.0", LIKELY),
        ("2065550100", LIKELY),
        ("07700 900123", LIKELY),
        ("030/12345678", LIKELY),
        ("1999999999", POSSIBLE),  # no area code begins with 1
        ("2024-11-22 10:15:00", NOTHING),
        ("Wed Nov 20 10:00:00 +1000 2026", NOTHING),
        ("2026-11-20T10:00:00+1030 2026-11-21", NOTHING),
        ("+40.20361-075.00417/", NOTHING),
        ("550e8400-e29b-41d4-a716-446655440000", NOTHING),
        ("-12.5", NOTHING),
        (None, None),
    ],
    "payment_card": [
        ("card 4111 1111 1111 1111 exp 12/29", CERTAIN),
        ("3782-822463-10005", CERTAIN),
        ("4111 1111 1111 1112", NOTHING),
        ("4111 1111-1111 1111", NOTHING),  # nobody writes it so
        ("paid with 4111111111111111.", LIKELY),
        ("4111111111111112", POSSIBLE),
        ("0.4111111111111111", NOTHING),
        ("1700000000000000", NOTHING),
        ("", NOTHING),
        (None, None),
    ],
    "national_id": [
        ("ssn 078-05-1120", CERTAIN),
        ("AB 12 34 56 C", CERTAIN),
        ("BG 12 34 56 C", NOTHING),
        ("AB123456C", LIKELY),
        ("AB123456E", POSSIBLE),
        ("1 84 12 76 451 089 46", CERTAIN),
        ("RSSMRA85T10A562S", CERTAIN),
        ("RSSMRA85T10A562T", NOTHING),
        ("X-1234567-L", LIKELY),
        ("2024-01-01", NOTHING),
        (None, None),
    ],
    "iban": [
        ("DE89370400440532013000", CERTAIN),
        ("pay to GB82 WEST 1234 5698 7654 32 AND SEND IT", CERTAIN),
        ("DE88370400440532013000", NOTHING),
        ("DE8937040044053201300", NOTHING),
        ("XX89370400440532013000", NOTHING),
        ("", NOTHING),
        (None, None),
    ],
    "ip_address": [
        ("192.168.1.10", LIKELY),
        ("2001:db8::ff00:42:8329", LIKELY),
        ("120.0.0.0", POSSIBLE),  # a version of a browser
        ("10.0.19041.1", POSSIBLE),
        ("10:15:30", NOTHING),
        ("1.2.3", NOTHING),
        (None, None),
    ],
    "name": [
        ("Jane Doe", LIKELY),
        ("DOE, JANE", LIKELY),
        ("  Maria ", LIKELY),
        ("Kowalczyk-Smith Anna", LIKELY),
        ("Müller", LIKELY),
        ("gold", POSSIBLE),
        ("James bought a new bike on Sunday", POSSIBLE),
        ("jane@example.com", POSSIBLE),
        ("12 Victoria", POSSIBLE),
        (" ", NOTHING),
        (None, None),
    ],
}


@pytest.mark.parametrize("kind", CASES)
def test_values_resemble_what_they_look_like(spark: SparkSession, kind: str) -> None:
    found = degrees(spark, kind, [value for value, _ in CASES[kind]])
    assert list(zip((value for value, _ in CASES[kind]), found, strict=True)) == CASES[kind]


# As payment processors publish them for tests (Stripe, Adyen, PayPal).
TEST_CARDS = """
4242424242424242 4000056655665556 4111111111111111 4222222222222 5555555555554444 2223003122003222 5200828282828210
5105105105105100 378282246310005 371449635398431 6011111111111117 6011000990139424 6011981111111113 3056930009020004
36227206271667 3566002020360505 6200000000000005
""".split()  # noqa: SIM905  a word list


def test_published_test_cards_are_told(spark: SparkSession) -> None:
    assert degrees(spark, "payment_card", TEST_CARDS) == [LIKELY] * len(TEST_CARDS)
    grouped = [" ".join(card[at : at + 4] for at in range(0, 16, 4)) for card in TEST_CARDS if len(card) == 16]
    assert dict(zip(grouped, degrees(spark, "payment_card", grouped), strict=True)) == dict.fromkeys(grouped, CERTAIN)


def test_phone_numbers_of_every_country_are_told(spark: SparkSession) -> None:
    examples: list[Any] = [phonenumbers.example_number(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    written = [
        phonenumbers.format_number(number, form)
        for number in examples
        for form in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164)
    ]
    long_enough = [text for text in written if sum(map(str.isdigit, text)) >= 9]
    assert len(long_enough) > 0.9 * len(written)  # the others are of small islands
    assert [
        text
        for text, degree in zip(long_enough, degrees(spark, "phone", long_enough), strict=True)
        if degree != CERTAIN
    ] == []


def test_national_numbers_are_told_with_and_without_punctuation(spark: SparkSession) -> None:
    national = phonenumbers.PhoneNumberFormat.NATIONAL
    regions = [region for region in phonenumbers.region_codes_for_country_code(1) if region != "TA"]
    american: list[Any] = [phonenumbers.example_number(region) for region in regions]
    assert set(degrees(spark, "phone", [phonenumbers.format_number(each, national) for each in american])) == {CERTAIN}
    assert set(degrees(spark, "phone", [str(each.national_number) for each in american])) == {LIKELY}
    for region in ("GB", "FR", "DE"):
        mobile: Any = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        text = phonenumbers.format_number(mobile, national)
        assert set(degrees(spark, "phone", [text, text.replace(" ", "")])) <= {LIKELY, CERTAIN}


def _digits(count: int, first: str = "0123456789") -> Callable[[random.Random], str]:
    return lambda chance: chance.choice(first) + "".join(chance.choice("0123456789") for _ in range(count - 1))


def _nir_like(chance: random.Random) -> str:
    department = chance.choice(["75", "2A", "2B", "13"])
    middle = f"{chance.randrange(100):02}{chance.randint(1, 12):02}{department}{chance.randrange(10**6):06}"
    text = f"{chance.choice('12')}{middle}"
    key = int(nir.calc_check_digits(text)) if chance.random() < 0.5 else chance.randrange(1, 98)
    return f"{text}{key:02}"


SCHEMES: list[tuple[Callable[[random.Random], str], Callable[[str], bool]]] = [
    (_digits(9), lambda text: bool(bsn.is_valid(text) or luhn.is_valid(text))),
    (_digits(11, "123456789"), idnr.is_valid),
    (lambda chance: _digits(8)(chance) + chance.choice("ABCDEFGHJKLMNPQRSTVWXYZ"), dni.is_valid),
    (
        lambda chance: chance.choice("XYZ") + _digits(7)(chance) + chance.choice("ABCDEFGHJKLMNPQRSTVWXYZ"),
        nie.is_valid,
    ),
    (_nir_like, nir.is_valid),
]


@pytest.mark.parametrize(("make", "is_valid"), SCHEMES, ids=["bsn or sin", "idnr", "dni", "nie", "nir"])
def test_check_digits_are_those_of_python_stdnum(
    spark: SparkSession, make: Callable[[random.Random], str], is_valid: Callable[[str], bool]
) -> None:
    chance = random.Random(1)
    texts = sorted({make(chance) for _ in range(MANY)})
    expected = [LIKELY if is_valid(text) else POSSIBLE for text in texts]
    assert set(expected) == {LIKELY, POSSIBLE}
    assert degrees(spark, "national_id", texts) == expected


def test_a_canadian_number_is_told(spark: SparkSession) -> None:
    assert sin.is_valid("123456782")
    assert degrees(spark, "national_id", ["123456782"]) == [LIKELY]


def test_social_security_numbers_are_those_that_can_be_given(spark: SparkSession) -> None:
    texts = [
        f"{area:03}-{group:02}-{serial:04}"
        for area in (0, 1, 78, 665, 666, 667, 899, 900, 999)
        for group in (0, 1, 99)
        for serial in (0, 1, 9999)
    ]
    listed = {"078-05-1120", "457-55-5462", "219-09-9999"}  # well-known ones that stdnum leaves out
    expected = [CERTAIN if ssn.is_valid(text) or text in listed else NOTHING for text in texts]
    found = [CERTAIN if degree == CERTAIN else NOTHING for degree in degrees(spark, "national_id", texts)]
    assert found == expected


def test_fiscal_codes_are_those_of_python_stdnum(spark: SparkSession) -> None:
    chance = random.Random(2)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    texts = []
    for _ in range(MANY):
        name = "".join(chance.choice(letters) for _ in range(6))
        born = f"{chance.randrange(100):02}{chance.choice('ABCDEHLMPRST')}{chance.randint(1, 28):02}"
        code = f"{name}{born}{chance.choice('ABCDEFGHILM')}{chance.randrange(1, 1000):03}"
        right = codicefiscale.calc_check_digit(code)
        texts.append(code + (right if chance.random() < 0.5 else chance.choice(letters)))
    expected = [CERTAIN if codicefiscale.is_valid(text) else NOTHING for text in texts]
    assert set(expected) == {CERTAIN, NOTHING}
    assert degrees(spark, "national_id", texts) == expected


def test_account_numbers_are_those_of_python_stdnum(spark: SparkSession) -> None:
    # Examples of the SWIFT IBAN Registry.
    good = """
    AT611904300234573201 BE68539007547034 CH9300762011623852957 DE89370400440532013000 DK5000400440116243
    ES9121000418450200051332 FI2112345600000785 FR1420041010050500013M02606 GB29NWBK60161331926819
    IE29AIBK93115212345678
    IT60X0542811101000000123456 LU280019400644750000 MT84MALT011000012345MTLCAST001S NL91ABNA0417164300
    NO9386011117947 PL61109010140000071219812874 PT50000201231234567890154 SE4550000000058398257466
    TR330006100519786457841326
    """.split()  # noqa: SIM905  a word list
    assert all(iban.is_valid(text, check_country=False) for text in good)
    assert set(degrees(spark, "iban", good)) == {CERTAIN}
    assert set(degrees(spark, "iban", [iban.format(text) for text in good])) == {CERTAIN}
    wrong = [text[:-1] + ("1" if text[-1] != "1" else "2") for text in good]
    assert not any(iban.is_valid(text) for text in wrong)
    assert set(degrees(spark, "iban", wrong)) == {NOTHING}
