from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runtime.configuration import load_configuration
from jobs.runtime.manifest import (
    DATA,
    MARKER,
    SUPERSEDED,
    Entry,
    Manifest,
    in_delivery_order,
)
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.snapshots import select_snapshots
from schemas.delivery import Delivery

PREFIX = "landing/acme/"
DATED = Delivery(snapshot=r"(?P<audience>[^\d]*)_(?P<snapshot>\d{8})(_\d+)?\.csv")


def item(key: str, modified: float = 0.0) -> ObjectInfo:
    return ObjectInfo(PREFIX + key, 1, "", f'"{key}"', modified)


def ordered_names(items: list[ObjectInfo], delivery: Delivery = Delivery()) -> list[str]:  # noqa: B008  frozen
    return [each.key.removeprefix(PREFIX) for each in in_delivery_order(items, PREFIX, delivery)]


def split(names: list[str], delivery: Delivery) -> tuple[set[str], set[str]]:
    kept, superseded = select_snapshots([item(name) for name in names], PREFIX, delivery, {})
    assert len(kept) + len(superseded) == len(names)
    return {each.key.removeprefix(PREFIX) for each in kept}, {each.key.removeprefix(PREFIX) for each in superseded}


def test_a_manifest_comes_back_from_json() -> None:
    entries = (
        Entry(0, "a b/Zoë.csv", 5, "v1", '"e"', 1.25, DATA),
        Entry(1, "old", 0, "", "e2", 2.0, SUPERSEDED),
        Entry(2, "x.DONE", 0, "", "e3", 3.0, MARKER),
    )
    manifest = Manifest("r1", "acme", entries, ("one", "two"))
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert json.loads(manifest.to_json())["entries"][0]["name"] == "a b/Zoë.csv"
    assert manifest.data == entries[:1]
    assert entries[0].object_at("landing/x") == ObjectInfo("landing/x", 5, "v1", '"e"', 1.25)


@pytest.mark.parametrize(
    ("names", "superseded"),
    [
        (["gold_20261121_120000.csv.gpg", "gold_20261121_120000_2.csv.gpg"], []),
        (["gold_20261121_120000.csv", "gold_20261120_120000.csv", "gold_20261120_120000_2.csv"], [1, 2]),
        (["gold_20261121_120000.csv", "silver_20261120_120000.csv"], []),
        (["gold_20261120120000.csv.encrypted", "gold_20261121120000.csv.encrypted"], [0]),
        (["amazon-s3_my_list_1700000000", "amazon-s3_my_list_1800000000"], [0]),
        (["a/gold_20261121_120000.csv", "b/gold_20261120_120000.csv"], []),  # folders are separate
        (["members.csv", "gold_20261121_120000.csv", "gold_20261120_120000.csv"], [2]),
        (["gold_20261121_120000_1000.csv", "gold_20261121_120000_9999.csv.gz"], []),
    ],
)
def test_the_newest_export_of_each_audience_is_loaded(names: list[str], superseded: list[int]) -> None:
    expected = {names[index] for index in superseded}
    connector, _ = load_configuration("aep_profiles", None)
    assert split(names, connector.delivery) == (set(names) - expected, expected)


@pytest.mark.parametrize(
    "ordered",
    [
        ["x.csv", "x_2.csv", "x_10.csv"],
        ["x.csv.gpg", "x_2.csv.gpg", "x_10.csv.gpg"],
        ["x.csv", "x-2.csv", "x-10.csv"],
        ["v1.2/x_2.csv", "v1.2/x_10.csv"],
        ["v1.2/x.csv", "v1.10/x.csv"],
        ["export.2026_2.csv", "export.2026_10.csv"],
        ["2.csv", "10.csv", "a.csv"],
        ["part-0002-a", "part-0010-a"],
        ["x_02.csv", "x_2.csv", "x_3.csv"],
    ],
)
def test_parts_that_came_together_are_in_natural_order(ordered: list[str]) -> None:
    for seed in range(5):
        shuffled = random.Random(seed).sample(ordered, len(ordered))
        assert ordered_names([item(name) for name in shuffled]) == ordered


def test_the_time_of_arrival_comes_first() -> None:
    items = [item("a_1", 3.0), item("a_2", 1.0), item("a_3", 2.0)]
    assert ordered_names(items) == ["a_2", "a_3", "a_1"]


def test_the_time_that_a_name_tells_comes_before_that() -> None:
    items = [
        item("x_20261121_10.csv", 3.0),
        item("x_20261121_2.csv", 3.0),
        item("x_20261122.csv", 1.0),
        item("x_20261121.csv", 4.0),
        item("x_20261120.csv", 9.0),
    ]
    assert ordered_names(items, DATED) == [
        "x_20261120.csv",
        "x_20261121_2.csv",
        "x_20261121_10.csv",
        "x_20261121.csv",
        "x_20261122.csv",
    ]


def test_names_are_read_below_landing() -> None:
    delivery = Delivery(snapshot=r"export=(?P<snapshot>\d+)/[^/]*")
    items = [item("export=2/a", 1.0), item("export=1/b", 2.0)]
    assert ordered_names(items, delivery) == ["export=1/b", "export=2/a"]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(["", ".csv", ".csv.gz.gpg"]))
def test_numbers_in_names_are_numbers(one: int, other: int, ending: str) -> None:
    items = [item(f"a.b/x 7_{number}{ending}") for number in {one, other}]
    expected = [f"a.b/x 7_{number}{ending}" for number in sorted({one, other})]
    assert ordered_names(items) == expected


@given(st.lists(st.tuples(st.text("a1_.0/²٣ ", max_size=8), st.integers(0, 2)), unique=True), st.randoms())
def test_the_order_does_not_depend_on_the_listing(pairs: list[tuple[str, int]], numbers: random.Random) -> None:
    items = [item(name, float(modified)) for name, modified in pairs]
    shuffled = numbers.sample(items, len(items))
    assert ordered_names(shuffled) == ordered_names(items)
    assert ordered_names(shuffled, DATED) == ordered_names(items, DATED)
