"""What a scan tells of any table, and that it never tells a value."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import scan
from jobs.runtime.args import parse_args
from jobs.runtime.errors import ArgumentError, NothingToDoError, PipelineError
from tests.jobs.own_source import Source

pytestmark = pytest.mark.usefixtures("spark")

SECRETS = ("jane", "example", "078-05", "555", "4111")


def run(*arguments: str) -> None:
    scan.main(parse_args(scan.Args, arguments))


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Return what was printed of each column; assert that no value is in it."""
    printed = capsys.readouterr().out
    assert [secret for secret in SECRETS if secret in printed.lower()] == []
    return {line.split("  ")[0]: line.split() for line in printed.splitlines()}


def test_parquet_is_told_column_by_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table(
        {
            "tier": ["gold", "silver", None, "gold"],
            "note": ["jane@example.com", "all well", None, "ssn 078-05-1120"],
            "number": pa.array([1, 2, 3, 4], pa.int32()),
            "since": pa.array([0, 1, 2, None], pa.timestamp("us", "UTC")),
            "contact": [{"phones": ["+12065550100"]}, None, {"phones": []}, {"phones": ["x"]}],
        }
    )
    (tmp_path / "phone=+12065550100").mkdir()
    pq.write_table(table, tmp_path / "phone=+12065550100" / "1.parquet")
    with pytest.raises(PipelineError) as caught:
        run(f"--path=file://{tmp_path}")
    assert str(caught.value) == (
        "3 of 6 columns hold values that look like personal data: "
        "column note holds 1 value that looks like e-mail addresses; "
        "column note holds 1 value that looks like national id numbers; "
        "column contact holds 1 value that looks like phone numbers; "
        "column phone holds 4 values that look like phone numbers. "
        "Hash them, leave them out, or say that they are expected: --expected note=email"
    )
    found = lines(capsys)
    assert found["4 rows"] == ["4", "rows"]
    assert found["tier"] == ["tier", "3", "1"]
    assert found["note"][:6] == ["note", "3", "1", "e-mail", "addresses", "1"]
    assert found["note"][-1] == "(33.3%)"
    assert found["contact"][:3] == ["contact", "3", "1"]
    assert found["since"][:3] == ["since", "3", "1"]
    assert "not looked at" in " ".join(found["since"])


def test_columns_that_only_some_parquet_files_have_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"tier": ["gold", "silver"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"note": ["jane@example.com"], "tier": ["gold"]}), tmp_path / "2.parquet")
    with pytest.raises(PipelineError, match=r"1 of 2 columns .* column note holds 1 value that looks like e-mail"):
        run(f"--path={tmp_path}")
    found = lines(capsys)
    assert found["tier"] == ["tier", "3", "0"]
    assert found["note"][:3] == ["note", "1", "2"]


def test_parquet_files_that_do_not_fit_together_are_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"note": ["jane@example.com"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"note": [1.5]}), tmp_path / "2.parquet")
    with pytest.raises(PipelineError, match=r"a column is of different types in the Parquet files at .* by themselves"):
        run(f"--path={tmp_path}")


def test_why_a_column_is_not_looked_at_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {
        "double": pa.array([2065550177.0]),
        "decimal": pa.array([Decimal("2065550177.00")], pa.decimal128(12, 2)),
        "flag": pa.array([True]),
        "small": pa.array([1], pa.int16()),
        "short": pa.array([Decimal(1)], pa.decimal128(8, 0)),
        "big": pa.array([1], pa.int64()),
    }
    pq.write_table(pa.table(columns), tmp_path / "1.parquet")
    run(f"--path={tmp_path}", "--expected=big=phone,big=payment_card,big=national_id")
    why = {name: " ".join(words[3:]) for name, words in lines(capsys).items() if name in columns}
    assert why == {
        "double": "(not looked at: numbers with fractions)",
        "decimal": "(not looked at: numbers with fractions)",
        "flag": "(not looked at: its type holds none)",
        "small": "(not looked at: its type holds none)",
        "short": "(not looked at: its type holds none)",
        "big": "(not looked at: all is expected)",
    }


def test_csv_files_with_different_headers_are_read_by_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a b%20[c]"  # patterns and escapes are part of the names
    for name, text in {
        "day=1/1.csv": "tier,score\ngold,1\n",
        "day=2/2 (a)[1]*.csv": "score,note,tier\n2,jane@example.com,gold\n3,fine,silver\n",
        "day=2/3.csv": "score,note,tier\n4,,gold\n",
        "day=2/empty.csv": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(PipelineError, match=r"1 of 4 columns .* column note holds 1 value that looks like e-mail"):
        run(f"--path={tmp_path}/*", "--format=csv")
    found = lines(capsys)
    assert found["4 rows"] == ["4", "rows"]
    assert found["tier"] == ["tier", "4", "0"]
    assert found["score"] == ["score", "4", "0"]
    assert found["day"] == ["day", "4", "0"]
    assert found["note"][:3] == ["note", "2", "2"]


def test_cells_beyond_the_header_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "day=1").mkdir()
    (tmp_path / "day=1" / "1.csv").write_text('tier,score\ngold,1\nsilver,2,"x\njane@example.com"\ngold\n')
    with pytest.raises(PipelineError, match=r"1 of 4 columns .* column rows with more or fewer cells holds 1 value"):
        run(f"--path={tmp_path}", "--format=csv")
    found = lines(capsys)
    assert found["tier"] == ["tier", "3", "0"]
    assert found["day"] == ["day", "3", "0"]
    assert found["rows with more or fewer cells"][6:8] == ["2", "1"]
    file = tmp_path / "day=1" / "1.csv"
    run(f"--path={file}", "--format=csv", "--expected=rows with more or fewer cells=email")
    assert "day" not in lines(capsys)


def test_too_many_different_headers_are_refused(tmp_path: Path) -> None:
    for number in range(51):
        (tmp_path / f"{number}.csv").write_text(f"jane{number}@example.com,gold\n")
    with pytest.raises(PipelineError, match=r"more than 50 different first lines.*--no-header") as caught:
        run(f"--path={tmp_path}", "--format=csv")
    assert "example.com" not in str(caught.value)


def test_what_is_expected_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("hotline,score\n+12065550100,1\n")
    run(f"--path={tmp_path}", "--format=csv", "--expected=hotline=phone")
    with pytest.raises(PipelineError, match="1 of 2 columns"):
        run(f"--path={tmp_path}", "--format=csv", "--expected=hotline=email")
    with pytest.raises(ArgumentError, match=r"'fone' is no kind; did you mean phone\?"):
        run(f"--path={tmp_path}", "--format=csv", "--expected=hotline=fone")
    with pytest.raises(ArgumentError, match=r"there is no column hotlin; did you mean hotline\?"):
        run(f"--path={tmp_path}", "--format=csv", "--expected=hotlin=phone")


def test_csv_cells_may_hold_delimiters_quotes_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.csv").write_text('day;note\n2026-11-22;"she said ""hi"";\njane@example.com"\n2026-11-23;\n')
    with pytest.raises(PipelineError, match="column note holds 1 value that looks like e-mail"):
        run(f"--path={tmp_path}", "--format=csv", "--delimiter=;")
    found = lines(capsys)
    assert found["day"] == ["day", "2", "0"]
    assert found["note"][:3] == ["note", "1", "1"]


@pytest.mark.parametrize("first", ["jane@example.com,gold", "206-555-0100,gold", "Jane,gold"])
def test_a_file_without_header_gives_no_value_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    (tmp_path / "1.csv").write_text(f"{first}\njane@example.com,silver\n")
    with pytest.raises(PipelineError, match="column column 1 holds 1 value that looks like e-mail") as caught:
        run(f"--path={tmp_path}", "--format=csv")
    assert "example.com" not in str(caught.value)
    assert "--no-header" in " ".join(word for line in lines(capsys).values() for word in line)
    with pytest.raises(PipelineError, match="column _c0 holds"):
        run(f"--path={tmp_path}", "--format=csv", "--no-header")


def test_json_lines_are_read_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"user": {"mail": "jane@example.com"}, "n": 1}, {"user": None, "n": 2}]
    (tmp_path / "1.json").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(PipelineError, match=r"1 of 2 columns hold .* column user holds 1 value"):
        run(f"--path={tmp_path}", "--format=json")
    assert lines(capsys)["n"] == ["n", "2", "0"]


def test_nothing_found_is_a_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.csv").write_text("tier,score\ngold,1\nsilver,2\n")
    run(f"--path={tmp_path}", "--format=csv")
    found = lines(capsys)
    assert found["tier"] == ["tier", "2", "0"]
    assert found["score"] == ["score", "2", "0"]


CONNECTOR = """
name = "source"
comment = "x"
table = "people"
[columns.id]
[columns.note]
"""
TABLE = """
name = "people"
comment = "x"
[columns.id]
comment = "x"
personal_data = "identifier"
[columns.note]
comment = "x"
"""


def test_a_published_table_is_found_by_its_catalog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    allowed = TABLE.replace('[columns.note]\ncomment = "x"', '[columns.note]\ncomment = "x"\nresembles = ["email"]')
    source = Source(tmp_path, CONNECTOR, {"people": allowed})
    source.deliver("1.csv", "id,note\n1,jane@example.com\n2,fine\n")
    assert len(source.rows("people")) == 2  # declared, and so published
    capsys.readouterr()
    with pytest.raises(PipelineError, match=r"1 of 2 columns .* column note holds 1 value"):
        run(f"--root=file://{source.root}", "--table=people")
    assert lines(capsys)["id"] == ["id", "2", "0"]
    with pytest.raises(NothingToDoError, match=r"there is no table peple .*did you mean people\?"):
        run(f"--root=file://{source.root}", "--table=peple")


def test_a_run_stops_before_it_publishes_what_nobody_declared(tmp_path: Path) -> None:
    source = Source(tmp_path, CONNECTOR, {"people": TABLE})
    with pytest.raises(PipelineError) as caught:
        source.deliver("1.csv", "id,note\n1,jane@example.com\n2,fine\n")
    assert str(caught.value) == (
        "table people: column note holds 1 value that looks like e-mail addresses; nothing was published. Hash the "
        "column (personal_data = …), leave it out, or declare in its table file that such values are expected there "
        '(resembles = ["email"])'
    )
    assert not (source.root / "state" / "catalog" / "people.json").exists()
    assert not [path for path in (source.root / "curated").rglob("*") if path.is_file()]  # it would be there in clear


@pytest.mark.parametrize(
    "arguments", [[], ["--path=/x", "--root=/y", "--table=z"], ["--table=z"], ["--root=file:///x"]]
)
def test_it_wants_one_thing_to_look_at(arguments: list[str]) -> None:
    with pytest.raises(ArgumentError, match="say what to look at"):
        run(*arguments)


def test_a_path_that_is_not_there_is_told(tmp_path: Path, spark: SparkSession) -> None:
    assert spark is not None
    with pytest.raises(PipelineError, match="there are no parquet files to read at"):
        run(f"--path={tmp_path / 'nowhere'}")


def test_the_process_exits_with_one_and_shows_no_value(tmp_path: Path, project: Path) -> None:
    (tmp_path / "1.csv").write_text("note\njane@example.com\n")
    command = [sys.executable, str(project / "jobs" / "scan.py"), f"--path={tmp_path}", "--format=csv"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "error: 1 of 1 columns hold values that look like personal data" in result.stderr
    assert "jane" not in result.stdout + result.stderr
