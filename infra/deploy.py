"""Deploy the commit that is checked out, or one that was deployed before: upload, show what changes, ask, change.

    python -m infra.deploy --stack acme-cleanroom --bucket acme-code --parameters "ConnectorName=aep_profiles"
    python -m infra.deploy --stack acme-cleanroom --bucket acme-code --commit 4f4c650    # roll back to an older build

Parameters that are not given keep what the stack has; a new stack takes the template's defaults.
"""

from __future__ import annotations

import re
import shlex
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.account import Account, check_stack_name, open_account, open_session
from infra.build import (
    PROJECT,
    TEMPLATE,
    TEMPLATE_SOURCE,
    build,
    build_folder,
    describe_build,
    refuse_uncommitted,
)
from infra.change_set import ChangeSet, drop_change_set, make_change_set, show
from infra.code_bucket import Place, build_prefix, check_bucket, read_build, read_text, upload
from infra.command import run_command
from infra.commit import Commit, find_commit, head_commit
from infra.consent import ask
from infra.errors import BuildError, DeployError
from infra.events import follow, raise_failure
from infra.release import NEWEST, Release, glue_release, release_names
from infra.stack import StackState, find_stack, refuse_stuck
from infra.template import Template, check_names, choose_parameters, read_template
from jobs.runtime.args import option
from jobs.runtime.errors import ArgumentError
from jobs.runtime.progress import tell

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

#: Parameters that say which build is deployed; this command alone sets them.
_OWN: Final = ("CodeBucket", "CodePrefix", "GlueVersion")
_SHA: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    stack: str = option("name of the stack")
    bucket: str = option("name of the bucket that keeps the builds, in the stack's Region")
    glue: str | None = option(
        f"the Glue release (default: the stack's own, {NEWEST} for a new one)", choices=release_names(), default=None
    )
    region: str | None = option("the stack's Region (default: that of the environment)", default=None)
    parameters: str | None = option("the template's parameters: \"Name=value Other='a value'\"", default=None)
    tags: str | None = option('tags of everything in the stack: "key=value …"', default=None)
    commit: str | None = option(
        "deploy this commit, which was deployed before, instead of the current one", default=None
    )
    allow_dirty: bool = option("deploy the commit although there are uncommitted changes, without them", default=False)
    yes: bool = option("change the stack without asking", default=False)


def pairs(text: str | None, what: str) -> dict[str, str]:
    """Return the ``name=value`` pairs in ``text``, split as a shell would. Raises ArgumentError for anything else."""
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise ArgumentError(
            f"{what}: {error}; put quotes around values with spaces: \"Schedule='cron(0 3 * * ? *)'\""
        ) from None
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ArgumentError(f"{what}: {word!r} is not of the form Name=value; put quotes around values with spaces")
        if name in found:
            raise ArgumentError(f"{what}: {name} is given twice")
        found[name] = value
    return found


def built_files(commit: Commit, release: Release, folder: Path) -> dict[str, bytes]:
    """Return the files of the build of ``commit``, by name; it is built where ``folder`` does not have it as it was."""
    files = _files_in(folder)
    if not _is_build(files, commit, release):
        tell(f"building {commit.sha[:12]} for Glue {release.name}")
        for line in build(commit, release, folder):
            tell(f"  proved: {line}")
        files = _files_in(folder)
    return files


def _files_in(folder: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _is_build(files: dict[str, bytes], commit: Commit, release: Release) -> bool:
    others = {name: content for name, content in files.items() if name != release.build_name}
    return release.build_name in files and files[release.build_name] == describe_build(commit, release, others)


def own_parameters(place: Place, release: Release) -> dict[str, str]:
    """Return the parameters that say which build is deployed."""
    return {"CodeBucket": place.bucket, "CodePrefix": place.prefix, "GlueVersion": release.name}


def change_request(
    args: Args, place: Place, *, url: str, capabilities: Sequence[str], parameters: list[dict[str, Any]], is_new: bool
) -> dict[str, Any]:
    """Return what CreateChangeSet is asked for: the template at ``url`` with ``parameters``."""
    tags = [{"Key": key, "Value": value} for key, value in pairs(args.tags, "--tags").items()]
    return {
        "StackName": args.stack,
        "ChangeSetName": f"deploy-{place.prefix.rpartition('/')[2][:12]}-{uuid.uuid4().hex[:8]}",
        "ChangeSetType": "CREATE" if is_new else "UPDATE",
        "TemplateURL": url,
        "Parameters": parameters,
        "Capabilities": list(capabilities),
        # without the key CloudFormation keeps the stack's tags; with an empty list it would drop them
        **({"Tags": tags} if tags else {}),
    }


def execute(cloudformation: CloudFormationClient, args: Args, change_set: ChangeSet, *, is_new: bool) -> None:
    """Execute a change set once a person agrees, tell its events, and the outputs at the end.

    Raises DeployError where nobody agrees or can be asked (the change set is thrown away then), or where it fails.
    """
    agreed = False
    try:
        agreed = ask(f"Change stack {args.stack} like this? yes/no:", "yes", given=args.yes)
    finally:
        if not agreed:
            drop_change_set(cloudformation, change_set.arn, change_set.stack_arn, is_new=is_new)
    if not agreed:
        raise DeployError(f"nothing was changed: you did not say yes; the change set of {args.stack} is thrown away")
    token = uuid.uuid4().hex
    cloudformation.execute_change_set(ChangeSetName=change_set.arn, ClientRequestToken=token)
    state, failures = follow(cloudformation, change_set.stack_arn, token)
    if state is None or state.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise_failure(state, "the creation of" if is_new else "the update of", args.stack, failures)
        return
    tell(f"\n{state.status}: stack {args.stack}\n")
    tell_outputs(state)
    tell(f"\nnext: make doctor STACK={args.stack}")


def tell_outputs(state: StackState) -> None:
    """Print the outputs of a stack."""
    for name, value in sorted(state.outputs.items()):
        tell(f"  {name:<26} {value}")


def deploy(args: Args, account: Account, project: Path) -> None:
    """Deploy from the repository at ``project``. Raises DeployError, BuildError or ArgumentError for what stops it."""
    given = pairs(args.parameters, "--parameters")
    pairs(args.tags, "--tags")
    cloudformation, s3 = account.cloudformation, account.s3
    commit = None if args.commit else head_commit(project)
    if commit is not None:
        refuse_uncommitted(project, allowed=args.allow_dirty)
        check_names(_template_of(commit), given)
    state = find_stack(cloudformation, args.stack)
    refuse_stuck(state)
    release = glue_release(args.glue or (state.parameters.get("GlueVersion") if state else None) or NEWEST)
    check_bucket(s3, args.bucket, account.region, account.number)
    place = Place(
        args.bucket, build_prefix(commit.sha if commit else _full(args.commit or "", project)), account.number
    )
    if commit is not None:
        files = built_files(commit, release, build_folder(release, project))
        sent = upload(s3, place, files)
        tell(f"s3://{place.bucket}/{place.prefix}: {len(sent)} objects sent, {len(files) - len(sent)} were there")
    else:
        read_build(s3, place, release.build_name)
        tell(f"s3://{place.bucket}/{place.prefix}: the build is there, whole and unchanged")
    template = read_template(read_text(s3, place, TEMPLATE), f"s3://{place.bucket}/{place.key(TEMPLATE)}")
    check_names(template, given)
    own = {name: value for name, value in own_parameters(place, release).items() if name in template.parameters}
    parameters = choose_parameters(template, given | own, state.parameters if state else None)
    url = place.url(TEMPLATE, s3)
    capabilities = cloudformation.get_template_summary(TemplateURL=url).get("Capabilities", [])
    request = change_request(
        args, place, url=url, capabilities=capabilities, parameters=parameters, is_new=state is None
    )
    change_set = make_change_set(cloudformation, request)
    if change_set is None:
        tell(f"stack {args.stack} is as this build and these parameters want it already: nothing to change\n")
        if state is not None:
            tell_outputs(state)
        return
    tell(f"\n{'A new stack' if state is None else 'Stack'} {args.stack}, Glue {release.name}, {account.region}:\n")
    tell(show(change_set.changes) + "\n")
    execute(cloudformation, args, change_set, is_new=state is None)


def _template_of(commit: Commit) -> Template:
    try:
        return read_template(commit.read(TEMPLATE_SOURCE).decode(), TEMPLATE_SOURCE)
    except BuildError:
        raise DeployError(f"commit {commit.sha[:12]} has no {TEMPLATE_SOURCE}: there is nothing to deploy") from None


def _full(text: str, project: Path) -> str:
    """Return the full name of a commit; of one that this clone does not know, the full name has to be given."""
    if _SHA.fullmatch(text):
        return text
    found = find_commit(project, text)
    if found is None:
        raise ArgumentError(f"--commit: {text!r} is no commit of this clone; give its 40 digits")
    return found.sha


def main(args: Args) -> None:
    """Deploy from this checkout."""
    check_stack_name(args.stack)
    if own := sorted(set(pairs(args.parameters, "--parameters")) & set(_OWN)):
        raise ArgumentError(f"--parameters: {', '.join(own)}: set by BUCKET, COMMIT and GLUE")
    deploy(args, open_account(open_session(args.region)), PROJECT)


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.deploy"))
