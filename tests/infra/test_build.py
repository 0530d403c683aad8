from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import cost
from infra.build import build, code_files, describe_build, locked_wheels, package_entries, refuse_uncommitted
from infra.command import run_command
from infra.commit import Commit, find_commit, head_commit
from infra.errors import BuildError
from infra.lock import lock_text
from infra.plain_zip import zip_bytes
from infra.release import glue_release, release_names
from infra.sbom import sbom_name
from infra.wheel_proof import find_python, importable, prove
from infra.wheels import Locked, check_lock, check_wheels, download, gluewheels, own_modules, read_lock, shipped
from jobs.runtime.errors import ArgumentError
from tests.infra.repository import PROJECT, PYPROJECT, commit_all, git, small_repository, whole_repository

OWN = "cp313-cp313-manylinux_2_28_x86_64"


def make_wheel(
    folder: Path,
    name: str = "tiny",
    *,
    tags: str = "py3-none-any",
    files: dict[str, bytes] | None = None,
    requires: str = "",
) -> Path:
    """Write a wheel by hand, as pip installs it."""
    about = f"{name}-1.0.dist-info"
    contents = {
        f"{name}/__init__.py": b"",
        **(files or {}),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}".encode(),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tags}\n".encode(),
    }
    contents[f"{about}/RECORD"] = "".join(f"{each},,\n" for each in [*contents, f"{about}/RECORD"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-{tags}.whl"
    path.write_bytes(zip_bytes(contents))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Commit:
    """This checkout as it is, in a repository of its own."""
    return whole_repository(tmp_path_factory.mktemp("whole"))


# --- the package


def test_one_commit_makes_the_same_bytes_in_any_clone(tmp_path: Path, whole: Commit) -> None:
    first = whole
    old_mask = os.umask(0o077)
    try:
        git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=true", str(first.folder), str(tmp_path / "second"))
    finally:
        os.umask(old_mask)
    for path in (tmp_path / "second").rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    second = head_commit(tmp_path / "second")
    assert code_files(second) == code_files(first)
    release = glue_release("6.0")
    assert describe_build(second, release, code_files(second)) == describe_build(first, release, code_files(first))


def test_a_zip_depends_on_names_and_contents_alone() -> None:
    archive = zip_bytes({"b.py": b"2", "a/b.toml": b"1"})
    assert archive == zip_bytes({"a/b.toml": b"1", "b.py": b"2"})
    # written down, so that another Python or zlib that makes other bytes is seen
    assert hashlib.sha256(archive).hexdigest() == "c711a7e7d52167be6677f398e5e4c12be52c1924e82535487c7c9f9ce29ae3ee"
    with zipfile.ZipFile(BytesIO(archive)) as content:
        assert content.namelist() == ["a/b.toml", "b.py"]
        for about in content.infolist():
            assert about.date_time == (1980, 1, 1, 0, 0, 0)
            assert about.external_attr >> 16 == 0o100644
            assert about.compress_type == zipfile.ZIP_STORED
            assert about.extra == b""


def test_the_package_has_code_and_data_and_nothing_else(whole: Commit) -> None:
    entries = package_entries(whole)
    assert {Path(name).parts[0] for name in entries} == {"jobs", "transforms", "schemas"}
    assert {Path(name).suffix for name in entries} <= {".py", ".toml", ".csv"}
    assert {"jobs/decrypt.py", "schemas/tables/customer_profile.toml", "schemas/reference/phone_regions.toml"} <= set(
        entries
    )
    assert not [name for name in entries if "ruff" in name or "__pycache__" in name]


def test_the_package_finds_its_data_from_within_the_zip(tmp_path: Path, whole: Commit) -> None:
    package = tmp_path / "cleanroom_etl.zip"
    package.write_bytes(zip_bytes(package_entries(whole)))
    code = (
        "import jobs.runtime.configuration as c; assert '.zip' in c.__file__; "
        "print(c.load_configuration('sfmc_tracking', None)[0].name); import jobs.transform"
    )
    env = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert done.stdout.strip() == "sfmc_tracking", done.stderr


def test_the_list_of_a_build_names_every_file(tmp_path: Path) -> None:
    commit, release = small_repository(tmp_path), glue_release("6.0")
    document = json.loads(describe_build(commit, release, {"b": b"2", "a": b"1"}))
    assert document == {
        "commit": commit.sha,
        "version": "1.2.3",
        "glue": "6.0",
        "python": "3.13",
        "files": {"a": hashlib.sha256(b"1").hexdigest(), "b": hashlib.sha256(b"2").hexdigest()},
    }


def test_scripts_are_the_jobs_and_no_package(tmp_path: Path) -> None:
    more = {"jobs/runtime/deep.py": "", "jobs/_own.py": "", "jobs/notes.md": "", "transforms/x.py": ""}
    assert sorted(code_files(small_repository(tmp_path, more))) == [
        "cleanroom-etl.yaml",
        "cleanroom_etl.zip",
        "jobs/load.py",
    ]


def test_uncommitted_changes_are_refused_or_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = small_repository(tmp_path)
    before = code_files(commit)
    refuse_uncommitted(tmp_path, allowed=False)
    (tmp_path / "jobs/load.py").write_text("changed", encoding="utf-8")
    (tmp_path / "jobs/new.py").write_text("new", encoding="utf-8")
    with pytest.raises(BuildError, match=r"jobs/load\.py, jobs/new\.py; commit them, or .* --allow-dirty"):
        refuse_uncommitted(tmp_path, allowed=False)
    refuse_uncommitted(tmp_path, allowed=True)
    assert "without the uncommitted changes in jobs/load.py, jobs/new.py" in capsys.readouterr().out
    assert code_files(commit) == before


def test_a_link_is_refused(tmp_path: Path) -> None:
    small_repository(tmp_path)
    (tmp_path / "jobs/link.py").symlink_to("load.py")
    with pytest.raises(BuildError, match=r"jobs/link\.py is a link"):
        code_files(commit_all(tmp_path))


def test_a_commit_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    commit = small_repository(tmp_path)
    assert find_commit(tmp_path, commit.sha[:9]) == commit
    assert find_commit(tmp_path, "--help") is None
    with pytest.raises(BuildError, match="not a git repository"):
        head_commit(tmp_path / "..")


# --- locks and releases


def test_an_unknown_release_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"Glue 6\.1 is not supported; did you mean 6\.0\?"):
        glue_release("6.1")


@pytest.mark.parametrize("name", release_names())
def test_the_locks_of_this_checkout_fit_its_pyproject(name: str) -> None:
    release, pyproject = glue_release(name), (PROJECT / "pyproject.toml").read_bytes()
    lock = read_lock((PROJECT / f"infra/locks/glue-{name}.txt").read_text(encoding="utf-8"), name)
    check_lock(lock, shipped(pyproject), own_modules(pyproject, release), release)
    assert {"cffi", "pycparser"} <= {each.name for each in lock}


@pytest.mark.parametrize("name", release_names())
def test_what_is_pinned_for_tests_is_what_glue_has(name: str) -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    pins = dict(each.split("==") for each in groups[f"glue-{name.replace('.', '-')}"] if isinstance(each, str))
    modules = glue_release(name).modules
    assert {each: modules[each] for each in pins if each in modules} == {
        each: version for each, version in pins.items() if each != "pyspark"
    }


LOCKED = "0" * 64
RELEASE = glue_release("6.0")


@pytest.mark.parametrize(
    ("lock", "wanted", "message"),
    [
        pytest.param(
            [], {"tiny": "1.0"}, r"does not have tiny==1\.0, .*python -m infra\.lock --glue 6\.0", id="absent"
        ),
        pytest.param(
            [Locked("tiny", "0.9", LOCKED)], {"tiny": "1.0"}, r"does not have tiny==1\.0", id="another version"
        ),
        pytest.param(
            [Locked("numpy", "2.5.0", LOCKED)],
            {},
            r"bring numpy 2\.5\.0 \(Glue has 2\.4\.4\)",
            id="replaces Glue's own",
        ),
        pytest.param(
            [Locked("numpy", "2.4.4", LOCKED)], {}, r"bring numpy 2\.4\.4 \(Glue has 2\.4\.4\)", id="doubles Glue's own"
        ),
    ],
)
def test_a_lock_that_does_not_fit_is_refused(lock: list[Locked], wanted: dict[str, str], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        check_lock(lock, wanted, own_modules(PYPROJECT.encode(), RELEASE), RELEASE)


def test_a_wheel_of_another_digest_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    right = Locked("tiny", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())
    download([right], RELEASE, tmp_path / "right")
    assert [each.name for each in (tmp_path / "right").iterdir()] == [path.name]
    with pytest.raises(BuildError, match=r"pip download failed(?s:.*)Expected sha256 0{64}"):
        download([Locked("tiny", "1.0", LOCKED)], RELEASE, tmp_path / "wrong")
    assert not list((tmp_path / "wrong").iterdir())


@pytest.mark.parametrize("line", ["tiny==1.0", "tiny>=1 --hash=sha256:" + LOCKED, "--index-url http://x"])
def test_a_lock_names_exact_wheels_only(line: str) -> None:
    with pytest.raises(BuildError, match=r"^x:2: is not of the form name==version --hash"):
        read_lock(f"# made\n{line}\n", "x")


def test_a_loose_pin_is_refused() -> None:
    with pytest.raises(BuildError, match=r"shipped: tiny>=1 must be pinned with =="):
        shipped(b'[dependency-groups]\nshipped = ["tiny>=1"]\n')


def test_a_stale_lock_stops_a_build(tmp_path: Path) -> None:
    commit = small_repository(tmp_path, {"pyproject.toml": PYPROJECT.replace("[]", '["tiny==1.0"]')})
    with pytest.raises(BuildError, match=r"infra/locks/glue-6\.0\.txt does not have tiny==1\.0"):
        locked_wheels(commit, RELEASE)


# --- wheels


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp313-cp313-manylinux_2_34_x86_64", True),
        ("cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64", True),
        ("cp311-abi3-manylinux_2_28_x86_64", True),
        ("cp313-cp313-manylinux_2_35_x86_64", False),
        ("cp312-cp312-manylinux_2_28_x86_64", False),
        ("cp314-abi3-manylinux_2_28_x86_64", False),
        ("cp313-cp313t-manylinux_2_28_x86_64", False),
        ("cp313-cp313-manylinux_2_28_aarch64", False),
        ("cp313-cp313-musllinux_1_2_x86_64", False),
        ("cp313-cp313-linux_x86_64", False),
        ("cp313-cp313-macosx_11_0_arm64", False),
    ],
)
def test_wheels_must_be_for_the_platform_of_glue(tmp_path: Path, tags: str, *, fits: bool) -> None:
    make_wheel(tmp_path, tags=tags)
    if fits:
        assert [wheel.name for wheel in check_wheels(tmp_path, RELEASE)] == ["tiny"]
    else:
        with pytest.raises(BuildError, match=r"is not for Python 3\.13 on glibc 2\.34, x86_64"):
            check_wheels(tmp_path, RELEASE)


@pytest.mark.parametrize(
    ("content", "newest"),
    [
        pytest.param(b"\0GLIBC_2.17\0GLIBC_2.2.5\0GLIBC_2.34\0", (2, 34), id="2.34 is the newest that Glue has"),
        pytest.param(b"\0GLIBC_2.9\0GLIBC_2.4\0", (2, 9), id="numbers are not text"),
        pytest.param(b"\0GLIBCXX_3.4.29\0GLIBC_PRIVATE\0", None, id="other symbols"),
    ],
)
def test_binaries_tell_the_glibc_that_they_need(tmp_path: Path, content: bytes, newest: tuple[int, int] | None) -> None:
    make_wheel(tmp_path, tags=OWN, files={"tiny/fast.cpython-313-x86_64-linux-gnu.so": content})
    (wheel,) = check_wheels(tmp_path, RELEASE)
    assert wheel.glibc == newest


def test_a_binary_that_belies_its_tag_is_refused(tmp_path: Path) -> None:
    make_wheel(tmp_path, tags=OWN, files={"tiny.libs/libfoo.so.1": b"\0GLIBC_2.38\0"})
    with pytest.raises(BuildError, match=r"has a binary that needs glibc 2\.38; Glue has 2\.34"):
        check_wheels(tmp_path, RELEASE)


def test_every_extension_is_imported_but_no_library_beside_it(tmp_path: Path) -> None:
    files = {
        "tiny/_fast.cpython-313-x86_64-linux-gnu.so": b"",
        "tiny/deep/_rust.abi3.so": b"",
        "_root.abi3.so": b"",
        "single.py": b"",
        "tiny.libs/libfoo-1.so.2": b"",
    }
    path = make_wheel(tmp_path, tags=OWN, files=files)
    assert importable(path) == ["_root", "single", "tiny", "tiny._fast", "tiny.deep._rust"]


def test_the_zip_of_wheels_is_laid_out_as_glue_wants_it(tmp_path: Path) -> None:
    make_wheel(tmp_path, "tiny")
    make_wheel(tmp_path, "other_one")
    entries = gluewheels(check_wheels(tmp_path, RELEASE))
    assert entries["wheels/requirements.txt"] == b"other-one==1.0\ntiny==1.0\n"
    assert sorted(entries)[:2] == ["wheels/other_one-1.0-py3-none-any.whl", "wheels/requirements.txt"]


def test_wheels_are_proved_to_install_from_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(tmp_path, requires="Requires-Dist: needed\n")
    monkeypatch.setattr("infra.wheel_proof.find_python", lambda _release: None)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PYTHONPATH", str(make_wheel(tmp_path / "elsewhere", "needed")))
    wheels = check_wheels(tmp_path, RELEASE)
    with pytest.raises(BuildError, match=r"pip install failed(?s:.*)needed"):
        prove(wheels, RELEASE, zip_bytes(gluewheels(wheels)))
    shutil.copy(tmp_path / "elsewhere" / "needed-1.0-py3-none-any.whl", tmp_path)
    wheels = check_wheels(tmp_path, RELEASE)
    lines = prove(wheels, RELEASE, zip_bytes(gluewheels(wheels)))
    assert "NOT imported: this machine has no Python 3.13" in lines[-1]


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="binaries of Glue's platform")
def test_the_wheels_of_this_checkout_are_built_and_proved(tmp_path: Path, whole: Commit) -> None:
    name = next((each for each in release_names() if find_python(glue_release(each))), "6.0")
    release = glue_release(name)
    proved = build(whole, release, tmp_path / "build")
    assert any("--no-index" in line for line in proved)
    document = json.loads((tmp_path / "build" / release.build_name).read_bytes())
    for file, digest in document["files"].items():
        assert hashlib.sha256((tmp_path / "build" / file).read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(tmp_path / "build" / release.wheels_name) as archive:
        archive.extractall(tmp_path / "unpacked")
    wheels = check_wheels(tmp_path / "unpacked" / "wheels", release)
    lock = (PROJECT / f"infra/locks/glue-{name}.txt").read_text(encoding="utf-8")
    assert lock_text(wheels, release) == lock
    content = (tmp_path / "build" / sbom_name(release)).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content) is None
    parts = json.loads(content)
    told = {
        (each["name"], each["version"], each["hashes"][0]["content"])
        for each in parts["components"]
        if "hashes" in each
    }
    assert told == {(each.name, each.version, each.sha256) for each in read_lock(lock, name)}
    assert parts["metadata"]["component"]["hashes"][0]["content"] == document["files"]["cleanroom_etl.zip"]
    depends = {each["ref"].split("@")[0]: each.get("dependsOn", []) for each in parts["dependencies"]}
    assert [each.split("@")[0] for each in depends["pkg:pypi/cryptography"]] == ["pkg:pypi/cffi"]
    assert [each.split("@")[0] for each in depends["pkg:pypi/cffi"]] == ["pkg:pypi/pycparser"]


# --- the room


def test_nothing_imports_this_room() -> None:
    for room in ("jobs", "transforms", "schemas"):
        for path in (PROJECT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not [each for each in names if each.partition(".")[0] == "infra"], path


COMMANDS = ("audit", "build", "cost", "deploy", "destroy", "doctor", "lock")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_its_arguments_and_refuses_a_typo(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"infra.{command}")
    monkeypatch.setattr(sys, "argv", [command, "--help"])
    assert run_command(module.Args, module.main, module.__name__) == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m infra.{command} --name value")
    monkeypatch.setattr(sys, "argv", [command, "--stak", "x"])
    assert run_command(module.Args, module.main, module.__name__) == 1
    assert capsys.readouterr().err.startswith("error: unknown --stak")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, "CreateChangeSet"),
            "error: CreateChangeSet: AccessDenied: not authorized: the identity you are signed in with lacks",
            id="AWS refuses",
        ),
        pytest.param(NoCredentialsError(), "error: Unable to locate credentials: sign in first", id="nobody signed in"),
        pytest.param(BuildError("no"), "error: no\n", id="ours"),
    ],
)
def test_errors_are_one_clear_line(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_args: cost.Args) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["x"])
    assert run_command(cost.Args, fail, "infra.x") == 1
    assert capsys.readouterr().err.startswith(told)


def test_who_stops_a_command_is_told_that_aws_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_args: cost.Args) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["x"])
    assert run_command(cost.Args, stop, "infra.x") == 130
    assert "what AWS has begun goes on there" in capsys.readouterr().err
