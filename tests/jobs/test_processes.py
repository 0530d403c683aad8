"""The jobs as processes of their own: what a killed one leaves, and what anyone can read afterwards."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.jobs.conftest import PIPELINE, Site
from tests.jobs.test_pipeline import files_below, published, report

#: Folders that are made for clear data, or hold the originals as they came.
CLEAR = ("landing/", "raw/", "rejects/", "archive/", "quarantine/")

CANARIES = {
    "first name": "Zaphrodelia",
    "last name": "Quibblethwaite",
    "e-mail": "zaphro.quibble@canary-mail.example",
    "invalid e-mail": "zaphro-at-canary",
    "phone": "2065550177",
    "street": "77 Canarybird Crescent",
    "customer id": "CANARY-ID-99",
}


def canary_rows() -> str:
    header = "customerID,first_name,last_name,email,phone,address_1,city,state,zip,country,loyalty_member_status"
    name, last = CANARIES["first name"], CANARIES["last name"]
    place = f"(206) 555-0177,{CANARIES['street']},x,WA,98101,US"
    good = f"{CANARIES['customer id']},{name},{last},{CANARIES['e-mail']},{place},a"
    again = good.replace(CANARIES["e-mail"], CANARIES["e-mail"].upper())
    invalid = good.replace(CANARIES["e-mail"], CANARIES["invalid e-mail"])
    fillers = [f"c{number},A,B,person{number}@example.com,,,,,,US," for number in range(20)]
    return "\n".join([header, good, again, invalid, f"{name},{last}", *fillers]) + "\n"


def secrets_of(site: Site) -> dict[str, bytes]:
    key = site.keys.hash_key.read_bytes().strip()
    inner = bytes(byte ^ 0x36 for byte in key.ljust(64, b"\0"))
    return {
        "hash key": key,
        "hash key in base64": base64.b64encode(key),
        "hash key's inner pad": inner,
        "hash key's inner pad in hex": inner.hex().encode(),
        "OpenPGP passphrase": site.keys.pgp_passphrase.read_bytes().strip(),
        "RSA key": site.keys.rsa_private.read_bytes().splitlines()[5],
    }


def leaks(site: Site, *texts: str) -> list[str]:
    """Search every byte outside of the folders for clear data, logs and events included."""
    wanted = {name: value.lower().encode() for name, value in CANARIES.items()} | {
        name: value.lower() for name, value in secrets_of(site).items()
    }
    places = {f"text {index}": text.encode().lower() for index, text in enumerate(texts)}
    for folder in (site.root, site.scratch):
        for name in files_below(folder):
            if folder != site.root or not name.startswith(CLEAR):
                places[f"{folder.name}/{name}"] = (folder / name).read_bytes().lower()
    for name in files_below(site.root / "curated") if (site.root / "curated").exists() else ():
        with duckdb.connect() as connection:
            values = connection.read_parquet(str(site.root / "curated" / name)).fetchall()
        places[f"values of {name}"] = str(values).lower().encode()
    return [f"{what} in {place}" for place, data in places.items() for what, value in wanted.items() if value in data]


EVENT_LOG = {
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}


@pytest.mark.parametrize("outcome", ["published", "refused rows", "refused file", "crashed"])
def test_no_personal_value_and_no_secret_gets_out(site: Site, outcome: str) -> None:
    site.landing.mkdir(parents=True)
    text = canary_rows()
    if outcome == "refused rows":
        text = "\n".join(text.splitlines()[:1] + text.splitlines()[3:4] * 9) + "\n"
    if outcome == "refused file":
        text = text.replace("email", "Zaphrodelia", 1)
    (site.landing / "audience.csv").write_text(text)
    events = site.scratch / "events"
    events.mkdir(parents=True)
    if outcome == "crashed":  # the place where the table shall be written is no folder
        (site.root / "curated").write_text("in the way")
    process = site.submit(
        "pipeline", *site.arguments(*PIPELINE), conf={**EVENT_LOG, "spark.eventLog.dir": f"file://{events}"}
    )
    out, err = process.communicate()
    assert process.returncode == (0 if outcome == "published" else 1), err
    assert any(path.stat().st_size for path in events.iterdir()), "there is no event log to search"
    if outcome == "published":
        assert report(site)["rows"]["published"] == 21
        assert "Run " in out
    else:
        assert "error: " in out  # spark-submit joins both streams of Python
        assert "Traceback" not in out + err
    assert leaks(site, out, err) == []


def test_the_search_for_leaks_finds_what_is_planted(site: Site) -> None:
    site.scratch.mkdir()
    (site.scratch / "log").write_bytes(b"x" + CANARIES["phone"].encode())
    assert leaks(site, f"hello {CANARIES['e-mail'].upper()}") == ["e-mail in text 0", "phone in scratch/log"]


@pytest.mark.parametrize("moment", ["decrypt.attempt-1.json", "transform.attempt-1.json"])
def test_a_killed_run_is_finished_by_the_same_command(site: Site, moment: str) -> None:
    delivery = site.deliver(400)
    process = site.submit("pipeline", *site.arguments(*PIPELINE))
    state = site.root / "state" / "aep_profiles"
    deadline = time.monotonic() + 240
    while not list(state.glob(f"run=*/{moment}")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert (state / "lock.json").exists()
    process = site.submit("pipeline", *site.arguments(*PIPELINE))
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert Counter(row["country"] for row in published(site)) == delivery.expected.by_country
    assert files_below(site.root / "raw") == files_below(site.landing) == set()
    (run_folder,) = (site.root / "curated" / "customer_profile").iterdir()
    attempts = [path.name for path in run_folder.iterdir() if any(Path(path).rglob("*.parquet"))]
    assert len(attempts) == 1
