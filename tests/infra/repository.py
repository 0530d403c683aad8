"""Small repositories to build and deploy from."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from infra.build import build_folder, code_files, describe_build
from infra.commit import Commit, head_commit
from infra.release import Release

PROJECT = Path(__file__).resolve().parents[2]
_WHO = {
    **{f"GIT_{role}_{what}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}

TEMPLATE = """\
Parameters:
  CodeBucket: {Type: String}
  CodePrefix: {Type: String}
  GlueVersion: {Type: String, Default: '6.0', AllowedValues: ['6.0', '5.1']}
  ConnectorName: {Type: String, Description: Which source}
  Start: {Type: String, Default: schedule, AllowedValues: [schedule, arrival, demand]}
  Schedule: {Type: String, Default: 'cron(0 3 * * ? *)'}
  CreateDatabase: {Type: String, Default: true, AllowedValues: [true, false]}
Conditions:
  OnArrival: !Equals [!Ref Start, arrival]
Resources:
  Landing:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties:
      BucketName: !Sub '${AWS::StackName}-landing'
  Topic:
    Type: AWS::SNS::Topic
"""
PYPROJECT = """\
[project]
name = "small"
version = "1.2.3"
[dependency-groups]
shipped = []
glue-6-0 = ["numpy==2.4.4", {include-group = "shipped"}]
glue-5-1 = ["numpy==2.3.4"]
"""


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, env={**os.environ, **_WHO}
    )
    return done.stdout


def commit_all(folder: Path, *, message: str = "a commit") -> Commit:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return head_commit(folder)


def small_repository(folder: Path, files: dict[str, str] | None = None) -> Commit:
    """Make a repository that has all that a deployment needs, and next to nothing else."""
    contents = {
        "pyproject.toml": PYPROJECT,
        ".gitignore": "build/\n",
        "jobs/__init__.py": "",
        "jobs/load.py": "print('loaded')\n",
        "infra/locks/glue-6.0.txt": "",
        "infra/cloudformation/cleanroom-etl.yaml": TEMPLATE,
        **(files or {}),
    }
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "--quiet")
    return commit_all(folder)


def whole_repository(folder: Path) -> Commit:
    """Make a repository of this checkout's files as they are, committed or not."""
    for name in ("jobs", "transforms", "schemas", "infra"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".gitignore"):
        shutil.copy(PROJECT / name, folder / name)
    git(folder, "init", "--quiet")
    return commit_all(folder)


def put_build(commit: Commit, release: Release) -> dict[str, bytes]:
    """Write a build of ``commit`` as it would be made, with wheels that are none."""
    files = {**code_files(commit), release.wheels_name: b"wheels"}
    files[release.build_name] = describe_build(commit, release, files)
    for name, content in files.items():
        path = build_folder(release, commit.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files
