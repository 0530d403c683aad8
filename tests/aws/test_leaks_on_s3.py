"""What jobs on AWS let out: buckets, catalog, messages and requests are searched for the canaries of a delivery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.aws.conftest import PIPELINE
from tests.fixtures.aws_site import CURATED, DATABASE, LANDING, AwsSite
from tests.torture.canaries import PERSONAL, Hit, Search, Secrets

#: Originals as they came, and clear parts while a run goes on.
_CLEAR = ("landing/", "archive/", "quarantine/", "raw/")
_HEADER = "customerID,first_name,last_name,email,phone,address_1,city,state,zip,country,loyalty_member_status"


def _delivery() -> str:
    first = {kind: texts[0] for kind, texts in PERSONAL.items()}
    place = f"{first['street']},x,WA,98101,US,a"
    good = (
        f"{first['customer id']},{first['first name']},{first['last name']},{first['e-mail']},{first['phone']},{place}"
    )
    invalid = good.replace(first["e-mail"], first["invalid e-mail"])
    mixed = f"{first['e-mail']},{first['phone']},{first['card number']},m@example.com,{first['last name']},{place}"
    fillers = [f"c{number},A,B,person{number}@example.com,,,,,,US," for number in range(20)]
    return "\n".join([_HEADER, good, invalid, mixed, f"{first['last name']},{first['phone']}", *fillers]) + "\n"


def _land(site: AwsSite, name: str, text: str) -> None:
    site.client("s3").put_object(Bucket=LANDING, Key=f"landing/aep_profiles/{name}", Body=text.encode())


def _hits(site: AwsSite, printed: str, messages: list[dict[str, Any]]) -> list[Hit]:
    search = Search(Secrets.of(site.keys))
    s3, glue = site.client("s3"), site.client("glue")
    hits = search.in_text(printed, "output") + search.in_text(json.dumps(messages), "messages")
    for bucket in (LANDING, CURATED):
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for entry in (entry for page in pages for entry in page.get("Versions", [])):  # deleted ones included
            if not entry["Key"].startswith(_CLEAR):
                body = s3.get_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])["Body"]
                hits += search.in_bytes(body.read(), entry["Key"]) + search.in_text(entry["Key"], "a key")
    for table in glue.get_tables(DatabaseName=DATABASE)["TableList"]:
        hits += search.in_text(str(table), "catalog")
        hits += search.in_text(str(glue.get_partitions(DatabaseName=DATABASE, TableName=table["Name"])), "partitions")
    for call in site.aws.take_calls():
        if call.bucket == "" or not call.key.startswith(_CLEAR):
            hits += search.in_text(str(call), f"request {call.operation}")
    return hits + [hit for path in _scratch(site) for hit in search.in_file(path, path.name)]


def _scratch(site: AwsSite) -> list[Path]:
    return [path for path in sorted(site.scratch.rglob("*")) if path.is_file()]


def test_nothing_gets_out_of_buckets_catalog_messages_and_requests(site: AwsSite) -> None:
    site.messages()  # those of other runs
    _land(site, "good.csv", _delivery())
    _land(site, "bad.csv", _delivery().replace("email", PERSONAL["last name"][0], 1))
    _land(site, "open.csv", _delivery() + f'"{PERSONAL["e-mail"][0]}')
    printed = site.run("pipeline", *PIPELINE, more={"on-bad-file": "quarantine", "allow-shrink": "true"})
    messages = site.messages()
    assert len(messages) == 1
    assert "Run " in printed
    assert site.client("glue").get_tables(DatabaseName=DATABASE)["TableList"]
    assert _hits(site, printed, messages) == []


def test_nothing_gets_out_of_the_message_that_a_run_has_failed(site: AwsSite) -> None:
    _land(site, "bad.csv", _delivery().replace("email", PERSONAL["e-mail"][0], 1))
    process = site.start("pipeline", *PIPELINE)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    messages = site.messages()
    assert len(messages) == 1
    assert _hits(site, out + err, messages) == []
