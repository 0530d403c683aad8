"""The database: there, open to the roles by IAM alone, its data not under Lake Formation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from infra.checks.finding import Finding, Stack, ok, problem, there

_EVERYBODY: Final = "IAM_ALLOWED_PRINCIPALS"


def check_database(stack: Stack) -> Iterable[Finding]:
    """The database is there, and new tables in it are governed by IAM."""
    name = stack.output("DatabaseName")
    if not name:
        return
    answer = there(stack.account.glue.get_database, Name=name)
    subject = f"database {name}"
    if answer is None:
        yield problem(
            subject,
            f"is not in the Data Catalog of {stack.account.region}",
            f"aws glue create-database --database-input Name={name}",
        )
        return
    database = answer["Database"]
    if "TargetDatabase" in database:
        yield problem(
            subject, "is a link to another database; Clean Rooms takes tables of its own account", "use a real one"
        )
        return
    granted = [
        grant
        for grant in database.get("CreateTableDefaultPermissions", [])
        if grant.get("Principal", {}).get("DataLakePrincipalIdentifier") == _EVERYBODY
    ]
    if not any("ALL" in grant.get("Permissions", []) for grant in granted):
        yield problem(
            subject,
            "gives new tables to Lake Formation: the jobs' roles cannot publish into it by IAM alone",
            f"grant them Super on the database in Lake Formation, or: aws glue update-database --name {name} "
            f'--database-input \'{{"Name": "{name}", "CreateTableDefaultPermissions": [{{"Principal": '
            f'{{"DataLakePrincipalIdentifier": "{_EVERYBODY}"}}, "Permissions": ["ALL"]}}]}}\'',
        )
        return
    yield ok(subject, f"is in {stack.account.region}; IAM alone governs new tables")


def check_registration(stack: Stack) -> Iterable[Finding]:
    """The curated data is not registered with Lake Formation, which Clean Rooms would refuse."""
    bucket = stack.bucket("CuratedRoot")
    if not bucket:
        return
    lake, found, token = stack.account.lakeformation, [], ""
    while True:
        page = lake.list_resources(NextToken=token) if token else lake.list_resources()
        found += [each.get("ResourceArn", "") for each in page.get("ResourceInfoList", [])]
        token = page.get("NextToken", "")
        if not token:
            break
    registered = [arn for arn in found if arn.split(":::")[-1].split("/")[0] == bucket]
    if registered:
        yield problem(
            f"bucket {bucket}",
            f"is registered with Lake Formation ({', '.join(registered)}): Clean Rooms refuses tables there",
            "\n".join(f"aws lakeformation deregister-resource --resource-arn {arn}" for arn in registered),
        )
    else:
        yield ok(f"bucket {bucket}", "is not registered with Lake Formation, as Clean Rooms wants it")
