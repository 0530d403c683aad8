"""Lists of people, read as a table would publish their values; expected digests are made with hashlib and hmac."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.connector import parse_connector
from schemas.feed import Feed
from schemas.table import Table, parse_table
from transforms.columns.hashing import key_row
from transforms.frames.mapping import cleansed
from transforms.frames.pseudonymise import key_schema
from transforms.frames.suppression import (
    COLUMN,
    DIGEST,
    IS_LISTED,
    VALUES,
    People,
    distinct_values,
    field_of,
    find_listed_rows,
    list_columns,
    listed_values,
    mark_listed,
    published_values,
)
from transforms.rows import REASON, ROW_ID

KEY = b"a-key-of-the-tests-with-32-bytes"
TABLE = """
name = "people"
comment = "People"
partitions = ["segment"]
[columns.member]
comment = "Id"
personal_data = "identifier"
[columns.email_uid2]
comment = "E-mail"
field = "email"
personal_data = "email"
normalize = "email"
profile = "uid2"
[columns.email]
comment = "E-mail"
personal_data = "email"
normalize = "email"
[columns.number]
comment = "Number of the card, in clear"
type = "bigint"
personal_data = "identifier"
publish = "clear"
[columns.phone]
comment = "Phone"
personal_data = "phone"
normalize = "phone"
[columns.first]
comment = "First name"
personal_data = "name"
normalize = "first_name"
[columns.land]
comment = "Country"
field = "country_code"
normalize = "country"
[columns.segment]
comment = "Segment"
personal_data = "identifier"
publish = "clear"
default = "none"
"""
CONNECTOR = 'name = "crm"\ncomment = "CRM"\ntable = "people"\n[format]\nnull_values = ["n/a"]\n{more}'


def definitions(more: str = "") -> tuple[Feed, Table]:
    table = parse_table(TABLE, "people.toml")
    return parse_connector(CONNECTOR.format(more=more), "crm.toml", {"people": table}).feeds[0], table


def keys(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([key_row(KEY)], key_schema(["default"]))


def keyed(value: str) -> str:
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()


def uid2(value: str) -> str:
    return base64.b64encode(hashlib.sha256(value.encode()).digest()).decode()


def listed(
    spark: SparkSession, header: list[str], *rows: tuple[str | None, ...], more: str = ""
) -> list[set[tuple[str, str]]]:
    """Return, for each row of a list, the columns and the published values that it stands for, hashed once more."""
    feed, table = definitions(more)
    schema = ", ".join(f"`{field_of(place)}` string" for place in range(len(header)))
    frame = listed_values(
        spark.createDataFrame(list(rows), schema), list_columns(header, feed, table), feed, table, keys(spark)
    )
    return [{(each[COLUMN], bytes(each[DIGEST]).hex()) for each in row[VALUES]} for row in frame.collect()]


def stands_for(**values: str) -> set[tuple[str, str]]:
    return {(name, hashlib.sha256(value.encode()).hexdigest()) for name, value in values.items()}


@pytest.mark.parametrize(
    ("header", "keys_of", "country", "passed_over"),
    [
        (["email"], {0: ("email_uid2", "email")}, None, ()),  # the column, and all that are made from the field
        (["E-Mail UID2", "x"], {0: ("email_uid2",)}, None, ()),
        (["member", "Country-Code"], {0: ("member",)}, 1, ()),
        (["land", "phone"], {1: ("phone",)}, 0, ()),
        (["first", "segment", "number"], {2: ("number",)}, None, ("first", "segment")),  # no one person's, and a folder
        (["", "ann@x.org"], {}, None, ()),
    ],
)
def test_columns_are_known_by_name_and_only_those_that_tell_one_person_count(
    header: list[str], keys_of: dict[int, tuple[str, ...]], country: int | None, passed_over: tuple[str, ...]
) -> None:
    found = list_columns(header, *definitions())
    assert {place: tuple(c.name for c in columns) for place, columns in found.keys.items()} == keys_of
    assert (found.country, found.passed_over) == (country, passed_over)


def test_clear_values_become_what_each_column_of_the_field_publishes(spark: SparkSession) -> None:
    assert listed(spark, ["email"], (" Jane.Doe+News@GMAIL.com ",), ("n/a",), ("",), (None,), ("nobody",)) == [
        stands_for(email=keyed("jane.doe+news@gmail.com"), email_uid2=uid2("janedoe@gmail.com")),
        set(), set(), set(), set(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [keyed("ann@x.org"), keyed("ann@x.org").upper(), base64.b64encode(bytes.fromhex(keyed("ann@x.org"))).decode()],
)
def test_a_value_with_the_form_of_a_hash_is_compared_as_the_column_writes_it(spark: SparkSession, written: str) -> None:
    (found,) = listed(spark, ["email"], (written,))
    in_base64 = base64.b64encode(bytes.fromhex(keyed("ann@x.org"))).decode()
    assert found == stands_for(email=keyed("ann@x.org"), email_uid2=in_base64)


def test_an_id_that_looks_like_a_hash_counts_as_both(spark: SparkSession) -> None:
    id_in_hex = hashlib.sha256(b"x").hexdigest()
    (found,) = listed(spark, ["member"], (id_in_hex,))
    assert found == stands_for(member=id_in_hex) | stands_for(member=keyed(id_in_hex))


def test_the_rows_country_decides_what_a_national_number_is(spark: SparkSession) -> None:
    found = listed(spark, ["phone", "country_code"], ("020 7946 0958", "GB"), ("020 7946 0958", None))
    assert found == [stands_for(phone=keyed("+442079460958")), set()]
    british = CONNECTOR.format(more="").replace("[format]", 'default_country = "GB"\n[format]')
    table = parse_table(TABLE, "people.toml")
    feed = parse_connector(british, "crm.toml", {"people": table}).feeds[0]
    frame = spark.createDataFrame([("020 7946 0958",)], f"`{field_of(0)}` string")
    (row,) = listed_values(frame, list_columns(["phone"], feed, table), feed, table, keys(spark)).collect()
    assert {(each[COLUMN], bytes(each[DIGEST]).hex()) for each in row[VALUES]} == stands_for(
        phone=keyed("+442079460958")
    )


def test_a_number_in_clear_is_read_as_a_number(spark: SparkSession) -> None:
    assert listed(spark, ["number"], ("0042",), ("42.0",), ("4 2",)) == [stands_for(number="42")] * 2 + [set()]


def test_where_the_source_delivers_hashes_a_list_may_be_clear(spark: SparkSession) -> None:
    prehashed = 'prehashed = { algorithm = "sha256", profile = "uid2" }'
    declared = f"[columns.email]\n{prehashed}\n[columns.member]\n[columns.country_code]"
    table = parse_table(
        'name = "people"\ncomment = "P"\n[columns.email]\ncomment = "E"\npersonal_data = "email"\nnormalize = "email"\n'
        'profile = "uid2"\n[columns.member]\ncomment = "M"\n[columns.country_code]\ncomment = "C"\n'
        'normalize = "country"',
        "people.toml",
    )
    feed = parse_connector(CONNECTOR.format(more=declared), "crm.toml", {"people": table}).feeds[0]
    frame = spark.createDataFrame([("Ann@X.org",)], f"`{field_of(0)}` string")
    values = listed_values(frame, list_columns(["email"], feed, table), feed, table, None)
    source = spark.createDataFrame(
        [(1, hashlib.sha256(b"ann@x.org").hexdigest(), "m"), (2, hashlib.sha256(b"bob@x.org").hexdigest(), "m")],
        f"{ROW_ID} bigint, email string, member string",
    ).withColumn("country_code", F.lit(None).cast("string"))
    people = People(distinct_values(values), [table.column("email")], feed, table, None)
    rows = find_listed_rows(source.transform(cleansed, feed, table), people).collect()
    assert [(row[ROW_ID], row[REASON]) for row in rows] == [(1, "suppressed")]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from([None, "x", "y"])), max_size=12),
    names=st.sets(st.sampled_from([("member", "a"), ("member", "b"), ("email", "x"), ("email", "a")])),
)
def test_a_row_is_marked_where_any_column_says_so_and_no_row_is_lost_or_doubled(
    spark: SparkSession, rows: list[tuple[str | None, str | None]], names: set[tuple[str, str]]
) -> None:
    _, table = definitions()
    columns = [table.column("member"), table.column("email")]
    frame = spark.createDataFrame(
        [(number, *row) for number, row in enumerate(rows)], f"{ROW_ID} bigint, member string, email string"
    )
    digests = [(name, bytearray(hashlib.sha256(value.encode()).digest())) for name, value in names]
    people = spark.createDataFrame(digests, f"{COLUMN} string, {DIGEST} binary")
    marked = mark_listed(frame, people, published_values(columns)).collect()
    expected = {
        number: ("member", member) in names or ("email", email) in names for number, (member, email) in enumerate(rows)
    }
    assert len(marked) == len(rows)
    assert {row[ROW_ID]: row[IS_LISTED] for row in marked} == expected
