# ruff: noqa: E501 -- a table of cases reads best in few lines
from __future__ import annotations

from pyspark.sql import SparkSession

from tests.transforms.columns.cases import Case, check
from transforms.columns.postal_code import normalize_postal_code

CASES: list[Case] = [
    ("75236", "US", "75236"), ("75236-9599", "US", "75236"), ("752369599", "US", "75236"), ("75236 9599", "US", "75236"),
    (" 02139\u00a0", "US", "02139"), ("75236\u20139599", "US", "75236"), ("00901-1234", "PR", "00901"),
    ("2139", "US", None), ("1234-5", "US", None), ("123456", "US", None), ("75236-959", "US", None), ("7523A", "US", None),
    ("75236-", "US", None), ("K1A 0B1", "US", None),
    ("k1a 0b1", "CA", "K1A0B1"), ("K1A-0B1", "CA", "K1A0B1"), ("K1A0B1", "CA", "K1A0B1"), ("D1A 0B1", "CA", None),
    ("K1A 0O1", "CA", None), ("K1A", "CA", None), ("90210", "CA", None),
    ("sw1a 1aa", "GB", "SW1A1AA"), ("M1 1AE", "GB", "M11AE"), ("EC1A1BB", "GB", "EC1A1BB"), ("GIR 0AA", "GB", "GIR0AA"),
    ("SW1A", "GB", None), ("SW1A 1CA", "GB", None), ("12345", "GB", None),
    ("787-0150", "JP", "7870150"), ("110 001", "IN", "110001"), ("F-75001", "FR", "F75001"), ("1012 ab", "NL", "1012AB"),
    ("75236-9599", None, "752369599"), ("8001", "ES", "8001"), ("x", "DE", None), ("1" * 11, "DE", None), ("1" * 10, "DE", "1" * 10),
    ("12_34", "DE", None), ("---", "DE", None), ("日本", "JP", None), ("1" + "-" * 5000, "DE", None), ("A\n1", None, "A1"),
]  # fmt: skip


def test_codes(spark: SparkSession) -> None:
    check(spark, normalize_postal_code, CASES)
