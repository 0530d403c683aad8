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


class DeliveryIncompleteError(PipelineError):
    """The delivery did not become whole in the time it was given."""


class BadFilesError(PipelineError):
    """Files of the delivery cannot be used; they are in quarantine with their reasons."""


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
    """Return what may be shown of any exception: its class, and the code that Spark, AWS or the system gave it."""
    detail = ""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's
        detail = str(response.get("Error", {}).get("Code", ""))
    elif isinstance(error, OSError):
        detail = errno.errorcode.get(error.errno or 0, "")
    else:
        with contextlib.suppress(Exception):  # Spark's asks a JVM that may be gone
            getter = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
            detail = str(getter() or "") if callable(getter) else ""
    return f"{type(error).__name__}{f' ({detail})' if detail else ''}; its message may hold data and is not shown"
