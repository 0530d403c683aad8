"""Which columns hold personal data, by their names and their values. In doubt a column is personal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from transforms.guessing.column_names import KINDS, Kind, is_measure_name, is_qualified_name, kinds_by_name
from transforms.guessing.countries import country_share
from transforms.guessing.value_shapes import has_phone_signs, hash_of, hides_email, hides_phone, share
from transforms.guessing.value_types import ValueType

_HALF, _MOSTLY, _NEARLY_ALL = 0.5, 0.8, 0.95
_CATEGORY_VALUES, _CATEGORY_ROWS, _CATEGORY_SHARE, _CATEGORY_LENGTH = 30, 8, 4, 40
_FEW_VALUES, _FEW_ROWS = 3, 6
_UNIQUE_ROWS: Final = 20
_CODE_DIGITS, _LONG_DIGITS = 5, 9
_HIDDEN_PHONES: Final = 0.01
_LAST_BIRTH, _FIRST_ADULT = 2012, 1990
_CLEAR: Final = 'publish = "clear" shows it'
_NUMERIC: Final = ("bigint", "float")
_SAFE: Final = (f"hashed to be safe; {_CLEAR}",)
_THING: Final = (f"hashed to be safe; {_CLEAR}, if it names a thing, no person",)
#: Doubts that come with a kind, whatever its values.
_STANDING_DOUBTS: Final[dict[str, tuple[str, ...]]] = {
    "city": _SAFE,
    "state": _SAFE,
    "birth_date": ("the house rules have none for dates of birth: the text is hashed as it is written",),
    "id": _THING,
    "any_name": _THING,
}


@dataclass(frozen=True)
class Judgement:
    """What a column is.

    ``kind`` is None for one that is not personal. ``clear`` says that it may be published as it is; ``keys`` that its
    name makes it an id, or its values e-mail addresses, so that it may make rows unique.
    """

    kind: Kind | None
    clear: bool = False
    keys: bool = False
    doubts: tuple[str, ...] = ()


def judge(name: str, values: Sequence[str], kind: ValueType, *, named: bool = True) -> Judgement:
    """Return what the column ``name`` is.

    Args:
        name: the name as the file has it.
        values: its texts, trimmed, without empty ones and words for no value.
        kind: their type.
        named: whether the name is the file's own; else it tells nothing.
    """
    by_name = list(kinds_by_name(name)) if named else []
    if not values:
        return _of_no_values(by_name)
    found = _prehashed(by_name, values) or _by_shape(by_name, values, kind) or _by_name(name, by_name, values, kind)
    if found is None:
        found = _by_values(name, values, kind, named=named)
    return found


def _hashed(kind: str, *doubts: str, keys: bool = False) -> Judgement:
    return Judgement(KINDS[kind], keys=keys, doubts=doubts)


def _of_no_values(by_name: list[Kind]) -> Judgement:
    if by_name:
        return Judgement(by_name[0], doubts=("its name alone tells what it is",))
    return _hashed("identifier", f"hashed, for nothing tells what it is; {_CLEAR}")


def _prehashed(by_name: list[Kind], values: Sequence[str]) -> Judgement | None:
    algorithm = hash_of(values)
    if algorithm is None:
        return None
    kind = by_name[0] if by_name else KINDS["identifier"]
    opaque = replace(kind, normalize="text" if "base64" in algorithm else "lower", says=f"hash of a {kind.says}")
    doubt = (
        f"its values look like {algorithm} hashes, and are hashed once more; to publish the source's own hashes, say "
        "how it made them: prehashed = { algorithm, encoding, profile, phones }, and the same in the table"
    )
    return Judgement(opaque, keys=True, doubts=(doubt,))


def _by_shape(by_name: list[Kind], values: Sequence[str], kind: ValueType) -> Judgement | None:
    """Judge by values that are unmistakable."""
    emails = share(values, "email")
    if emails >= _HALF:
        doubts = () if emails >= _NEARLY_ALL else (f"{emails:.0%} of the values are e-mail addresses",)
        return _hashed("email", *doubts, keys=True)
    own = by_name[0] if by_name else None
    doubts = () if own is not None else ("told by the form of its values",)
    is_text = kind.epoch is None and kind.times is None
    found: Judgement | None = None
    if share(values, "uuid") >= _MOSTLY:
        found = _of_uuids(own)
    elif share(values, "iban") >= _HALF or share(values, "ssn") >= _MOSTLY:
        found = _hashed("secret", *doubts)
    elif kind.type == "string" and share(values, "ip") >= _MOSTLY:
        found = _hashed("ip", *doubts)
    elif is_text and len(values) >= _FEW_VALUES and share(values, "card") >= _NEARLY_ALL:
        known = own is not None and own.name in ("secret", "person_id")
        found = _hashed("secret", *(() if known else ("the check digits of its values are those of cards",)))
    return found


def _of_uuids(own: Kind | None) -> Judgement:
    if own is None:
        return _hashed("identifier", f"its values are UUIDs; {_CLEAR} if they name no person or device", keys=True)
    return Judgement(KINDS["identifier"] if own.shape else own, keys=True)


def _by_name(name: str, by_name: list[Kind], values: Sequence[str], kind: ValueType) -> Judgement | None:
    """Judge by the name where the values do not speak against it."""
    refused: Kind | None = None
    for candidate in by_name:
        if not _may_be(candidate, kind, name):
            continue
        if candidate.shape and share(values, candidate.shape) < _HALF:
            refused = refused or candidate
            continue
        if is_qualified_name(name) and _is_category(values) and candidate.name not in ("gender", "country", "state"):
            doubt = f"named like a {candidate.says}, but taken for a category"
            return Judgement(None, clear=True, doubts=(doubt,))
        return _named(candidate, values)
    if refused is None or kind.type != "string":
        return None
    part = f"named like a {refused.says}, but {share(values, refused.shape):.0%} of the values look like one"
    if is_qualified_name(name) and _is_category(values) and not hides_email(values) and not hides_phone(values):
        return Judgement(None, clear=True, doubts=(f"{part}: taken for a category",))
    return _hashed("identifier", part)


def _may_be(candidate: Kind, kind: ValueType, name: str) -> bool:
    """Tell whether values of this type can be what the name says."""
    if kind.type in ("date", "timestamp"):
        return candidate.name == "birth_date" or (kind.epoch is not None and candidate.name in ("phone", "person_id"))
    if kind.type == "boolean":
        return candidate.name == "gender"
    if kind.type.startswith("decimal") or kind.type == "float":
        return candidate.name == "location"
    if kind.type == "bigint":
        return not is_measure_name(name) or candidate.name in ("secret", "person_id", "id", "phone")
    return True


def _named(candidate: Kind, values: Sequence[str]) -> Judgement:
    """Return what a name says and values do not deny, with the doubts that this kind has."""
    name, doubts = candidate.name, _STANDING_DOUBTS.get(candidate.name, ())
    if candidate.shape:
        likely = share(values, candidate.shape)
        doubts = () if likely >= _MOSTLY else (f"{likely:.0%} of the values look like a {candidate.says}",)
    if name == "country":
        known = country_share(values)
        if known < _HALF:
            return _hashed("identifier", f"named like a country, but {known:.0%} of the values are known ones")
        doubts = () if known >= _NEARLY_ALL else (f"{known:.0%} of the values are known countries",)
    return Judgement(candidate, clear=name == "country", keys=name in ("person_id", "id"), doubts=doubts)


def _by_values(name: str, values: Sequence[str], kind: ValueType, *, named: bool) -> Judgement:
    """Judge where the name tells nothing."""
    if kind.times is not None:
        years = kind.times.years
        if years is not None and years[1] <= _LAST_BIRTH and years[0] < _FIRST_ADULT:
            return _hashed("birth_date", f"hashed, for its years might be years of birth; {_CLEAR}")
        return Judgement(None, clear=True)
    if kind.type == "boolean" or kind.epoch is not None or kind.type.startswith("decimal"):
        return Judgement(None, clear=True)
    if kind.type in _NUMERIC:
        return _of_whole_numbers(name, values, named=named)
    return _of_text(name, values, kind, named=named)


def _of_whole_numbers(name: str, values: Sequence[str], *, named: bool) -> Judgement:
    doubt = None
    lengths = {len(value) for value in values}
    unique = len(values) >= _UNIQUE_ROWS and len(set(values)) == len(values)
    if is_measure_name(name) and named:
        return Judgement(None, clear=True)
    if unique and not any(value.startswith("-") for value in values):
        doubt = "no number comes twice: taken for an id"
    elif max(lengths) >= _LONG_DIGITS:
        doubt = "long numbers: taken for ids or phone numbers"
    elif len(lengths) == 1 and max(lengths) >= (_CODE_DIGITS if named else _CODE_DIGITS - 1) and len(set(values)) > 1:
        doubt = "numbers of one length: taken for codes"
    if doubt is None:
        return Judgement(None, clear=True)
    return _hashed("identifier", f"{doubt}, and hashed; {_CLEAR}")


def _of_text(name: str, values: Sequence[str], kind: ValueType, *, named: bool) -> Judgement:
    emails, phones = hides_email(values), hides_phone(values)
    if share(values, "phone") >= _MOSTLY and has_phone_signs(values):
        found = _hashed("phone", "told by the form of its values")
    elif emails:
        found = _hashed("identifier", f"{emails} of {len(values)} values have an e-mail address inside")
    elif phones >= max(1, _HIDDEN_PHONES * len(values)):
        found = _hashed("identifier", f"{phones} of {len(values)} values have something like a phone number inside")
    elif not named:
        found = _hashed("identifier", f"hashed, for no name tells what it is; {_CLEAR}")
    elif any(value.startswith(("[", "{")) for value in values):
        found = _hashed("identifier", f"hashed, for it has lists or objects, which may hold anything; {_CLEAR}")
    elif kind.doubts and is_measure_name(name):  # numbers that no type reads
        found = Judgement(None, clear=True)
    elif not kind.doubts and _is_category(values):
        doubt = f"{len(set(values))} distinct in {len(values)} values: taken for a category"
        found = Judgement(None, clear=True, doubts=() if is_qualified_name(name) else (doubt,))
    else:
        found = _hashed("identifier", f"hashed, for it has many different values: text, ids or names; {_CLEAR}")
    return found


def _is_category(values: Sequence[str]) -> bool:
    """Tell a choice among few words."""
    distinct = set(values)
    if any(len(value) > _CATEGORY_LENGTH for value in distinct):
        return False
    few = len(distinct) <= _FEW_VALUES and len(values) >= _FEW_ROWS
    return few or (
        len(distinct) <= _CATEGORY_VALUES
        and len(values) >= _CATEGORY_ROWS
        and len(distinct) * _CATEGORY_SHARE <= len(values)
    )
