"""Hold phones against libphonenumber: python -m tests.transforms.columns.phone_equality --numbers 1000000

Makes up numbers of every region, in the ways that people and programs write and spoil them, brings them through Spark,
and prints for each way how many there were, how many the tables settled, and what is not what the library says.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.session import open_session
from tests.benchmarks.measure import table
from transforms.blanks import BLANKS
from transforms.columns.phone import settle_by_library, settle_natively

#: The big markets, for numbers as they are: what share of them the tables settle is what the speed hangs on.
REGIONS: Final = (
    *("US", "GB", "DE", "FR", "IT", "ES", "CA", "JP", "IN", "AU", "BR", "MX", "NL", "SE", "CH", "PL", "PT", "BE", "AT"),
    *("DK", "NO", "FI", "IE", "NZ", "ZA", "CN", "KR", "SG", "HK", "TR", "RU", "GR", "CZ", "IL", "AE", "SA", "CL", "CO"),
    *("PR", "JM", "AR"),
)
EVERY_REGION: Final = tuple(sorted(phonenumbers.SUPPORTED_REGIONS))
TYPES: Final = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE)
_UNSUPPORTED: Final = ("AQ", "ZZ", "001", "us", "U", "USA", "", " ", "1")
_DIGITS: Final = "0123456789"
_KEYS: Final = dict(
    zip("2345678989", ("ABC", "def", "GHI", "jkl", "MNO", "PQRS", "tuv", "WXYZ", "X", "x"), strict=True)
)
_DIGIT_ZEROS: Final = tuple(  # of every script that Unicode has digits for
    chr(point) for point in range(0x80, sys.maxunicode) if chr(point).isdecimal() and int(chr(point)) == 0
)
_ALLOWED: Final = (
    "-\u2010\u2015\u2212\u30fc\uff0d\uff0e\uff0f \xa0\xad\u200b\u2060\u3000()\uff08\uff09\uff3b\uff3d.[]/~\uff5exX*"
)
_CONTROLS: Final = "\x00\x01\t\n\x0b\x1b\x7f\x85\u2028\ufeff\u202f\u200d\u061c\U000e0001"
_LABELS: Final = (
    *(
        " x",
        "x",
        " ext ",
        " ext. ",
        " EXTENSION ",
        " extn:",
        " anexo ",
        " \u0434\u043e\u0431 ",
        "#",
        " # ",
        "~",
        ";ext=",
    ),
    *(
        ",",
        ",,",
        ";",
        " int ",
        "\uff58",
        "\uff45\uff58\uff54",
        " extensi\xf3n ",
        " ;ext=",
        " - ",
        " Ext ,, ",
        "/ x",
        "\\x",
    ),
)
_CONTEXTS: Final = (
    "+1",
    "+44",
    "+",
    "example.com",
    "a-b.example.",
    "1.2",
    "",
    "+1-206",
    "\u0663.a",
    "-a",
    "a" * 30 + "!",
)
_WORDS: Final = (
    "Tel: ",
    "call ",
    "n/a",
    "none",
    "unknown",
    "ask for Jim",
    "# ",
    "(",
    "+",
    "\U0001f4de ",
    "\u96fb\u8a71",
    "?",
    "??",
)


class Number(NamedTuple):
    """A made-up number: its digits without calling code, whose country's they are, and that country's calling code."""

    national: str
    region: str
    code: int


class Row(NamedTuple):
    """One value with its row's country, and the way it is written."""

    kind: str
    value: str
    country: str | None


def reference(value: str, country: str | None, *, lenient: bool = False, own_code: bool = False) -> str | None:
    """Return what the library says: the definition that the columns must meet."""
    region = country if country in phonenumbers.SUPPORTED_REGIONS else None
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        number = None
    if own_code and region and not (number and phonenumbers.is_valid_number(number)):
        own = str(phonenumbers.country_code_for_region(region))
        begun = next((at for at, sign in enumerate(value) if sign in "+\uff0b" or sign.isdecimal()), len(value))
        if value[begun : begun + 1].isdecimal():
            other = reference(f"+{value[begun:]}", None, lenient=lenient)
            if other is not None and other.startswith(f"+{own}"):
                return other
    if number is None:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE or (lenient and reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return None


@cache
def _examples(region: str) -> tuple[tuple[str, int], ...]:
    """Return the library's own numbers of a region."""
    found = (phonenumbers.example_number_for_type(region, kind) for kind in PhoneNumberType.values())
    return tuple({(phonenumbers.national_significant_number(each), each.country_code or 0) for each in found if each})


@cache
def _dialled_abroad(region: str) -> str:
    """Return what is dialled for ``+`` in a region."""
    metadata: Any = PhoneMetadata.metadata_for_region(region)
    prefix = metadata.preferred_international_prefix or metadata.international_prefix or ""
    return str(prefix) if prefix.isdigit() else "00"


@cache
def _trunk_prefix(region: str) -> str:
    metadata: Any = PhoneMetadata.metadata_for_region(region)
    return metadata.national_prefix or "0"


def _object(number: Number) -> PhoneNumber:
    zeros = len(number.national) - len(number.national.lstrip("0"))
    return PhoneNumber(
        country_code=number.code,
        national_number=int(number.national),
        italian_leading_zero=zeros > 0 or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def _formatted(number: Number, form: int) -> str:
    return str(phonenumbers.format_number(_object(number), form))


def _local(number: Number) -> str:
    return _formatted(number, PhoneNumberFormat.NATIONAL)


def _abroad(number: Number) -> str:
    return _formatted(number, PhoneNumberFormat.INTERNATIONAL)


def _digits(number: Number) -> str:
    return "".join(filter(str.isdigit, _local(number)))


def _in_script(text: str, zero: str) -> str:
    return text.translate({ord(digit): ord(zero) + int(digit) for digit in _DIGITS})


def _brackets(number: Number) -> str:
    digits = _digits(number)
    return f"({digits[:3]}) {digits[3:]}"


#: The ways that nearly every number in a file is written in.
USUAL: Final[dict[str, Callable[[Number], str]]] = {
    "local": _local,
    "digits": _digits,
    "national": lambda number: number.national,
    "abroad": _abroad,
    "e164": lambda number: f"+{number.code}{number.national}",
    "prefix": lambda number: f"{_dialled_abroad(number.region)} {_abroad(number)[1:]}",
    "dots": lambda number: _local(number).replace(" ", ".").replace("-", "."),
    "slash": lambda number: _local(number).replace(" ", "/", 1),
    "zero": lambda number: f"+{number.code} (0){number.national}",
    "code": lambda number: f"{number.code}{number.national}",
    "wide": lambda number: _in_script(_local(number), "\uff10"),
    "arabic": lambda number: _in_script(_digits(number), "\u0660"),
    "brackets": _brackets,
    "dash": lambda number: _local(number).replace(" ", "\u2013"),
}


class Spoiler:
    """Writes numbers in the ways that only a library for phone numbers understands, or not even that."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.ways: Final[dict[str, Callable[[Number], str]]] = {
            "random digits": self._random_digits,
            "own code": lambda number: f"{number.code}{self._some_trunk(number)}{number.national}",
            "trunk": lambda number: f"{self._some_trunk(number)}{number.national}",
            "prefixes": self._prefixes,
            "plus": self._plus,
            "punctuation": lambda number: self._strewn(self._usual(number), _ALLOWED, 4),
            "controls": lambda number: self._strewn(self._usual(number), _CONTROLS, 1),
            "blanks": lambda number: self._strewn(self._usual(number), BLANKS, 2),
            "scripts": self._scripts,
            "letters": self._letters,
            "extension": self._extension,
            "rfc3966": self._rfc3966,
            "words": self._words,
            "two numbers": self._two_numbers,
            "dropped": self._dropped,
            "long": lambda number: self._usual(number).replace(" ", " " * chance.choice((1, 60, 120, 250))),
            "garbage": self._garbage,
        }

    def _usual(self, number: Number) -> str:
        return self._chance.choice(tuple(USUAL.values()))(number)

    def _some_trunk(self, number: Number) -> str:
        return self._chance.choice(("", "0", "8", "1", "00", _trunk_prefix(number.region)))

    def _of_digits(self, least: int, most: int) -> str:
        return "".join(self._chance.choices(_DIGITS, k=self._chance.randint(least, most)))

    def _random_digits(self, number: Number) -> str:
        before = ("", "", "+", "0", str(number.code), f"+{number.code}", _dialled_abroad(number.region))
        return self._chance.choice(before) + self._of_digits(1, 15)

    def _prefixes(self, number: Number) -> str:
        before = self._chance.choice(("00", "011", "0011", "010", "810", "0-0 ", "000", "99", "119", "001700", "14"))
        return f"{before}{self._chance.choice(('', ' ', '+', '~'))}{number.code}{number.national}"

    def _plus(self, number: Number) -> str:
        sign = self._chance.choice(
            ("++", "+ +", "+", "(+", "+(", "\uff0b", "-+", "+0", "+00", "+011", "+999", "*+", "+1+")
        )
        return f"{sign}{self._chance.choice((f'{number.code}) ', str(number.code), ''))}{number.national}"

    def _strewn(self, text: str, signs: str, most: int) -> str:
        for _ in range(self._chance.randint(1, most)):
            at = self._chance.randint(0, len(text))
            text = text[:at] + self._chance.choice(signs) + text[at:]
        return text

    def _scripts(self, number: Number) -> str:
        text = self._usual(number)
        if self._chance.random() < 0.5:
            return _in_script(text, self._chance.choice(_DIGIT_ZEROS))
        return "".join(_in_script(sign, self._chance.choice(_DIGIT_ZEROS)) for sign in text)

    def _letters(self, number: Number) -> str:
        text = self._usual(number)
        share = self._chance.choice((0.1, 0.4, 1.0))
        return text[:3] + "".join(
            self._chance.choice(_KEYS[sign]) if sign in _KEYS and self._chance.random() < share else sign
            for sign in text[3:]
        )

    def _extension(self, number: Number) -> str:
        return (
            self._usual(number) + self._chance.choice(_LABELS) + self._of_digits(1, 9) + self._chance.choice(("", "#"))
        )

    def _rfc3966(self, number: Number) -> str:
        text = _formatted(number, PhoneNumberFormat.RFC3966)
        text = self._chance.choice((text, f"tel:{number.national}", f"{number.national}", f"TEL:+{number.code}-1"))
        if self._chance.random() < 0.5:
            text += f";ext={self._of_digits(1, 6)}"
        if self._chance.random() < 0.2:
            text += f";isub={self._of_digits(1, 6)}"
        if self._chance.random() < 0.5:
            text += f";phone-context={self._chance.choice((*_CONTEXTS, f'+{number.code}'))}"
        return text

    def _words(self, number: Number) -> str:
        before, behind = self._chance.choice((*_WORDS, "")), self._chance.choice((*_WORDS, " (home)", "!", ""))
        return f"{before}{self._chance.choice((self._usual(number), ''))}{behind}"

    def _two_numbers(self, number: Number) -> str:
        between = self._chance.choice((", ", " / ", "/", "; ", " or ", " ", "\n", " /x", "\\ x", "|", " & "))
        return f"{self._usual(number)}{between}{self._usual(number)}"

    def _dropped(self, number: Number) -> str:
        text = self._usual(number)
        at = self._chance.randrange(len(text))
        return text[:at] + text[at + self._chance.randint(1, 4) :]

    def _garbage(self, number: Number) -> str:
        signs = f"0123456789+?;,x/#* ()-{_ALLOWED}{_CONTROLS}{number.national}aZ\xb2\u2460\u00e9\U0001d7d8"
        return "".join(self._chance.choices(signs, k=self._chance.randint(0, 20)))


def _number(chance: random.Random, region: str, examples: tuple[tuple[str, int], ...]) -> Number:
    """Return one of the library's numbers with other last digits, now and then one too many or too few."""
    national, code = chance.choice(examples)
    cut = chance.randint(1, min(5, len(national) - 1))
    national = national[:-cut] + "".join(chance.choices(_DIGITS, k=cut))
    if chance.random() < 0.1:
        national = chance.choice((national[:-1], f"{national}7"))
    return Number(national, region, code)


def _country(chance: random.Random, kind: str, region: str) -> str | None:
    """Return the number's own country, or now and then any where the number says itself where it belongs."""
    strays = kind in ("abroad", "e164", "zero", "plus", "rfc3966") or chance.random() < 0.05
    return chance.choice((region, region, None, chance.choice(EVERY_REGION))) if strays else region


def usual_rows(each: int, seed: int = 20) -> Iterator[Row]:
    """Return numbers as real files have them: of every big market so many, every way alike."""
    chance = random.Random(seed)
    kinds = tuple(USUAL)
    for region in REGIONS:
        found = (phonenumbers.example_number_for_type(region, kind) for kind in TYPES)
        examples = tuple((phonenumbers.national_significant_number(one), one.country_code or 0) for one in found if one)
        for _ in range(each):
            kind, number = chance.choice(kinds), _number(chance, region, examples)
            strays = kind in ("abroad", "e164")
            yield Row(kind, USUAL[kind](number), chance.choice((region, region, None, *REGIONS)) if strays else region)


def made_rows(numbers: int, seed: int = 1) -> Iterator[Row]:
    """Return numbers of every region, usual ones, spoilt ones and mere digits in turn."""
    chance = random.Random(seed)
    spoilt = Spoiler(chance).ways
    usual, odd = tuple(USUAL), tuple(spoilt)
    for row in range(numbers):
        region = chance.choice(EVERY_REGION if row % 3 else REGIONS)
        number = _number(chance, region, _examples(region))
        kind = chance.choice((usual, odd, usual, odd, ("random digits",))[row % 5])
        value = (USUAL.get(kind) or spoilt[kind])(number)
        country = chance.choice(_UNSUPPORTED) if chance.random() < 0.01 else _country(chance, kind, region)
        yield Row(kind, value, country)


#: What the columns are told, and the reference with them.
MODES: Final[dict[str, dict[str, bool]]] = {
    "possible": {},
    "lenient": {"lenient": True},
    "own code": {"own_code": True},
    "lenient, own code": {"lenient": True, "own_code": True},
}


def resolved(frame: DataFrame) -> DataFrame:
    """Return a frame of value and country with a column for every mode, and those that the tables settled."""
    value, country = F.col("value"), F.col("country")
    frame = frame.withColumns(
        {"settled": settle_natively(value, country), "settled_own": settle_natively(value, country, own_code=True)}
    )
    return frame.withColumns(
        {
            mode: settle_by_library(F.col("settled_own" if options.get("own_code") else "settled"), country, **options)
            for mode, options in MODES.items()
        }
    )


@dataclass(frozen=True)
class Mismatch:
    """A value that came out otherwise than the library says."""

    mode: str
    row: Row
    found: str | None
    expected: str | None


@dataclass(frozen=True)
class Comparison:
    """How many values of each kind there were, were natively settled, were resolved in the end; and what is wrong."""

    rows: Counter[str]
    settled: Counter[str]
    resolved: Counter[str]
    mismatches: list[Mismatch]
    unstable: int  # E.164 forms that the library itself reads differently the second time

    def __bool__(self) -> bool:
        return not self.mismatches


def compare(spark: SparkSession, rows: list[Row], folder: Path) -> Comparison:
    """Bring all rows through Spark and the library; then what came out of it once more."""
    first, found = _compared(spark, rows, folder / "once")
    again = [Row("again", value, row.country) for row, value in zip(rows, found, strict=True) if value is not None]
    second, twice = _compared(spark, again, folder / "twice")
    return Comparison(
        first.rows + second.rows,
        first.settled + second.settled,
        first.resolved + second.resolved,
        first.mismatches + second.mismatches,
        sum(row.value != value for row, value in zip(again, twice, strict=True)),
    )


def _compared(spark: SparkSession, rows: list[Row], folder: Path) -> tuple[Comparison, list[str | None]]:
    folder.mkdir(parents=True)
    columns = {
        "id": list(range(len(rows))),
        "value": [row.value for row in rows],
        "country": [row.country for row in rows],
    }
    source = pa.table(columns, pa.schema([("id", pa.int64()), ("value", pa.string()), ("country", pa.string())]))
    pq.write_table(source, folder / "rows.parquet", row_group_size=50_000)
    resolved(spark.read.parquet(str(folder / "rows.parquet"))).write.parquet(str(folder / "found"))
    found = pq.read_table(folder / "found").sort_by("id").to_pydict()
    comparison = Comparison(Counter(), Counter(), Counter(), [], 0)
    for at, row in enumerate(rows):
        comparison.rows[row.kind] += 1
        comparison.settled[row.kind] += not (found["settled"][at] or "").startswith("?")
        comparison.resolved[row.kind] += found["possible"][at] is not None
        for mode, options in MODES.items():
            expected = reference(row.value, row.country, **options)
            if found[mode][at] != expected:
                comparison.mismatches.append(Mismatch(mode, row, found[mode][at], expected))
    return comparison, found["possible"]


def main(argv: list[str] | None = None) -> None:
    """Compare, print, and end with 1 where anything is not what the library says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        "--master local[2] --driver-memory 2g --conf spark.driver.host=127.0.0.1 "
        "--conf spark.driver.bindAddress=127.0.0.1 pyspark-shell"
    )
    started = time.perf_counter()
    rows = list(made_rows(args.numbers, args.seed))
    print(f"{len(rows):,} numbers made up in {time.perf_counter() - started:.0f} s")
    spark = open_session("phone-equality")
    with tempfile.TemporaryDirectory() as folder:
        result = compare(spark, rows, Path(folder))
    print(f"{len(MODES)} modes compared after {time.perf_counter() - started:.0f} s on Spark {spark.version}")
    spark.stop()
    wrong = Counter(mismatch.row.kind for mismatch in result.mismatches)
    lines = [
        (kind, f"{count:,}", f"{result.resolved[kind]:,}", f"{result.settled[kind] / count:.1%}", wrong[kind])
        for kind, count in sorted(result.rows.items())
    ]
    lines.append(("all", f"{result.rows.total():,}", f"{result.resolved.total():,}", "", wrong.total()))
    print(table(("kind", "values", "resolved", "settled natively", "mismatches"), lines))
    print(f"{result.unstable:,} results that the library reads differently the second time")
    for mismatch in result.mismatches[:40]:
        print(mismatch)
    sys.exit(0 if result else 1)


if __name__ == "__main__":
    main()
