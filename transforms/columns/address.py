"""Address lines."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.text import filled, words

_PUNCTUATION: Final = ".,#;:"
_FOREIGN: Final = r"[^ -~]"  # white space of all kinds may be among it
_GAP: Final = r"[ .,#;:]{2,}|[.,#;:]"


def normalize_address(value: Column, country: Column) -> Column:  # noqa: ARG001  every normaliser takes both
    """Return the line in lower case, ``. , # ; :`` as blanks, single blanks between its words.

    ``value`` is one address line, trimmed; hyphens, slashes and apostrophes stay, words are not abbreviated. Null and
    nothing but punctuation become null. ``country`` is not needed. The rule is ours.
    """
    lowered = F.lower(value)
    everything = words(lowered, _PUNCTUATION, " " * len(_PUNCTUATION))
    plain = filled(F.trim(F.regexp_replace(lowered, _GAP, " ")))
    return F.when(value.rlike(_FOREIGN), everything).when(value.rlike(_GAP), plain).otherwise(lowered)
