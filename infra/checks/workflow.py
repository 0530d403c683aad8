"""The workflow and its triggers: there, and awake."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from infra.checks.finding import Finding, Stack, guarded, ok, problem, there

#: Kinds of triggers that Glue activates. The others stay CREATED for life, and work: they wait to be called.
_ACTIVATED: Final = ("SCHEDULED", "CONDITIONAL")


def check_workflow(stack: Stack) -> Iterable[Finding]:
    """The workflow is there."""
    name = stack.output("WorkflowName")
    answer = there(stack.account.glue.get_workflow, Name=name) if name else None
    if answer is None:
        yield problem("workflow", f"there is no workflow {name or '(the stack names none)'}", "make deploy")
        return
    last = answer["Workflow"].get("LastRun", {}).get("Status")
    yield ok(f"workflow {name}", f"is there; its last run: {last or 'none yet'}")


def check_triggers(stack: Stack) -> Iterable[Finding]:
    """Every trigger is there and in the state in which it starts its jobs."""
    names = stack.made.get("AWS::Glue::Trigger", ())
    if not names:
        yield problem("triggers", "the stack has no trigger: nothing ever starts", "make deploy")
    for name in names:
        yield from guarded(f"trigger {name}", partial(_trigger, stack, name))


def _trigger(stack: Stack, name: str) -> Iterable[Finding]:
    subject = f"trigger {name}"
    answer = there(stack.account.glue.get_trigger, Name=name)
    if answer is None:
        yield problem(subject, "is not there any more", "make deploy does not make it again: rename it in the template")
        return
    kind, state = answer["Trigger"].get("Type", ""), answer["Trigger"].get("State", "")
    if kind in _ACTIVATED and state != "ACTIVATED":
        # StartOnCreation acts when a trigger is made, never when it is changed
        yield problem(subject, f"{kind}, and {state}: it starts nothing", f"aws glue start-trigger --name {name}")
    elif kind == "EVENT" and state not in ("CREATED", "ACTIVATED"):
        yield problem(
            subject,
            f"{kind}, and {state}",
            f"aws glue delete-trigger --name {name}, then make deploy with another Start, and with this one again",
        )
    else:
        yield ok(
            subject, f"{kind}, {state}" + (", as it is for life" if kind == "EVENT" and state == "CREATED" else "")
        )
