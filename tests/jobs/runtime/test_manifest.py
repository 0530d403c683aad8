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
    select_snapshots,
)
from jobs.runtime.storage import ObjectInfo

NUMBERED = r"(?P<audience>.*)_(?P<snapshot>\d+)\.csv"


def item(key: str, modified: float = 0.0) -> ObjectInfo:
    return ObjectInfo(key, 1, "", f'"{key}"', modified)


def split(names: dict[str, float], pattern: str | None) -> tuple[set[str], set[str]]:
    kept, superseded = select_snapshots([item(name, modified) for name, modified in names.items()], pattern)
    assert len(kept) + len(superseded) == len(names)
    return {each.key for each in kept}, {each.key for each in superseded}


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


def adobe_pattern() -> str:
    connector, _ = load_configuration("aep_profiles", None)
    assert connector.delivery.snapshot is not None
    return connector.delivery.snapshot


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
    assert split(dict.fromkeys(names, 0.0), adobe_pattern()) == (set(names) - expected, expected)


def test_without_a_pattern_every_object_is_loaded() -> None:
    names = {"gold_1.csv": 1.0, "gold_2.csv": 2.0}
    assert split(names, None) == (set(names), set())


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ({"g_09.csv": 2.0, "g_10.csv": 1.0}, {"g_10.csv"}),  # of one length: the text decides
        ({"g_9.csv": 2.0, "g_10.csv": 1.0}, {"g_9.csv"}),  # of several: the time of arrival
        ({"g_9.csv": 1.0, "g_10.csv": 2.0}, {"g_10.csv"}),
    ],
)
def test_snapshots_are_compared_as_text_of_one_length_or_else_by_arrival(
    names: dict[str, float], kept: set[str]
) -> None:
    assert split(names, NUMBERED)[0] == kept


def test_a_snapshot_group_may_be_optional() -> None:
    names = {"gold.csv": 1.0, "gold_2.csv": 2.0}
    assert split(names, r"(?P<audience>[a-z]+)(_(?P<snapshot>\d))?\.csv") == ({"gold_2.csv"}, {"gold.csv"})


@given(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(100, 999), min_size=1), min_size=1))
def test_one_snapshot_of_each_audience_is_kept_the_greatest(snapshots: dict[str, set[int]]) -> None:
    names = [f"{audience}_{number}.csv" for audience, numbers in snapshots.items() for number in numbers]
    kept, _ = split(dict.fromkeys(names, 0.0), NUMBERED)
    assert kept == {f"{audience}_{max(numbers)}.csv" for audience, numbers in snapshots.items()}


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
        assert [each.key for each in in_delivery_order([item(name) for name in shuffled])] == ordered


def test_the_time_of_arrival_comes_first() -> None:
    items = [item("a_1", 3.0), item("a_2", 1.0), item("a_3", 2.0)]
    assert [each.key for each in in_delivery_order(items)] == ["a_2", "a_3", "a_1"]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(["", ".csv", ".csv.gz.gpg"]))
def test_numbers_in_names_are_numbers(one: int, other: int, ending: str) -> None:
    items = [item(f"a.b/x 7_{number}{ending}") for number in {one, other}]
    expected = [f"a.b/x 7_{number}{ending}" for number in sorted({one, other})]
    assert [each.key for each in in_delivery_order(items)] == expected


@given(st.lists(st.tuples(st.text("a1_.0/²٣ ", max_size=8), st.integers(0, 2)), unique=True), st.randoms())
def test_the_order_does_not_depend_on_the_listing(pairs: list[tuple[str, int]], numbers: random.Random) -> None:
    items = [item(name, float(modified)) for name, modified in pairs]
    shuffled = numbers.sample(items, len(items))
    assert in_delivery_order(shuffled) == in_delivery_order(items)
