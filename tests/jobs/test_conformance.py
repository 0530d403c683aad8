"""Holding hashes against samples, as a user does it; the committed samples are those that the platforms publish."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import conformance
from jobs.conformance import Outcome, Vector, read_vectors, report_of, run_vectors
from jobs.runtime.errors import ArgumentError, VerificationError

PROJECT = Path(__file__).resolve().parents[2]
PUBLISHED = PROJECT / "tests" / "fixtures" / "profile_vectors.csv"
HEADER = "profile,field,country,raw,normalized,sha256_hex,base64"


def hexed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def in_base64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


NOTHING = hexed("")
JANE = f"uid2,email,,Jane.Doe+News@Gmail.com,janedoe@gmail.com,{hexed('janedoe@gmail.com')},"


def run(file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, as its user would."""
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    variables.pop("PYSPARK_SUBMIT_ARGS", None)
    command = [sys.executable, "-m", "jobs.conformance", "--vectors", str(file), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT, env=variables)


def read(*rows: str, header: str = HEADER) -> tuple[list[Vector], list[str]]:
    return read_vectors("\n".join([header, *rows]) + "\n")


# --- all samples that platforms publish


@pytest.fixture(scope="module")
def outcomes(spark: SparkSession) -> list[Outcome]:
    vectors, strangers = read_vectors(PUBLISHED.read_text(encoding="utf-8"))
    assert strangers == []
    return run_vectors(spark, vectors)


def test_everything_that_platforms_publish_comes_out(outcomes: list[Outcome]) -> None:
    missed = [outcome for outcome in outcomes if outcome.missed]
    # One page pairs a raw value with the normal form of another.
    excepted = [("tiktok@2025-06", "email", "johndoe@gmail.com")]
    assert [(each.vector.profile, each.vector.field, each.vector.raw) for each in missed] == excepted
    assert [each.excuse is not None for each in missed] == [True]
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        assert len(outcomes) == len(list(csv.DictReader(file)))


def test_the_samples_themselves_are_sound() -> None:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["source"] for row in rows)
    hashed = [row for row in rows if row["sha256_hex"] and row["base64"]]
    assert len(hashed) > 300
    for row in hashed:
        assert base64.b64decode(row["base64"]).hex() == row["sha256_hex"], row
    # Where a row says what was hashed, it was hashed; hashes that pass and one slip of a page apart.
    others = [
        (row["profile"], row["field"])
        for row in hashed
        if row["sha256_hex"] not in (hexed(row["normalized"]), row["normalized"])
    ]
    assert sorted(others) == [("uid2", "email_hash(pass-through)")] * 3
    assert Counter(row["profile"] for row in rows)["amc-uploader"] == 266


# --- as a user


@pytest.mark.long
def test_samples_that_match_are_counted_and_the_exit_status_is_0(tmp_path: Path) -> None:
    file = tmp_path / "good.csv"
    rows = [JANE, "liveramp,phone,US,(206) 555-0100,2065550100,,", "uid2,email,,nobody,,,"]
    file.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8-sig")  # as spreadsheets write
    result = run(file)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^uid2@docs +email +2 +0 +0$", result.stdout, re.MULTILINE)
    assert re.search(r"^liveramp@1 +phone +1 +0 +0$", result.stdout, re.MULTILINE)
    assert re.search(r"^all +3 +0 +0$", result.stdout, re.MULTILINE)
    assert re.search(r"^Spark \d\S+, phonenumbers \d\S+$", result.stdout, re.MULTILINE)
    assert "line " not in result.stdout


def test_samples_that_do_not_match_are_listed_by_line_and_the_exit_status_is_1(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    rows = [
        JANE,
        JANE.replace("janedoe@", "jane.doe@"),
        f"plain,email,,a@x.com,a@x.com,{hexed('b@x.com')},",
        "acme,email,,a@x.com,a@x.com,,",
    ]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    result = run(file)
    assert result.returncode == 1
    assert re.search(r"^uid2@docs +email +2 +1 +0$", result.stdout, re.MULTILINE)
    assert re.search(r"^plain@1 +email +1 +1 +0$", result.stdout, re.MULTILINE)
    assert [line for line in result.stdout.splitlines() if line.startswith("line ")] == [
        "line 3: uid2@docs email: normalized",
        "line 4: plain@1 email: sha256_hex",
        "line 5: profile acme: not one of ours",
    ]
    assert "error: 2 of 3 samples do not match, 1 rows are of no profile of ours" in result.stderr
    assert "@" not in re.sub(r"uid2@docs|plain@1", "", result.stdout + result.stderr)
    assert "Traceback" not in result.stderr


# --- what a sample is


@pytest.mark.parametrize(
    ("row", "profile", "field"),
    [
        ("uid2,email,,a,,,", "uid2@docs", "email"),
        (" UID2 ,email,,a,,,", "uid2@docs", "email"),
        ("amazon-events-tag,zip,US,a,,,", "amazon-events@1", "postal_code"),
        ("amc-uploader,maid,,a,,,", "amc-uploader@3.0.15", "mobile_ad_id"),
        ("amc-uploader@3.0.11,street,US,a,,,", "amc-uploader@3.0.11", "address"),
        ("meta,date_of_birth,,a,,,", "meta@docs", "birth_date"),
        ("euid,phone_hash,,a,,,", "uid2@docs", "hashed_phone"),
        ("liveramp,maid(AAID),,a,,,", "liveramp@1", "mobile_ad_id"),
        ("gravatar,raw-sha256,,a,,,", "plain@1", "text"),
    ],
)
def test_profiles_and_fields_go_by_the_names_that_others_give_them(row: str, profile: str, field: str) -> None:
    (vector,), strangers = read(row)
    assert (vector.profile, vector.field, strangers) == (profile, field, [])


@pytest.mark.parametrize(
    ("row", "stranger"),
    [
        ("acme,email,,a,,,", "line 2: profile acme: not one of ours"),
        ("adobe,city,,a,,,", "line 2: adobe@1 has no rule for city: not one of ours"),
        ("adobe,fax,,a,,,", "line 2: adobe@1 has no rule for fax: not one of ours"),
        (",,,,,,", "line 2: profile : not one of ours"),
    ],
)
def test_what_is_none_of_ours_is_told_by_its_line(row: str, stranger: str) -> None:
    assert read(row) == ([], [stranger])


@pytest.mark.parametrize(
    ("row", "raw", "expected"),
    [
        ("uid2,email,,a,b,c,d", "a", {"normalized": "b", "sha256_hex": "c", "base64": "d"}),
        ("uid2,email,,a,b,,", "a", {"normalized": "b"}),  # an empty cell beside a full one says nothing
        ("uid2,email,,a,,,d", "a", {"base64": "d"}),
        # Where nothing is expected the value must be refused.
        ("uid2,email,,a,,,", "a", {"normalized": "", "sha256_hex": "", "base64": ""}),
        ("uid2,email,,,,,", None, {"normalized": "", "sha256_hex": "", "base64": ""}),
        # A row that expects the hash of nothing has the empty text, not null.
        (f"amc,email,,,,{NOTHING},", "", {"sha256_hex": NOTHING}),
        ('uid2,email,,"a, ""b""\n c",d,,', 'a, "b"\n c', {"normalized": "d"}),
    ],
)
def test_what_a_row_expects(row: str, raw: str | None, expected: dict[str, str]) -> None:
    (vector,), strangers = read(row)
    assert (vector.raw, vector.expected, strangers) == (raw, expected, [])


def test_columns_may_be_few_and_in_any_order_and_countries_are_written_anyhow() -> None:
    (vector,), _ = read("x,a,EMAIL,uid2,email, us ", header="base64,raw,note,profile,field,country")
    assert vector == Vector(2, "uid2@docs", "email", "US", "a", {"base64": "x"}, is_counter_example=False)
    (vector,), _ = read("uid2,email,a,b", header="profile,field,raw,normalized")
    assert vector.country is None


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("profile,field,raw", "normalized, sha256_hex, base64"),
        ("profile,feild,raw,base64", "field"),
        ("email;hash", "profile, field, raw"),
        ("", "profile, field, raw"),
    ],
)
def test_a_file_without_the_columns_is_refused_with_their_names(header: str, missing: str) -> None:
    with pytest.raises(ArgumentError, match=f"missing: {missing}$"):
        read(header=header)


def test_lines_are_those_of_the_file() -> None:
    rows = ['uid2,email,,"a\nb",c,,', "uid2,email,,d,e,,", "", "uid2,email,,f,g,,"]
    vectors, _ = read(*rows)
    assert [(vector.line, vector.raw) for vector in vectors] == [(2, "a\nb"), (4, "d"), (6, "f")]


@pytest.mark.parametrize("row", ["uid2", "uid2,email", "uid2,email,,a", 'uid2,email,,"a"b,c,,', 'uid2,email,,"a,c,,'])
def test_a_row_that_is_none_is_told_by_its_line_and_never_passes(row: str) -> None:
    with pytest.raises(ArgumentError, match="line 3"):
        read(JANE, row)


def test_a_file_without_samples_proves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text(f"{HEADER}\n")
    with pytest.raises((ArgumentError, VerificationError)):
        conformance.main(conformance.Args(str(file)))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"profile,\xff")
    with pytest.raises(ArgumentError, match=r"x\.csv is not UTF-8 text$"):
        conformance.main(conformance.Args(str(tmp_path / "x.csv")))


# --- what counts as a match


def test_every_expectation_is_held_against_what_comes_out(spark: SparkSession) -> None:
    jane, raw = "janedoe@gmail.com", "Jane.Doe@gmail.com"
    cases = [
        (f"uid2,email,,{raw},{jane},{hexed(jane)},{in_base64(jane)}", ()),
        (f"uid2,email,,{raw},,,{in_base64(jane)}", ()),
        (f"uid2,email,,{raw},,,", ("normalized", "sha256_hex", "base64")),  # it should be refused
        (f"uid2,email,,{raw},{raw},{hexed(raw)},{in_base64(raw)}", ("normalized", "sha256_hex", "base64")),
        (f"uid2,email,,{raw},{jane},{hexed(raw)},{in_base64(jane)}", ("sha256_hex",)),
        (f"uid2,email,,{raw},{jane},{hexed(jane)},{in_base64(raw)}", ("base64",)),
        (f"uid2,email,,{raw},{jane},{hexed(jane).upper()},", ("sha256_hex",)),
        ("uid2,email,,no address,,,", ()),
        ("uid2,email,,,,,", ()),
        (f"uid2,email,,,{jane},,", ("normalized",)),
        (f"uid2-wrong,email,,{raw},{raw},{hexed(raw)},", ()),  # what must not come out does not
        (f"uid2-WRONG,email,,{raw},{jane},{hexed(jane)},", ("is not refused",)),
        # A platform's own mistakes are matched too: its hash of nothing, and hashes that it lets pass.
        (f"amc,email,,???,,{NOTHING},", ()),
        (f"amc,email,,,,{NOTHING},", ()),
        ("amc,email,,,,,", ()),
        (f"amc,email,,{hexed(jane)},,{hexed(jane)},", ()),
        (f"amc,email,,{hexed(jane).upper()},,{NOTHING},", ()),
    ]
    vectors, strangers = read(*(row for row, _ in cases))
    assert strangers == []
    outcomes = run_vectors(spark, vectors)
    assert [(outcome.vector.line, outcome.missed) for outcome in outcomes] == [
        (line, missed) for line, (_, missed) in enumerate(cases, 2)
    ]
    shown, hidden = (report_of(outcomes, show_values=show) for show in (True, False))
    assert re.search(r"^uid2@docs +email +12 +7 +0$", hidden, re.MULTILINE)
    assert re.search(r"^amc-uploader@3\.0\.15 +email +5 +0 +0$", hidden, re.MULTILINE)
    assert re.search(r"^all +17 +7 +0$", hidden, re.MULTILINE)
    assert "line 6: uid2@docs email: sha256_hex\n" in hidden
    assert "line 13: uid2@docs email: is not refused" in hidden
    assert raw not in hidden
    assert jane not in hidden
    assert f"line 11: uid2@docs email: normalized: raw null; normalized '', not '{jane}'\n" in shown
    assert f"line 7: uid2@docs email: base64: raw '{raw}'; normalized '{jane}', not '{jane}'" in shown


def test_a_known_slip_of_a_page_is_counted_apart() -> None:
    row = "tiktok,email,,johndoe@gmail.com,janedoe@gmail.com,,"
    (vector,), _ = read(row)
    outcome = Outcome(vector, {"normalized": "johndoe@gmail.com"}, ("normalized",), "the page is wrong")
    report = report_of([outcome], show_values=True)
    assert re.search(r"^tiktok@2025-06 +email +1 +0 +1$", report, re.MULTILINE)
    assert "line 2: tiktok@2025-06 email: excepted: the page is wrong" in report
    assert "@gmail" not in report


def test_values_are_shown_on_demand_alone(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del spark
    file = tmp_path / "bad.csv"
    file.write_text(f"{HEADER}\n{JANE.replace('janedoe@', 'other@')}\n")
    for show in (False, True):
        with pytest.raises(VerificationError, match=r"^1 of 1 samples do not match$"):
            conformance.main(conformance.Args(f"file://{file}", show_values=show))
        printed = capsys.readouterr().out
        assert ("Jane.Doe+News@Gmail.com" in printed, "other@gmail.com" in printed) == (show, show)
