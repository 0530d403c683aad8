"""The jobs: on the right Glue release, with code and wheels that are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from infra.checks.finding import Finding, Stack, guarded, ok, problem, split_uri, there

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import JobTypeDef

#: The outputs that name the jobs.
JOB_OUTPUTS: Final = ("DecryptJob", "TransformJob", "ArchiveJob", "BackfillJob", "JanitorJob", "ForgetJob")
_DEPLOY: Final = "make deploy uploads what is missing"


def check_jobs(stack: Stack) -> Iterable[Finding]:
    """Every job is as the template has it, and can start."""
    for output in JOB_OUTPUTS:
        if name := stack.output(output):
            yield from guarded(f"job {name}", partial(_job, stack, name))


def _job(stack: Stack, name: str) -> Iterable[Finding]:
    answer = there(stack.account.glue.get_job, JobName=name)
    if answer is None:
        yield problem(f"job {name}", "is not there", "somebody has deleted it: delete the stack and deploy it again")
        return
    problems = [*_release(stack, name, answer["Job"]), *_objects(stack, name, answer["Job"])]
    yield from problems
    if not problems:
        yield ok(f"job {name}", f"Glue {answer['Job'].get('GlueVersion')}; script, package and wheels are there")


def _release(stack: Stack, name: str, job: JobTypeDef) -> Iterable[Finding]:
    wanted, found = stack.parameter("GlueVersion"), job.get("GlueVersion", "")
    if not found:
        yield problem(
            f"job {name}", "has no Glue version of its own: AWS chooses, and may choose another one", "make deploy"
        )
    elif wanted and found != wanted:
        yield problem(f"job {name}", f"runs on Glue {found}, the stack says {wanted}", f"make deploy GLUE={wanted}")


def _objects(stack: Stack, name: str, job: JobTypeDef) -> Iterable[Finding]:
    arguments: Mapping[str, str] = job.get("DefaultArguments", {})
    wheels = arguments.get("--additional-python-modules", "")
    wanted = {
        "script": job.get("Command", {}).get("ScriptLocation", ""),
        "package": arguments.get("--extra-py-files", ""),
        "wheels": wheels,
    }
    for what, text in wanted.items():
        if not text:
            yield problem(f"job {name}", f"names no {what}", "make deploy")
        for uri in filter(None, text.split(",")):
            if not is_there(stack, uri):
                yield problem(f"job {name}", f"its {what} {uri} is not there", _DEPLOY)
    if wheels and "--no-index" not in arguments.get("--python-modules-installer-option", ""):
        text = (
            "may fetch packages from the internet when it starts: it lacks --python-modules-installer-option --no-index"
        )
        yield problem(f"job {name}", text, "make deploy")


def is_there(stack: Stack, uri: str) -> bool:
    """Tell whether the object at an s3:// address is there."""
    bucket, key = split_uri(uri)
    return bool(key) and there(stack.account.s3.head_object, Bucket=bucket, Key=key) is not None
