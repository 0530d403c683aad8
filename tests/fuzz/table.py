"""Every target, by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz import archives, arguments, binary_records, definitions, envelope, openpgp, texts, whole_files
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for module in (envelope, archives, openpgp, texts, binary_records, definitions, arguments, whole_files)
    for target in module.TARGETS
}
