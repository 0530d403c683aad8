"""Address lines."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.text import words

_PUNCTUATION: Final = ".,#;:"


def normalize_address(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the line in lower case, ``. , # ; :`` as blanks, single blanks between its words.

    ``value`` is one address line; hyphens, slashes and apostrophes stay, words are not abbreviated. Null, blank and
    nothing but punctuation become null. ``country`` is not needed. The rule is ours.
    """
    return words(F.lower(value), _PUNCTUATION, " " * len(_PUNCTUATION))
