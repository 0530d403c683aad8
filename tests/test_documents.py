"""What the documents name is there: files, folders, modules, targets of make, headings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "SECURITY.md", "infra/README.md")
ROOMS = ("jobs", "transforms", "schemas", "infra", "tests")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
_ENDINGS = (".py", ".md", ".toml", ".yaml", ".guard", ".txt", ".zip")


def code_of(text: str) -> list[str]:
    """Return what stands as code: every fenced block, every span between backticks."""
    return [*_FENCE.findall(text), *_CODE.findall(_FENCE.sub("", text))]


def paths_of(text: str) -> set[str]:
    """Return the words of code that look like paths of this repository, and the files that are linked to."""
    words = {word.strip("'\",;:()[]") for code in code_of(text) for word in code.split()}
    named = {word for word in words if _PATH.fullmatch(word) and word.partition("/")[0] in ROOMS and "/" in word}
    # of a folder below the document's own, such as cloudformation/check.py in infra/README.md
    spans = {span for span in _CODE.findall(_FENCE.sub("", text)) if _PATH.fullmatch(span)}
    named |= {span for span in spans if "/" in span and span.endswith(_ENDINGS)}
    linked = {link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link}
    return named | (linked - {""})


def missing_paths(text: str, folders: Iterable[Path]) -> list[str]:
    """Return the named paths that are in none of ``folders``; a star stands for at least one file."""
    return sorted(path for path in paths_of(text) if not any(any(each.glob(path)) for each in folders if path))


def modules_of(text: str) -> set[str]:
    """Return the modules of this repository that commands start."""
    found = {name for code in code_of(text) for name in re.findall(r"python3? -m ([\w.]+)", code)}
    return {name for name in found if name.partition(".")[0] in ROOMS}


def targets_of(text: str) -> set[str]:
    """Return the targets that commands give to make."""
    return {name for code in code_of(text) for name in re.findall(r"(?:^|[\s`])make ([a-z][a-z-]*)", code)}


def anchor_of(heading: str) -> str:
    """Return what GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_anchors(text: str, document: Path) -> list[str]:
    """Return the links to headings that are not there."""
    broken = []
    for link in _LINK.findall(text):
        file, _, anchor = link.partition("#")
        if not anchor or "://" in link:
            continue
        target = document.parent / file if file else document
        headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", target.read_text(encoding="utf-8")), re.MULTILINE)
        if anchor not in {anchor_of(each) for each in headings}:
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_is_there(name: str) -> None:
    document = PROJECT / name
    text = document.read_text(encoding="utf-8")
    assert paths_of(text)
    assert missing_paths(text, {PROJECT, document.parent}) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_module_and_target_is_there(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    files = {each: PROJECT.joinpath(*each.split(".")) for each in modules_of(text)}
    assert [each for each, path in files.items() if not (path.with_suffix(".py").exists() or path.is_dir())] == []
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    assert targets_of(text) - targets == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_heading_has_one(name: str) -> None:
    document = PROJECT / name
    assert broken_anchors(document.read_text(encoding="utf-8"), document) == []


TEXT = """\
# A `tests/nowhere.py`, [a link](other.md), [another](https://example.com/a.md), [a part](#a-part-and--more)
`raw/<id>/`, `state/lock.json`, `cloudformation/none.guard`, `jobs/*.nothing`, `make nothing`, `python -m infra.nothing`
```
spark-submit jobs/none.py --root file:///data/acme jobs/pipeline.py   # make shown STACK=…
```
## A part: *and* & more
"""


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    assert missing_paths(TEXT, [PROJECT]) == [
        "cloudformation/none.guard",
        "jobs/*.nothing",
        "jobs/none.py",
        "other.md",
        "tests/nowhere.py",
    ]
    assert modules_of(TEXT) == {"infra.nothing"}
    assert targets_of(TEXT) == {"nothing", "shown"}
    document = tmp_path / "a.md"
    document.write_text(TEXT, encoding="utf-8")
    assert broken_anchors(TEXT, document) == []
    assert broken_anchors("[x](a.md#not-there) [y](a.md#a-part-and--more)", document) == ["a.md#not-there"]
