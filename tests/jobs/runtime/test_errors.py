from __future__ import annotations

import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pyspark.sql import SparkSession

from jobs.runtime.errors import ArgumentError, PipelineError, describe, exit_code_of
from schemas.problems import SchemaError

SECRET = "zoe.canary@example.com"


class Spark4Error(Exception):
    def getCondition(self) -> str:  # noqa: N802  PySpark's name
        return "CAST_INVALID_INPUT"

    def getErrorClass(self) -> str:  # noqa: N802  PySpark's older name
        return "OLD_NAME"


class Spark35Error(Exception):
    def getErrorClass(self) -> str:  # noqa: N802  PySpark's name
        return "CAST_INVALID_INPUT"


class SparkGoneError(Exception):
    def getCondition(self) -> str:  # noqa: N802  PySpark's name
        raise ConnectionRefusedError(SECRET)


class SparkNoneError(Exception):
    def getCondition(self) -> None:  # noqa: N802  PySpark's name
        return None


class HttpError(Exception):
    response = object()


UNKNOWN = [
    (ValueError(SECRET), "ValueError"),
    (KeyError(SECRET), "KeyError"),
    (OSError(28, f"No space left for {SECRET}", SECRET), "OSError (ENOSPC)"),
    (FileNotFoundError(2, SECRET), "FileNotFoundError (ENOENT)"),
    (OSError(SECRET), "OSError"),
    (Spark4Error(SECRET), "Spark4Error (CAST_INVALID_INPUT)"),
    (Spark35Error(SECRET), "Spark35Error (CAST_INVALID_INPUT)"),
    (SparkGoneError(SECRET), "SparkGoneError"),
    (SparkNoneError(SECRET), "SparkNoneError"),
    (HttpError(SECRET), "HttpError"),
    (ClientError({"Error": {"Code": "AccessDenied", "Message": SECRET}}, "GetObject"), "ClientError (AccessDenied)"),
]


@pytest.mark.parametrize(("error", "expected"), UNKNOWN, ids=[text for _, text in UNKNOWN])
def test_an_unknown_error_never_shows_its_message(
    error: Exception, expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert describe(error) == f"{expected}; its message may hold data and is not shown"

    def job() -> None:
        try:
            raise KeyError(SECRET)  # noqa: TRY301  an error that another one came from
        except KeyError:
            raise error  # noqa: B904  whatever it came from is not shown either

    assert exit_code_of(job) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {expected}; its message")
    assert "test_errors.py" in printed.err
    assert " in job" in printed.err
    assert SECRET not in printed.err


@pytest.mark.parametrize(
    "error", [PipelineError("what to do"), ArgumentError("what to do"), SchemaError(["what to do", "and this"])]
)
def test_an_error_of_ours_is_told_in_full(error: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    def job() -> None:
        raise error

    assert exit_code_of(job) == 1
    assert capfd.readouterr().err == f"error: {error}\n"


def test_a_job_that_ends_well_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: None) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_not_swallowed(error: type[BaseException]) -> None:
    with pytest.raises(error):
        exit_code_of(lambda: sys.exit(3) if error is SystemExit else _interrupt())


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["RuntimeException", "OutOfMemoryError"])
def test_an_error_of_java_shows_its_classes_and_never_its_message(spark: SparkSession, name: str) -> None:
    gateway: Any = spark.sparkContext._gateway
    jvm = gateway.jvm
    cause = getattr(jvm.java.lang, name)(SECRET)
    thrown = jvm.java.lang.IllegalStateException(SECRET, cause)
    future = jvm.java.util.concurrent.CompletableFuture()
    future.completeExceptionally(thrown)
    with pytest.raises(Exception, match="CompletionException") as caught:
        future.join()
    described = describe(caught.value)
    assert described.startswith(
        f"Py4JJavaError (CompletionException from IllegalStateException from {name}); its message may hold data"
    )
    assert ("give the driver more (--driver-memory)" in described) == (name == "OutOfMemoryError")
    assert SECRET not in described


def test_causes_in_a_circle_come_to_an_end() -> None:
    class Thrown:
        def getClass(self) -> Thrown:  # noqa: N802  Java's name
            return self

        def getSimpleName(self) -> str:  # noqa: N802  Java's name
            return "Round"

        def getCause(self) -> Thrown:  # noqa: N802  Java's name
            return self

    error = ValueError(SECRET)
    error.java_exception = Thrown()  # type: ignore[attr-defined]
    assert describe(error).count("Round") == 8
