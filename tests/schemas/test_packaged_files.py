"""The files that are shipped: they load, they bind what Adobe sends, and code gives every word of them a meaning."""

from __future__ import annotations

from importlib import resources

import pytest

from schemas import vocabulary
from schemas.connector import Connector, parse_connector, tables_of
from schemas.profile import profiles
from schemas.table import RESERVED_FIELDS, Table, parse_table
from tests.fixtures.aep_delivery import HEADERS, Header
from transforms.profiles.registry import ALREADY_HASHED, RULES
from transforms.streams.header import bind_header, source_names


def packaged(folder: str) -> dict[str, str]:
    files = resources.files(f"schemas.{folder}").iterdir()
    return {file.name: file.read_text(encoding="utf-8") for file in files if file.name.endswith(".toml")}


TABLES = packaged("tables")
CONNECTORS = packaged("connectors")


def load(name: str) -> tuple[Connector, dict[str, Table]]:
    text = CONNECTORS[name]
    tables = {table: parse_table(TABLES[f"{table}.toml"], table) for table in tables_of(text, name)}
    return parse_connector(text, name, tables), tables


@pytest.mark.parametrize("name", TABLES)
def test_a_packaged_table_loads_under_its_own_name(name: str) -> None:
    table = parse_table(TABLES[name], name)
    assert f"{table.name}.toml" == name
    assert not set(table.fields) & set(RESERVED_FIELDS)


@pytest.mark.parametrize("name", CONNECTORS)
def test_a_packaged_connector_loads_under_its_own_name(name: str) -> None:
    connector, tables = load(name)
    assert f"{connector.name}.toml" == name
    for feed in connector.feeds:
        assert set(feed.fields) == set(tables[feed.table].fields)


# The thirteen fields of Adobe's export, in the order of the fixture's headers, and what each is in the table.
FIELDS = [
    "customer_id", "first_name", "last_name", "address_1", "address_2", "city", "state", "zip", "country", "email",
    "phone", "loyalty_member_status", "segmentation_status",
]  # fmt: skip


@pytest.mark.parametrize("family", HEADERS)
@pytest.mark.parametrize("change", [str, str.upper, str.lower, lambda name: f" {name} "])
def test_every_header_family_binds_to_the_right_fields(family: Header, change: type[str]) -> None:
    connector, _ = load("aep_profiles.toml")
    header = tuple(change(name) for name in HEADERS[family])
    for names in (header, header[::-1]):
        binding = bind_header(names, source_names(connector.feeds[0], extras=False))
        assert binding.columns == dict(zip(header, FIELDS, strict=True))
        assert (binding.ignored, binding.absent) == ((), ())


def test_what_the_customer_profile_publishes() -> None:
    _, tables = load("aep_profiles.toml")
    table = tables["customer_profile"]
    clear = {column.name for column in table.columns if column.hash is None}
    assert clear == {"city", "state", "country", "loyalty_member_status", "segmentation_status"}
    assert {column.hash.algorithm for column in table.columns if column.hash} == {"hmac-sha256"}
    assert table.partitions == ("country",)


def test_code_gives_every_word_of_the_profiles_a_meaning_and_no_word_is_unused() -> None:
    fields = [field for profile in profiles().values() for field in profile.fields.values()]
    assert {field.rule for field in fields} == set(RULES)
    assert {field.name for field in fields} == set(vocabulary.NORMALIZERS)
    assert {profile.already_hashed for profile in profiles().values()} - {""} == set(ALREADY_HASHED)


def test_closed_lists_hold_nothing_twice() -> None:
    for name, words in vars(vocabulary).items():
        if name.isupper():
            assert len(set(words)) == len(words), name
    assert set(vocabulary.KEYED_ALGORITHMS) < set(vocabulary.ALGORITHMS)


def test_adobes_values_have_one_form() -> None:
    connector, _ = load("aep_profiles.toml")
    (feed,) = connector.feeds
    assert feed.column("segmentation_status").values == {"existing": "realized"}
    assert feed.column("email").required
    assert feed.format.escape == "\\"
