"""Phone numbers that libphonenumber itself has to settle: a function in Python, for the rows that the tables leave.

The library is ``phonenumbers``, or ``phonenumberslite`` without the data about places and carriers. It and pandas are
imported where they are first used: most of what imports this module never needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from schemas import reference

#: Stands before a value that the tables leave to the library.
UNSETTLED: Final = "?"

_CONTEXT: Final = ";phone-context="
_ALPHANUMERIC: Final = r"[A-Za-z\d]"
_DOMAIN: Final = re.compile(rf"(?:{_ALPHANUMERIC}(?:-*{_ALPHANUMERIC})*\.)*[A-Za-z](?:-*{_ALPHANUMERIC})*\.?")
_START: Final = re.compile(r"[+\uff0b\d]")  # where the library sees a number begin


def tables_version() -> str:
    """Return the version of ``phonenumbers`` that the look-up tables were made with."""
    return str(reference.load("phone_regions")["version"])


def metadata_version() -> str:
    """Return the version of the installed ``phonenumbers``, which is that of the numbering plans it knows.

    Raises ImportError, saying what to do, where it is not installed.
    """
    return str(_library().__version__)


def settle_by_library(settled: Column, country: Column, *, lenient: bool = False, own_code: bool = False) -> Column:
    """Return the numbers that ``phone.settle_natively`` has left open in E.164 form with ``+``, the others as they are.

    ``settled`` is its result as a *plain column*, for it is used many times here; ``country`` (ISO alpha-2) is what it
    was given. What begins with ``UNSETTLED`` is read by libphonenumber with the country as default region, none where
    that is null or not among the library's; the result is null where it does not parse or is not possible:
    ``is_possible_number_with_reason`` must be IS_POSSIBLE. Null stays null.

    ``lenient`` lets IS_POSSIBLE_LOCAL_ONLY pass too, as ``is_possible_number`` does: such numbers lack an area code.
    ``own_code`` is how the documentation of UID2 reads ``65 1243 5678`` in Singapore: where the library's number is not
    a *valid* one, and the value begins with the country's own calling code, no ``+``, and is possible with a ``+``
    before it, then that is the number. ``settle_natively`` must have been told the same.
    """
    is_open = F.startswith(settled, F.lit(UNSETTLED))
    # Null for what is settled, so that next to nothing of it travels to Python and back.
    answer = reading(lenient=lenient, own_code=own_code)(F.when(is_open, settled), F.when(is_open, country))
    return F.when(is_open, answer).otherwise(settled)


def reading(*, lenient: bool = False, own_code: bool = False) -> Callable[[Column, Column], Column]:
    """Return the function in Python behind ``settle_by_library``, of the same two columns; all rows travel to it.

    It belongs to the session that is open now: ask for a new one each time.
    """
    import pandas as pd  # noqa: PLC0415  three quarters of a second that few programs need

    def answers(settled: pd.Series, country: pd.Series) -> pd.Series:
        return pd.Series(
            [
                e164(value[len(UNSETTLED) :], region, lenient=lenient, own_code=own_code)
                if value is not None and value.startswith(UNSETTLED)
                else value
                for value, region in zip(settled, country, strict=True)
            ],
            dtype=object,
        )

    # Spark asks for types, and finds no names in a module that imports pandas late.
    answers.__annotations__ = dict.fromkeys(("settled", "country", "return"), pd.Series)
    # PySpark's stubs want to read the annotations, which are set above.
    function: Callable[[Column, Column], Column] = pandas_udf(answers, "string")  # type: ignore[call-overload]
    return function


def e164(value: str, country: str | None, *, lenient: bool = False, own_code: bool = False) -> str | None:
    """Return one number as libphonenumber says, see ``settle_by_library``; raises for no text at all."""
    library = _library()
    region = country if country in library.SUPPORTED_REGIONS else None
    number = _parsed(library, value, region)
    if own_code and region is not None and (number is None or not library.is_valid_number(number)):
        start = _START.search(value)
        if start is not None and start[0].isdecimal():
            other = _parsed(library, "+" + value[start.start() :], None)
            if other is not None and other.country_code == library.country_code_for_region(region):
                found = _gated(library, other, lenient=lenient)
                if found is not None:
                    return found
    return _gated(library, number, lenient=lenient)


def parsed_number(value: str, country: str | None) -> tuple[Any, Any]:
    """Return the library and what it makes of one number in the country, None where that is nothing."""
    library = _library()
    return library, _parsed(library, value, country)


def _parsed(library: Any, value: str, region: str | None) -> Any:
    """Return what the library makes of a text, or None."""
    if not _is_harmless(value):
        return None
    try:
        return library.parse(value, region)
    except Exception:  # noqa: BLE001  it does not parse; nobody may see the value in a message
        return None


def _gated(library: Any, number: Any, *, lenient: bool) -> str | None:
    if number is None:
        return None
    result = library.ValidationResult
    reason = library.is_possible_number_with_reason(number)
    if reason == result.IS_POSSIBLE or (lenient and reason == result.IS_POSSIBLE_LOCAL_ONLY):
        return str(library.format_number(number, library.PhoneNumberFormat.E164))
    return None


def _is_harmless(value: str) -> bool:
    """Return whether the library answers in time; it does not parse what this refuses.

    Its expression for a domain name as phone context (RFC 3966) takes twice as long for each label more before a
    mistake: a text of 250 characters would stop a worker for good. This one accepts the same and is linear.
    """
    _, is_there, rest = value.partition(_CONTEXT)
    context = rest.partition(";")[0]
    return not is_there or context.startswith("+") or _DOMAIN.fullmatch(context) is not None


def _library() -> Any:
    try:
        import phonenumbers  # noqa: PLC0415  not there before the job brings it along
    except ImportError:
        raise ImportError(
            "phonenumbers is not installed on the workers: "
            f"add phonenumberslite=={tables_version()} to --additional-python-modules"
        ) from None
    return phonenumbers
