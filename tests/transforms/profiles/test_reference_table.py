from __future__ import annotations

from pathlib import Path

from schemas.profile import profiles
from transforms.profiles import reference_table


def test_the_page_for_readers_is_what_the_rules_say(project: Path) -> None:
    page = (project / "transforms" / "profiles" / "README.md").read_text(encoding="utf-8")
    assert page == reference_table.render(), "make profiles writes it anew"


def test_the_page_names_every_profile_and_field() -> None:
    page = reference_table.render()
    for profile in profiles().values():
        section = page.partition(f"## {profile.id}\n")[2].partition("\n## ")[0]
        assert [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| ")][2:] == [
            f"| {name}" for name in profile.fields
        ]
