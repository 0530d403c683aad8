"""What the text of a cell resembles: personal data of some kind, told by its shape and its check digits.

Each function takes a text column and returns a whole number, null where the text is: ``NOTHING``, ``POSSIBLE`` (it has
the outer form, as many ids have), ``LIKELY`` (the check digits or words are right too, which happens by chance) or
``CERTAIN`` (nothing else looks like that). ``frames.leak_guard`` says how many of each make a finding.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference

NOTHING: Final = 0
POSSIBLE: Final = 1
LIKELY: Final = 2
CERTAIN: Final = 3

_MOST_NAME_CHARACTERS: Final = 60
_ZERO: Final = 48  # of ASCII
_TEN_AS_A: Final = 55  # A is ten, as IBAN and codice fiscale count letters

# Not within a longer word or number, a fraction or a UUID.
_BEFORE: Final = r"(?<![\w.+-])"
_AFTER: Final = r"(?![\w-]|\.[0-9])"

_LETTER: Final = "A-Za-z0-9\u0080-\uffff"
_FILE_ENDING: Final = r"(?i:png|jpe?g|gif|webp|svg|avif|ico|css|js|json|html?|php|pdf|mp4)(?![A-Za-z])"
#: RFC 5322 as addresses stand in text and URLs: one character of the local part, @ or what stands for it, a domain. Not
#: pages of people (``/@jane.doe``), pictures (``logo@2x.png``, ``hero@mobile.webp``), or remotes of Git.
_EMAIL: Final = (
    rf"[{_LETTER}!#$%&'*+^_`{{|}}~.-](?<!%2[Ff]|%3[Dd])(?<!\bgit)(?:@|%40|%2540|\uff20)(?![1-9](?:\.[0-9])?x[.-])"
    rf"(?:[{_LETTER}-]{{1,63}}\.)+(?!{_FILE_ENDING})[A-Za-z\u0080-\uffff]{{2,24}}(?![{_LETTER}])(?!\.{_FILE_ENDING})"
)


def email(value: Column) -> Column:
    """Tell e-mail addresses, also inside text and URLs (``mailto:``, ``%40``): CERTAIN or NOTHING."""
    has_at = F.contains(value, F.lit("@")) | F.contains(value, F.lit("%40")) | F.contains(value, F.lit("%2540"))
    return _certain(value, (has_at | F.contains(value, F.lit("\uff20"))) & value.rlike(_EMAIL))


# --- phone numbers

_BLANKS: Final = " \u00a0\u202f"  # French text has those that do not break
# A plus, or 00 before a group, and 9 to 17 digits (E.164 allows 15; two for a trunk zero), but no offset of a time, no
# coordinate, no amount.
_INTERNATIONAL: Final = (
    r"(?:(?<![\w+])\+|%2[Bb]|(?<![\w.,+-])(?<![0-9][ .-])00(?=[1-9][0-9]{0,2}[ .-]))(?!1[0-4][034][05](?![0-9]))"
    r"(?![0-9]{1,3}\.[0-9]{4})(?![0-9]+\.[0-9]{1,2}(?![0-9 ()./-]))"
    rf"[1-9][0-9]{{0,2}}(?:(?:[{_BLANKS}()./\u2010-\u2013-]|%20){{0,3}}[0-9]){{8,14}}(?![0-9])"
)
_FRENCH: Final = rf"{_BEFORE}0[1-9]([{_BLANKS}.-])[0-9]{{2}}(?:\1[0-9]{{2}}){{3}}(?![\w]|[{_BLANKS}.-][0-9])"
_PHONE_SIGNS: Final = f"{_BLANKS}()/.-"
_PHONE_FORM: Final = rf"^\(?[0-9](?:[{_PHONE_SIGNS}]{{0,2}}[0-9]){{8,12}}(?:\.0)?$"


@cache
def _area_codes() -> str:
    """Return North America's area codes as an expression, as libphonenumber knows them."""
    import phonenumbers  # noqa: PLC0415  most of what imports this module never needs it

    patterns, codes = [], set()
    for region in phonenumbers.region_codes_for_country_code(1):
        metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
        kinds = (metadata.fixed_line, metadata.toll_free)
        patterns += [re.compile(kind.national_number_pattern) for kind in kinds if kind.national_number_pattern]
        codes.add(metadata.fixed_line.example_number[:3])  # islands have few exchanges
    codes |= {str(code) for code in range(200, 1000) if any(each.fullmatch(f"{code}2345678") for each in patterns)}
    groups = itertools.groupby(sorted(codes), lambda code: code[:2])
    return "(?:" + "|".join(f"{start}[{''.join(code[2] for code in group)}]" for start, group in groups) + ")"


def phone(value: Column) -> Column:
    """Tell phone numbers.

    CERTAIN, also inside text: with a plus, of North America in groups, French in pairs. LIKELY: a whole cell that is a
    national number of North America, or of 10 to 12 digits that begin with a single zero. POSSIBLE: a whole cell of 9
    to 13 digits. Behind them may stand ``.0``, as programs write numbers in columns with gaps.
    """
    area = _area_codes()
    in_groups = (
        rf"\({area}\)[ -]?[2-9][0-9]{{2}}[ .-][0-9]{{4}}(?![0-9])"
        rf"|{_BEFORE}(?:1[ .-])?{area}[ .-][2-9][0-9]{{2}}[ .-][0-9]{{4}}{_AFTER}"
    )
    certain = value.rlike(_INTERNATIONAL) | value.rlike(f"{in_groups}|{_FRENCH}")
    national = rf"^(?:1?{area}[2-9][0-9]{{6}}|0[1-9][0-9]{{8,10}})$"
    likely = _phone_digits(value).rlike(national)
    return (
        F.when(value.isNull(), None)
        .when(certain, CERTAIN)
        .when(value.rlike(_PHONE_FORM), F.when(likely, LIKELY).otherwise(POSSIBLE))
        .otherwise(NOTHING)
    )


def _phone_digits(value: Column) -> Column:
    return F.translate(F.regexp_replace(value, r"\.0$", ""), _PHONE_SIGNS, "")


def _area_and_exchange(value: Column) -> Column:
    """Return the first five digits behind a 1: ids in a row share them, people's numbers of one area do not."""
    return F.substring(F.regexp_replace(_phone_digits(value), "^1(?=[0-9]{10}$)", ""), 1, 5)


# --- payment cards

# ISO/IEC 7812: the first digits and lengths of Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay.
_CARD: Final = (
    _BEFORE + r"(?:4[0-9]{12}(?:[0-9]{3}){0,2}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)"
    r"[0-9]{12}|3[47][0-9]{13}|3(?:0[0-59]|[689][0-9])[0-9]{11,13}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9]|2[0-9]{2})[0-9]{12,15})" + _AFTER
)
_CARD_IN_GROUPS: Final = (
    r"(?<![\w-])(?:(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|5[0-9]{2}|4[4-9][0-9]|2[0-9]{2})"
    r"|35[2-8][0-9]|3(?:0[0-59]|[689][0-9])[0-9])"
    r"([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5}|3[0689][0-9]{2}([ -])[0-9]{6}\3[0-9]{4})"
    r"(?![\w-])"
)


def payment_card(value: Column) -> Column:
    """Tell card numbers, also inside text; the last digit is Luhn's (ISO/IEC 7812-1, annex B).

    CERTAIN: in the groups that are printed on cards. LIKELY: digits alone; one number of ten has the right last digit.
    POSSIBLE: of the right length and first digits. The first number of a text counts.
    """
    grouped = F.translate(F.regexp_extract(value, _CARD_IN_GROUPS, 0), " -", "")
    plain = F.regexp_extract(value, _CARD, 0)
    return (
        F.when(value.isNull(), None)
        .when(_has_luhn_digit(grouped), CERTAIN)
        .when(plain != F.lit(""), F.when(_has_luhn_digit(plain), LIKELY).otherwise(POSSIBLE))
        .otherwise(NOTHING)
    )


def _has_luhn_digit(digits: Column) -> Column:
    return F.call_function("luhn_check", digits)  # PySpark has no name for it


# --- national ids

# US Social Security Administration: no area 000, 666 or from 900, no group 00, no serial 0000.
_SSN: Final = r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])"
# HM Revenue & Customs, National Insurance Manual NIM39110: letters and prefixes that are not used.
_NINO_START: Final = r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
_NINO_IN_PAIRS: Final = rf"(?<![A-Za-z0-9]){_NINO_START} [0-9]{{2}} [0-9]{{2}} [0-9]{{2}} [A-D](?![A-Za-z0-9])"
# Italy, Decreto ministeriale 23 dicembre 1976: letters of the names, year, month, day (women 40 more), place, check.
_FISCAL_DIGIT: Final = "[0-9LMNP-V]"  # letters replace digits where two people would have one code
_FISCAL: Final = (
    rf"(?<![A-Za-z0-9])[A-Z]{{6}}{_FISCAL_DIGIT}{{2}}[A-EHLMPRST]{_FISCAL_DIGIT}{{2}}[A-Z]{_FISCAL_DIGIT}{{3}}[A-Z]"
    r"(?![A-Za-z0-9])"
)
_FISCAL_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
# France, INSEE: sex, year, month, department (2A and 2B in Corsica), municipality, serial, key.
_NIR: Final = r"[12][0-9]{2}(?:0[1-9]|1[0-2]|[2-9][0-9])[0-9][0-9AB][0-9]{8}"
_NIR_IN_GROUPS: Final = (
    r"(?<![\w-])[12] [0-9]{2} (?:0[1-9]|1[0-2]|[2-9][0-9]) [0-9][0-9AB] [0-9]{3} [0-9]{3} [0-9]{2}(?![\w-])"
)
_PLAIN_ID: Final = (
    rf"{_BEFORE}(?:[0-9]{{9}}|[1-9][0-9]{{10}}|{_NIR}|[0-9]{{8}}-?[A-Z]|[XYZ]-?[0-9]{{7}}-?[A-Z]"
    rf"|[A-Z]{{2}}[0-9]{{6}}[A-Z]){_AFTER}"
)
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"  # Spain, Real Decreto 1553/2005: the remainder by 23
_BSN_WEIGHTS: Final = (9, 8, 7, 6, 5, 4, 3, 2, -1)  # Netherlands, Logisch Ontwerp BSN: a multiple of 11
_STEUER_ID_DIGITS: Final = 10


def national_id(value: Column) -> Column:
    """Tell numbers that states give to people, also inside text.

    CERTAIN: US Social Security numbers with hyphens, UK National Insurance numbers in pairs, French NIR in groups,
    Italian fiscal codes. LIKELY, by check digits: Dutch BSN and Canadian SIN (Luhn) of 9 digits, German tax ids of 11,
    French NIR of 15, Spanish DNI and NIE; UK numbers without blanks. POSSIBLE: of such a length. Numbers without check
    digits, as US ones without hyphens, cannot be told from others. The first number of a text counts.
    """
    fiscal = F.regexp_extract(value, _FISCAL, 0)
    grouped = F.translate(F.regexp_extract(value, _NIR_IN_GROUPS, 0), " ", "")
    plain = F.translate(F.regexp_extract(value, _PLAIN_ID, 0), "-", "")
    certain = (
        value.rlike(f"{_SSN}|{_NINO_IN_PAIRS}")
        | ((grouped != F.lit("")) & _has_nir_key(grouped))
        | ((fiscal != F.lit("")) & _has_fiscal_check(fiscal))
    )
    size = F.length(plain)
    last = F.substring(plain, -1, 1)
    nine = F.when(
        last >= F.lit("A"), _has_dni_letter(plain) | plain.rlike(f"^{_NINO_START}[0-9]{{6}}[A-D]$")
    ).otherwise(_has_luhn_digit(plain) | _is_bsn(plain))
    likely = F.when(size == F.lit(9), nine).when(size == F.lit(11), _is_steuer_id(plain)).otherwise(_has_nir_key(plain))
    return (
        F.when(value.isNull(), None)
        .when(certain, CERTAIN)
        .when(plain != F.lit(""), F.when(likely, LIKELY).otherwise(POSSIBLE))
        .otherwise(NOTHING)
    )


def _characters(text: Column) -> Column:
    return F.split(text, "")


def _digit(character: Column) -> Column:
    return F.ascii(character) - F.lit(_ZERO)


def _remainder(text: Column, divisor: int) -> Column:
    """Return the remainder of a number of any length; a letter is two digits, A is 10."""

    def step(so_far: Column, character: Column) -> Column:
        is_digit = character <= F.lit("9")
        factor = F.when(is_digit, 10).otherwise(100)
        added = F.when(is_digit, _digit(character)).otherwise(F.ascii(character) - F.lit(_TEN_AS_A))
        return (so_far * factor + added) % F.lit(divisor)

    return F.aggregate(_characters(text), F.lit(0), step)


def _is_bsn(text: Column) -> Column:
    weights = F.array(*(F.lit(weight) for weight in _BSN_WEIGHTS))
    products = F.zip_with(_characters(text), weights, lambda character, weight: _digit(character) * weight)
    return F.aggregate(products, F.lit(0), lambda so_far, product: so_far + product) % F.lit(11) == F.lit(0)


def _is_steuer_id(text: Column) -> Column:
    """Tell German tax ids: check digit by ISO 7064 Mod 11,10, one digit of the others twice or three times."""

    def step(product: Column, character: Column) -> Column:
        total = (product + _digit(character)) % F.lit(10)
        return F.when(total == F.lit(0), 9).otherwise(total * F.lit(2) % F.lit(11))

    digits = _characters(F.substring(text, 1, _STEUER_ID_DIGITS))
    check = (F.lit(11) - F.aggregate(digits, F.lit(10), step)) % F.lit(10)
    different = F.size(F.array_distinct(digits))
    has_three = F.array_join(F.array_sort(digits), "").rlike(r"(.)\1\1")
    is_allowed = (different == F.lit(9)) | ((different == F.lit(8)) & has_three)
    return (check == _digit(F.substring(text, -1, 1))) & is_allowed


def _has_nir_key(text: Column) -> Column:
    """Tell whether the last two digits make 97 with the remainder of the others; Corsica's 2A and 2B are 19 and 18."""
    number = F.regexp_replace(F.regexp_replace(F.substring(text, 1, 13), "^(.{5})2A", "$119"), "^(.{5})2B", "$118")
    return (_remainder(number, 97) + _remainder(F.substring(text, 14, 2), 100)) % F.lit(97) == F.lit(0)


def _has_dni_letter(text: Column) -> Column:
    number = F.translate(F.substring(text, 1, 8), "XYZ", "012")
    letter = F.substr(F.lit(_DNI_LETTERS), _remainder(number, 23) + F.lit(1), F.lit(1))
    return number.rlike("^[0-9]{8}$") & (letter == F.substring(text, -1, 1))


def _has_fiscal_check(text: Column) -> Column:
    """Tell whether the last letter is the sum of the others by 26: odd places by a table, even ones as they count."""
    table = F.array(*(F.lit(weight) for weight in _FISCAL_ODD))

    def weight(character: Column, place: Column) -> Column:
        number = F.when(character <= F.lit("9"), _digit(character)).otherwise(F.ascii(character) - F.lit(ord("A")))
        return F.when(place % F.lit(2) == F.lit(0), F.get(table, number)).otherwise(number)

    weights = F.transform(_characters(F.substring(text, 1, 15)), weight)
    total = F.aggregate(weights, F.lit(0), lambda so_far, each: so_far + each)
    return total % F.lit(26) == F.ascii(F.substring(text, -1, 1)) - F.lit(ord("A"))


# --- accounts, addresses of machines, names


@cache
def _iban_pattern() -> str:
    """Return the expression of every country's account numbers, with or without a blank after each four characters."""
    classes = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}
    countries = []
    for country, structure in reference.load("iban")["structures"].items():
        kinds = "".join(part[-1] * int(part[:-1]) for part in structure.split())
        blocks = [kinds[at : at + 4] for at in range(0, len(kinds), 4)]
        written = [
            "".join(f"{classes[kind]}{{{len(list(run))}}}" for kind, run in itertools.groupby(block))
            for block in blocks
        ]
        countries.append(f"{country}[0-9]{{2}}" + "".join(f" ?{block}" for block in written))
    return rf"(?<![A-Za-z0-9])(?:{'|'.join(countries)})(?![A-Za-z0-9])"


def iban(value: Column) -> Column:
    """Tell account numbers (ISO 13616), also inside text: CERTAIN where the remainder by 97 is 1, else NOTHING."""
    found = F.translate(F.regexp_extract(value, _iban_pattern(), 0), " ", "")
    turned = F.concat(F.substr(found, F.lit(5)), F.substring(found, 1, 4))
    is_iban = value.rlike("[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}") & (found != F.lit("")) & (_remainder(turned, 97) == F.lit(1))
    return _certain(value, is_iban)


_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_FOUR_NUMBERS: Final = r"^[0-9]{1,5}(?:\.[0-9]{1,5}){3}$"
_IPV4: Final = rf"^(?!0|22[4-9]|2[3-5][0-9])(?!.*\.0\.0$){_OCTET}(?:\.{_OCTET}){{3}}$"
_IPV6: Final = r"^(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$|^[23][0-9A-Fa-f]{3}:(?=.*::)[0-9A-Fa-f:]{4,33}$"


def ip_address(value: Column) -> Column:
    """Tell addresses of machines that are a whole cell: LIKELY, for versions of programs look alike, or POSSIBLE."""
    likely = value.rlike(_IPV4) | value.rlike(_IPV6)
    return (
        F.when(value.isNull(), None).when(likely, LIKELY).when(value.rlike(_FOUR_NUMBERS), POSSIBLE).otherwise(NOTHING)
    )


def name(value: Column) -> Column:
    """Tell people's names: LIKELY where a word is common among them (see schemas/reference/personal_names.toml).

    One word is a given or a family name; of two to four, the first or the last is a given name, or the last a family
    name. All other text is POSSIBLE, for the share among it counts.
    """
    names = reference.load("personal_names")
    given = set(names["given"].split())
    either = sorted(given | set(names["family"].split()))
    text = F.lower(F.trim(value))
    first, last = F.substring_index(text, " ", 1), F.substring_index(text, " ", -1)
    common = F.rtrim(F.translate(first, ",", "")).isin(*either) | last.isin(*either)
    has_form = (F.length(text) <= F.lit(_MOST_NAME_CHARACTERS)) & text.rlike(
        r"^[^0-9@/:_& ]{2,25}(?: [^0-9@/:_& ]{1,25}){0,3}$"
    )
    return (
        F.when(value.isNull(), None)
        .when(text == F.lit(""), NOTHING)
        .when(common & has_form, LIKELY)
        .otherwise(POSSIBLE)
    )


#: What every text matches that is CERTAIN of some kind: an at sign, a plus before a digit, digits in groups, letters
#: and digits as in an IBAN or a fiscal code.
MAY_BE_CERTAIN: Final = (
    rf"@|%40|%2540|\uff20|(?:\+|%2[Bb])[1-9]|[0-9]\)?[{_BLANKS}.-][0-9]|\([0-9]{{3}}\)[0-9]"
    r"|[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}"
    rf"|[A-Z]{{6}}{_FISCAL_DIGIT}{{2}}[A-EHLMPRST]"
)


def _certain(value: Column, condition: Column) -> Column:
    """Return CERTAIN where the condition holds, else NOTHING, null where the value is."""
    return F.when(value.isNull(), None).when(condition, CERTAIN).otherwise(NOTHING)


#: What every text matches that is of a kind which needs digits: six near each other, or a fiscal code, which may have
#: letters in their places.
HAS_DIGITS: Final = rf"(?:[0-9][^0-9]{{0,3}}){{5}}[0-9]|{_FISCAL}"


@dataclass(frozen=True)
class Kind:
    """A kind of personal data, and when values that resemble it are more than chance.

    Attributes:
        says: what its values are called in messages.
        degree: the function that tells it.
        chance: at most so often a value that only has the form is LIKELY: its check digits, or words, are right.
        share: of the values that have the form, so many must be LIKELY.
        needs_digits: whether HAS_DIGITS tells what can be of it.
        of_numbers: whether a column of whole numbers can hold it.
        evidence: what makes two values independent of each other; the value itself unless ids in a row would share it.
    """

    says: str
    degree: Callable[[Column], Column]
    chance: float = 0.0
    share: float = 0.0
    needs_digits: bool = True
    of_numbers: bool = False
    evidence: Callable[[Column], Column] = lambda value: value


#: By the words of ``schemas.vocabulary.RESEMBLES``.
KINDS: Final = {
    "email": Kind("e-mail addresses", email, needs_digits=False),
    # 0.36 of all numbers of ten digits have an area code and exchange of North America, 0.09 begin with one zero.
    "phone": Kind("phone numbers", phone, 0.5, 0.9, of_numbers=True, evidence=_area_and_exchange),
    "payment_card": Kind("payment card numbers", payment_card, 0.1, 0.5, of_numbers=True),
    # The most lenient form is nine digits: 1 - 10/11 * 9/10 are Dutch or Canadian.
    "national_id": Kind("national id numbers", national_id, 0.19, 0.5, of_numbers=True),
    "iban": Kind("bank account numbers (IBAN)", iban),
    "ip_address": Kind("IP addresses", ip_address, 0.5, 0.9, needs_digits=False),
    # Cities are nearest to names: of the hundred largest of the US 14 have a common name in theirs (San Jose).
    "name": Kind("names of people", name, 0.2, 0.4, needs_digits=False),
}
