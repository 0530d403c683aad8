"""Errors for the person on call: what failed, on what, what to do next. No message ever holds a value from the data."""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Callable, Mapping

from schemas.problems import SchemaError


class PipelineError(Exception):
    """Anything that stops a job for a reason that we know."""


# --- what the user gave


class ArgumentError(PipelineError, ValueError):
    """Arguments that cannot be used; the message lists all of them."""


class KeyUnavailableError(PipelineError):
    """A key or secret that cannot be read or has the wrong form."""


class RuntimeEnvironmentError(PipelineError):
    """Java or Python is not as the jobs need it."""


# --- the outside world


class StorageError(PipelineError):
    """An object that cannot be read or written."""


class ObjectExistsError(StorageError):
    """A conditional put found the object there already."""


class ObjectChangedError(StorageError):
    """An object is no longer the version that was expected."""


class CatalogConflictError(PipelineError):
    """Somebody else changed the table between our reading and our writing."""


# --- the run


class LockedError(PipelineError):
    """Another run of the same connector is going on."""


class BackfillGoingOnError(PipelineError):
    """A backfill of the same connector was begun and is not finished."""


class PlanOutdatedError(PipelineError):
    """What a backfill's plan names is not there any more, or not as it was."""


class DeliveryIncompleteError(PipelineError):
    """The delivery did not become whole in the time it was given."""


class BadFilesError(PipelineError):
    """Files of the delivery cannot be used; they are in quarantine with their reasons."""


class UnreadableDeliveryError(PipelineError):
    """Files of the delivery cannot be read for a reason that is no fault of theirs: a key, rights, or a change."""


class EmptyDeliveryError(PipelineError):
    """The delivery has no rows, and an empty table was not asked for."""


class TooManyRejectsError(PipelineError):
    """More rows were rejected than the connector allows."""


class VerificationError(PipelineError):
    """What was written is not what may be published."""


class NothingToDoError(PipelineError):
    """A step was asked for that has no run to work on."""


def failure_of(job: Callable[[], None]) -> str:
    """Run a job; return what to tell the person on call where it failed, and nothing where it did not.

    An error that we do not know may carry data in its message (Spark prints the cell that it could not cast), so only
    its class, Spark's error condition and the places it passed through are shown.
    """
    try:
        job()
    except (PipelineError, SchemaError) as error:
        return f"error: {error}"
    except Exception as error:  # noqa: BLE001  whatever it is, its message must not get out
        places = traceback.extract_tb(error.__traceback__)
        lines = [f"  at {frame.filename}:{frame.lineno} in {frame.name}" for frame in places]
        return "\n".join([f"error: {describe(error)}", *lines])
    return ""


def exit_code_of(job: Callable[[], None]) -> int:
    """Run a job; return 0, or 1 after telling on standard error what went wrong."""
    failure = failure_of(job)
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure else 0


def describe(error: BaseException) -> str:
    """Return what may be shown of any exception: its class, and what Spark, Java, AWS or the system calls it."""
    java = _java_classes(error)
    detail = _detail_of(error) or java
    shown = f"{type(error).__name__} ({detail})" if detail else type(error).__name__
    return f"{shown}; its message may hold data and is not shown{_MORE_MEMORY if _OUT_OF_MEMORY in java else ''}"


_OUT_OF_MEMORY = "OutOfMemoryError"
_MORE_MEMORY = ". Java had too little memory: give the driver more (--driver-memory), or on Glue take a larger worker"
_MOST_CAUSES = 8  # Java forbids no circle of causes


def _detail_of(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's
        return str(response.get("Error", {}).get("Code", ""))
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "")
    with contextlib.suppress(Exception):  # Spark's asks a JVM that may be gone
        getter = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
        return str(getter() or "") if callable(getter) else ""
    return ""


def _java_classes(error: BaseException) -> str:
    """Return the classes of an error of Java and of its causes, as Py4J holds them; "" for any other error."""
    names: list[str] = []
    with contextlib.suppress(Exception):  # asks a JVM that may be gone
        thrown = getattr(error, "java_exception", None)
        while thrown is not None and len(names) < _MOST_CAUSES:
            names.append(str(thrown.getClass().getSimpleName()))
            thrown = thrown.getCause()
    return " from ".join(names)
