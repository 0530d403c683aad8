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


OURS = "cleanroom-etl@1"


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
        Column("email", "string", "hash", "email", "email", OURS, "email", HashOutput("hmac-sha256", "hex"), None),
        Column("age", "int", "years", "age", "text", OURS, None, None, None),
        Column("country", "string", "code", "country", "country", OURS, None, None, "ZZ"),
    )
    assert [column.name for column in table.data_columns] == ["email", "age"]
    assert [column.name for column in table.partition_columns] == ["country"]
    assert [column.name for column in table.hashed_columns] == ["email"]
    assert table.fields == ("email", "age", "country")
    assert table.key_names == ("default",)
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
    assert table.key_names == ("default",)
    plain = changed(("[columns.email]", '[hash]\nalgorithm = "sha256"\n[columns.email]'))
    assert parse_table(plain, "x").key_names == ()


PEOPLE = """
name = "people"
comment = "People"
{table}
[columns.id]
comment = "id"
publish = "hash"
{column}
"""


def hashed(column: str, table: str = "") -> HashOutput | None:
    return parse_table(PEOPLE.format(table=table, column=column), "x").column("id").hash


@pytest.mark.parametrize(
    ("profile", "kind", "expected"),
    [
        ("uid2", "email", HashOutput("sha256", "base64")),
        ("euid", "phone", HashOutput("sha256", "base64")),
        ("amc", "postal_code", HashOutput("sha256", "hex")),
        ("liveramp", "email", HashOutput("sha256", "hex")),
        ("liveramp", "phone", HashOutput("sha1", "hex")),
        ("liveramp", "idfa", HashOutput("sha1", "hex")),
        ("google-ads", "email", HashOutput("sha256", "hex")),
        ("plain", "text", HashOutput("sha256", "hex")),
        ("cleanroom-etl", "email", HashOutput("hmac-sha256", "hex")),  # our own rules prescribe no hash
    ],
)
def test_a_column_is_hashed_as_its_platform_compares_it(profile: str, kind: str, expected: HashOutput) -> None:
    assert hashed(f'profile = "{profile}"\nnormalize = "{kind}"') == expected


def test_a_platforms_hash_goes_before_the_tables_and_the_columns_own_before_both() -> None:
    standard = '[hash]\nalgorithm = "salted-sha256"\nencoding = "base64"\nkey = "house"\n'
    assert hashed("", standard) == HashOutput("salted-sha256", "base64", "house")
    liveramp = 'profile = "liveramp"\nnormalize = "phone"\n'
    assert hashed(liveramp, standard) == HashOutput("sha1", "hex", "house")
    assert hashed(f'{liveramp}encoding = "base64"', standard) == HashOutput("sha1", "base64", "house")
    assert hashed(f'{liveramp}algorithm = "md5"', standard) == HashOutput("md5", "hex", "house")
    own = 'profile = "uid2"\nnormalize = "email"\nalgorithm = "hmac-sha256"\nencoding = "hex"\nkey = "partner"'
    assert hashed(own, standard) == HashOutput("hmac-sha256", "hex", "partner")


def test_a_column_says_which_version_of_its_profile_it_has() -> None:
    def column(profile: str) -> Column:
        text = PEOPLE.format(table="", column=f'normalize = "email"\nprofile = "{profile}"')
        return parse_table(text, "x").column("id")

    assert column("amc").profile == "amc-uploader@3.0.15"
    assert column("amc-uploader@3.0.11").profile == "amc-uploader@3.0.11"
    assert column("meta-sdk").profile == "meta@sdk"
    assert PEOPLE.count("profile") == 0
    assert parse_table(PEOPLE.format(table="", column=""), "x").column("id").profile == OURS


def test_what_a_platform_compares_unhashed_is_published_in_clear_or_hashed_on_purpose() -> None:
    zip_code = 'profile = "google-ads"\nnormalize = "postal_code"\n'
    assert hashed(f'{zip_code}algorithm = "sha256"') == HashOutput("sha256", "hex")
    clear = PEOPLE.replace('publish = "hash"', 'publish = "clear"').format(table="", column=zip_code)
    assert parse_table(clear, "x").column("id").hash is None


def test_the_hash_of_nothing_needs_the_tables_consent() -> None:
    consent = "[publication]\nhash_of_nothing = true\n"
    amc = 'profile = "amc"\nnormalize = "email"\n'
    assert hashed(f'{amc}empty = "hash"', consent) == HashOutput("sha256", "hex", empty="hash")
    assert hashed(amc, consent) == HashOutput("sha256", "hex", empty="null")  # and is asked for column by column
    assert parse_table(PEOPLE.format(table=consent, column=amc), "x").hash_of_nothing
    assert hashed(f'{amc}empty = "null"', f'{consent}[hash]\nempty = "hash"') == HashOutput("sha256", "hex")
    # A column in clear has no hash, whatever the table's standard is.
    clear = PEOPLE.replace('publish = "hash"', "").format(table='[hash]\nempty = "hash"', column="")
    assert parse_table(clear, "x").column("id").hash is None


def test_the_keys_of_a_table_are_those_of_its_keyed_columns() -> None:
    hashed_columns = {
        "a": 'key = "partner"',
        "b": 'key = "house"',
        "c": 'key = "partner"\nalgorithm = "salted-sha256"',
        "d": "",
        "e": 'key = "unused"\nalgorithm = "sha256"',
        "f": 'key = "unused_too"\nprofile = "uid2"\nnormalize = "email"',
    }
    text = "".join(
        f'[columns.{name}]\ncomment = "x"\npublish = "hash"\n{more}\n' for name, more in hashed_columns.items()
    )
    clear = '[columns.g]\ncomment = "x"\nkey = "unused_as_well"\n'
    table = parse_table(f'name = "x"\ncomment = "x"\n{text}{clear}', "x")
    assert table.key_names == ("default", "house", "partner")


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
         ["columns.age.default: only a string or date column can have one, and this one is int"]),
        ([('type = "int"', 'type = "int"\ndefault = 0')], ["columns.age.default: must be a string, not int"]),
        ([('normalize = "email"', 'default = "x"')], ["columns.email.default: a hashed column keeps its nulls"]),
        ([('normalize = "email"', 'algorithm = "md6"')],
         ["columns.email.algorithm: 'md6' is not known; did you mean md5?"]),
        ([('normalize = "email"', 'algorithm = "crc32"')],
         ["columns.email.algorithm: 'crc32' is not known; valid: hmac-sha256, md5, salted-sha256, sha1, sha256"]),
        ([('normalize = "email"', 'encoding = "Hex"')],
         ["columns.email.encoding: 'Hex' is not known; did you mean hex?"]),
        ([('normalize = "email"', 'normalize = "email"\nprofile = "uid3"')],
         ["columns.email.profile: 'uid3' is no profile; did you mean uid2?"]),
        ([('normalize = "email"', 'normalize = "email"\nprofile = 2')],
         ["columns.email.profile: must be a string, not int"]),
        ([('normalize = "email"', 'profile = "uid2"')], ["columns.email.normalize: uid2@docs has no rule for text"]),
        ([('normalize = "email"', 'normalize = "gender"')],
         ["columns.email.normalize: cleanroom-etl@1 has no rule for gender"]),
        ([('normalize = "email"', 'normalize = "city"\nprofile = "adobe"')],
         ["columns.email.normalize: adobe@1 has no rule for city; valid: email, phone, phone_e164"]),
        ([('normalize = "email"', 'normalize = "postal_code"\nprofile = "google-ads"')],
         ['columns.email.publish: google-ads@customer-match compares postal_code unhashed: say publish = "clear"']),
        ([('normalize = "email"', 'normalize = "hashed_email"\nprofile = "uid2"')],
         ['columns.email.publish: uid2@docs compares hashed_email unhashed: say publish = "clear", or give an']),
        ([('normalize = "email"', 'normalize = "email"\nempty = "hash"')],
         ["columns.email.empty: the hash of the empty text makes strangers match"]),
        ([("[columns.email]", '[hash]\nempty = "hash"\n[columns.email]')],
         ["columns.email.empty: the hash of the empty text makes strangers match"]),
        ([('normalize = "email"', 'normalize = "email"\nempty = "drop"')],
         ["columns.email.empty: 'drop' is not known; valid: hash, null"]),
        ([("[columns.email]", '[publication]\nhash_of_nothing = "yes"\n[columns.email]')],
         ["publication.hash_of_nothing: must be true or false, not str"]),
        ([('normalize = "email"', 'normalize = "email"\nkey = 7')], ["columns.email.key: must be a string, not int"]),
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
         ["partitions: age must be a string or date column", "columns.age.default: missing"]),
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
            ('normalize = "email"', 'normalize = "email"\nkey = "partner"'),
            ('normalize = "email"', 'normalize = "email"\nprofile = "amc"'),
            ('normalize = "email"', 'normalize = "email"\nprofile = "amc-uploader@3.0.11"'),
            ('default = "ZZ"', 'default = "XX"'),
        ]
    }
    assert len(hashes) == 9
    assert len({dataclasses.replace(table, partitions=()).schema_hash, table.schema_hash}) == 2


def test_what_values_may_resemble_is_declared_and_changes_no_meaning() -> None:
    table = parse_table(changed(('comment = "years"', 'comment = "years"\nresembles = ["phone", "payment_card"]')), "x")
    assert table.column("age").resembles == ("phone", "payment_card")
    assert table.column("country").resembles == ()
    assert table.schema_hash == parse_table(GOOD, "x").schema_hash
    extra = '\n[extra_columns]\ncomment = "x"\npublish = "clear"\n'
    one, other = (parse_table(GOOD + extra + more, "x") for more in ("", 'resembles = ["email"]'))
    assert other.with_extra_columns(["note"]).column("note").resembles == ("email",)
    assert one.schema_hash == other.schema_hash


def test_what_values_may_resemble_comes_from_a_closed_list_and_for_columns_that_are_looked_at() -> None:
    assert problems(changed(('comment = "years"', 'comment = "years"\nresembles = ["fone"]'))) == [
        "mine.toml: columns.age.resembles: 'fone' is not known; did you mean phone?"
    ]
    assert problems(changed(('comment = "hash"', 'comment = "hash"\nresembles = ["email"]'))) == [
        "mine.toml: columns.email.resembles: says nothing: values that are hashed are not looked at"
    ]
    clear = 'comment = "hash"\npublish = "clear"\nresembles = ["email"]'
    assert problems(changed(('comment = "hash"', clear))) == [
        (
            "mine.toml: columns.email.resembles: says nothing: values that are declared to be personal data in clear "
            "are not looked at"
        )
    ]
    assert problems(GOOD + '[extra_columns]\ncomment = "x"\nresembles = ["email"]') == [
        "mine.toml: extra_columns.resembles: says nothing: values that are hashed are not looked at"
    ]
