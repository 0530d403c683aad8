"""The Glue releases that are built for: their Python, their platform, and the modules they have themselves."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Final

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name

from jobs.runtime.errors import ArgumentError
from schemas.problems import nearest

#: The C library of Amazon Linux 2023, which Glue 5.0 and later run on (Glue developer guide, "Python libraries", B).
GLIBC: Final = (2, 34)
_OLDEST_GLIBC: Final = 5  # the first that manylinux knows, 2.5
_OLD_NAMES: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_PYTHONS: Final = {"6.0": (3, 13), "5.1": (3, 11)}
#: The newest release, for a first deployment that names none.
NEWEST: Final = "6.0"


@dataclass(frozen=True)
class Release:
    """One Glue release: its name, its Python, and its own modules with their versions, by normalised name."""

    name: str
    python: tuple[int, int]
    modules: dict[str, str]

    @property
    def python_version(self) -> str:
        """The Python version as programs are called: 3.13."""
        return f"{self.python[0]}.{self.python[1]}"

    @property
    def wheels_name(self) -> str:
        """The name of the zip of wheels; Glue knows it by its ending."""
        return f"glue-{self.name}.gluewheels.zip"

    @property
    def build_name(self) -> str:
        """The name of the list of what was built for this release."""
        return f"glue-{self.name}.build.json"

    @property
    def platforms(self) -> list[str]:
        """The platforms whose wheels run there, best first: every glibc up to the one that it has."""
        found = []
        for minor in range(GLIBC[1], _OLDEST_GLIBC - 1, -1):
            found.append(f"manylinux_2_{minor}_x86_64")
            if minor in _OLD_NAMES:
                found.append(f"{_OLD_NAMES[minor]}_x86_64")
        return found

    @property
    def tags(self) -> frozenset[Tag]:
        """Every tag of a wheel that runs there."""
        abi = f"cp{self.python[0]}{self.python[1]}"
        return frozenset(
            [
                # the ABIs are named: packaging would otherwise ask the Python that runs this
                *cpython_tags(self.python, [abi], self.platforms),
                *compatible_tags(self.python, abi, self.platforms),
            ]
        )


def glue_release(name: str) -> Release:
    """Return the release called ``name``. Raises ArgumentError where there is none."""
    if name not in _PYTHONS:
        raise ArgumentError(f"Glue {name} is not supported{nearest(name, _PYTHONS)}")
    listed = tomllib.loads(resources.files("infra").joinpath("glue_modules.toml").read_text(encoding="utf-8"))
    return Release(name, _PYTHONS[name], {canonicalize_name(key): value for key, value in listed[name].items()})


def release_names() -> tuple[str, ...]:
    """Return the names of the releases, newest first."""
    return tuple(_PYTHONS)
