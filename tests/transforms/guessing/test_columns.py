from __future__ import annotations

from transforms.guessing.columns import guess_columns, table_names
from transforms.guessing.countries import country_of_phones, writes_days_first


def test_names_of_a_table_never_meet() -> None:
    assert table_names(["E-Mail", "Select", "1st", "reason", "***", "row_id"]) == [
        "e_mail", "select_value", "c_1st", "reason_value", None, "row_id_value",
    ]  # fmt: skip
    first, second = table_names(["Größe", "grosse"])
    assert second == "grosse"
    assert first == "grosse_2"


def test_an_open_order_follows_the_other_columns() -> None:
    rows = [["1/2/2024", "13/2/2024"], ["3/4/2024", "14/2/2024"]]
    guess = guess_columns(["start_date", "end_date"], rows, country="US")
    times = [column.values.times for column in guess.columns]
    assert [each.formats for each in times if each] == [("d/M/yyyy",), ("d/M/yyyy",)]
    assert guess.columns[0].type_doubts
    assert not guess.columns[1].type_doubts
    (alone,) = guess_columns(["start_date"], [["1/2/2024"]], country="US").columns
    assert alone.values.times is not None
    assert alone.values.times.formats == ("M/d/yyyy",)


def test_decimal_signs_settle_points() -> None:
    guess = guess_columns(["total", "sum"], [["1.500", "1,5"], ["2.500", "2,5"]])
    assert [column.type for column in guess.columns] == ["bigint", "decimal(18,2)"]
    assert guess.decimal == ","


def test_keys_are_unique_ids_and_addresses() -> None:
    rows = [[f"a{at}@x.com", f"k{at}", f"o{at % 2}"] for at in range(5)]
    assert guess_columns(["email", "customer_id", "order_id"], rows).keys == ("customer_id", "email")


def test_the_country_is_told_by_calling_codes() -> None:
    assert country_of_phones(["+49 171 1", "0049 30 2", "+49(0)30 1"]) == "DE"
    assert country_of_phones(["+1 206 555"]) == "US"
    assert country_of_phones(["+44 20 1", "+33 1 2"]) is None
    assert country_of_phones(["0171 1"]) is None
    assert [writes_days_first(code) for code in ("DE", "US", None)] == [True, False, None]
    guess = guess_columns(["phone"], [["+49 171 1234567"], ["+49 171 1234568"]])
    assert guess.country == "DE"
    assert guess.country_doubt
