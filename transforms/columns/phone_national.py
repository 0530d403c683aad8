"""National numbers, as programs get them that ask libphonenumber whether a number is valid."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf

from transforms.columns.phone_library import parsed_number


def national_number_if_valid(value: Column, country: Column) -> Column:
    """Return the national number without leading zeros, null where libphonenumber does not find the number *valid*.

    ``value`` is a number, ``country`` (ISO alpha-2) the default region. Null stays null. In Python: validity is decided
    by patterns of whole numbering plans, and the few rows that need it are the only ones that are not null.
    """
    import pandas as pd  # noqa: PLC0415  three quarters of a second that few programs need

    def answers(numbers: pd.Series, countries: pd.Series) -> pd.Series:
        return pd.Series(
            [
                None if number is None else _national_number(number, country)
                for number, country in zip(numbers, countries, strict=True)
            ],
            dtype=object,
        )

    answers.__annotations__ = dict.fromkeys(("numbers", "countries", "return"), pd.Series)
    # PySpark's stubs want to read the annotations, which are set above.
    function: Callable[[Column, Column], Column] = pandas_udf(answers, "string")  # type: ignore[call-overload]
    return function(value, country)


def _national_number(value: str, country: str) -> str | None:
    library, number = parsed_number(value, country)
    return str(number.national_number) if number is not None and library.is_valid_number(number) else None
