"""What names of exports tell. Times are written out by hand, or counted by the calendar."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runtime.configuration import load_configuration
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.snapshots import Snapshot, delivered_at, newest_snapshots, select_snapshots, snapshot_of
from schemas.delivery import Delivery

LANDING = "landing/acme/"
NUMBERED = Delivery(snapshot=r"(?P<audience>.*)_(?P<snapshot>\d+)\.csv")
AMERICAN = Delivery(snapshot=r"(?P<audience>.*)_(?P<month>\d+)-(?P<day>\d+)-(?P<year>\d{4})\.csv")
TO_THE_SECOND = Delivery(
    snapshot=r"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4})( (?P<hour>\d\d)h(?P<minute>\d\d)m(?P<second>\d\d))?.*"
)
EITHER = Delivery(
    snapshot=r"(?P<audience>[a-z]+)-((?P<month>\d\d)-(?P<day>\d\d)-(?P<year>\d{4})|(?P<snapshot>\d{4}-\d\d-\d\d))"
)
FOLDERS = Delivery(snapshot=r"(?P<audience>[^/]+)/exportTime=(?P<snapshot>\d{8,14})/[^/]*")


def any_text(keep: str = "newest") -> Delivery:
    return Delivery(snapshot=r"(?P<audience>[a-z]*)@(?P<snapshot>.*)", keep=keep)


def item(name: str, modified: float = 0.0) -> ObjectInfo:
    return ObjectInfo(LANDING + name, 1, "", f'"{name}"', modified)


def split(names: list[str], delivery: Delivery, loaded: dict[str, str] | None = None) -> tuple[list[str], list[str]]:
    kept, superseded = select_snapshots([item(name) for name in names], LANDING, delivery, loaded or {})
    return [each.key.removeprefix(LANDING) for each in kept], [each.key.removeprefix(LANDING) for each in superseded]


def time_of(text: str) -> str:
    found = snapshot_of(f"@{text}", any_text())
    assert found is not None
    return found.time


NOON = "2026-11-21T12:00:00.000+00:00"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("20261121", "2026-11-21T00:00:00.000+00:00"),
        ("202611211200", NOON),
        ("20261121120000", NOON),
        ("2026-11-21", "2026-11-21T00:00:00.000+00:00"),
        ("2026_11_21", "2026-11-21T00:00:00.000+00:00"),
        ("20261121_120000", NOON),
        ("20261121T1200", NOON),
        ("2026-11-21T12:00:00Z", NOON),
        ("2026-11-21 12.00.00", NOON),
        ("2026-11-21T12:00:00.123Z", "2026-11-21T12:00:00.123+00:00"),
        ("20261121_120000_123456", "2026-11-21T12:00:00.123+00:00"),
        ("1795262400", NOON),  # date -ud @1795262400
        ("1795262400123", "2026-11-21T12:00:00.123+00:00"),
        ("1000000000", "2001-09-09T01:46:40.000+00:00"),
    ],
)
def test_the_usual_forms_of_times_are_understood(text: str, time: str) -> None:
    assert time_of(text) == time


@given(st.datetimes(dt.datetime(2001, 9, 10), dt.datetime(2099, 12, 31)))  # noqa: DTZ001  UTC
def test_every_form_of_a_time_says_the_same(moment: dt.datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=dt.UTC)
    seconds = round(moment.timestamp())
    forms = [f"{moment:%Y%m%d%H%M%S}", f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d_%H.%M.%S}"]
    assert {time_of(form) for form in (*forms, str(seconds), str(seconds * 1000))} == {
        moment.isoformat(timespec="milliseconds")
    }
    minute = moment.replace(second=0)
    assert time_of(f"{moment:%Y%m%d%H%M}") == minute.isoformat(timespec="milliseconds")
    assert time_of(f"{moment:%Y%m%d}") == minute.replace(hour=0, minute=0).isoformat(timespec="milliseconds")


@given(st.lists(st.integers(0, 10**9), min_size=2, unique=True))
def test_serial_numbers_of_any_length_compare_as_numbers(numbers: list[int]) -> None:
    def is_a_date(number: int) -> bool:
        return len(str(number)) == 8 and str(number)[:2] in ("19", "20")

    serials = [number for number in numbers if not is_a_date(number)]
    assert sorted(serials, key=lambda number: time_of(str(number))) == sorted(serials)


@pytest.mark.parametrize(
    "increasing",
    [
        ["9", "10", "0100"],
        [
            "9999999",
            "10000000",
            "10010131",
            "10010132",
            "10010201",
            "99999999",
            "100000000",
        ],  # dates of no year of ours
        ["20261301", "20261399"],  # no dates
        ["20260229", "20260230"],
        ["9999999999", "10000000000", "99999999999"],
        ["999999999999", "9999999999999", "99999999999999", "123456789012345"],
    ],
)
def test_numbers_that_are_no_times_compare_as_numbers(increasing: list[str]) -> None:
    times = [time_of(text) for text in increasing]
    assert sorted(times) == times
    assert len(set(times)) == len(times)


@pytest.mark.parametrize(
    ("text", "time"), [("week-47", "week-47"), ("v2", "v2"), ("٢٠٢٦١١٢١", "٢٠٢٦١١٢١"), ("Nov21", "Nov21")]
)
def test_any_other_text_is_compared_as_it_is(text: str, time: str) -> None:
    assert time_of(text) == time


@pytest.mark.parametrize(
    ("delivery", "name", "expected"),
    [
        (AMERICAN, "gold_11-21-2026.csv", Snapshot("\ngold", "2026-11-21T00:00:00.000+00:00")),
        (AMERICAN, "gold_1-2-2026.csv", Snapshot("\ngold", "2026-01-02T00:00:00.000+00:00")),
        (TO_THE_SECOND, "21.11.2026 12h00m00.csv", Snapshot("", NOON)),
        (TO_THE_SECOND, "21.11.2026.csv", Snapshot("", "2026-11-21T00:00:00.000+00:00")),
        (EITHER, "gold-12-31-2026", Snapshot("\ngold", "2026-12-31T00:00:00.000+00:00")),
        (EITHER, "gold-2026-12-31", Snapshot("\ngold", "2026-12-31T00:00:00.000+00:00")),
        (NUMBERED, "gold_20261121.csv", Snapshot("\ngold", "2026-11-21T00:00:00.000+00:00")),
        (NUMBERED, "a/b/gold_20261121.csv", Snapshot("a/b\ngold", "2026-11-21T00:00:00.000+00:00")),
        (NUMBERED, "gold_20261121.csv.gpg", None),
        (NUMBERED, "gold.csv", None),
        (NUMBERED, "x_1.csv/gold.csv", None),  # the folder is not looked at
        (FOLDERS, "5fa1/exportTime=202611211200/part-1.json.gz", Snapshot("5fa1", NOON)),
        (FOLDERS, "x/5fa1/exportTime=202611211200/part-1.json.gz", None),  # the whole path, no more and no less
        (FOLDERS, "exportTime=202611211200", None),
        (Delivery(), "gold_20261121.csv", None),
    ],
)
def test_what_a_name_tells(delivery: Delivery, name: str, expected: Snapshot | None) -> None:
    assert snapshot_of(name, delivery) == expected


@pytest.mark.parametrize(
    "american", [["gold_11-30-2025.csv", "gold_01-02-2026.csv"], ["gold_9-30-2026.csv", "gold_10-1-2026.csv"]]
)
def test_a_time_counts_by_year_month_and_day_however_it_is_written(american: list[str]) -> None:
    assert split(american, AMERICAN) == (american[1:], american[:1])


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("gold_1.csv", "gold_2.csv", True),
        ("gold_1.csv", "silver_2.csv", False),
        ("a/gold_1.csv", "a/gold_2.csv", True),
        ("a/gold_1.csv", "b/gold_2.csv", False),  # folders are audiences of their own
        ("a/gold_1.csv", "gold_2.csv", False),
        ("a/b_1.csv", "ab_2.csv", False),
    ],
)
def test_an_audience_is_a_folder_and_what_other_groups_tell(one: str, other: str, *, together: bool) -> None:
    assert split([one, other], NUMBERED) == (([other], [one]) if together else ([one, other], []))


def test_every_group_but_the_time_is_part_of_the_audience() -> None:
    delivery = Delivery(snapshot=r"(?P<z>[a-z])(?P<a>[a-z])(?P<kind>-[a-z]+)?_(?P<snapshot>\d+)")
    names = ["xy_1", "xy_2", "yx_1", "xy-full_1", "xy-full_3"]
    assert split(names, delivery) == (["xy_2", "yx_1", "xy-full_3"], ["xy_1", "xy-full_1"])


def test_parts_of_one_folder_are_one_export() -> None:
    old, new = "5fa1/exportTime=202611200000/", "5fa1/exportTime=202611210000/"
    other = "77b2/exportTime=202610010000/part-1"
    names = [f"{old}part-1", f"{new}part-1", f"{old}part-2", f"{new}part-2", other]
    assert split(names, FOLDERS) == ([f"{new}part-1", f"{new}part-2", other], [f"{old}part-1", f"{old}part-2"])


@pytest.mark.parametrize("name", ["aep_dataset_export", "aep_profiles"])
def test_packaged_patterns_tell_exports_apart(name: str) -> None:
    connector, _ = load_configuration(name, None)
    names = {
        "aep_dataset_export": ["f/5fa1/exportTime=20261120/part-0.json", "f/5fa1/exportTime=20261121/part-0.json"],
        "aep_profiles": ["gold_20261120_120000.csv.gpg", "gold_20261121_120000.csv.gpg"],
    }[name]
    assert split(names, connector.delivery) == (names[1:], names[:1])


@pytest.mark.parametrize("delivery", [Delivery(), Delivery(snapshot=NUMBERED.snapshot, keep="all")])
def test_all_are_kept_where_the_connector_says_so(delivery: Delivery) -> None:
    names = ["gold_2.csv", "gold_1.csv", "other.txt"]
    assert split(names, delivery, {"\ngold": time_of("9")}) == (names, [])


TEN = time_of("10")


@pytest.mark.parametrize(
    ("names", "loaded", "superseded"),
    [
        (["gold_9.csv"], {}, []),
        (["gold_9.csv"], {"\ngold": TEN}, ["gold_9.csv"]),  # a late, old export changes nothing
        (["gold_10.csv"], {"\ngold": TEN}, []),  # the same again, corrected perhaps
        (["gold_11.csv"], {"\ngold": TEN}, []),
        (["gold_9.csv", "gold_10.csv"], {"\ngold": TEN}, ["gold_9.csv"]),
        (["gold_9.csv", "gold_8.csv"], {"\ngold": TEN}, ["gold_9.csv", "gold_8.csv"]),
        (["silver_9.csv", "a/gold_9.csv"], {"\ngold": TEN}, []),
        (["gold.csv", "readme"], {"\ngold": TEN}, []),  # what tells no time stands for itself
    ],
)
def test_what_an_earlier_run_has_loaded_supersedes_what_is_older(
    names: list[str], loaded: dict[str, str], superseded: list[str]
) -> None:
    assert split(names, NUMBERED, loaded) == ([name for name in names if name not in superseded], superseded)


@pytest.mark.parametrize(
    ("names", "before", "after"),
    [
        ([], {"\ngold": TEN}, {"\ngold": TEN}),
        (["gold_9.csv", "gold_8.csv"], {}, {"\ngold": time_of("9")}),
        (["gold_9.csv"], {"\ngold": TEN}, {"\ngold": TEN}),
        (["gold_11.csv", "a/gold_3.csv", "x"], {"\ngold": TEN}, {"\ngold": time_of("11"), "a\ngold": time_of("3")}),
    ],
)
def test_the_newest_of_each_audience_is_remembered(
    names: list[str], before: dict[str, str], after: dict[str, str]
) -> None:
    assert newest_snapshots(names, NUMBERED, before) == after


@given(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 2_000), min_size=1), min_size=1))
def test_one_export_of_each_audience_is_kept_the_greatest(snapshots: dict[str, set[int]]) -> None:
    names = [f"{audience}_{number}.csv" for audience, numbers in snapshots.items() for number in numbers]
    kept, superseded = split(names, NUMBERED)
    assert kept == [f"{audience}_{max(numbers)}.csv" for audience, numbers in snapshots.items()]
    assert sorted(kept + superseded) == sorted(names)
    # Delivered one after the other, in any order, the last one that counts is the same.
    loaded: dict[str, str] = {}
    counted = {}
    for name in names:
        if split([name], NUMBERED, loaded)[0]:
            counted[name[0]] = name
        loaded = newest_snapshots([name], NUMBERED, loaded)
    assert sorted(counted.values()) == sorted(kept)


@pytest.mark.parametrize(
    "ordered",
    [
        [("gold_20261120.csv", 9.0), ("gold_20261121.csv", 1.0)],  # the time that the name tells comes first
        [("gold_20261121.csv", 1.0), ("gold_20261121.csv", 2.0)],  # then the arrival
        [("gold_9.csv", 5.0), ("gold_10.csv", 1.0)],
        [("x.txt", 1.0), ("a.txt", 2.0)],  # without a time it is the arrival alone
        [("gold_19700101.csv", 9e8), ("x.txt", 1.0), ("y.txt", 86_400.0), ("gold_19700103.csv", 0.0)],
    ],
)
def test_deliveries_sort_by_the_time_told_and_then_by_arrival(ordered: list[tuple[str, float]]) -> None:
    texts = [delivered_at(name, modified, NUMBERED) for name, modified in ordered]
    assert sorted(texts) == texts
    assert len(set(texts)) == len(texts)


def test_every_delivery_sorts_by_arrival_where_names_tell_nothing() -> None:
    assert delivered_at("gold_1.csv", 2.0, Delivery()) < delivered_at("gold_0.csv", 3.0, Delivery())
