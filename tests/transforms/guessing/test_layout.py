from __future__ import annotations

import pytest

from transforms.guessing.layout import guess_layout

CASES = [
    ("comma", 'a,b,c\n1,"x, y",2\n3,"p ""q"" r",4\n', (",", '"', '"', False)),
    ("decimal commas", "id;amount;rate\n1;2,5;0,1\n2;3,5;0,2\n", (";", '"', '"', False)),
    ("decimal commas, no header", "1;2,5;3\n2;3,5;4\n", (";", '"', '"', False)),
    ("tabs", "a\tb\n1, 2\t3\n4\t5\n", ("\t", '"', '"', False)),
    ("stray quotes", 'id|name\n1|"Big" Shop\n2|"Old" Inn\n', ("|", "", "", False)),
    ("quotes within", 'id|size\n1|5" pipe\n2|7" pipe\n', ("|", "", "", False)),
    ("times", "a,b\n10:00:00,1\n11:00:00,2\n", (",", '"', '"', False)),
    ("colon", "a:b:c\n1:2:3\n4:5:6\n", (":", '"', '"', False)),
    ("caret", "a^b^c\n1^2^3\n4^5^6\n", ("^", '"', '"', False)),
    ("control", "a\x01b\n1\x012\n3\x014\n", ("\x01", '"', '"', False)),
    ("backslash", 'a,b\n1,"x \\"y\\", z"\n2,"\\\\"\n', (",", '"', "\\", False)),
    ("backslash outside", "a,b\n1,x\\, y\n2,z\n", (",", '"', "\\", True)),
    ("apostrophes", "a,b\n1,'x, y'\n2,'z, w'\n", (",", "'", "'", False)),
    ("lines within", 'a;b\n1;"x\ny"\n2;"z\nw"\n', (";", '"', '"', False)),
    ("carriage returns", "a;b\r\n1;2\r\n3;4\r\n", (";", '"', '"', False)),
    ("path at the end of a quoted value", 'a,b\n"C:\\temp\\",1\n"D:\\x\\",2\n', (",", '"', '"', False)),
    ("addresses alone", "a@x.com\nb@y.com\n", (",", '"', '"', False)),
    ("prose", "note\nhello, you\nwell, well, well\nno\n", (",", '"', '"', False)),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_layout_that_splits_rows_alike_wins(text: str, expected: tuple[str, str, str, bool]) -> None:
    layout = guess_layout(text)
    assert (layout.delimiter, layout.quote, layout.escape, layout.escape_unquoted) == expected


@pytest.mark.parametrize(
    ("text", "key", "doubt"),
    [
        ("a,b\n1,2\n", "quote", "no value of the sample is quoted"),
        ('a,b\n"1",2\n', "escape", "doubled ones are assumed"),
        ("a,b\n1,2\n1,2,3\n1,2\n1,2\n", "delimiter", "1 of the sample's 5 rows"),
        ("a^b\n1^2\n", "delimiter", "unusual"),
        ("one\ntwo\n", "delimiter", "taken for one column"),
        ('a|b\n1|5" x\n', "quote", "never around"),
    ],
)
def test_what_is_not_certain_is_a_doubt(text: str, key: str, doubt: str) -> None:
    assert doubt in guess_layout(text).doubts[key]


def test_nothing_is_doubted_where_all_shows() -> None:
    assert guess_layout('a,b\n"1 ""2""",2\n').doubts == {}
