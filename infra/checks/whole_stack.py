"""The stack itself: complete, and with the outputs that everything else goes by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from infra.checks.finding import Finding, Stack, ok, problem

_WELL: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_OUTPUTS: Final = (
    *("Root", "CuratedRoot", "LandingUri", "DatabaseName", "WorkflowName"),
    *("DecryptJob", "TransformJob", "ArchiveJob", "BackfillJob", "JanitorJob", "ForgetJob"),
    *("DataKeyArn", "HashKeySecretArn", "SuccessTopicArn", "FailureTopicArn"),
)


def check_status(stack: Stack) -> Iterable[Finding]:
    """The last change of the stack went through."""
    name, status = stack.state.name, stack.state.status
    if status in _WELL:
        yield ok(f"stack {name}", status)
    elif status == "UPDATE_ROLLBACK_COMPLETE":
        yield problem(
            f"stack {name}",
            "its last update failed and was undone: it runs as it did before",
            f"see why (aws cloudformation describe-stack-events --stack-name {name}), then make deploy again",
        )
    else:
        yield problem(
            f"stack {name}", f"{status} {stack.state.reason}".strip(), "make deploy says the way out of that state"
        )


def check_outputs(stack: Stack) -> Iterable[Finding]:
    """The stack says where everything is."""
    missing = [name for name in _OUTPUTS if not stack.output(name)]
    if missing:
        text = f"has no output {', '.join(missing)}: it was made from another template"
        yield problem(f"stack {stack.state.name}", text, "make deploy from this checkout")
