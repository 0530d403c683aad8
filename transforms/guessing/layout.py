r"""How delimited text is written: delimiter, quote, escape.

The standard library's csv.Sniffer is no help: it guesses from a few patterns, and gives up or errs where values hold
other delimiters. Here each possible layout is tried on the sample, and the one that splits its rows most alike wins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

#: In this order where several split the rows alike: a decimal comma or a time of day does so, too.
_USUAL: Final = "\t|;,:"
_UNUSUAL: Final = "\x01\x1f\x1e\x1d\x1c^~¦§¬¶þ#!*$%&"
_MOST_UNEVEN: Final = 0.5
_HEADER_DIFFERS: Final = 0.5
_BOTH_ENDS: Final = re.compile(r"""(?:".*"|'.*')""", re.DOTALL)
_SAMPLE: Final = 1 << 17  # characters that are enough to tell


@dataclass(frozen=True)
class Layout:
    """How text is written, in the words of ``schemas.file_format.Format``; ``doubts`` by the key they concern."""

    delimiter: str
    quote: str = '"'
    escape: str = '"'
    escape_unquoted: bool = False
    doubts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Trial:
    """What a layout makes of the sample: ``cost`` is 0 where all rows are alike and no quote stands out of place."""

    layout: Layout
    cost: float
    uneven: int
    rows: int
    quoted: int
    inner: int


_MODES: Final = (('"', '"', False), ('"', "\\", False), ('"', "\\", True), ("'", "'", False), ("", "", False))


def guess_layout(text: str) -> Layout:
    """Return the layout of delimited ``text``, which holds whole lines.

    Text of one column has a comma for its delimiter, and a doubt.
    """
    sample = text[: text.rfind("\n", 0, _SAMPLE) + 1 or _SAMPLE] if len(text) > _SAMPLE else text
    trials = [
        trial
        for delimiter in _USUAL + _UNUSUAL
        if delimiter in sample
        for quote, escape, unquoted in _MODES
        if _is_possible(sample, delimiter, quote, escape, unquoted=unquoted)
        and (trial := _try(sample, Layout(delimiter, quote, escape, unquoted))) is not None
    ]
    best = min(trials, key=lambda trial: round(trial.cost, 3), default=None)
    if best is None or best.cost > _MOST_UNEVEN:
        one = _try(sample, Layout(","), columns=1)
        doubt = "no delimiter splits the rows alike: taken for one column"
        return Layout(",", doubts={"delimiter": doubt} | (_quote_doubts(one) if one else {}))
    return _with_doubts(best, sample)


def _is_possible(sample: str, delimiter: str, quote: str, escape: str, *, unquoted: bool) -> bool:
    """Tell whether the sample has what would tell this layout from the plain one."""
    if quote == "'":
        edge = re.escape(delimiter)
        return re.search(rf"(?:^|{edge})'[^'\r\n]*'(?:{edge}|\r?$)", sample, re.MULTILINE) is not None
    if unquoted:
        return f"\\{delimiter}" in sample
    if escape == "\\":
        return f"\\{quote}" in sample
    return bool(quote) or '"' in sample


def _try(sample: str, layout: Layout, columns: int = 0) -> _Trial | None:
    """Split the sample; None where that makes a single column, but for ``columns`` = 1."""
    sizes: list[int] = []
    size = strays = quoted = inner = 0
    for value, is_quoted, stray, ends in _values(sample, layout):
        size += 1
        quoted += is_quoted
        strays += stray
        inner += is_quoted and (layout.quote * 2 in value[1:-1] or f"\\{layout.quote}" in value)
        if ends:
            if size > 1 or value:
                sizes.append(size)
            size = 0
    if not sizes:
        return None
    usual, _ = Counter(sizes).most_common(1)[0]
    if usual == 1 and columns != 1:
        return None
    uneven = sum(each != usual for each in sizes)
    cost = uneven / len(sizes) + min(1.0, strays / len(sizes)) + _HEADER_DIFFERS * (sizes[0] != usual)
    return _Trial(layout, cost, uneven, len(sizes), quoted, inner)


def _values(sample: str, layout: Layout) -> Iterator[tuple[str, bool, bool, bool]]:
    """Yield each value, whether it is quoted, whether quotes stand where none belong, and whether its row ends."""
    quote, edge = re.escape(layout.quote), re.escape(layout.delimiter)
    plain = rf"(?:[^{edge}\r\n\\]|\\.)*+" if layout.escape_unquoted else rf"[^{edge}\r\n]*+"
    body = rf"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+" if quote else ""
    if layout.escape not in ("", layout.quote):
        body = rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+"
    whole = rf"({quote}{body}{quote})([^{edge}\r\n]*+)|" if quote else "(?!)()()|"
    pattern = re.compile(rf"(?:{whole}({plain}))({edge}|\r\n?|\n|\Z)", re.DOTALL)
    for found in pattern.finditer(sample):
        text, rest, bare, end = found.groups()
        if text is not None:
            yield text, True, bool(rest), end != layout.delimiter
        else:
            wrong = bool(layout.quote) and bare.startswith(layout.quote)
            wrong = wrong or (len(bare) > 1 and _BOTH_ENDS.fullmatch(bare) is not None)
            yield bare, False, wrong, end != layout.delimiter


def _with_doubts(best: _Trial, sample: str) -> Layout:
    layout = best.layout
    quotes_inside = layout.quote == '"' and not best.quoted and '"' in sample
    if quotes_inside and layout.escape == '"':
        layout = Layout(layout.delimiter, "", "")
    doubts: dict[str, str] = {}
    if best.uneven:
        doubts["delimiter"] = f"{best.uneven} of the sample's {best.rows} rows have another number of values"
    elif layout.delimiter not in _USUAL[:-1]:
        doubts["delimiter"] = "an unusual delimiter, but it splits all rows alike"
    doubts |= _quote_doubts(best) if layout.quote else {"quote": "quotes stand within values, but never around them"}
    return Layout(layout.delimiter, layout.quote, layout.escape, layout.escape_unquoted, doubts)


def _quote_doubts(trial: _Trial) -> dict[str, str]:
    if not trial.quoted:
        return {"quote": "no value of the sample is quoted"}
    if trial.inner or trial.layout.escape_unquoted:
        return {}
    return {"escape": "no quoted value of the sample has a quote inside; doubled ones are assumed"}
