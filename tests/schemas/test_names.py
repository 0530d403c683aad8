"""Names against AWS Clean Rooms' rules (user guide, "Naming guidelines"; SQL reference, "Reserved words")."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.names import clean_name, name_problem

# The reserved words that real profile exports hit.
RESERVED = """
    all any array as between binary both desc distinct do else enable disable encode encrypt except false for foreign
    leading left like localtime localtimestamp minus natural new primary raw recover references respect restore right
    select similar snapshot some sysdate system session_user
""".split()  # noqa: SIM905  a word list


@pytest.mark.parametrize("name", ["a", "email", "address_1", "e3b0c442", "a" * 127, "page", "pgp_key", "selected"])
def test_a_name_that_needs_no_quotes(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "1st", "_x", "Email", "E", "first-name", "first name", "a.b", "größe", "a$b", "a`b", "a\n", "x" * 128],
)
def test_a_name_in_another_form(name: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert problem.startswith("must be lower-case letters, digits and underscores")


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_word_comes_with_a_way_out(name: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert "is a reserved word" in problem
    assert f"{name}_value" in problem
    assert name_problem(f"{name}_value") is None


@pytest.mark.parametrize("name", ["oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"])
def test_a_system_column(name: str) -> None:
    assert "system column" in str(name_problem(name))


@pytest.mark.parametrize(
    "prefix", ["padb_", "pg_", "stcs_", "stl_", "stll_", "stv_", "svcs_", "svl_", "svv_", "sys_", "systable_"]
)
def test_a_forbidden_prefix(prefix: str) -> None:
    assert str(name_problem(f"{prefix}x")).startswith(f"starts with {prefix}")
    assert name_problem(f"x_{prefix}x") is None


@given(st.text(max_size=130))
def test_what_passes_needs_no_quotes_anywhere(name: str) -> None:
    if name_problem(name) is None:
        assert re.fullmatch("[a-z][a-z0-9_]*", name)
        assert name.isascii()
        assert len(name) <= 127


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("FirstName", "first_name"),
        ("ClientID", "client_id"),
        ("IPAddress", "ip_address"),
        ("homeAddress.city", "home_address_city"),
        ("  E-Mail (work)! ", "e_mail_work"),
        ("already_clean_1", "already_clean_1"),
        ("Größe", "grosse"),
        ("Prénom", "prenom"),
        ("ÉCOLE", "ecole"),
        ("ﬁeld①", "field1"),
        ("1st", "c_1st"),
        ("select", "select_value"),
        ("Order", "order_value"),
        ("oid", "oid_value"),
        ("pg_x", "c_pg_x"),
        ("SysDate", "c_sys_date"),
        ("a" * 200, "a" * 127),
        ("a" * 126 + "_b", "a" * 126),
        ("名前", None),
        ("", None),
        ("_-.", None),
    ],
)
def test_a_name_is_cleaned(text: str, name: str | None) -> None:
    assert clean_name(text) == name


@given(st.text(max_size=200))
def test_a_cleaned_name_can_be_used_and_stays_as_it_is(text: str) -> None:
    name = clean_name(text)
    if name is not None:
        assert name_problem(name) is None
        assert clean_name(name) == name
