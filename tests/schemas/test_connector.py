"""Connector files: what each key means, and every kind of mistake."""

from __future__ import annotations

import pytest

from schemas.connector import Connector, parse_connector, tables_of
from schemas.delivery import Delivery
from schemas.feed import Dedup, Feed, Prehashed, Rejects, SourceColumn
from schemas.file_format import Format
from schemas.names import normalize_header
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
        parse_connector(text, "mine.toml", {table.name: table})
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_connector_is_what_its_file_says(table: Table) -> None:
    connector = parse_connector(GOOD, "mine.toml", {table.name: table})
    assert connector == Connector(
        name="mine",
        comment="Mine",
        delivery=Delivery(quiet_seconds=5),
        feeds=(
            Feed(
                name="mine",
                files=(),
                table="people",
                load="full_refresh",
                country=None,
                country_field=None,
                default_country="DE",
                format=Format(delimiter=";"),
                columns=(
                    SourceColumn("email", ("E-Mail",), required=True),
                    SourceColumn("age"),
                    SourceColumn("status", values={"a": "b"}),
                ),
                rejects=Rejects(("email",), (), 0.1, keep_values=False),
                dedup=Dedup(("email",), (("age", True), ("status", False))),
            ),
        ),
    )
    feed = connector.feed("mine")
    assert feed.fields == ("email", "age", "status")
    assert feed.column("age").field == "age"
    with pytest.raises(KeyError):
        feed.column("born")
    with pytest.raises(KeyError):
        connector.feed("yours")


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
    assert tables_of(GOOD + "[what]\nis = 1", "mine.toml") == ("people",)
    with pytest.raises(SchemaError, match=r"^mine\.toml: table: missing$"):
        tables_of('name = "x"', "mine.toml")
    with pytest.raises(SchemaError, match="not valid TOML"):
        tables_of("name =", "mine.toml")


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (('name = "mine"', "name ="), ["not valid TOML"]),
        (('name = "mine"', 'name = "Mine"'), ["name: 'Mine' must be lower-case"]),
        (('comment = "Mine"', 'comments = "Mine"'),
         ["comment: missing", "comments: unknown key; did you mean comment?"]),
        (('table = "people"', 'table = "persons"'),
         ["table: this connector feeds 'persons', but was not read against it"]),
        (('table = "people"', 'table = "people"\nload = "apend"'),
         ["load: 'apend' is not known; did you mean append?"]),
        (("[dedup]", '[deletes]\nfield = "status"\nvalues = ["x"]\n[dedup]'),
         ["deletes: has no meaning with load full_refresh"]),
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
        (('delimiter = ";"', 'delimiter = ";;"'), ["format.delimiter: must be one character"]),
        (('delimiter = ";"', 'delimiter = "\\n"'), ["format.delimiter: must be one character, no line break"]),
        (('delimiter = ";"', "escape_unquoted = true"), ["format.escape_unquoted: needs an escape character"]),
        (('delimiter = ";"', "header = false"), ["format.columns: missing: without a header"]),
        (('delimiter = ";"', 'columns = ["a"]'), ["format.columns: has no meaning with a header"]),
        (('delimiter = ";"', 'header = false\ncolumns = ["a", "-"]'), ["format.columns: each name needs a letter"]),
        (('delimiter = ";"', "types = []"), ["format.types: must name at least one"]),
        (('delimiter = ";"', 'types = ["xml"]'), ["format.types: 'xml' is not known"]),
        (('delimiter = ";"', 'encoding = "latin"'), ["format.encoding: 'latin' is not known"]),
        (('delimiter = ";"', 'zone = "CST"'), ["format.zone: 'CST' is neither an offset such as -06:00"]),
        (('delimiter = ";"', 'time_formats = ["yyyy-MM-ddTHH"]'),
         ["format.time_formats: 'yyyy-MM-ddTHH' is no pattern"]),
        (('delimiter = ";"', 'decimal = "·"'), ["format.decimal: '·' is not known"]),
        (("quiet_seconds = 5", 'keep = "all"'), ["delivery.keep: has no meaning without snapshot"]),
        (("quiet_seconds = 5", 'archives = ["rar"]'), ["delivery.archives: 'rar' is not known"]),
        (("quiet_seconds = 5", "archive_limits = { members = 5000 }"),
         ["delivery.archive_limits.members: must be at most 4095"]),
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
        (("[columns.age]", '[columns.age]\ntime_formats = ["yyyy"]'),
         ["columns.age.time_formats: column age of table people is int, not a date or timestamp"]),
        (("[columns.age]", '[columns.age]\nepoch = "years"'),
         ["columns.age.epoch: column age of table people is int, not a date or timestamp"]),
        (("[columns.age]", '[columns.age]\n[columns.born]\nepoch = "years"'),
         ["columns.born.epoch: 'years' is not known; valid: microseconds, milliseconds, seconds"]),
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
        (('default_country = "DE"', 'country_field = "land"'), ["country_field: 'land' is no field of this feed"]),
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
        ("[columns.age]", '[columns.age]\n[columns.born]\ntime_formats = ["yyyy-MM-dd"]'),
        ('delimiter = ";"', "delimiter = \"\\t\"\nquote = '\"'\nescape = '\\'"),
        ("quiet_seconds = 5", "snapshot = '(?P<snapshot>\\d+)'"),
    )
    connector = parse_connector(text, "mine.toml", {table.name: table})
    (feed,) = connector.feeds
    assert feed.column("email").prehashed == Prehashed("hmac-sha256", "base64", "cleanroom-etl@1", None)
    assert feed.column("born").time_formats == ("yyyy-MM-dd",)
    assert feed.format == Format(delimiter="\t", escape="\\")


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


def test_without_columns_every_field_comes_by_its_own_name(table: Table) -> None:
    text = 'name = "x"\ncomment = "x"\ntable = "people"\nrequired = ["email"]\n[format]\nzone = "-06:00"'
    (feed,) = parse_connector(text, "mine.toml", {table.name: table}).feeds
    assert feed.fields == table.fields
    assert [column.field for column in feed.columns if column.required] == ["email"]
    assert feed.column("born").zone == "-06:00"
    more = text + '\n[columns.age]\naliases = ["years"]'
    assert parse_connector(more, "mine.toml", {table.name: table}).feeds[0].fields == ("age",)
    every = more.replace("required", 'fields = "all"\nrequired')
    (both,) = parse_connector(every, "mine.toml", {table.name: table}).feeds
    assert sorted(both.fields) == sorted(table.fields)
    assert both.column("age").aliases == ("years",)


EVENTS = """
name = "events"
comment = "Events"
load = "append"
keys = ["id", "day"]
partitions = ["day"]
[columns.id]
comment = "id"
[columns.at]
comment = "time"
type = "timestamp"
[columns.day]
comment = "day"
type = "date"
field = "at"
default = "1970-01-01"
"""

SEVERAL = """
name = "several"
comment = "Several"
[format]
delimiter = ";"
[rejects]
max_share = 0.3
[feeds.people]
files = ["People.*"]
table = "people"
[feeds.events]
files = ["*/events/*"]
table = "events"
required = ["id"]
[feeds.events.format]
zone = "Europe/Berlin"
[feeds.events.rejects]
missing = ["at"]
"""


def several(text: str, table: Table) -> Connector:
    return parse_connector(text, "s.toml", {"people": table, "events": parse_table(EVENTS, "events.toml")})


def test_several_feeds_share_what_the_top_says_and_take_files_by_name(table: Table) -> None:
    assert tables_of(SEVERAL, "s.toml") == ("people", "events")
    connector = several(SEVERAL, table)
    people, events = connector.feeds
    assert (people.load, events.load) == ("full_refresh", "append")
    assert (people.format.delimiter, events.format.delimiter, events.format.zone) == (";", ";", "Europe/Berlin")
    assert (people.rejects.max_share, events.rejects) == (0.3, Rejects(("at",), (), 0.3))
    assert events.dedup.keys == ("id", "day")
    assert events.column("at").zone == "Europe/Berlin"
    for name, feed in {
        "People.csv": people,
        "a/b/PEOPLE.txt": people,
        "x/Events/1": events,
        "events/1": None,
        "peoples.csv": None,
    }.items():
        assert connector.feed_of(name) == feed


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (('files = ["People.*"]\n', ""), "feeds.people.files: missing"),
        (("[feeds.people]", "[feeds.People]"), "feeds.People: 'People' must be lower-case"),
        (('table = "people"', 'table = "events"'), "feeds: two feeds fill table events"),
        (('table = "people"', 'table = "people"\nload = "append"'), "feeds.people.load: append needs a key"),
        (('table = "people"', 'table = "people"\nload = "partition_overwrite"'), "needs a table with partitions"),
        (('table = "people"', 'table = "people"\nwhat = 1'), "feeds.people.what: unknown key"),
        (('required = ["id"]', 'required = ["idd"]'), "feeds.events.required: 'idd' is not known; did you mean id?"),
        (('required = ["id"]', 'load = "upsert"\n[feeds.events.deletes]\nfield = "i"\nvalues = []'),
         "feeds.events.deletes.values: missing"),
        (("[rejects]", "[rejects]\nmissing = ['at']"), "feeds.people.rejects.missing: 'at' is not known"),
    ],
)  # fmt: skip
def test_a_mistake_in_one_of_several_feeds_is_told_with_its_name(
    table: Table, pair: tuple[str, str], expected: str
) -> None:
    assert SEVERAL.count(pair[0]) == 1
    with pytest.raises(SchemaError) as caught:
        several(SEVERAL.replace(*pair), table)
    assert expected in str(caught.value)


def test_an_appended_row_and_its_duplicate_are_in_one_partition(table: Table) -> None:
    events = parse_table(EVENTS.replace('keys = ["id", "day"]', 'keys = ["id"]'), "events.toml")
    with pytest.raises(SchemaError, match="partition day is not made of a key column"):
        parse_connector(SEVERAL, "s.toml", {"people": table, "events": events})
