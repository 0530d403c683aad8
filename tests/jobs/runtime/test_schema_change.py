"""What may change of a table's columns while rows of earlier runs stay. Tables are made by hand."""

from __future__ import annotations

import pytest

from jobs.runtime.errors import VerificationError
from jobs.runtime.published_table import PublishedColumn, PublishedTable
from jobs.runtime.schema_change import check_same_hashes, schema_changes
from schemas.table import Table, parse_table


def wanted(columns: dict[str, str], *partitions: str) -> Table:
    """Return a table whose columns have these types; those in ``partitions`` are its partitions, in that order."""
    keys = ", ".join(f'"{name}"' for name in partitions)
    described = "".join(
        f'[columns.{name}]\ncomment = "x"\ntype = "{kind}"\n{_default(kind) if name in partitions else ""}\n'
        for name, kind in columns.items()
    )
    return parse_table(f'name = "people"\ncomment = "x"\npartitions = [{keys}]\n{described}', "people.toml")


def _default(kind: str) -> str:
    return {"date": 'default = "1970-01-01"', "int": 'default = "0"'}.get(kind, 'default = "-"')


def present(columns: dict[str, str], partitions: dict[str, str] | None = None, **parameters: str) -> PublishedTable:
    """Return a table as it stands in a catalog."""
    return PublishedTable(
        "people",
        "x",
        "s3://b/people",
        tuple(PublishedColumn(name, kind, "") for name, kind in columns.items()),
        tuple(PublishedColumn(name, kind, "") for name, kind in (partitions or {}).items()),
        (),
        parameters,
        "1",
    )


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [
        ({"a": "string"}, {"a": "string"}, []),
        ({"a": "string", "b": "int"}, {"b": "int", "a": "string"}, []),  # columns are found by name
        ({"a": "string"}, {"a": "string", "b": "int"}, ["added b int"]),
        ({"a": "string", "b": "int"}, {"a": "string"}, ["removed b"]),
        ({"a": "string"}, {"b": "string"}, ["added b string", "removed a"]),  # a new name is a new column
        ({"a": "smallint"}, {"a": "int"}, ["widened a from smallint to int"]),
        ({"a": "smallint"}, {"a": "bigint"}, ["widened a from smallint to bigint"]),
        ({"a": "int"}, {"a": "bigint"}, ["widened a from int to bigint"]),
        ({"a": "decimal(9,2)"}, {"a": "decimal(18,2)"}, ["widened a from decimal(9,2) to decimal(18,2)"]),
        (
            {"a": "int", "b": "date", "c": "string"},
            {"d": "timestamp", "a": "bigint", "e": "boolean", "c": "string"},
            ["added d timestamp", "added e boolean", "removed b", "widened a from int to bigint"],
        ),
    ],
)
def test_every_change_is_named(before: dict[str, str], now: dict[str, str], changes: list[str]) -> None:
    assert schema_changes(present(before), wanted(now)) == changes


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("bigint", "int"),
        ("int", "smallint"),
        ("decimal(18,2)", "decimal(9,2)"),
        ("decimal(9,2)", "decimal(18,4)"),  # the same files would be read a hundred times smaller
        ("decimal(9,2)", "decimal(18,0)"),
        ("int", "decimal(18,2)"),
        ("int", "string"),
        ("string", "int"),
        ("date", "timestamp"),
        ("timestamp", "date"),
        ("date", "string"),
        ("boolean", "int"),
        ("float", "int"),
        ("int", "float"),
    ],
)
def test_a_type_that_does_not_hold_the_old_values_is_refused(before: str, now: str) -> None:
    with pytest.raises(VerificationError) as caught:
        schema_changes(present({"a": before, "b": "string"}), wanted({"a": now, "b": "string"}))
    assert str(caught.value) == (
        f"table people: a from {before} to {now} would not hold every value there is; nothing was published. "
        "Give the column its old type, or another name"
    )


def test_every_refused_column_is_named() -> None:
    before = {"a": "bigint", "b": "string", "c": "int"}
    with pytest.raises(VerificationError, match=r"people: a from bigint to int, b from string to date would not hold"):
        schema_changes(present(before), wanted({"a": "int", "b": "date", "c": "bigint"}))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, ("country",), "by nothing, its file says country string"),
        ({"country": "string"}, (), "by country string, its file says nothing"),
        ({"country": "string"}, ("day",), "by country string, its file says day date"),
        ({"country": "string"}, ("country", "day"), "by country string, its file says country string, day date"),
        (
            {"day": "date", "country": "string"},
            ("country", "day"),
            "by day date, country string, its file says country string, day date",
        ),
        ({"day": "string"}, ("day",), "by day string, its file says day date"),
    ],
)
def test_other_partitions_are_refused(before: dict[str, str], now: tuple[str, ...], told: str) -> None:
    types = {"country": "string", "day": "date"}
    columns = {"id": "string", **types}
    there = present({name: kind for name, kind in columns.items() if name not in before}, before)
    with pytest.raises(VerificationError) as caught:
        schema_changes(there, wanted(columns, *now))
    assert str(caught.value) == (
        f"table people is partitioned {told}; that needs a table of another name. Nothing was published"
    )


def test_the_same_partitions_are_no_change() -> None:
    columns = {"id": "string", "country": "string", "day": "date"}
    there = present({"id": "string"}, {"day": "date", "country": "string"})
    assert schema_changes(there, wanted(columns, "day", "country")) == []


def test_a_table_that_is_not_there_yet_has_no_changes() -> None:
    assert schema_changes(None, wanted({"a": "int"})) == []


# --- rows that stay were hashed as those that come

PEOPLE = wanted({"email": "string", "phone": "string", "age": "int", "country": "string"}, "country")
MAKING = {
    "hash_key_id": "1f2e",
    "hashes": "email=hmac-sha256/hex/default,phone=sha256/hex",
    "profiles": "email=cleanroom-etl@1:email,phone=cleanroom-etl@1:phone,country=cleanroom-etl@1:country",
}


def before(*columns: str, **making: str) -> PublishedTable:
    """Return the table that is there, with these columns, and how its values were made."""
    return present(dict.fromkeys(columns, "string"), {"country": "string"}, **making)


ALL = before("email", "phone", "age", **MAKING)


@pytest.mark.parametrize(
    ("there", "now"),
    [
        (ALL, {}),
        (ALL, {"hashes": "phone=sha256/hex,email=hmac-sha256/hex/default"}),  # in another order
        (ALL, {"hashes": f"{MAKING['hashes']},name=sha256/hex"}),
        # A new column has no old rows to differ from, one that is gone no new ones.
        (before("phone", **{**MAKING, "hashes": "phone=sha256/hex"}), {}),
        (before("email", "phone", "name", **{**MAKING, "hashes": f"{MAKING['hashes']},name=md5/hex"}), {}),
    ],
)
def test_rows_made_in_the_same_way_may_stand_together(there: PublishedTable, now: dict[str, str]) -> None:
    check_same_hashes(there, PEOPLE, {**MAKING, **now})


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"hash_key_id": "aaaa"}, "the hash key"),
        ({"hash_key_id": ""}, "the hash key"),
        ({"hashes": "email=sha256/hex,phone=sha256/hex"}, "hashes of email"),
        ({"hashes": "email=hmac-sha256/hex/partner,phone=sha256/hex"}, "hashes of email"),
        ({"hashes": "email=hmac-sha256/base64/default,phone=sha1/hex"}, "hashes of email, hashes of phone"),
        # Values in clear and hashes are no less different than two hashes.
        ({"hashes": "phone=sha256/hex"}, "hashes of email"),
        ({"hashes": f"{MAKING['hashes']},country=sha256/hex"}, "hashes of country"),
        ({"profiles": MAKING["profiles"].replace("phone=cleanroom-etl@1", "phone=uid2@1")}, "profiles of phone"),
        ({"profiles": MAKING["profiles"].replace(":country", ":text")}, "profiles of country"),
        (
            {"hash_key_id": "x", "hashes": "email=md5/hex,phone=sha256/hex", "profiles": MAKING["profiles"][6:]},
            "the hash key, hashes of email, profiles of email",
        ),
    ],
)
def test_one_person_never_gets_two_hashes(now: dict[str, str], told: str) -> None:
    with pytest.raises(VerificationError) as caught:
        check_same_hashes(ALL, PEOPLE, {**MAKING, **now})
    assert str(caught.value) == (
        f"table people keeps rows of earlier runs, and {told} differs from theirs: one person would have two hashes. "
        "Nothing was published. Load all deliveries anew from archive/ into a new table"
    )


def test_a_table_without_rows_can_be_made_in_any_way() -> None:
    check_same_hashes(None, PEOPLE, MAKING)


def test_a_table_without_hashes_has_nothing_to_differ_in() -> None:
    nothing = {"hash_key_id": "", "hashes": "", "profiles": ""}
    check_same_hashes(before("email"), PEOPLE, nothing)
