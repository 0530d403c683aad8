# ruff: noqa: E501 -- a table of cases reads best in few lines
from __future__ import annotations

import time

from pyspark.sql import SparkSession

from tests.transforms.columns.cases import Case, check, normalized
from transforms.columns.email import normalize_email

GOOD = [
    "jane.doe+news@gmail.com", "o'brien@example.com", "a%b@x.com", "josé@exämple.com", "用户@例子.公司", "a@b.c",
    "!#$%&'*+/=?^_`{|}~-@x.io", "x@sub.domain.co.uk", "x@1and1.com", "x@a-b.com", f"{'a' * 64}@x.com",
    f"a@{'b' * 63}.com", f"a@{'.'.join(['b' * 61] * 3)}.{'c' * 61}.cc"[:254], "x@xn--bcher-kva.example",
]  # fmt: skip
BAD = [
    "jane", "@x.com", "jane@", "jane@x", "a@b@c.com", "jane doe@x.com", "Jane Doe <jd@x.com>", ".a@x.com", "a.@x.com",
    "a..b@x.com", "a@x..com", "a@.com", "a@x.com.", "a@-x.com", "a@x-.com", "a@x.123", "a@1.2.3.4", "a@[1.2.3.4]", "a,b@x.com",
    "a;b@x.com", "a:b@x.com", "a(b)@x.com", 'a"b@x.com', "a\\b@x.com", "a@x_y.com", "a\u00a0b@x.com", "a\u0000b@x.com",
    "a\u200bb@x.com", "a@x.com,b@y.com", "a\nb@x.com", f"{'a' * 65}@x.com", f"a@{'b' * 64}.com", f"a@{'bb.' * 90}com", "mailto:a@x.com",
]  # fmt: skip


def test_addresses(spark: SparkSession) -> None:
    cases: list[Case] = [
        *((good, None, good) for good in GOOD),
        *((bad, None, None) for bad in BAD),
        (" JANE@Example.COM\t", "US", "jane@example.com"),
        ("\ufeffjane@x.com\u00a0\n", "US", "jane@x.com"),
        ("ÀB@X.com", None, "àb@x.com"),
    ]
    check(spark, normalize_email, cases)


def test_hostile_input_is_refused_promptly(spark: SparkSession) -> None:
    hostile = [
        "a" * 5000, "a." * 2500, "a@" * 2500, "@" * 5000, "a@" + "b." * 2500, "a@" + "b-" * 2500, "a@" + "1." * 2500 + "1",
        "." * 5000, "a." * 2500 + "@x.com", "a@" + "b" * 5000 + ".com", "\u0301" * 5000, "a." * 31 + "a@" + "b." * 95 + "-",
    ]  # fmt: skip
    normalized(spark, normalize_email, [("warm@x.com", None)])
    started = time.monotonic()
    assert set(normalized(spark, normalize_email, [(text, None) for text in hostile] * 20)) == {None}
    assert time.monotonic() - started < 10
