from __future__ import annotations

import pytest

from transforms.guessing.header_row import guess_header_row

CATEGORIES = [["gold", "north"], ["silver", "south"]] * 15
CASES = [
    ([["email", "name"], ["a@x.com", "Ann"]], True),
    ([["E-Mail", "Vorname", "PLZ"], ["a@x.com", "Ann", "01234"]], True),
    ([["a@x.com", "Ann"], ["b@x.com", "Bob"]], False),
    ([["Anna", "Schmidt"], ["Bernd", "Meyer"]], False),
    ([["Anna", "Schmidt", "phone"], ["Bernd", "Meyer", "phone"]], False),
    ([["Anna", "Schmidt", "Berlin", "x"], ["Bernd", "Meyer", "Ulm", "12"]], False),
    ([["1", "2"], ["3", "4"]], False),
    ([["points", "tier"], *[[str(number), "gold"] for number in range(12)]], True),
    ([["Stufe", "Gebiet"], *CATEGORIES], True),
    (CATEGORIES, False),
    ([["memberSince", "loyalty_tier"], ["x", "y"]], True),
    ([["name", "name"], ["a", "b"]], False),
    ([["email", "first_name"]], True),
    ([["Anna", "McDonald"], ["Bernd", "Meyer"]], False),
    ([["Anna", "anna_b"], ["Bernd", "bernd_c"]], False),
    ([["Anna", "phone"], ["Bernd", "fax"]], False),
    ([["Anna", "N/A"], *[["Bernd", str(number)] for number in range(20)]], False),
    ([["Anna", "Schmidt", "Ulm", "x", "y"], *[["B", "M", "U", "y", str(number)] for number in range(9)]], False),
    ([["", ""], ["a", "b"]], False),
]


@pytest.mark.parametrize(("rows", "expected"), CASES)
def test_a_header_takes_evidence(rows: list[list[str]], *, expected: bool) -> None:
    assert guess_header_row(rows).found == expected


def test_doubts() -> None:
    assert "--header yes" in guess_header_row([["Anna", "Schmidt"], ["Bernd", "Meyer"]]).doubt
    assert guess_header_row([["email", "name"], ["a@x.com", "Ann"]]).doubt == ""
    assert "alike" in guess_header_row([["name", "name"], ["a", "b"]]).doubt
