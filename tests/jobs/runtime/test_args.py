"""Arguments against the wire format of getResolvedOptions, and where we promise better."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from jobs.runtime.args import GLUE_ARGUMENTS, option, parse_args, usage
from jobs.runtime.errors import ArgumentError


@dataclasses.dataclass(frozen=True)
class Args:
    src: str = option("where from")
    run_id: str | None = option("which run", default=None)
    count: int | None = option("how many", default=None)
    limit: int = option("at most", default=5)
    allow_empty: bool = option("an empty table is fine", default=False)
    on_bad: str = option("what to do", choices=("stop", "quarantine"), default="stop")


def parsed(*words: str) -> dict[str, Any]:
    return dataclasses.asdict(parse_args(Args, ["--src", "x", *words]))


def refused(*words: str) -> str:
    with pytest.raises(ArgumentError) as caught:
        parse_args(Args, list(words))
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "value"),
    [  # what getResolvedOptions takes, is taken alike
        (["--src", "v"], "v"),
        (["--src=v"], "v"),
        (["--src=a=b"], "a=b"),
        (["--src", "a=b"], "a=b"),
        (["--src", "-5"], "-5"),
        (["--src", '{"a": "b c"}'], '{"a": "b c"}'),
        (["--src", "a b"], "a b"),
        (["--src", "one", "--src", "two"], "two"),
        (["--src=--x"], "--x"),
        (["--src=-x"], "-x"),
    ],
)
def test_a_value_is_what_glue_passes(words: list[str], value: str) -> None:
    assert parse_args(Args, words).src == value


@pytest.mark.parametrize(
    "words",
    [
        ["--python-modules-installer-option", "--no-index", "--src", "v"],
        ["--src", "v", "--python-modules-installer-option", "--no-index"],
        ["--python-modules-installer-option=--no-index", "--src", "v"],
        ["--enable-metrics", "--src", "v"],
        ["--enable-metrics", "", "--src", "v"],
        ["--enable-metrics", "--src=v"],
        ["--enable-metrics", "--TempDir", "s3://b/t", "--src", "v"],
        ["--conf", "spark.x=y --conf spark.z=1", "--src", "v"],
        ["true", "--job-bookmark-option", "job-bookmark-disable", "--src", "v", "true"],
    ],
)
def test_what_is_glues_own_is_passed_over_even_where_its_value_looks_like_a_name(words: list[str]) -> None:
    assert parse_args(Args, words).src == "v"


@pytest.mark.parametrize("words", [["--run-id", "r"], ["--run_id", "r"], ["--run-id=r"], ["--run_id=r"]])
def test_hyphens_and_underscores_are_one(words: list[str]) -> None:
    assert parsed(*words)["run_id"] == "r"


def test_what_is_not_given_has_its_default() -> None:
    assert parsed() == {
        "src": "x",
        "run_id": None,
        "count": None,
        "limit": 5,
        "allow_empty": False,
        "on_bad": "stop",
    }


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--allow-empty"], True),
        (["--allow-empty", "true"], True),
        (["--allow-empty", "True"], True),
        (["--allow-empty=true"], True),
        (["--allow-empty", "false"], False),
        (["--allow-empty=FALSE"], False),
        (["--allow-empty", "--limit", "3"], True),
        (["--allow-empty", "--allow-empty", "false"], False),
    ],
)
def test_a_switch_stands_alone_or_with_true_or_false(words: list[str], value: bool) -> None:  # noqa: FBT001  a case
    assert parsed(*words)["allow_empty"] is value


def test_whole_numbers() -> None:
    assert (parsed("--count", "12")["count"], parsed("--limit", "-3")["limit"]) == (12, -3)
    assert parsed("--count", "x", "--count", "7")["count"] == 7  # the last one wins


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        ([], ["missing --src: where from"]),
        (["--src"], ["--src: has no value", "--src=--value"]),
        (["--src", "--limit", "3"], ["--src: has no value"]),
        (["--src="], ["--src: has no value"]),
        (["--src", "x", "--count", "many"], ["--count: must be a whole number"]),
        (["--src", "x", "--count", "1.5"], ["--count: must be a whole number"]),
        (["--src", "x", "--on-bad", "stopp"], ["--on-bad: 'stopp' is not known; did you mean stop?"]),
        (["--src", "x", "--on-bad"], ["--on-bad: '' is not known; valid: quarantine, stop"]),
        (["--src", "x", "--allow-empty=maybe"], ["--allow-empty: is a switch"]),
        (["--src", "x", "--allow-empty", "maybe"], ["'maybe' has no --name before it"]),
        (["--src", "x", "--", "y"], ["'--' has no --name before it", "'y' has no --name before it"]),
        (["--src", "x", "noise"], ["'noise' has no --name before it"]),
        (["--src", "x", "MII" + "E" * 61], ["a value has no --name before it"]),
        (["--src", "x", "-----BEGIN KEY-----=x"], ["unknown argument, which is not shown"]),
        # Abbreviations: Glue 5.1 and older take --sr for --src, and a later --s overrides it.
        (["--src", "x", "--sr", "EVIL"], ["unknown --sr; did you mean --src?"]),
        (["--src", "x", "--alow-empty"], ["unknown --alow-empty; did you mean --allow-empty?"]),
        (["--src", "x", "--run", "r"], ["unknown --run; did you mean --run-id?"]),
        (["--src", "x", "--SRC", "y"], ["unknown --SRC"]),
        (["--src", "x", "--zzzzzz", "y"], ["unknown --zzzzzz; valid: --allow-empty, --count"]),
        (
            ["--coutn", "3", "--limit", "x", "--on-bad", "go", "y"],
            ["unknown --coutn; did you mean --count?", "--limit: must", "--on-bad: 'go'", "'y' has", "missing --src"],
        ),
    ],
)
def test_every_mistake_is_told_at_once(words: list[str], messages: list[str]) -> None:
    text = refused(*words)
    assert [message for message in messages if message not in text] == []


def test_what_may_be_a_secret_is_not_repeated() -> None:
    assert "hunter2" not in refused("--src", "x", "password=hunter2")


@pytest.mark.parametrize("name", sorted(GLUE_ARGUMENTS))
def test_glues_own_arguments_pass(name: str) -> None:
    spellings = {f"--{name}", "--" + name.replace("_", "-")}
    for flag in spellings:
        assert parsed(flag, "value", "--limit", "1")["limit"] == 1
        assert parsed(f"{flag}=value")["src"] == "x"
        assert parsed(flag, "--limit", "1")["limit"] == 1


@pytest.mark.parametrize(
    "words",
    [  # as Glue starts a script (AWS Glue developer guide, "Job parameters")
        ["--JOB_NAME", "decrypt", "--JOB_ID", "j", "--JOB_RUN_ID", "jr", "--TempDir", "s3://b/tmp/"],
        ["--job-bookmark-option", "job-bookmark-disable", "--enable-metrics", "--enable-spark-ui", "true"],
        ["--conf", "a=b --conf c=d", "--additional-python-modules", "s3://b/x.whl", "--job-language", "python"],
        ["--WORKFLOW_NAME", "w", "--WORKFLOW_RUN_ID", "wr", "--enable-continuous-cloudwatch-log=true"],
    ],
)
def test_a_command_line_of_glue(words: list[str]) -> None:
    assert parse_args(Args, [*words[:2], "--src", "x", *words[2:]]) == Args(src="x")


def test_the_help_names_every_argument() -> None:
    assert usage(Args, "jobs/x.py") == inspect.cleandoc(
        """
        usage: spark-submit jobs/x.py --name value …

          --src                  where from (required)
          --run-id               which run
          --count                how many
          --limit                at most (default: 5)
          --allow-empty          an empty table is fine
          --on-bad               what to do (default: stop)
        """
    )
