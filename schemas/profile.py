"""The model of a normalisation profile: ``schemas/profiles/*.toml``.

A profile says how one platform brings values into the form that it hashes, field by field. Its id is
``name@version``: rules change, and two parties match only where both used the same version.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from schemas import vocabulary
from schemas.problems import Problems, SchemaError, Section, nearest

#: Our own rules, which hold where a table names no profile.
HOUSE: Final = "cleanroom-etl"

_CLEAR: Final = "none"
_DECLARED: Final = "declared"


@dataclass(frozen=True)
class ProfileField:
    """How a profile treats one kind of value.

    ``rule`` names the function of ``transforms.profiles.registry``. ``algorithm`` and ``encoding`` are what the
    platform compares; None where it compares the value itself, unhashed.
    """

    name: str
    rule: str
    algorithm: str | None
    encoding: str | None


@dataclass(frozen=True)
class Profile:
    """One version of one platform's rules.

    ``phones`` is the form of phone numbers. ``empty`` is what the platform itself does with a value of which nothing is
    left: ``null``, or ``hash``, the hash of the empty text. ``already_hashed`` names the function that recognises
    hashes among the values, or is empty where the platform wants them declared.
    """

    name: str
    version: str
    comment: str
    sources: tuple[str, ...]
    fields: Mapping[str, ProfileField]
    phones: str
    empty: str
    already_hashed: str

    @property
    def id(self) -> str:
        """Name and version, as tables and properties name it."""
        return f"{self.name}@{self.version}"


def parse_profiles(text: str, origin: str) -> tuple[dict[str, Profile], dict[str, str]]:
    """Read a profile file: its versions by id, and every other name of them.

    The first version is the one that the name alone stands for. Raises SchemaError with every problem found.
    """
    problems = Problems(origin)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError([f"{origin}: not valid TOML: {error}"]) from None
    top = Section(document, "", problems)
    name = top.text("name")
    comment = top.text("comment")
    names = (name, *top.texts("aliases"))
    found: dict[str, Profile] = {}
    others: dict[str, str] = {}
    for version, section in top.sections("versions").items():
        aliases = section.texts("aliases")
        profile = _profile(name, version, comment, section)
        found[profile.id] = profile
        others |= dict.fromkeys(aliases, profile.id)
        others |= {f"{alias}@{version}": profile.id for alias in names[1:]}
    if not found:
        problems.add("versions", "a profile needs at least one version")
    top.close()
    problems.raise_if_any()
    first = next(iter(found))
    return found, {**dict.fromkeys(names, first), **others}


def _profile(name: str, version: str, comment: str, section: Section) -> Profile:
    encoding = section.text("encoding", "hex", vocabulary.ENCODINGS)
    algorithms = section.mapping("algorithms")
    for field, algorithm in algorithms.items():
        if algorithm not in (*vocabulary.ALGORITHMS, _CLEAR):
            section.problem(
                f"algorithms.{field}",
                f"{algorithm!r} is not known{nearest(algorithm, (*vocabulary.ALGORITHMS, _CLEAR))}",
            )
    fields = {}
    for field, rule in section.mapping("fields").items():
        if field not in vocabulary.NORMALIZERS:
            section.problem(f"fields.{field}", f"is no kind of value{nearest(field, vocabulary.NORMALIZERS)}")
        algorithm = algorithms.pop(field, "sha256")
        in_clear = algorithm == _CLEAR
        fields[field] = ProfileField(field, rule, None if in_clear else algorithm, None if in_clear else encoding)
    for field in algorithms:
        section.problem(f"algorithms.{field}", "is no field of this version")
    profile = Profile(
        name=name,
        version=version,
        comment=f"{comment}; {detail}" if (detail := section.text("comment", "")) else comment,
        sources=section.texts("sources"),
        fields=fields,
        phones=section.text("phones", "e164", vocabulary.PHONES),
        empty=section.text("empty", "null", vocabulary.EMPTY),
        already_hashed=section.text("already_hashed", _DECLARED).replace(_DECLARED, ""),
    )
    section.close()
    return profile


@cache
def _packaged() -> tuple[dict[str, Profile], dict[str, str]]:
    profiles: dict[str, Profile] = {}
    names: dict[str, str] = {}
    for entry in sorted(resources.files("schemas.profiles").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            found, others = parse_profiles(entry.read_text(encoding="utf-8"), f"schemas/profiles/{entry.name}")
            profiles |= found
            names |= others
    return profiles, names


def profiles() -> dict[str, Profile]:
    """Return every version of every profile by its id, in the order of names."""
    return dict(_packaged()[0])


def profile_names() -> dict[str, str]:
    """Return the id behind every name that a profile goes by: its own, with a version, and its aliases."""
    known, names = _packaged()
    return {**{identity: identity for identity in known}, **names}


def find_profile(name: str) -> Profile:
    """Return a profile by id, name or alias. KeyError, with the nearest valid name, where there is none."""
    names = profile_names()
    if name not in names:
        raise KeyError(f"{name!r} is no profile{nearest(name, names)}")
    return _packaged()[0][names[name]]
