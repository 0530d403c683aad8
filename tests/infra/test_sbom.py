from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.build import commit_time, describe_parts
from infra.errors import BuildError
from infra.plain_zip import zip_bytes
from infra.release import glue_release
from infra.sbom import Product, sbom
from infra.wheels import Wheel
from tests.infra.repository import PYPROJECT, git, small_repository

RELEASE = glue_release("6.0")
PROVIDED = {"pyspark": "4.1.1", "numpy": "2.4.4"}
TIME = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def product(*ships: str, commit: str = "c" * 40) -> Product:
    return Product("cleanroom-etl", "0.1.0", "Apache-2.0", ships, commit, TIME, "1" * 64)


def wheel(folder: Path, name: str, about: str = "", files: dict[str, bytes] | None = None) -> Wheel:
    """Write a wheel with the headers ``about`` in its METADATA."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{about}\nWhat it does\n".encode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    path.write_bytes(zip_bytes({f"{info}/METADATA": metadata, **(files or {})}))
    return Wheel(path, name.replace("_", "-"), "1.0", None)


def parts(document: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in document["components"]}


def needs(document: dict[str, Any]) -> dict[str, list[str]]:
    return {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}


def made(*wheels: Wheel, of: Product | None = None) -> dict[str, Any]:
    """Return a bill of materials that the official schema takes."""
    content = sbom(of or product(*(each.name for each in wheels)), wheels, PROVIDED, RELEASE).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content) is None
    document: dict[str, Any] = json.loads(content)
    return document


def test_our_code_is_told_with_version_commit_and_digest() -> None:
    document = made()
    own = document["metadata"]["component"]
    assert (own["type"], own["name"], own["version"]) == ("application", "cleanroom-etl", "0.1.0")
    assert own["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert own["pedigree"] == {"commits": [{"uid": "c" * 40}]}
    assert own["licenses"] == [{"license": {"acknowledgement": "declared", "id": "Apache-2.0"}}]
    assert document["metadata"]["timestamp"] == "2026-11-21T12:00:00+00:00"


def test_a_wheel_is_told_with_purl_and_the_digest_of_its_bytes(tmp_path: Path) -> None:
    tiny = wheel(tmp_path, "tiny_one", files={"tiny_one-1.0.dist-info/sboms/rust.cdx.json": b"{}"})
    found = parts(made(tiny))["tiny-one"]
    assert (found["version"], found["purl"]) == ("1.0", "pkg:pypi/tiny-one@1.0")
    assert found["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(tiny.path.read_bytes()).hexdigest()}]
    assert found["properties"] == [
        {"name": "cleanroom-etl:sbom-in-wheel", "value": "tiny_one-1.0.dist-info/sboms/rust.cdx.json"}
    ]


@pytest.mark.parametrize(
    ("about", "told"),
    [
        pytest.param("License-Expression: MIT-0\n", {"license": {"id": "MIT-0"}}, id="an SPDX id"),
        pytest.param(
            "License-Expression: Apache-2.0 OR BSD-3-Clause\n",
            {"expression": "Apache-2.0 OR BSD-3-Clause"},
            id="an SPDX expression",
        ),
        pytest.param("License: MIT\nClassifier: License :: Other\n", {"license": {"id": "MIT"}}, id="the older field"),
        pytest.param("License: its own terms\n", {"license": {"name": "its own terms"}}, id="no SPDX at all"),
        pytest.param(
            "License: Copyright\n        by many\nClassifier: License :: OSI Approved :: BSD License\n",
            {"license": {"name": "BSD License"}},
            id="the whole text, and a classifier",
        ),
        pytest.param("", None, id="none"),
    ],
)
def test_licences_are_what_the_metadata_declares(tmp_path: Path, about: str, told: dict[str, Any] | None) -> None:
    licenses = parts(made(wheel(tmp_path, "tiny", about)))["tiny"].get("licenses")
    if told is None:
        assert licenses is None
        return
    (only,) = licenses
    assert (only if "expression" in only else only["license"]).pop("acknowledgement") == "declared"
    assert only == told


def test_dependencies_are_those_that_hold_on_glue(tmp_path: Path) -> None:
    about = """\
Requires-Dist: Needed>=1
Requires-Dist: numpy
Requires-Dist: six
Requires-Dist: absent ; python_full_version < '3.11'
Requires-Dist: windows-only ; sys_platform == 'win32'
Requires-Dist: for-tests ; extra == 'test'
"""
    document = made(wheel(tmp_path, "tiny", about), wheel(tmp_path, "needed"), of=product("tiny"))
    found = needs(document)
    assert found["pkg:pypi/tiny@1.0"] == [
        "pkg:pypi/needed@1.0",
        "pkg:pypi/numpy@2.4.4",
        f"pkg:pypi/six@{RELEASE.modules['six']}",
    ]
    # what our code asks for itself, and none of what that brings along
    assert found["cleanroom-etl@0.1.0"] == [
        "apache-spark@4.1.1",
        "aws-glue@6.0",
        "pkg:pypi/numpy@2.4.4",
        "pkg:pypi/tiny@1.0",
        "python@3.13",
    ]


def test_what_glue_provides_is_told_as_such() -> None:
    found = parts(made())
    assert {name: (each["type"], each["version"]) for name, each in found.items()} == {
        "AWS Glue": ("platform", "6.0"),
        "Python": ("platform", "3.13"),
        "Apache Spark": ("framework", "4.1.1"),
        "numpy": ("library", "2.4.4"),
    }
    for each in found.values():
        assert each["properties"] == [{"name": "cleanroom-etl:provided-by", "value": "AWS Glue 6.0"}]
        assert "hashes" not in each


def test_a_need_that_nobody_meets_is_refused(tmp_path: Path) -> None:
    tiny = wheel(tmp_path, "tiny", "Requires-Dist: nobody\n")
    with pytest.raises(BuildError, match=r"^tiny needs nobody, which neither .* Glue 6\.0 bring"):
        sbom(product("tiny"), [tiny], PROVIDED, RELEASE)


def test_a_wheel_without_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    path.write_bytes(zip_bytes({"tiny.py": b""}))
    with pytest.raises(BuildError, match="has 0 files METADATA"):
        sbom(product("tiny"), [Wheel(path, "tiny", "1.0", None)], PROVIDED, RELEASE)


def test_the_same_build_is_the_same_bytes_and_another_commit_is_not(tmp_path: Path) -> None:
    one, two = wheel(tmp_path, "one", "Requires-Dist: two\n"), wheel(tmp_path, "two")
    first = sbom(product("one", "two"), [one, two], PROVIDED, RELEASE)
    backwards = dict(reversed(PROVIDED.items()))
    assert sbom(product("two", "one"), [two, one], backwards, RELEASE) == first
    other = json.loads(sbom(product("one", "two", commit="d" * 40), [one, two], PROVIDED, RELEASE))
    assert other["serialNumber"] != json.loads(first)["serialNumber"]
    # written down, so that another version of the library that makes other bytes is seen
    assert hashlib.sha256(first).hexdigest() == "fa9f464e1b29f85ad13df9eaba0f1270056a8be9a3c7d0cf8a55e8e5a640f071"


def test_a_build_describes_its_commit(tmp_path: Path) -> None:
    pyproject = PYPROJECT.replace('version = "1.2.3"', 'version = "1.2.3"\nlicense = "MIT"')
    commit = small_repository(tmp_path, {"pyproject.toml": pyproject})
    document = json.loads(describe_parts(commit, RELEASE, [], b"a zip"))
    own = document["metadata"]["component"]
    assert (own["name"], own["version"], own["licenses"][0]["license"]["id"]) == ("small", "1.2.3", "MIT")
    assert own["hashes"][0]["content"] == hashlib.sha256(b"a zip").hexdigest()
    assert own["pedigree"]["commits"] == [{"uid": commit.sha}]
    assert parts(document).keys() == {"AWS Glue", "Python", "numpy"}
    told = git(tmp_path, "log", "-1", "--format=%cI").strip()
    assert datetime.fromisoformat(document["metadata"]["timestamp"]) == datetime.fromisoformat(told)
    assert commit_time(commit).tzinfo is UTC
