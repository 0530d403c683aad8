"""Table files: what each key means, and every kind of mistake."""

from __future__ import annotations

import dataclasses
import re

import pytest
from pyspark.sql import types as T

from schemas.problems import SchemaError
from schemas.table import Column, HashOutput, parse_table, spark_type

GOOD = """
name = "people"
comment = "People"
partitions = ["country"]
[columns.email]
comment = "hash"
personal_data = "email"
normalize = "email"
[columns.age]
comment = "years"
type = "int"
[columns.country]
comment = "code"
normalize = "country"
default = "ZZ"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        parse_table(text, "mine.toml")
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_table_is_what_its_file_says() -> None:
    table = parse_table(GOOD, "mine.toml")
    assert (table.name, table.comment, table.partitions, table.max_shrink) == ("people", "People", ("country",), 0.5)
    assert table.columns == (
        Column("email", "string", "hash", "email", "email", "email", HashOutput("hmac-sha256", "hex"), None),
        Column("age", "int", "years", "age", "text", None, None, None),
        Column("country", "string", "code", "country", "country", None, None, "ZZ"),
    )
    assert [column.name for column in table.data_columns] == ["email", "age"]
    assert [column.name for column in table.partition_columns] == ["country"]
    assert [column.name for column in table.hashed_columns] == ["email"]
    assert table.fields == ("email", "age", "country")
    assert table.needs_key
    with pytest.raises(KeyError):
        table.column("phone")


def test_a_hash_may_differ_for_each_column() -> None:
    salted = '[columns.salted]\ncomment = "x"\npublish = "hash"\nalgorithm = "salted-sha256"\nfield = "email"\n'
    text = changed(
        ("[columns.email]", '[hash]\nalgorithm = "sha256"\nencoding = "base64"\n[columns.email]'),
        ("[columns.age]\n", f"{salted}[columns.age]\n"),
    )  # fmt: skip
    table = parse_table(text, "mine.toml")
    assert table.column("email").hash == HashOutput("sha256", "base64")
    assert table.column("salted").hash == HashOutput("salted-sha256", "base64")
    assert table.fields == ("email", "age", "country")
    assert table.needs_key
    assert not parse_table(changed(("[columns.email]", '[hash]\nalgorithm = "sha256"\n[columns.email]')), "x").needs_key


def test_personal_data_is_hashed_unless_the_file_says_clear() -> None:
    assert parse_table(GOOD, "x").column("email").hash is not None
    text = changed(('personal_data = "email"', 'personal_data = "email"\npublish = "clear"'))
    assert parse_table(text, "x").column("email").hash is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("string", T.StringType()),
        ("boolean", T.BooleanType()),
        ("smallint", T.ShortType()),
        ("int", T.IntegerType()),
        ("bigint", T.LongType()),
        ("float", T.FloatType()),
        ("date", T.DateType()),
        ("timestamp", T.TimestampType()),
        ("decimal(9,2)", T.DecimalType(9, 2)),
        ("decimal(38,38)", T.DecimalType(38, 38)),
        ("decimal(1,0)", T.DecimalType(1, 0)),
    ],
)
def test_types(name: str, expected: T.DataType) -> None:
    assert spark_type(name) == expected
    # A type is called in the catalog as in the file, and Spark's own name says the same.
    assert expected.simpleString() == name


@pytest.mark.parametrize(
    "name",
    ["String", "double", "binary", "array<int>", "decimal", "decimal(9, 2)", "decimal(39,2)", "decimal(2,3)",
     "decimal(0,0)", "decimal(09,2)", "decimal(9,02)", "decimal(9)"],
)  # fmt: skip
def test_types_that_clean_rooms_or_the_catalog_do_not_take(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name)):
        spark_type(name)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("[columns.email]", "[columns.email")], ["mine.toml: not valid TOML: "]),
        ([('comment = "years"', 'comment = "years"\ncomment = "twice"')], ["mine.toml: not valid TOML: "]),
        ([('name = "people"', "")], ["mine.toml: name: missing"]),
        ([('name = "people"', "name = 5")], ["mine.toml: name: must be a string, not int"]),
        ([('name = "people"', 'name = "People"')], ["mine.toml: name: 'People' must be lower-case"]),
        ([('name = "people"', 'name = "select"')], ["mine.toml: name: 'select' is a reserved word"]),
        ([('comment = "People"', 'coment = "People"')],
         ["mine.toml: comment: missing", "mine.toml: coment: unknown key; did you mean comment?"]),
        ([('comment = "years"', 'coment = "years"')],
         ["mine.toml: columns.age.comment: missing", "columns.age.coment: unknown key; did you mean comment?"]),
        ([('comment = "years"', f'comment = "{"x" * 256}"')], ["columns.age.comment: is longer than"]),
        ([("[columns.age]", "[columns.sys_age]")], ["columns.sys_age: 'sys_age' starts with sys_"]),
        ([('type = "int"', 'type = "imt"')], ["columns.age.type: 'imt' cannot be published; did you mean int?"]),
        ([('type = "int"', "type = 3")], ["columns.age.type: must be a string, not int"]),
        ([('type = "int"', 'type = "double"')], ["columns.age.type: 'double' cannot be published"]),
        ([('normalize = "email"', 'normalize = "e-mail"')],
         ["columns.email.normalize: 'e-mail' is not known; did you mean email?"]),
        ([('personal_data = "email"', 'personal_data = "mail"')],
         ["columns.email.personal_data: 'mail' is not known; did you mean email?"]),
        ([('type = "int"', 'type = "int"\npublish = "hidden"')],
         ["columns.age.publish: 'hidden' is not known; valid: clear, hash"]),
        ([('type = "int"', 'type = "int"\npublish = "hash"')],
         ["columns.age.type: a hashed column is a string, not int"]),
        ([('type = "int"', 'type = "int"\nnormalize = "phone"')],
         ["columns.age.normalize: phone makes text, but the type is int"]),
        ([('type = "int"', 'type = "int"\ndefault = "0"')],
         ["columns.age.default: only a string column can have one, and this one is int"]),
        ([('type = "int"', 'type = "int"\ndefault = 0')], ["columns.age.default: must be a string, not int"]),
        ([('normalize = "email"', 'default = "x"')], ["columns.email.default: a hashed column keeps its nulls"]),
        ([('normalize = "email"', 'algorithm = "md5"')],
         ["columns.email.algorithm: 'md5' is not known; valid: hmac-sha256"]),
        ([('normalize = "email"', 'encoding = "Hex"')],
         ["columns.email.encoding: 'Hex' is not known; did you mean hex?"]),
        ([("[columns.email]", '[hash]\nalgorithm = "sha-256"\nsalt = "x"\n[columns.email]')],
         ["hash.algorithm: 'sha-256' is not known; did you mean sha256?", "hash.salt: unknown key"]),
        ([("[columns.email]", "hash = 3\n[columns.email]")], ["mine.toml: hash: must be a table, not int"]),
        ([("[columns.email]", "[publication]\nmax_shrink = 1.5\n[columns.email]")],
         ["publication.max_shrink: must be between 0 and 1"]),
        ([("[columns.email]", "[publication]\nmax_shrink = nan\n[columns.email]")],
         ["publication.max_shrink: must be between 0 and 1"]),
        ([("[columns.email]", "[publication]\nmax_shrink = true\n[columns.email]")],
         ["publication.max_shrink: must be a number from 0 to 1, not bool"]),
        ([('partitions = ["country"]', 'partitions = ["contry"]')],
         ["partitions: 'contry' is no column of this table; did you mean country?"]),
        ([('partitions = ["country"]', 'partitions = "country"')],
         ["partitions: must be a list of strings, not str"]),
        ([('partitions = ["country"]', 'partitions = ["country", 1]')], ["partitions: must be a list of strings"]),
        ([('partitions = ["country"]', 'partitions = ["country", "country"]')],
         ["partitions: holds the same entry twice"]),
        ([('partitions = ["country"]', 'partitions = ["email"]')],
         ["partitions: email is published as a hash", "columns.email.default: missing"]),
        ([('partitions = ["country"]', 'partitions = ["age"]')],
         ["partitions: age must be a string column", "columns.age.default: missing"]),
        ([('default = "ZZ"', "")], ["columns.country.default: missing"]),
        ([('default = "ZZ"', 'default = ""')], ["columns.country.default: missing"]),
        ([('default = "ZZ"', 'field = "a`b"\ndefault = "ZZ"')], ["columns.country.field: 'a`b' must be lower-case"]),
        ([('default = "ZZ"', 'field = "a.b"\ndefault = "ZZ"')], ["columns.country.field: 'a.b' must be lower-case"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_key_and_nearest_name(pairs: list[tuple[str, str]], expected: list[str]) -> None:
    found = problems(changed(*pairs))
    assert [text for text in expected if not any(text in line for line in found)] == []
    assert all(line.startswith("mine.toml: ") for line in found)
    assert len({line.split(": ")[1] for line in found}) == len(expected)  # and nothing else is wrong


@pytest.mark.parametrize("name", ["row_id", "source_file", "source_row", "reason"])
def test_no_field_is_called_like_a_column_of_the_jobs(name: str) -> None:
    assert problems(changed(("[columns.age]", f"[columns.{name}]"))) == [
        f"mine.toml: columns.{name}: no field can be called {name}: the jobs have a column of that name themselves"
    ]
    assert problems(changed(('type = "int"', f'field = "{name}"'))) == [
        f"mine.toml: columns.age.field: no field can be called {name}: the jobs have a column of that name themselves"
    ]
    text = changed(("[columns.age]", f'[columns.{name}]\nfield = "age"'))
    assert parse_table(text, "x").column(name).field == "age"


def test_all_mistakes_come_in_one_message() -> None:
    text = changed(
        ('name = "people"', 'name = "table"'),
        ('normalize = "email"', 'normalize = "mail"'),
        ('type = "int"', 'type = "imt"\nunknown = 1'),
        ('partitions = ["country"]', 'partitions = ["x"]'),
    )
    keys = [line.split(": ")[1] for line in problems(text)]
    assert sorted(keys) == ["columns.age.type", "columns.age.unknown", "columns.email.normalize", "name", "partitions"]


def test_a_table_has_from_one_to_a_hundred_columns_some_of_them_in_files() -> None:
    assert problems('name = "x"\ncomment = "x"') == ["mine.toml: columns: a table needs at least one column"]
    assert "columns: a table of tables" not in problems('name = "x"\ncomment = "x"\ncolumns = 3')[0]
    many = 'name = "x"\ncomment = "x"\n' + "".join(f'[columns.c{n}]\ncomment = "x"\n' for n in range(101))
    assert problems(many) == ["mine.toml: columns: AWS Clean Rooms allows 100 columns a configured table, here are 101"]
    assert len(parse_table(many.replace('[columns.c100]\ncomment = "x"\n', ""), "x").columns) == 100
    alone = 'name = "x"\ncomment = "x"\npartitions = ["c"]\n[columns.c]\ncomment = "x"\ndefault = "z"'
    assert problems(alone) == ["mine.toml: partitions: at least one column must be stored in the files"]


def test_a_column_is_a_table() -> None:
    assert problems('name = "x"\ncomment = "x"\n[columns]\na = "string"')[0] == "mine.toml: columns.a: must be a table"


def test_the_schema_hash_tells_any_change_of_meaning() -> None:
    table = parse_table(GOOD, "x")
    assert table.schema_hash == parse_table(GOOD, "y").schema_hash
    hashes = {table.schema_hash} | {
        parse_table(changed(pair), "x").schema_hash
        for pair in [
            ('comment = "years"', 'comment = "age"'),
            ('type = "int"', 'type = "bigint"'),
            ('normalize = "email"', 'normalize = "lower"'),
            ('normalize = "email"', 'normalize = "email"\nencoding = "base64"'),
            ('default = "ZZ"', 'default = "XX"'),
        ]
    }
    assert len(hashes) == 6
    assert len({dataclasses.replace(table, partitions=()).schema_hash, table.schema_hash}) == 2
