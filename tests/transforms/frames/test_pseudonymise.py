from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.transforms.frames.tables import RAW, people, raw_row
from transforms.columns.hashing import declared_hash, hash_of_nothing, key_row
from transforms.frames.mapping import cleansed, with_table_columns
from transforms.frames.pseudonymise import key_schema, pseudonymise

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
        "sha1": lambda: hashlib.sha1(data, usedforsecurity=False).digest(),
        "md5": lambda: hashlib.md5(data, usedforsecurity=False).digest(),
    }[algorithm]()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


@pytest.mark.parametrize("key", KEYS, ids=len)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("algorithm", ["hmac-sha256", "salted-sha256", "sha256", "sha1", "md5"])
def test_hashes_are_those_of_the_standard_library(
    spark: SparkSession, algorithm: str, encoding: str, key: bytes
) -> None:
    table, connector = people(email=f'algorithm = "{algorithm}"\nencoding = "{encoding}"')
    raw = spark.createDataFrame([raw_row(index, email=email) for index, email in enumerate(EMAILS)], RAW)
    key_frame = spark.createDataFrame([key_row(key)], key_schema(["default"]))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    found = pseudonymise(values, connector, table, key_frame if table.key_names else None)
    assert found.columns == [column.name for column in table.columns]
    assert [row.email for row in found.collect()] == [expected(algorithm, encoding, key, email) for email in EMAILS]
    output = table.column("email").hash
    assert output is not None
    assert hash_of_nothing(output, key) == expected(algorithm, encoding, key, "")


DIGEST = hashlib.sha256(b"x").digest()
BASE64 = base64.b64encode(DIGEST).decode()


@pytest.mark.parametrize(
    ("delivered", "value", "is_one"),
    [
        ("hex", DIGEST.hex(), True),
        ("hex", DIGEST.hex().upper(), False),
        ("upper-hex", DIGEST.hex().upper(), True),
        ("upper-hex", DIGEST.hex(), False),
        ("any-hex", DIGEST.hex().upper(), True),
        ("any-hex", DIGEST.hex()[:-1], False),
        ("any-hex", "g" * 64, False),
        ("any-hex", "a@x.com", False),
        ("any-hex", None, False),
        ("hex", DIGEST.hex() + "\n", False),
        ("base64", BASE64, True),
        ("base64", BASE64.rstrip("="), False),
        ("base64", BASE64[:-2] + "9=", False),  # bits where there must be none
        ("base64", DIGEST.hex(), False),
        ("hex", BASE64, False),
    ],
)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_declared_hashes_pass_in_the_tables_encoding_and_others_become_null(
    spark: SparkSession,
    delivered: str,
    value: str | None,
    is_one: bool,  # noqa: FBT001  a column of the table of cases
    encoding: str,
) -> None:
    frame = spark.createDataFrame([(value,)], "value string")
    found = frame.select(declared_hash(F.col("value"), "sha256", delivered, encoding)).collect()[0][0]
    assert found == ((DIGEST.hex() if encoding == "hex" else BASE64) if is_one else None)


def test_a_declared_hash_is_not_hashed_again(spark: SparkSession) -> None:
    table, connector = people(
        source_email='prehashed = { algorithm = "hmac-sha256", encoding = "any-hex", profile = "cleanroom-etl" }'
    )
    raw = spark.createDataFrame([raw_row(1, email=DIGEST.hex().upper()), raw_row(2, email="a@x.com")], RAW)
    key_frame = spark.createDataFrame([key_row(b"k" * 32)], key_schema(["default"]))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    found = pseudonymise(values, connector, table, key_frame)
    assert [row.email for row in found.collect()] == [DIGEST.hex(), None]


def test_several_outputs_of_one_field_each_have_their_profile_hash_encoding_and_key(spark: SparkSession) -> None:
    more = """
        [columns.email_uid2]
        comment = "x"
        field = "email"
        personal_data = "email"
        normalize = "email"
        profile = "uid2"
        [columns.email_partner]
        comment = "x"
        field = "email"
        personal_data = "email"
        normalize = "email"
        profile = "amc-uploader"
        algorithm = "hmac-sha256"
        key = "partner"
        """
    table, connector = people(email=more)
    assert table.key_names == ("default", "partner")
    ours, theirs = b"o" * 32, b"p" * 32
    raw = spark.createDataFrame([raw_row(1, email="Jane.Doe+News@Gmail.com")], RAW)
    key_frame = spark.createDataFrame([key_row(ours) + key_row(theirs)], key_schema(table.key_names))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    row = pseudonymise(values, connector, table, key_frame).collect()[0]
    assert row.email == expected("hmac-sha256", "hex", ours, "jane.doe+news@gmail.com")
    assert row.email_uid2 == expected("sha256", "base64", b"", "janedoe@gmail.com")
    assert row.email_partner == expected("hmac-sha256", "hex", theirs, "jane.doenews@gmail.com")


def test_the_key_stands_in_no_plan(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    key = b"the-secret-of-this-test-0123456789"
    table, connector = people()
    raw = spark.createDataFrame([raw_row(1, email="a@x.com")], RAW)
    key_frame = spark.createDataFrame([key_row(key)], key_schema(["default"]))
    values = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    pseudonymise(values, connector, table, key_frame).explain(mode="extended")
    plan = capsys.readouterr().out
    assert "sha2" in plan
    for secret in (key, *key_row(key)):
        assert secret.hex() not in plan.lower()
        assert secret.decode("latin-1") not in plan
        assert base64.b64encode(secret).decode() not in plan
