from __future__ import annotations

import pytest

from schemas.file_format import _TIME_FORMAT
from transforms.guessing.times import epoch_unit, guess_times

FORMATS = [
    (["2024-01-31"], "date", ()),
    (["2024-01-31T10:00:00Z", "2024-02-01 10:00:00.123+01:00"], "timestamp", ()),
    (["31.01.2024", "1.2.2024"], "date", ("d.M.yyyy",)),
    (["1.2.2024 14:05"], "timestamp", ("d.M.yyyy H:mm",)),
    (["1/31/2024", "12/1/2024"], "date", ("M/d/yyyy",)),
    (["31/1/2024"], "date", ("d/M/yyyy",)),
    (["1/31/2024 2:05:09 PM", "2/1/2024 12:00:00 AM"], "timestamp", ("M/d/yyyy h:mm:ss a",)),
    (["1/31/2024 2:05:09\u202fPM"], "timestamp", ("M/d/yyyy h:mm:ss a",)),
    (["31-01-24"], "date", ("d-M-yy",)),
    (["2024/1/31"], "date", ("yyyy/M/d",)),
    (["31-Jan-2024", "1-Feb-2024"], "date", ("d-MMM-yyyy",)),
    (["January 31, 2024"], "date", ("MMMM d, yyyy",)),
    (["20240131", "20231201", "20220505"], "date", ("yyyyMMdd",)),
    (["20240131235959"], "timestamp", ("yyyyMMddHHmmss",)),
    (["31/01/2024T10:00:00.123"], "timestamp", ("d/M/yyyy'T'H:mm:ss.SSS",)),
    (["31/01/2024 10:00:00 +0100"], "timestamp", ("d/M/yyyy H:mm:ss XX",)),
    (["31/01/2024 10:00:00+01:00"], "timestamp", ("d/M/yyyy H:mm:ssXXX",)),
    (["31/01/2024 10:00", "30/01/2024 10:00:30"], "timestamp", ("d/M/yyyy H:mm:ss", "d/M/yyyy H:mm")),
]  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "formats"), FORMATS, ids=str)
def test_formats_are_told(values: list[str], kind: str, formats: tuple[str, ...]) -> None:
    times = guess_times(values)
    assert times is not None
    assert (times.type, times.formats) == (kind, formats)
    assert all(_TIME_FORMAT.fullmatch(pattern) for pattern in formats)


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["2024-13-01"],
        ["31/01/2024", "01/31/2024"],  # both orders
        ["1.2.3"],
        ["10.0.0.1"],
        ["12:30"],
        ["20249999", "20240101"],
        ["31. Januar 2024"],
        ["2024-01-31", "x"],
        ["206-55-0100"],
        ["1/31/2024 13:00 PM"],
    ],
)
def test_what_is_no_time_is_none(values: list[str]) -> None:
    assert guess_times(values) is None


def test_an_open_order_is_doubted_and_follows_the_hint() -> None:
    for hint, expected in ((None, "d/M/yyyy"), (True, "d/M/yyyy"), (False, "M/d/yyyy")):
        times = guess_times(["1/2/2024", "3/4/2024"], day_first=hint)
        assert times is not None
        assert times.formats == (expected,)
        assert times.open_order
        assert "no number above 12" in times.doubts[0]
    told = guess_times(["13/2/2024"], day_first=False)
    assert told is not None
    assert (told.formats, told.day_first, told.doubts) == (("d/M/yyyy",), True, ())


def test_midnights_and_short_years_are_doubted() -> None:
    times = guess_times(["1/31/24 12:00:00 AM", "1/30/24 12:00:00 AM", "1/29/24 12:00:00 AM"])
    assert times is not None
    assert len(times.doubts) == 2


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (["1700000000", "1600000000"], "seconds"),
        (["1700000000000"], "milliseconds"),
        (["1700000000000000"], "microseconds"),
        (["1700000000", "1700000000000"], None),
        (["9912345678"], None),
        (["12345"], None),
    ],
)
def test_units_of_numbers(values: list[str], unit: str | None) -> None:
    assert epoch_unit(values) == unit
