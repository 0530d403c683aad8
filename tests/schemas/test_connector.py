"""Connector files: what each key means, and every kind of mistake."""

from __future__ import annotations

import pytest

from schemas.connector import (
    Connector,
    Dedup,
    Delivery,
    Format,
    Prehashed,
    Rejects,
    SourceColumn,
    normalize_header,
    parse_connector,
    table_name_of,
)
from schemas.problems import SchemaError
from schemas.table import Table, parse_table

TABLE = """
name = "people"
comment = "People"
[columns.email]
comment = "hash"
personal_data = "email"
normalize = "email"
[columns.email_b64]
comment = "hash"
field = "second_email"
publish = "hash"
encoding = "base64"
[columns.age]
comment = "years"
type = "int"
[columns.born]
comment = "day"
type = "date"
[columns.status]
comment = "word"
"""
GOOD = """
name = "mine"
comment = "Mine"
table = "people"
default_country = "DE"
[delivery]
quiet_seconds = 5
[format]
delimiter = ";"
[columns.email]
aliases = ["E-Mail"]
required = true
[columns.age]
[columns.status]
values = { a = "b" }
[rejects]
missing = ["email"]
[dedup]
keys = ["email"]
order_by = ["-age", "status"]
"""


def hashed_by(algorithm: str = "hmac-sha256", encoding: str = "any-hex", profile: str = "cleanroom-etl") -> str:
    return f'prehashed = {{ algorithm = "{algorithm}", encoding = "{encoding}", profile = "{profile}" }}'


@pytest.fixture(scope="module")
def table() -> Table:
    return parse_table(TABLE, "people.toml")


def problems(text: str, table: Table) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        parse_connector(text, "mine.toml", table)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_connector_is_what_its_file_says(table: Table) -> None:
    connector = parse_connector(GOOD, "mine.toml", table)
    assert connector == Connector(
        name="mine",
        comment="Mine",
        table="people",
        load="full_refresh",
        country=None,
        country_field=None,
        default_country="DE",
        delivery=Delivery(
            "quiet_period", 5, 3600, "manifest-*.json", "*.DONE", (), ("envelope", "openpgp", "plain"), None
        ),
        format=Format(";", '"', '"', ()),
        columns=(
            SourceColumn("email", ("E-Mail",), True, {}, None, None),
            SourceColumn("age", (), False, {}, None, None),
            SourceColumn("status", (), False, {"a": "b"}, None, None),
        ),
        rejects=Rejects(("email",), (), 0.1, keep_values=False),
        dedup=Dedup(("email",), (("age", True), ("status", False))),
    )
    assert connector.fields == ("email", "age", "status")
    assert connector.column("age").field == "age"
    with pytest.raises(KeyError):
        connector.column("born")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("person.name.firstName", "PERSON_NAME_FIRSTNAME"),
        ("E-Mail", "email"),
        (" First Name ", "firstname"),
        ("Straße", "STRASSE"),
        ("_id", "ID"),
    ],
)
def test_headers_agree_whatever_their_case_and_punctuation(one: str, other: str) -> None:
    assert normalize_header(one) == normalize_header(other)


@pytest.mark.parametrize(("one", "other"), [("address_1", "address_2"), ("é", "e"), ("name", "names")])
def test_headers_that_differ_in_letters_or_digits_differ(one: str, other: str) -> None:
    assert normalize_header(one) != normalize_header(other)


def test_the_table_is_known_before_the_rest_is_read() -> None:
    assert table_name_of(GOOD + "[what]\nis = 1", "mine.toml") == "people"
    with pytest.raises(SchemaError, match=r"^mine\.toml: table: missing$"):
        table_name_of('name = "x"', "mine.toml")
    with pytest.raises(SchemaError, match="not valid TOML"):
        table_name_of("name =", "mine.toml")


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (('name = "mine"', "name ="), ["not valid TOML"]),
        (('name = "mine"', 'name = "Mine"'), ["name: 'Mine' must be lower-case"]),
        (('comment = "Mine"', 'comments = "Mine"'),
         ["comment: missing", "comments: unknown key; did you mean comment?"]),
        (('table = "people"', 'table = "persons"'),
         ["table: this connector feeds 'persons', but was read against table 'people'"]),
        (('table = "people"', 'table = "people"\nload = "append"'),
         ["load: 'append' is not known; valid: full_refresh"]),
        (('default_country = "DE"', 'default_country = "Germany"'), ["default_country: must be an ISO 3166-1"]),
        (('default_country = "DE"', 'default_country = "de"'), ["default_country: must be an ISO 3166-1"]),
        (("quiet_seconds = 5", "quiet_secs = 5"), ["delivery.quiet_secs: unknown key; did you mean quiet_seconds?"]),
        (("quiet_seconds = 5", 'quiet_seconds = "5"'), ["delivery.quiet_seconds: must be a whole number, not str"]),
        (("quiet_seconds = 5", "quiet_seconds = 5.0"), ["delivery.quiet_seconds: must be a whole number, not float"]),
        (("quiet_seconds = 5", "quiet_seconds = true"), ["delivery.quiet_seconds: must be a whole number, not bool"]),
        (("quiet_seconds = 5", "quiet_seconds = -1"), ["delivery.quiet_seconds: must be at least 0"]),
        (("quiet_seconds = 5", 'ready = "quiet_perod"'),
         ["delivery.ready: 'quiet_perod' is not known; did you mean quiet_period?"]),
        (("quiet_seconds = 5", 'codecs = ["opengpg"]'),
         ["delivery.codecs: 'opengpg' is not known; did you mean openpgp?"]),
        (("quiet_seconds = 5", "codecs = []"),
         ["delivery.codecs: must name at least one; valid: envelope, openpgp, plain"]),
        (("quiet_seconds = 5", 'codecs = "plain"'), ["delivery.codecs: must be a list of strings, not str"]),
        (("quiet_seconds = 5", "snapshot = '('"), ["delivery.snapshot: is no regular expression: "]),
        (("quiet_seconds = 5", "snapshot = '\\d+'"), ["delivery.snapshot: needs a group (?P<snapshot>"]),
        (("quiet_seconds = 5", "snapshot = '(?P<audience>.*)'"), ["delivery.snapshot: needs a group (?P<snapshot>"]),
        (('delimiter = ";"', 'delimiter = ";;"'), ["format.delimiter: ';;' is not known"]),
        (('delimiter = ";"', 'delimiter = "x"'), ["format.delimiter: 'x' is not known"]),
        (('delimiter = ";"', 'quote = "ab"'), ["format.quote: must be one ASCII character", "format.escape: must be"]),
        (('delimiter = ";"', 'escape = "“"'), ["format.escape: must be one ASCII character"]),
        (('delimiter = ";"', 'escape = "\\n"'), ["format.escape: must be one ASCII character"]),
        (('delimiter = ";"', 'escape = ""'), ["format.escape: must not be empty"]),
        (('delimiter = ";"', 'quote = ","'), ["format.delimiter: must differ from quote and escape"]),
        (('delimiter = ";"', "null_values = [1]"), ["format.null_values: must be a list of strings"]),
        (("[columns.age]", "[columns.aeg]"),
         ["columns.aeg: no such field in table people; did you mean age?",
          "dedup.order_by: age needs the field age, which [columns] does not have"]),
        (("[columns.age]", "[columns.age]\nrequire = true"),
         ["columns.age.require: unknown key; did you mean required?"]),
        (("[columns.age]", "[columns.age]\nrequired = 1"), ["columns.age.required: must be true or false, not int"]),
        (("[columns.age]", '[columns.age]\naliases = ["e.mail"]'), ["columns.age.aliases: 'email' also names email"]),
        (("[columns.age]", '[columns.age]\naliases = ["STATUS"]'), ["columns.status.aliases: 'status' also names age"]),
        (("[columns.age]", '[columns.age]\naliases = ["--"]'),
         ["columns.age.aliases: an alias needs a letter or a digit"]),
        (("[columns.age]", '[columns.age]\naliases = ["a", "a"]'), ["columns.age.aliases: holds the same entry twice"]),
        (("[columns.age]", '[columns.age]\ndate_format = "yyyy"'),
         ["columns.age.date_format: column age of table people is int, not a date or timestamp"]),
        (("[columns.age]", '[columns.age]\nvalues = { a = "1" }'),
         ["columns.age.values: column age of table people is int; only text is translated"]),
        (("[columns.age]", "[columns.age]\nvalues = { a = 1 }"), ["columns.age.values: must map strings to strings"]),
        (("[columns.age]", '[columns.age]\nvalues = "x"'), ["columns.age.values: must be a table of strings, not str"]),
        (("[columns.age]", f"[columns.age]\n{hashed_by()}"),
         ["columns.age.prehashed: column age of table people is published in clear"]),
        (("required = true", hashed_by(algorithm="sha256")),
         ["columns.email.prehashed.algorithm: column email of table people is hmac-sha256; sha256 would never match"]),
        (("required = true", hashed_by(algorithm="md6")), ["columns.email.prehashed.algorithm: 'md6' is not known"]),
        (("required = true", hashed_by(profile="adobe")),
         ["columns.email.prehashed.profile: column email of table people is normalised by cleanroom-etl@1; values "]),
        (("required = true", hashed_by(profile="adobee")),
         ["columns.email.prehashed.profile: 'adobee' is no profile; did you mean adobe?"]),
        (("required = true", hashed_by(encoding="HEX")), ["columns.email.prehashed.encoding: 'HEX' is not known"]),
        (("required = true", "prehashed = 'sha256'"), ["columns.email.prehashed: must be a table, not str"]),
        (('default_country = "DE"', 'default_country = "DE"\ncountry = "DE"'),
         ["default_country: has no meaning beside country"]),
        (('default_country = "DE"', 'country = "Germany"'), ["country: must be an ISO 3166-1 alpha-2 code"]),
        (('default_country = "DE"', 'country_field = "land"'), ["country_field: 'land' is no field of this connector"]),
        (('missing = ["email"]', 'missing = ["e_mail"]'),
         ["rejects.missing: 'e_mail' is not known; did you mean email?"]),
        (('missing = ["email"]', 'invalid = ["born"]'),
         ["rejects.invalid: born needs the field born, which [columns] does not have"]),
        (('missing = ["email"]', "max_share = 1.1"), ["rejects.max_share: must be between 0 and 1"]),
        (('missing = ["email"]', 'max_share = "10%"'), ["rejects.max_share: must be a number from 0 to 1, not str"]),
        (('missing = ["email"]', 'keep_values = "no"'), ["rejects.keep_values: must be true or false, not str"]),
        (('keys = ["email"]', 'keys = ["mail"]'), ["dedup.keys: 'mail' is not known; did you mean email?"]),
        (('keys = ["email"]', 'keys = ["email_b64"]'), ["dedup.keys: email_b64 needs the field second_email"]),
        (('keys = ["email"]', ""), ["dedup.order_by: has no meaning without keys"]),
        (('"-age"', '"-aeg"'), ["dedup.order_by: 'aeg' is not known; did you mean age?"]),
        (("[dedup]", "[dedupe]\nx = 1\n[dedup]"), ["mine.toml: dedupe: unknown key; did you mean dedup?"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_key_and_nearest_name(
    table: Table, pair: tuple[str, str], expected: list[str]
) -> None:
    found = problems(changed(pair), table)
    assert [text for text in expected if not any(text in line for line in found)] == []
    assert len({line.removeprefix("mine.toml: ").split(": ")[0] for line in found}) == len(expected)  # nothing else
    assert all(line.startswith("mine.toml: ") for line in found)


def test_good_combinations(table: Table) -> None:
    text = changed(
        ("required = true", hashed_by(encoding="base64")),
        ("[columns.age]", '[columns.age]\n[columns.born]\ndate_format = "yyyy-MM-dd"'),
        ('delimiter = ";"', "delimiter = \"\\t\"\nquote = '\"'\nescape = '\\'"),
        ("quiet_seconds = 5", "snapshot = '(?P<snapshot>\\d+)'"),
    )
    connector = parse_connector(text, "mine.toml", table)
    assert connector.column("email").prehashed == Prehashed("hmac-sha256", "base64", "cleanroom-etl@1", None)
    assert connector.column("born").date_format == "yyyy-MM-dd"
    assert connector.format == Format("\t", '"', "\\", ())


def test_all_mistakes_come_in_one_message(table: Table) -> None:
    text = changed(
        ('name = "mine"', 'name = "my-source"'),
        ("quiet_seconds = 5", "quiet_seconds = -5\ncodecs = ['zip']"),
        ('delimiter = ";"', "delimiter = 1"),
        ("[columns.age]", "[columns.agee]"),
        ('missing = ["email"]', "missing = ['x']"),
    )
    keys = [line.split(": ")[1] for line in problems(text, table)]
    assert sorted(keys) == [
        "columns.agee",
        "dedup.order_by",
        "delivery.codecs",
        "delivery.quiet_seconds",
        "format.delimiter",
        "name",
        "rejects.missing",
    ]


def test_a_connector_has_a_column(table: Table) -> None:
    text = 'name = "x"\ncomment = "x"\ntable = "people"'
    assert problems(text, table) == ["mine.toml: columns: a connector needs at least one column"]
