"""Write the reference table of the profiles for readers, from the rules themselves.

python -m transforms.profiles.reference_table > transforms/profiles/README.md
"""

from __future__ import annotations

from schemas.profile import Profile, profiles
from transforms.columns.phone_library import tables_version
from transforms.profiles.registry import rule_of
from transforms.profiles.rule import Rule

_INTRODUCTION = """\
# Normalisation profiles

Made from the rules in this folder by `python -m transforms.profiles.reference_table`; do not edit. A table names a
profile as `name@version`; the name alone stands for the version that comes first here. Steps run from left to right.

- **Null** stays null. Of what nothing is left, and what a step refuses, becomes null, never the hash of an empty text;
  *reasons* are what such rows are counted under. `unknown_country` is counted where the row's country is not known.
- **Hash** is what the platform compares, and what a table gets without saying `algorithm` and `encoding` itself. hex is
  lower case, base64 is of the raw bytes.
- **Hashes among the values** are refused (`hash_not_declared`): declare them in the connector (`prehashed`). What the
  platform itself does with them is said above each table; `python -m jobs.conformance` does the same.
- Phone numbers are read with the metadata of phonenumbers {version}, or of the release that is installed.
"""


def render() -> str:
    """Return the whole page as Markdown."""
    parts = [_INTRODUCTION.format(version=tables_version())]
    parts += [_section(profile) for profile in profiles().values()]
    return "\n".join(parts)


def _section(profile: Profile) -> str:
    empty = (
        'It hashes the empty text where nothing is left; here that is null unless a column says `empty = "hash"`.'
        if profile.empty == "hash"
        else "It hashes nothing where nothing is left."
    )
    hashed = (
        "It lets hashes pass that it recognises among the values."
        if profile.already_hashed
        else "It expects hashes to be declared."
    )
    lines = [
        f"## {profile.id}",
        "",
        f"{profile.comment[0].upper()}{profile.comment[1:]}. {empty} {hashed}",
        "",
        f"Sources: {'; '.join(profile.sources)}.",
        "",
        "| value | steps | hash | country | reasons for null |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, field in profile.fields.items():
        known = rule_of(profile, name)
        output = "none, compared as it is" if field.algorithm is None else f"{field.algorithm}, {field.encoding}"
        needs = "needed" if known.needs_country else ""
        lines.append(f"| {name} | {_steps(known)} | {output} | {needs} | {', '.join(known.reasons)} |")
    return "\n".join([*lines, ""])


def _steps(known: Rule) -> str:
    return " → ".join(step.says for step in known.steps).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(render(), end="")
