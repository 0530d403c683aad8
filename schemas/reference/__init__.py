"""Look-up facts as TOML files: countries, states, phone regions."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def load(name: str) -> dict[str, Any]:
    """Return the content of the packaged file ``<name>.toml``; callers share it and must not change it.

    Raises FileNotFoundError for a name that is not packaged.
    """
    return tomllib.loads(resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
