"""The files that are shipped: they load, they bind what Adobe sends, and code gives every word of them a meaning."""

from __future__ import annotations

from importlib import resources

import pytest

from schemas import vocabulary
from schemas.connector import Connector, parse_connector, table_name_of
from schemas.profile import profiles
from schemas.table import RESERVED_FIELDS, Table, parse_table
from tests.fixtures.aep_delivery import HEADERS, Header
from transforms.profiles.registry import ALREADY_HASHED, RULES
from transforms.streams.header import bind_header


def packaged(folder: str) -> dict[str, str]:
    files = resources.files(f"schemas.{folder}").iterdir()
    return {file.name: file.read_text(encoding="utf-8") for file in files if file.name.endswith(".toml")}


TABLES = packaged("tables")
CONNECTORS = packaged("connectors")


def load(name: str) -> tuple[Connector, Table]:
    text = CONNECTORS[name]
    table_file = f"{table_name_of(text, name)}.toml"
    table = parse_table(TABLES[table_file], table_file)
    return parse_connector(text, name, table), table


@pytest.mark.parametrize("name", TABLES)
def test_a_packaged_table_loads_under_its_own_name(name: str) -> None:
    table = parse_table(TABLES[name], name)
    assert f"{table.name}.toml" == name
    assert not set(table.fields) & set(RESERVED_FIELDS)


@pytest.mark.parametrize("name", CONNECTORS)
def test_a_packaged_connector_loads_under_its_own_name(name: str) -> None:
    connector, table = load(name)
    assert f"{connector.name}.toml" == name
    assert set(connector.fields) == set(table.fields)


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
        binding = bind_header(names, connector)
        assert binding.columns == dict(zip(header, FIELDS, strict=True))
        assert (binding.ignored, binding.absent) == ((), ())


def test_what_the_customer_profile_publishes() -> None:
    _, table = load("aep_profiles.toml")
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
    assert connector.column("segmentation_status").values == {"existing": "realized"}
    assert connector.column("email").required
    assert connector.format.escape == "\\"
