"""When what values look like is a finding, and that chance never is one."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from schemas import reference
from schemas.table import parse_table
from tests.transforms.columns.test_resemblance import TEST_CARDS
from transforms.columns.resemblance import KINDS
from transforms.frames.leak_guard import (
    AT,
    Finding,
    Watched,
    findings,
    is_no_chance,
    resemblances,
    watch,
    watched_columns,
)

ROWS = 1_000

Values = Sequence[str | int]


def found_in(
    spark: SparkSession, columns: dict[str, Values], rows: int = ROWS, sample: int = 1
) -> dict[tuple[str, str], int]:
    """Return the counts of findings by column and kind, as one pass over the columns has them."""
    types = {name: "bigint" if isinstance(values[0], int) else "string" for name, values in columns.items()}
    watched = [each for name, kind in types.items() if (each := watch(name, kind)) is not None]
    padded = [list(values) + [None] * (rows - len(values)) for values in columns.values()]
    schema = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
    frame = spark.createDataFrame(list(zip(*padded, strict=True)), schema)
    counted = {row[AT]: row.asDict() for row in resemblances(frame, watched, sample).collect()}
    return {(each.column, each.kind): each.count for each in findings(watched, counted, sample)}


def _ean_13(chance: random.Random) -> str:
    digits = [4, *(chance.randrange(10) for _ in range(11))]
    check = -sum(digit * (3 if at % 2 else 1) for at, digit in enumerate(digits)) % 10
    return "".join(map(str, [*digits, check]))


#: Values that are no personal data, though some of them have right check digits by chance.
HARMLESS: dict[str, Callable[[random.Random, int], str | int]] = {
    "big": lambda chance, _: chance.randrange(-(2**63), 2**63),
    "id9": lambda chance, _: chance.randrange(10**8, 10**9),
    "id10": lambda chance, _: chance.randrange(10**9, 10**10),
    "id10text": lambda chance, _: str(chance.randrange(10**9, 10**10)),
    "id11": lambda chance, _: chance.randrange(10**10, 10**11),
    "id15": lambda chance, _: str(chance.randrange(10**14, 10**15)),
    "id16": lambda chance, _: chance.randrange(10**15, 10**16),
    "id16visa": lambda chance, _: 4 * 10**15 + chance.randrange(10**15),
    "row": lambda _, row: 2_065_550_000 + row,
    "row16": lambda _, row: 4_111_111_111_111_000 + row,
    "constant": lambda _, __: TEST_CARDS[0],  # one campaign whose number happens to be right
    "uuid": lambda chance, _: str(uuid.UUID(int=chance.getrandbits(128))),
    "uuid_digits": lambda chance, _: str(uuid.UUID(int=int(f"{chance.randrange(10**31):032}", 16))),
    "sha256": lambda chance, _: hashlib.sha256(chance.randbytes(8)).hexdigest(),
    "md5": lambda chance, _: hashlib.md5(chance.randbytes(8), usedforsecurity=False).hexdigest().upper(),
    "seconds": lambda chance, _: 1_700_000_000 + chance.randrange(10**8),
    "millis": lambda chance, _: str(1_700_000_000_000 + chance.randrange(10**11)),
    "time": lambda chance, _: str(dt.datetime.fromtimestamp(chance.randrange(2 * 10**9), dt.UTC)),
    "offset": lambda chance, _: f"2026-11-22T10:{chance.randrange(60):02}:00+{chance.randrange(14):02}:00",
    "day": lambda chance, _: f"{chance.randint(1, 12):02}/{chance.randint(1, 28):02}/20{chance.randrange(30):02}",
    "amount": lambda chance, _: f"{chance.uniform(-1e7, 1e7):.2f}",
    "fraction": lambda chance, _: repr(chance.random()),
    "share": lambda chance, _: f"+{chance.uniform(0, 100):.1f} %",
    "zip5": lambda chance, _: f"{chance.randrange(10**5):05}",
    "zip9": lambda chance, _: f"{chance.randrange(10**5):05}-{chance.randrange(10**4):04}",
    "postcode": lambda chance, _: f"SW{chance.randrange(1, 20)} {chance.randrange(10)}AB",
    "sku": lambda chance, _: f"AB-{chance.randrange(10**5):05}-{chance.choice('XYZ')}{chance.randrange(10)}",
    "sku_like_nino": lambda chance, _: (
        "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=2))
        + f"{chance.randrange(10**6):06}{chance.choice('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}"
    ),
    "sku_like_dni": lambda chance, _: f"{chance.randrange(10**8):08}{chance.choice('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}",
    "serial": lambda chance, _: "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=22)),
    "ean": lambda chance, _: _ean_13(chance),
    "version": lambda chance, _: f"{chance.randint(90, 130)}.0.{chance.randrange(7000)}.{chance.randrange(200)}",
    "agent": lambda chance, _: f"Mozilla/5.0 (X11; Linux x86_64) Chrome/{chance.randint(90, 130)}.0.0.0 Safari/537.36",
    "url": lambda chance, _: f"https://shop.example/p/{chance.randrange(10**6)}?sid={chance.getrandbits(64):x}&x=@2",
    "coordinate": lambda chance, _: f"+{chance.uniform(0, 90):.5f}-{chance.uniform(0, 180):09.5f}/",
    "tier": lambda chance, _: chance.choice(["Ruby", "Amber", "Jade", "Pearl", "Gold", "Grace"]),
    "word": lambda chance, _: chance.choice(["May", "June", "April", "Realized", "Existing customer", "Home & Garden"]),
}


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(), st.sampled_from([3, 100, ROWS]))
def test_what_chance_makes_is_no_finding(spark: SparkSession, seed: int, rows: int) -> None:
    chance = random.Random(seed)
    columns: dict[str, Values] = {name: [make(chance, row) for row in range(rows)] for name, make in HARMLESS.items()}
    assert found_in(spark, columns) == {}


def _phones(count: int) -> list[str]:
    regions = phonenumbers.region_codes_for_country_code(1)
    examples: list[Any] = [phonenumbers.example_number(region) for region in regions]
    national = [str(example.national_number) for example in examples]
    chance = random.Random(3)
    return [f"{chance.choice(national)[:3]}{chance.randrange(2, 10)}{chance.randrange(10**6):06}" for _ in range(count)]


def _cards(count: int) -> list[str]:
    chance = random.Random(4)
    made: list[str] = []
    while len(made) < count:
        text = f"4{chance.randrange(10**15):015}"
        doubled = [int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(text))]
        if sum(number // 10 + number % 10 for number in doubled) % 10 == 0:
            made.append(text)
    return made


def test_each_kind_is_found_and_counted(spark: SparkSession) -> None:
    phones, cards = _phones(200), _cards(200)
    names = ["Jane Doe", "John Smith", "Maria Garcia", "Peter Meyer", "Anna Rossi", "Paul Martin", "Laura Klein"]
    given_names = "mary john linda james emma robert olivia paul sarah peter laura mark anna kevin julia brian".split()  # noqa: SIM905
    families = "smith jones meyer garcia rossi martin klein weber nguyen lee".split()  # noqa: SIM905
    people = [f"{first.title()} {last.title()}" for first in given_names for last in families]
    columns: dict[str, Values] = {
        "note": ["all well", "jane@example.com asked", "write to a@b.example", *names[:1]],
        "one_ssn": ["078-05-1120"],
        "one_iban": ["DE89370400440532013000"],
        "one_phone": ["please call +49 170 1234567"],
        "one_card": ["paid with 4111 1111 1111 1111"],
        "phones": phones,
        "one_area": [f"206{each[3:]}" for each in phones],
        "one_area_with_1": [f"1206{each[3:]}" for each in phones],
        "pandas_phones": [f"{each}.0" for each in phones],
        "phone_numbers": [int(each) for each in phones],
        "cards": cards,
        "card_numbers": [int(each) for each in cards],
        "cards_in_notes": [f"paid with {card}, thanks" for card in TEST_CARDS],
        "people": people,
        "given": given_names * 4 + given_names,
        "hosts": [f"198.51.100.{number}" for number in range(100)],
        "ids": [f"{number:08}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}" for number in range(20_000_000, 20_000_050)],
    }
    found = found_in(spark, columns)
    assert found == {
        ("note", "email"): 2,
        ("one_ssn", "national_id"): 1,
        ("one_iban", "iban"): 1,
        ("one_phone", "phone"): 1,
        ("one_card", "payment_card"): 1,
        ("phones", "phone"): 200,
        ("one_area", "phone"): 200,
        ("one_area_with_1", "phone"): 200,
        ("pandas_phones", "phone"): 200,
        ("phone_numbers", "phone"): 200,
        ("cards", "payment_card"): 200,
        ("card_numbers", "payment_card"): 200,
        ("cards_in_notes", "payment_card"): len(TEST_CARDS),
        ("people", "name"): len(people),
        ("given", "name"): 80,
        ("hosts", "ip_address"): 100,
        ("ids", "national_id"): 50,
    }


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.share])
@given(form=st.integers(1, 5_000), seed=st.integers())
@settings(max_examples=200, deadline=None)
def test_values_that_are_right_by_chance_alone_are_no_finding(kind: str, form: int, seed: int) -> None:
    chance = random.Random(seed)
    likely = sum(chance.random() < KINDS[kind].chance for _ in range(form))
    assert not is_no_chance(likely, form, min(likely, 64), KINDS[kind].chance, KINDS[kind].share)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.share])
def test_one_value_that_comes_often_proves_nothing(kind: str) -> None:
    assert not is_no_chance(10**6, 10**6, 1, KINDS[kind].chance, KINDS[kind].share)
    assert is_no_chance(10**6, 10**6, 30, KINDS[kind].chance, KINDS[kind].share)


def test_the_fewest_values_are_what_the_probability_says() -> None:
    # 0.1 to the power of 6 is one in a million.
    assert not is_no_chance(5, 5, 5, 0.1, 0.5)
    assert is_no_chance(6, 6, 6, 0.1, 0.5)
    assert not is_no_chance(0, 0, 0, 0.1, 0.5)


@pytest.mark.parametrize(
    ("type_name", "kinds"),
    [
        ("string", tuple(KINDS)),
        ("bigint", ("phone", "payment_card", "national_id")),
        ("decimal(18,0)", ("phone", "payment_card", "national_id")),
        ("decimal(18,2)", None),
        ("decimal(5,0)", None),
        ("int", ("phone", "payment_card", "national_id")),
        ("date", None),
        ("timestamp", None),
        ("boolean", None),
        ("float", None),
    ],
)
def test_types_say_what_a_column_can_hold(type_name: str, kinds: tuple[str, ...] | None) -> None:
    expected = None if kinds is None else Watched("x", kinds, type_name != "string")
    assert watch("x", type_name) == expected


def test_what_is_hashed_or_declared_is_not_looked_at() -> None:
    table = parse_table(
        """
        name = "people"
        comment = "People"
        partitions = ["region"]
        audit = ["source_file", "source_row", "run_id", "loaded_at", "row_hash"]
        [columns.email]
        comment = "hashed"
        personal_data = "email"
        [columns.city]
        comment = "declared"
        personal_data = "location"
        publish = "clear"
        [columns.note]
        comment = "free text"
        [columns.hotline]
        comment = "of the shop"
        resembles = ["phone", "email"]
        [columns.score]
        comment = "number"
        type = "bigint"
        resembles = ["phone", "payment_card", "national_id"]
        [columns.region]
        comment = "partition"
        default = "none"
        """,
        "people.toml",
    )
    every = tuple(KINDS)
    assert watched_columns(table) == (
        Watched("note", every),
        Watched("hotline", tuple(kind for kind in every if kind not in ("phone", "email"))),
        Watched("region", every),
        Watched("source_file", tuple(kind for kind in every if kind not in ("ip_address", "name"))),
    )


def test_of_a_sample_shares_are_told_and_every_certain_value(spark: SparkSession) -> None:
    given = sorted(reference.load("personal_names")["given"].split())
    columns: dict[str, Values] = {
        "first": given * (4_000 // len(given)),  # few different values, each of which comes often
        "mail": ["jane.doe@example.com"],
        "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
        "social": ["078-05-1120"],
        "card": ["4111 1111 1111 1111"],
        "phone": ["(206) 555-0100", "+49 170 1234567"],
        "fiscal": ["RSSMRA85T10A562S"],
        "country": ["US", "DE"] * 2_000,
    }
    found = found_in(spark, columns, rows=4_000, sample=8)
    assert found.pop(("first", "name")) > 2_000
    assert found == {
        ("mail", "email"): 1,
        ("iban", "iban"): 2,
        ("social", "national_id"): 1,
        ("card", "payment_card"): 1,
        ("phone", "phone"): 2,
        ("fiscal", "national_id"): 1,
    }


def test_a_finding_tells_column_kind_and_count() -> None:
    assert str(Finding("note", "email", 12)) == "column note holds 12 values that look like e-mail addresses"
    assert str(Finding("note", "iban", 1)) == "column note holds 1 value that looks like bank account numbers (IBAN)"
