"""The connector of the stack: where it is a file of the user's own, it can be read."""

from __future__ import annotations

from collections.abc import Iterable

from infra.checks.finding import Finding, Stack, ok, problem, split_uri
from infra.checks.glue_jobs import is_there


def check_connector(stack: Stack) -> Iterable[Finding]:
    """A connector file of the user's own is there."""
    uri = stack.parameter("ConnectorFile")
    if not uri:
        return
    if not all(split_uri(uri)):
        yield problem(
            "connector",
            f"{uri} is no s3:// address of a file",
            "deploy with ConnectorFile=s3://<CodeBucket>/definitions/connectors/<ConnectorName>.toml",
        )
    elif is_there(stack, uri):
        yield ok("connector", f"{uri} is there")
    else:
        yield problem("connector", f"{uri} is not there", f"aws s3 cp name.toml {uri}")
