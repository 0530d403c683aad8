from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from pyspark.sql import SparkSession

from tests.transforms.frames.tables import RAW, people, raw_row
from transforms.columns.hashing import KEY_COLUMNS, hash_of_nothing, key_row
from transforms.frames.mapping import cleansed, with_table_columns
from transforms.frames.pseudonymise import pseudonymise

EMAILS = ["a@x.com", f"{'b' * 64}@x.com", "josé@exämple.com", None, "用户@例子.公司"]
KEYS = [b"k" * 16, b"0123456789abcdef" * 4, bytes(range(256)), b"\x00" * 65]


def expected(algorithm: str, encoding: str, key: bytes, value: str | None) -> str | None:
    if value is None:
        return None
    data = value.encode()
    digest = {
        "hmac-sha256": lambda: hmac.new(key, data, hashlib.sha256).digest(),
        "salted-sha256": lambda: hashlib.sha256(key + data).digest(),
        "sha256": lambda: hashlib.sha256(data).digest(),
    }[algorithm]()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


@pytest.mark.parametrize("key", KEYS, ids=len)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("algorithm", ["hmac-sha256", "salted-sha256", "sha256"])
def test_hashes_are_those_of_the_standard_library(
    spark: SparkSession, algorithm: str, encoding: str, key: bytes
) -> None:
    table, connector = people(email=f'algorithm = "{algorithm}"\nencoding = "{encoding}"')
    raw = spark.createDataFrame([raw_row(index, email=email) for index, email in enumerate(EMAILS)], RAW)
    key_frame = spark.createDataFrame([key_row(key)], ", ".join(f"{name} binary" for name in KEY_COLUMNS))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    found = pseudonymise(values, connector, table, key_frame if table.needs_key else None)
    assert found.columns == [column.name for column in table.columns]
    assert [row.email for row in found.collect()] == [expected(algorithm, encoding, key, email) for email in EMAILS]
    output = table.column("email").hash
    assert output is not None
    assert hash_of_nothing(output, key) == expected(algorithm, encoding, key, "")


def test_values_hashed_before_pass_in_lower_case_and_others_become_null(spark: SparkSession) -> None:
    table, connector = people(source_email='prehashed = "hmac-sha256"')
    digest = hashlib.sha256(b"x").hexdigest()
    cases = [
        (digest, digest),
        (digest.upper(), digest),
        (digest[:-1], None),
        ("g" * 64, None),
        ("a@x.com", None),
        (None, None),
    ]
    raw = spark.createDataFrame([raw_row(index, email=value) for index, (value, _) in enumerate(cases)], RAW)
    key_frame = spark.createDataFrame([key_row(b"k" * 32)], ", ".join(f"{name} binary" for name in KEY_COLUMNS))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    found = pseudonymise(values, connector, table, key_frame)
    assert [row.email for row in found.collect()] == [wanted for _, wanted in cases]


def test_the_key_stands_in_no_plan(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    key = b"the-secret-of-this-test-0123456789"
    table, connector = people()
    raw = spark.createDataFrame([raw_row(1, email="a@x.com")], RAW)
    key_frame = spark.createDataFrame([key_row(key)], ", ".join(f"{name} binary" for name in KEY_COLUMNS))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    pseudonymise(values, connector, table, key_frame).explain(mode="extended")
    plan = capsys.readouterr().out
    assert "sha2" in plan
    for secret in (key, *key_row(key)):
        assert secret.hex() not in plan.lower()
        assert secret.decode("latin-1") not in plan
        assert base64.b64encode(secret).decode() not in plan
