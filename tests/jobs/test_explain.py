"""Explaining what profiles make of a value, as a user asks for it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import explain
from jobs.explain import Args, Question, answers_to, described, questions_of, table_of
from jobs.runtime.errors import ArgumentError
from jobs.runtime.script import run_script
from schemas.profile import find_profile, profiles
from transforms.frames.conformance import HASHED, NORMALIZED, as_the_platform

REJECTED = None
NOTHING = hashlib.sha256(b"").hexdigest()
HEX = hashlib.sha256(b"janedoe@gmail.com").hexdigest()

# The same values by the rules of different platforms, as their own code or documentation has them.
EMAILS = {
    "amc-uploader": [
        "jane.doenews@gmail.com", "jane@example.com", "obrien@example.com", "jane.doe@googlemail.com",
        "josé@example.com", "janedoejd@x.com", "ab@x.com", "jane@x.com",
    ],
    "amazon-events-tag": [
        "jane.doenews@gmail.com", "jane@example.com", "obrien@example.com", "jane.doe@googlemail.com",
        "jos@example.com", "janedoejd@x.com", "ab@x.com", "jane@x.com",
    ],
    "aer-library": [
        "jane.doenews@gmail.com", "jane@example.com", "obrien@example.com", "jane.doe@googlemail.com",
        "jose@example.com", "jd@x.com", "ab@x.com", "jane@x.com",
    ],
    "uid2": [
        "janedoe@gmail.com", "jane@example.com", "o'brien@example.com", "jane.doe@googlemail.com",
        "josé@example.com", "jane doe <jd@x.com>", "a%b@x.com", "jane@x.com\t",
    ],
    "google-data-manager@2025": [
        "janedoe+news@gmail.com", "jane@example.com", "o'brien@example.com", "janedoe@googlemail.com",
        "josé@example.com", REJECTED, "a%b@x.com", "jane@x.com",
    ],
    "google-data-manager-doc": [
        "janedoe@gmail.com", "jane@example.com", "o'brien@example.com", "janedoe@googlemail.com",
        "josé@example.com", "janedoe<jd@x.com>", "a%b@x.com", "jane@x.com",
    ],
    "meta": [
        "jane.doe+news@gmail.com", "jane@example.com", "o'brien@example.com", "jane.doe@googlemail.com",
        "josé@example.com", "jane doe <jd@x.com>", "a%b@x.com", "jane@x.com",
    ],
}  # fmt: skip
RAW_EMAILS: list[tuple[str, str | None]] = [
    ("Jane.Doe+News@Gmail.com", None), (" JANE@Example.com ", None), ("o'brien@example.com", None),
    ("jane.doe@googlemail.com", None), ("José@Example.com", None), ("Jane Doe <jd@x.com>", None), ("a%b@x.com", None),
    ("jane@x.com\t", None),
]  # fmt: skip
PHONES = {
    "amc-uploader": [
        "2065550100", "12065550100", "12065550100", REJECTED, "442079460958", REJECTED, "9123456789", "3912345678",
        REJECTED, "2065550100",
    ],
    "amazon-events-tag": [
        "12065550100", "12065550100", "12065550100", "442079460958", "4402079460958", "33612345678", "9123456789",
        "3912345678", "4930123456", "1206555010012",
    ],
    "aer-library": [
        "12065550100", "12065550100", "12065550100", "442079460958", "4402079460958", "33612345678", "9123456789",
        "3912345678", "4930123456", "1206555010012",
    ],
    "uid2@sdk": [REJECTED] * 10,
    "google-data-manager@2025": [
        "+2065550100", "+12065550100", "+12065550100", "+02079460958", "+4402079460958", "+0612345678", "+9123456789",
        "+3912345678", "+004930123456", "+206555010012",
    ],
    "meta-param-builder": [
        "2065550100", "12065550100", "12065550100", "2079460958", "4402079460958", "612345678", "9123456789",
        "3912345678", "4930123456", "206555010012",
    ],
}  # fmt: skip
RAW_PHONES: list[tuple[str, str | None]] = [
    ("(206) 555-0100", "US"), ("+1 206-555-0100", "US"), ("1-206-555-0100", "US"), ("020 7946 0958", "GB"),
    ("+44 (0)20 7946 0958", "GB"), ("06 12 34 56 78", "FR"), ("91234 56789", "IN"), ("391 234 5678", "IT"),
    ("0049 30 123456", "DE"), ("206-555-0100 x12", "US"),
]  # fmt: skip
MATRIX = [
    *(("email", name, RAW_EMAILS, expected) for name, expected in EMAILS.items()),
    *(("phone", name, RAW_PHONES, expected) for name, expected in PHONES.items()),
]


def ask(
    spark: SparkSession, field: str, raw: str, country: str | None, *names: str
) -> tuple[Question, list[explain.Answer]]:
    question = Question(field, raw, country, tuple(map(find_profile, names)))
    return question, list(answers_to(spark, question))


def told(spark: SparkSession, field: str, raw: str, country: str | None, name: str) -> list[str]:
    """Return what is printed of one value and profile, without indentation."""
    question, (answer,) = ask(spark, field, raw, country, name)
    return [line.strip() for line in described(question, answer)]


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the program with this command line; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["explain.py", *words])
    try:
        run_script(Args, explain.main)
    except SystemExit as end:
        print(end.code, file=sys.stderr)
        return 1
    return 0


@pytest.mark.parametrize(
    ("field", "name", "raws", "expected"), MATRIX, ids=lambda each: each if isinstance(each, str) else ""
)
def test_the_platforms_differ_as_their_rules_do(
    spark: SparkSession, field: str, name: str, raws: list[tuple[str, str | None]], expected: list[str | None]
) -> None:
    profile = find_profile(name)
    frame = spark.createDataFrame(raws, "raw string, country string").coalesce(1)
    rows = frame.transform(as_the_platform, profile, field).collect()
    assert [row[NORMALIZED] for row in rows] == expected
    empty = "" if profile.name == "amc-uploader" else None  # which hashes the empty text
    hashed = [empty if text is None else text for text in expected]
    assert [row[HASHED] for row in rows] == [
        None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in hashed
    ]


def test_an_answer_shows_every_step_and_the_hash_that_is_compared(spark: SparkSession) -> None:
    question, answers = ask(spark, "email", "Jane.Doe+News@Gmail.com", "US", "amc", "uid2", "google-data-manager-doc")
    assert table_of(answers) == [
        "  amc-uploader@3.0.15       'jane.doenews@gmail.com'",
        "  uid2@docs                 'janedoe@gmail.com'",
        "  google-data-manager@2026  'janedoe@gmail.com'",
    ]
    amc, uid2, google = ([line.strip() for line in described(question, answer)] for answer in answers)
    assert amc[0].startswith("amc-uploader@3.0.15: Amazon Marketing Cloud")
    assert [line.split()[-1] for line in amc[1:-2]] == [
        "'jane.doe+news@gmail.com'", "'jane.doenews@gmail.com'", "unchanged",
    ]  # fmt: skip
    assert amc[-2:] == [
        "= 'jane.doenews@gmail.com'",
        f"sha256/hex {hashlib.sha256(b'jane.doenews@gmail.com').hexdigest()}",
    ]
    assert uid2[-1] == f"sha256/base64 {base64.b64encode(hashlib.sha256(b'janedoe@gmail.com').digest()).decode()}"
    assert google[-1] == f"sha256/hex {HEX}"
    assert all(len(line.split()) > 2 for line in amc[1:-2])  # each step says what it does


def test_an_answer_ends_where_the_value_becomes_null_and_says_why(spark: SparkSession) -> None:
    lines = told(spark, "phone", "020 7946 0958", None, "liveramp")
    assert len(lines) == 4  # the name, one step of two, the result, the hash
    assert lines[1].endswith(" null")
    assert lines[2:] == ["= null, because of unknown_country", "no hash"]
    assert told(spark, "phone", "020 7946 0958", "GB", "liveramp")[-2:] == ["= null, because of not_a_phone", "no hash"]


def test_what_a_platform_does_other_than_a_table_is_said(spark: SparkSession) -> None:
    nothing = told(spark, "first_name", "정", "KR", "amc")
    assert nothing[-2] == "= null, because of nothing_left"
    assert "the platform hashes the empty text; here it is null unless a table says otherwise" in nothing[-1]
    passed = told(spark, "email", HEX, None, "amc")
    assert passed[-2] == f"= '{HEX}'"
    assert passed[-1].startswith("a hash already, passed as it is by the platform; declare such columns")
    assert told(spark, "postal_code", " 98101 ", "US", "google-ads")[-2:] == [
        "= '98101'",
        "compared as it is, not hashed",
    ]
    assert told(spark, "phone", "(206) 555-0100", "US", "liveramp")[-1] == (
        f"sha1/hex {hashlib.sha1(b'2065550100', usedforsecurity=False).hexdigest()}"
    )


def test_a_warning_stands_before_the_answers(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del spark
    assert (
        call(monkeypatch, "--field", "email", "--value", "A@x.com", "--country", "us", "--profiles", "meta, plain") == 0
    )
    printed = capsys.readouterr().out
    assert printed.startswith("What follows is personal data in clear. Keep it out of logs, tickets and chats")
    assert "\nemail 'A@x.com', country US\n" in printed
    assert printed.count("'a@x.com'") == 2 * 3  # a step and the result of each, and the table
    assert printed.endswith("  meta@docs  'a@x.com'\n  plain@1    'a@x.com'\n")


def test_a_value_can_be_typed_so_that_no_command_line_has_it(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del spark
    monkeypatch.setattr(sys, "stdin", io.StringIO(" Typed@x.com \r\nanother line\n"))
    assert call(monkeypatch, "--field", "email", "--value", "-", "--profiles", "snap", "--steps", "false") == 0
    printed = capsys.readouterr().out
    assert "\nemail ' Typed@x.com ', country unknown\n" in printed
    assert printed.endswith("\n  snap@1  'typed@x.com'\n")  # the results alone
    assert "another" not in printed


def test_a_small_file_asks_many_questions(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del spark
    file = tmp_path / "questions.csv"
    file.write_text(
        "\ufefffield,raw,country,profile\nemail,One@x.com,,snap\nemail,Two@x.com,DE,plain\n", encoding="utf-8"
    )
    assert call(monkeypatch, "--file", str(file)) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("email ")] == [
        "email 'One@x.com', country unknown",
        "email 'Two@x.com', country DE",
    ]
    assert "snap@1: " in printed
    assert "plain@1: " in printed
    assert printed.count("= 'one@x.com'") == printed.count("= 'two@x.com'") == 1


# --- what is asked


def asked(file: Path, text: str, **more: str) -> list[tuple[str, str, str | None, tuple[str, ...]]]:
    file.write_text(text, encoding="utf-8")
    questions = questions_of(dataclasses.replace(Args(file=f"file://{file}"), **more))  # type: ignore[arg-type]  # cases of one type
    return [(each.field, each.raw, each.country, tuple(one.id for one in each.profiles)) for each in questions]


def test_a_row_of_a_file_goes_before_the_command_line(tmp_path: Path) -> None:
    text = 'profile,raw,field,note,country\nuid2,"a, b",email,x, gb \n,c,phone,,\n"snap,plain",d,email,,\n'
    assert asked(tmp_path / "x.csv", text, country="us", profiles="amc") == [
        ("email", "a, b", "GB", ("uid2@docs",)),
        ("phone", "c", "US", ("amc-uploader@3.0.15",)),
        ("email", "d", "US", ("snap@1", "plain@1")),
    ]
    assert asked(tmp_path / "x.csv", "field,raw\nidfa,x\n") == [("idfa", "x", None, ("liveramp@1",))]


def test_without_profiles_all_that_know_the_field_are_asked() -> None:
    (question,) = questions_of(Args(field="email", value="a"))
    assert {each.id for each in question.profiles} == {
        identity for identity, each in profiles().items() if "email" in each.fields
    }
    (question,) = questions_of(Args(field="hashed_phone", value="a"))
    assert [each.id for each in question.profiles] == ["uid2@docs", "uid2@sdk"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --field and --value, or --file"),
        (["--field", "email"], "give --field and --value, or --file"),
        (["--field", "e-mail", "--value", "secret"], "'e-mail' is no kind of value; did you mean email?"),
        (["--field", "email", "--value", "secret", "--profiles", "amc,uid3"],
         "'uid3' is no profile; did you mean uid2?"),
        (["--field", "city", "--value", "secret", "--profiles", "uid2,adobe"],
         "none of these profiles has a rule for city"),
        (["--feild", "email", "--value", "secret"], "unknown --feild; did you mean --field?"),
        (["--file", "/no/such/secret.csv"], "/no/such/secret.csv"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_spark_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.setattr(explain, "open_session", lambda _: pytest.fail("Spark was started"))
    assert call(monkeypatch, *words) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert "secret" not in printed.err.replace("secret.csv", "")
    assert printed.out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("field,value\nemail,a\n", "needs the columns field and raw"),
        ("", "needs the columns field and raw"),
        ("field,raw\n" + "email,a\n" * 201, "has 201 rows; this is for at most 200"),
        ("field,raw\nfax,a\n", "'fax' is no kind of value"),
        ("field,raw,profile\nemail,a,acme\n", "'acme' is no profile"),
        ("field,raw\nemail\n", "line 2"),
        ('field,raw\nemail,"a"b\n', "line 2"),
    ],
)
def test_a_file_that_cannot_be_asked_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        asked(tmp_path / "x.csv", text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"field,raw\nemail,\xff\n")
    with pytest.raises(ArgumentError, match="is not UTF-8 text"):
        questions_of(Args(file=f"file://{tmp_path}/x.csv"))
