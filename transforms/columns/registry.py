"""Which function brings which kind of value into its one form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyspark.sql import Column

from transforms.columns.address import normalize_address
from transforms.columns.country import normalize_country
from transforms.columns.email import normalize_email
from transforms.columns.name import normalize_name
from transforms.columns.phone import normalize_phone
from transforms.columns.postal_code import normalize_postal_code
from transforms.columns.state import normalize_state
from transforms.columns.text import normalize_lower, normalize_text

#: By the names of ``schemas.vocabulary.NORMALIZERS``. Each takes the value and its row's country (ISO alpha-2 or null),
#: which should be a plain column by then: expressions use it many times.
NORMALIZERS: Final[dict[str, Callable[[Column, Column], Column]]] = {
    "text": normalize_text,
    "lower": normalize_lower,
    "name": normalize_name,
    "address": normalize_address,
    "email": normalize_email,
    "phone": normalize_phone,
    "postal_code": normalize_postal_code,
    "state": normalize_state,
    "country": normalize_country,
}
