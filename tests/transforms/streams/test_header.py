from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.connector import parse_connector
from schemas.table import Table, parse_table
from tests.transforms.streams.pieces import PROPERTY
from transforms.streams.bad_file import BadFile
from transforms.streams.header import bind_header, names_to_tell, source_names
from transforms.streams.records import SourceNames

_SCHEMAS = Path(__file__).parents[3] / "schemas"

# Field, label of AWS's guidance, XDM path, underscored XDM path.
_FAMILIES = """
customer_id            customerID             personID                  personID
first_name             first_name             person.name.firstName     person_name_firstName
last_name              last_name              person.name.lastName      person_name_lastName
address_1              address_1              homeAddress.street1       homeAddress_street1
address_2              address_2              homeAddress.street2       homeAddress_street2
city                   city                   homeAddress.city          homeAddress_city
state                  state                  homeAddress.stateProvince homeAddress_stateProvince
zip                    zip                    homeAddress.postalCode    homeAddress_postalCode
country                country                homeAddress.country       homeAddress_country
email                  email                  personalEmail.address     personalEmail_address
phone                  phone                  mobilePhone.number        mobilePhone_number
loyalty_member_status  loyalty_member_status  loyalty.status            loyalty_status
segmentation_status    segmentation_status    segmentMembership.status  segmentMembership_status
"""
_ROWS = [line.split() for line in _FAMILIES.split("\n") if line]
_FIELDS = [row[0] for row in _ROWS]


def names_of(connector: str, table: Table, *, extras: bool = False) -> SourceNames:
    (feed,) = parse_connector(connector, "c.toml", {table.name: table}).feeds
    return source_names(feed, extras=extras)


@pytest.fixture(scope="module")
def aep() -> SourceNames:
    table = parse_table((_SCHEMAS / "tables/customer_profile.toml").read_text(), "customer_profile")
    text = (_SCHEMAS / "connectors/aep_profiles.toml").read_text()
    return names_of(text, table)


def _refusal(header: tuple[str, ...], names: SourceNames) -> BadFile:
    with pytest.raises(BadFile) as caught:
        bind_header(header, names)
    return caught.value


@pytest.mark.parametrize("family", [1, 2, 3], ids=["label", "dotted", "underscored"])
@pytest.mark.parametrize(
    "spelling", [str, str.upper, str.lower, "  {} ".format], ids=["as is", "upper", "lower", "blanks"]
)
def test_every_family_binds_in_any_order(family: int, spelling: type[str], aep: SourceNames) -> None:
    for seed in range(5):
        rows = random.Random(seed).sample(_ROWS, len(_ROWS))
        expected = {spelling(row[family]): row[0] for row in rows}
        binding = bind_header(tuple(expected), aep)
        assert binding.columns == expected
        assert (binding.ignored, binding.absent) == ((), ())


@PROPERTY
@given(st.permutations(range(len(_ROWS))), st.lists(st.integers(1, 3), min_size=len(_ROWS), max_size=len(_ROWS)))
def test_families_may_be_mixed(order: list[int], families: list[int]) -> None:
    table = parse_table((_SCHEMAS / "tables/customer_profile.toml").read_text(), "customer_profile")
    expected = {_ROWS[at][families[at]]: _ROWS[at][0] for at in order}
    text = (_SCHEMAS / "connectors/aep_profiles.toml").read_text()
    assert bind_header(tuple(expected), names_of(text, table)).columns == expected


def test_columns_that_no_field_asks_for_are_named(aep: SourceNames) -> None:
    binding = bind_header(("tier", "email", "", "loyalty.points", "last_name"), aep)
    assert binding.columns == {"email": "email", "last_name": "last_name"}
    assert binding.ignored == ("tier", "", "loyalty.points")
    assert binding.absent == tuple(field for field in _FIELDS if field not in {"email", "last_name"})


def test_columns_are_never_bound_by_position(aep: SourceNames) -> None:
    names = tuple(f"_c{position}" for position in range(len(_FIELDS)))
    assert _refusal(names, aep).reason == "missing_column"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (("email", "email"), "columns 1, 2 "),
        (("email", "city", "EMAIL", " Email"), "columns 1, 3, 4 "),
        (("email", "tier", "Tier"), "columns 2, 3 "),
        (("email", "STRASSE", "straße"), "columns 2, 3 "),
        (("email", "personalEmail.address"), "the field email"),
        (("e_mail", "personalEmail_address"), "the field email"),
        (("personID", "email", "customer-id"), "the field customer_id"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused(header: tuple[str, ...], said: str, aep: SourceNames) -> None:
    error = _refusal(header, aep)
    assert error.reason == "ambiguous_header"
    assert said in error.detail


@pytest.mark.parametrize("header", [("city",), ("personID", "first_name", "mail"), ("",)])
def test_a_required_column_must_be_there(header: tuple[str, ...], aep: SourceNames) -> None:
    error = _refusal(header, aep)
    assert error.reason == "missing_column"
    assert "no column for email;" in error.detail
    assert f"the header has {len(header)} columns" in error.detail


@pytest.mark.parametrize("row", [("17", "ann@example.com"), ("Springfield", "springfield", "ann@example.com")])
def test_values_are_not_told_where_a_file_has_no_header(row: tuple[str, ...], aep: SourceNames) -> None:
    said = str(_refusal(row, aep)).casefold()
    assert not any(value.casefold() in said for value in row if not value.isdigit())


def test_a_file_without_a_header_is_refused_without_its_values_even_where_no_column_is_required() -> None:
    table = parse_table('name = "t"\ncomment = "x"\n[columns.mail]\ncomment = "x"', "t")
    names = names_of('name = "c"\ncomment = "x"\ntable = "t"\n[columns.mail]', table)
    with pytest.raises(BadFile) as caught:
        bind_header(("jane@example.com", "Jane"), names)
    assert caught.value.reason == "missing_column"
    assert "jane" not in str(caught.value).lower()


EXTRAS = SourceNames({"id": ("id",), "email": ("email", "E-Mail Address")}, ("id",), extras=True)


def test_columns_beyond_the_fields_get_cleaned_names_where_the_table_takes_them() -> None:
    binding = bind_header(("ID", "First Name", "e-mail address", "LoyaltyTier", "Größe", "100% sure", "--"), EXTRAS)
    assert binding.columns == {"ID": "id", "e-mail address": "email"}
    assert binding.extras == {
        "First Name": "first_name",
        "LoyaltyTier": "loyalty_tier",
        "Größe": "grosse",
        "100% sure": "c_100_sure",
    }
    assert binding.ignored == ("--",)


@pytest.mark.parametrize("header", [("id", "First Name", "first-name"), ("id", "First.Name", "FirstName")])
def test_two_columns_that_would_get_one_name_are_refused(header: tuple[str, ...]) -> None:
    refusal = _refusal(header, EXTRAS)
    assert (refusal.reason, refusal.detail) == ("ambiguous_header", "two columns would be called first_name")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Region", "visits_20240131", "5"), ("Region", "visits_20240131", "5")),
        (("jane@example.com", "Region"), ("Region", "(1 that look like values)")),
        (("(206) 555-0100", "+49 30 901820", "Region"), ("Region", "(2 that look like values)")),
    ],
)
def test_names_that_are_values_are_counted_and_not_told(names: tuple[str, ...], told: tuple[str, ...]) -> None:
    assert names_to_tell(names) == told
