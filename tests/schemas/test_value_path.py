from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.value_path import LONGEST_NAME, Number, parse_path, text_of
from tests.transforms.streams.pieces import PROPERTY
from transforms.streams.name_tree import Node


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("email", "email"),
        ("person.name.firstName", "personnamefirstname"),
        ("person_name_firstName", "personnamefirstname"),
        ("E-Mail Address", "emailaddress"),
        ("Größe", "grösse"),
        ("value.*", "value"),
    ],
)
def test_a_name_without_brackets_is_its_normalised_keys(name: str, prefix: str) -> None:
    path = parse_path(name)
    assert (path.text, path.prefix, path.get) == (name, prefix, None)


_PARAMS = [
    {"key": "page", "value": {"string_value": None, "int_value": 7}},
    {"key": "page", "value": {"string_value": "second"}},
    {"key": 5, "value": {"string_value": "five"}},
    "no object",
    {"Key": "other case", "value": {"string_value": "x"}},
    {"key": "a=b", "value": {"string_value": ""}},
    {"key": [], "value": {"string_value": "list"}},
    {"key": b"bytes", "value": {"string_value": "y"}},
    {"key": None, "value": {"string_value": "null"}},
]
_ITEMS = [{"item_id": "A", "tags": ["x", "y"]}, {"Item-ID": "B"}, {}]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("p[key=page].value.*", _PARAMS, 7),
        ("p[key=page].value.int_value", _PARAMS, 7),
        ("p[key=page].value.string_value", _PARAMS, None),
        ("p[key=page].value.IntValue", _PARAMS, 7),
        ("p[KEY=page].value.*", _PARAMS, 7),
        ("p[key=5].value.*", _PARAMS, "five"),
        ("p[key=other case].value.*", _PARAMS, "x"),
        ("p[key=a=b].value.*", _PARAMS, ""),
        ("p[key=bytes].value.*", _PARAMS, "y"),
        ("p[key=None].value.*", _PARAMS, None),
        ("p[key=missing].value.*", _PARAMS, None),
        ("p[key=page].missing.*", _PARAMS, None),
        ("p[key=page].key.*", _PARAMS, None),
        ("p[key=page].value.*", None, None),
        ("p[key=page].value.*", {"key": "page"}, None),
        ("p[key=page].value.*", "page", None),
        ("p[]", _ITEMS, _ITEMS),
        ("p[]", [], None),
        ("p[]", [None], None),
        ("p[]", {}, None),
        ("p[].item_id", _ITEMS, ["A", "B", None]),
        ("p[].nothing", _ITEMS, None),
        ("p[].tags[]", _ITEMS, [["x", "y"], None, None]),
        ("p[].tags[0]", _ITEMS, ["x", None, None]),
        ("p[0].item_id", _ITEMS, "A"),
        ("p[1].item_id", _ITEMS, "B"),
        ("p[3].item_id", _ITEMS, None),
        ("p[0]", "text", None),
        ("p[0]", ["text"], "text"),
        ("p[0][1]", [[1, 2]], 2),
        ("p[0].a", [{"A": 1, "a": 2}], 2),
        ("p[0].a", [{"a": None, "A": 1}], None),
    ],
)
def test_brackets_reach_into_lists(name: str, value: Any, expected: Any) -> None:
    path = parse_path(name)
    assert path.prefix == "p"
    assert path.get is not None
    assert path.get(value) == expected


def test_longer_keys_than_names_can_be_are_data() -> None:
    path = parse_path("p[0].a")
    assert path.get is not None
    assert path.get([{"a" + "_" * LONGEST_NAME: 1}]) is None
    assert Node([(parse_path("a"), "a")]).child("a" + "_" * LONGEST_NAME) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must start with a key"),
        ("...", "must start with a key"),
        ("[0].a", "must start with a key"),
        ("a" * (LONGEST_NAME + 1), "must start with a key"),
        ("a]", "closes a bracket that is not open"),
        ("a].b[0]", "closes a bracket that is not open"),
        ("a.[0]", "a dot before a bracket"),
        ("a[", "from character 2 on"),
        ("a[0", "from character 2 on"),
        ("a[0]b", "from character 5 on"),
        ("a[0].", "from character 5 on"),
        ("a[0]..b", "from character 5 on"),
        ("a[0]]", "from character 5 on"),
        ("a[[0]]", "from character 2 on"),
        ("a[x]", "neither []"),
        ("a[-1]", "neither []"),
        ("a[*]", "neither []"),
        ("a[=x]", "neither []"),
        ("a[_=x]", "neither []"),
        ("a[1234567]", "neither []"),
        ("a[²]", "neither []"),
        ("a[].b*", "neither a key"),
        ("a[].**", "neither a key"),
        ("a[].-", "neither a key"),
    ],
)
def test_a_malformed_name_is_told(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        parse_path(name)
    assert problem in str(caught.value)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        (("person", "name", "firstName"), "first"),
        (("Person", "NAME", "first_name"), "first"),
        (("person.name.firstName",), "first"),
        (("person_name", "firstname"), "first"),
        (("personNameFirstName",), "first"),
        (("person", "email"), "email"),
        (("person",), None),
        (("person", "name"), None),
        (("person", "", "email"), None),
        (("_", "person", "email"), None),
        (("email",), None),
        (("person", "email", "x"), None),
    ],
)
def test_keys_lead_to_the_field_whose_name_they_make_up(keys: tuple[str, ...], field: str | None) -> None:
    root = Node([(parse_path("person.name.firstName"), "first"), (parse_path("person.email"), "email")])
    for _ in range(2):  # found slowly first, then by its spelling
        node: Node | None = root
        for key in keys:
            node = node.child(key) if node else None
        assert [name for _, name in (node.targets if node else [])] == ([field] if field else [])


def test_a_place_may_be_asked_for_with_and_without_what_is_below() -> None:
    items = Node([(parse_path(name), name) for name in ("items", "items.id", "items[].id")]).child("items")
    assert items is not None
    assert [name for _, name in items.targets] == ["items", "items[].id"]
    assert items.leads


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", ""),
        (" é\n", " é\n"),
        (Number("1.10"), "1.10"),
        (True, "true"),
        (False, "false"),
        (12345678901234567890, "12345678901234567890"),
        (1.5, "1.5"),
        (12345.0, "12345"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E-9"), "0.000000001"),
        ("é".encode(), "é"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({}, "{}"),
        ([], "[]"),
        (
            {"a": [1, 'é"\n', None, True, {"b": Number("1.10")}], "c": Decimal("1.0"), "d": 1.5, "e": b"x"},
            '{"a":[1,"é\\"\\n",null,true,{"b":1.10}],"c":1.0,"d":1.5,"e":"x"}',
        ),
        ([float("nan")], "[null]"),
    ],
)
def test_values_as_text(value: Any, expected: str | None) -> None:
    assert text_of(value) == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@PROPERTY
@given(st.lists(_VALUES) | st.dictionaries(st.text(), _VALUES))
def test_lists_and_objects_are_written_as_the_json_module_does(value: Any) -> None:
    assert text_of(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
