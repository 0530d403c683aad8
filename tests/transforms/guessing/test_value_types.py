from __future__ import annotations

import pytest

from transforms.guessing.value_types import guess_type, null_words

CASES = [
    ([], "string"),
    (["1", "-2", "300"], "bigint"),
    (["007", "12"], "string"),
    (["1.5", "2.25", "3"], "decimal(18,2)"),
    (["1,5", "2,25", "3"], "decimal(18,2)"),
    (["1.234,56", "12,00"], "decimal(18,2)"),
    (["1.23456", "2.1"], "decimal(18,5)"),
    (["0.1234567890123"], "decimal(38,18)"),
    (["1,234.56", "12.50"], "string"),
    (["1.234.567", "1.000"], "bigint"),
    (["1e5", "2.5"], "float"),
    (["true", "FALSE"], "boolean"),
    (["Yes", "No"], "boolean"),
    (["ja", "nein"], "boolean"),
    (["NO"], "string"),
    (["0", "1"], "bigint"),
    (["2024-01-31"], "date"),
    (["x", "1"], "string"),
    (["12345678901234567890"], "string"),
    (["123456789012345678.25"], "decimal(20,2)"),
]


@pytest.mark.parametrize(("values", "expected"), CASES, ids=str)
def test_types(values: list[str], expected: str) -> None:
    assert guess_type(values).type == expected


def test_words_of_other_languages_are_translated() -> None:
    assert guess_type(["Ja", "nein", "ja"]).words == {"Ja": "yes", "ja": "yes", "nein": "no"}
    assert guess_type(["s", "n"]).doubts
    assert not guess_type(["s", "n"], is_flag=True).doubts


def test_switches_are_told_by_their_names() -> None:
    assert guess_type(["0", "1"], is_flag=True).type == "boolean"
    assert "perhaps a boolean" in guess_type(["0", "1"]).doubts[0]
    assert guess_type(["true"], is_flag=True).doubts


def test_numbers_are_times_only_by_name() -> None:
    assert guess_type(["1700000000"]).type == "bigint"
    assert guess_type(["1700000000"], is_time=True).epoch == "seconds"


def test_three_digits_behind_a_sign_follow_other_columns() -> None:
    assert guess_type(["1.234", "2.500"]).type == "decimal(18,3)"
    assert guess_type(["1.234", "2.500"]).doubts
    assert guess_type(["1.234", "2.500"], decimal=",").type == "bigint"
    assert guess_type(["1,234", "2,500"]).type == "string"
    assert guess_type(["1,234", "2,500"], decimal=",").type == "decimal(18,3)"


def test_mixed_columns_stay_text_with_a_doubt() -> None:
    numbers = [str(number) for number in range(20)]
    assert "20 of 21 distinct values are numbers" in guess_type([*numbers, "x"]).doubts[0]


def test_null_words() -> None:
    assert null_words({"NULL": 3, "\\N": 1, "-": 4, "x": 9}) == {
        "NULL": "",
        "\\N": "",
        "-": "in 4 cells of the sample: taken for no value",
    }
