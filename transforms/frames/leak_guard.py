"""Personal data where none is declared: what the values of columns resemble, counted.

What the values of watched columns resemble is counted (``resemblances``), and the counts are judged without Spark
(``findings``). No value ever leaves the executors: what comes back is counts, and 64 bits that tell about how many
different values there were.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas import vocabulary
from schemas.table import AUDIT, Table
from transforms.columns.resemblance import CERTAIN, HAS_DIGITS, KINDS, LIKELY, MAY_BE_CERTAIN

#: The column that says which watched column a row of counts is of.
AT: Final = "at"
_TEXT: Final = "text"
_TIMES: Final = "times"
_DEGREES: Final = "degrees"
_IS_SAMPLED: Final = "is_sampled"
_SAMPLE: Final = 20_000  # rows: a share of 0.9 and one of 0.5 are told apart by a few hundred different values
_BITS: Final = 2  # of a degree
_SKETCH: Final = 64  # bits
#: A column without personal data is called a finding about once in a million.
_FALSE_ALARM: Final = 1e-6
_TEXT_ALONE: Final = ("ip_address", "name")
_FEWEST_DECIMAL_DIGITS: Final = 9


@dataclass(frozen=True)
class Watched:
    """A column that is looked at, for which kinds (words of ``vocabulary.RESEMBLES``), and whether it holds numbers."""

    column: str
    kinds: tuple[str, ...]
    is_number: bool = False


@dataclass(frozen=True)
class Finding:
    """So many values of a column resemble a kind of personal data."""

    column: str
    kind: str
    count: int

    def __str__(self) -> str:
        """Return what to tell a person: column, count and kind, never a value."""
        values = "value that looks" if self.count == 1 else "values that look"
        return f"column {self.column} holds {self.count:,} {values} like {KINDS[self.kind].says}"


def watch(column: str, type_name: str, expected: Iterable[str] = ()) -> Watched | None:
    """Return how a column of a Spark SQL type is looked at, or None: dates, times, flags and fractions never are.

    ``expected`` are the kinds that its values may resemble.
    """
    kinds = [kind for kind in vocabulary.RESEMBLES if kind not in expected]
    is_number = type_name in ("int", "bigint") or _is_whole_decimal(type_name)
    if is_number:
        kinds = [kind for kind in kinds if KINDS[kind].of_numbers]
    elif type_name != "string":
        return None
    return Watched(column, tuple(kinds), is_number) if kinds else None


def _is_whole_decimal(type_name: str) -> bool:
    digits, _, scale = type_name.removeprefix("decimal(").removesuffix(")").partition(",")
    return type_name.startswith("decimal(") and int(scale) == 0 and int(digits) >= _FEWEST_DECIMAL_DIGITS


def watched_columns(table: Table) -> tuple[Watched, ...]:
    """Return what is looked at of a table: what is neither hashed nor declared to be personal data in clear.

    Partition columns are among it, and the audit column ``source_file``: file names may hold addresses and numbers, but
    words alone tell nothing there. The other audit columns are made by the jobs.
    """
    columns = [column for column in table.columns if column.hash is None and column.personal_data is None]
    found = [watch(column.name, column.type, column.resembles) for column in columns]
    if "source_file" in table.audit:
        found.append(watch("source_file", AUDIT["source_file"].type, _TEXT_ALONE))
    return tuple(each for each in found if each is not None)


def one_in(rows: int) -> int:
    """Return how many rows there are to one that is looked at for shares, where a table has so many."""
    return max(1, rows // _SAMPLE)


def resemblances(frame: DataFrame, columns: Sequence[Watched], sample: int = 1) -> DataFrame:
    """Return the counts that ``findings`` wants: a row for each watched column, by its place in ``columns``.

    The cells of all columns are looked at as rows of one, so that there is one expression however many columns there
    are, and each different value of a column once, however often it comes. Every cell is looked at that may be CERTAIN;
    of the others, whose share decides, those of one row in ``sample``.
    """
    text = F.col(_TEXT)
    is_sampled = F.pmod(F.xxhash64(F.monotonically_increasing_id()), F.lit(sample)) == F.lit(0)
    cells = [F.struct(F.lit(at).alias(AT), _text(each).alias(_TEXT)) for at, each in enumerate(columns)]
    kinds = tuple(kind for kind in vocabulary.RESEMBLES if any(kind in each.kinds for each in columns))
    return (
        frame.select(is_sampled.alias(_IS_SAMPLED), F.inline(F.array(*cells)))
        .where(text.isNotNull() & (F.col(_IS_SAMPLED) | text.rlike(MAY_BE_CERTAIN)))
        .groupBy(AT, _TEXT, _IS_SAMPLED)
        .agg(F.count(F.lit(1)).alias(_TIMES))
        .withColumn(_DEGREES, _degrees(kinds))
        .groupBy(AT)
        .agg(*_counts(kinds))
    )


@functools.cache  # thousands of calls into the JVM make it, and every table needs the same
def _degrees(kinds: tuple[str, ...]) -> Column:
    """Return the degrees of all kinds in one whole number, two bits each."""
    value = F.col(_TEXT)
    with_digits = [_shifted(value, kind) for kind in kinds if KINDS[kind].needs_digits]
    parts = [_shifted(value, kind) for kind in kinds if not KINDS[kind].needs_digits]
    if with_digits:
        parts.append(F.when(value.rlike(HAS_DIGITS), functools.reduce(operator.add, with_digits)).otherwise(0))
    return functools.reduce(operator.add, parts)


def _shifted(value: Column, kind: str) -> Column:
    return KINDS[kind].degree(value) * F.lit(1 << _place(kind))


def _place(kind: str) -> int:
    return _BITS * vocabulary.RESEMBLES.index(kind)


def _text(watched: Watched) -> Column:
    value = F.col("`" + watched.column.replace("`", "``") + "`")
    return value.cast("string")


@functools.cache
def _counts(kinds: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(aggregate for kind in kinds for aggregate in _counts_of(kind))


def _counts_of(kind: str) -> list[Column]:
    """Return how many cells are certain, likely, of the form; and a sketch of how many different likely ones."""
    degree = F.shiftright(F.col(_DEGREES), _place(kind)).bitwiseAND(F.lit(CERTAIN))
    is_likely = F.col(_IS_SAMPLED) & (degree == F.lit(LIKELY))
    has_form = F.col(_IS_SAMPLED) & (degree > F.lit(0)) & (degree < F.lit(CERTAIN))
    counts = [_sum_where(degree == F.lit(CERTAIN)).alias(_counted(kind, "certain"))]
    if KINDS[kind].share:
        number = F.pmod(F.xxhash64(KINDS[kind].evidence(F.col(_TEXT))), F.lit(_SKETCH)).cast("int")
        bit = F.call_function("shiftleft", F.lit(1).cast("bigint"), number)
        counts += [
            _sum_where(is_likely).alias(_counted(kind, "likely")),
            _sum_where(has_form).alias(_counted(kind, "form")),
            F.bit_or(F.when(is_likely, bit)).alias(_counted(kind, "sketch")),
        ]
    return counts


def _sum_where(condition: Column) -> Column:
    return F.sum(F.when(condition, F.col(_TIMES)))


def _counted(kind: str, what: str) -> str:
    return f"{what}_{kind}"


def findings(
    columns: Sequence[Watched], counted: Mapping[int, Mapping[str, int | None]], sample: int = 1
) -> list[Finding]:
    """Judge what ``resemblances`` has counted, by place: one certain value is a finding, likely ones if no chance.

    Likely ones are reckoned up from the ``sample``.
    """
    found = []
    for at, watched in enumerate(columns):
        counts = counted.get(at, {})
        for kind in watched.kinds:
            count = counts.get(_counted(kind, "certain")) or 0
            if KINDS[kind].share:
                names = (_counted(kind, what) for what in ("likely", "form", "sketch"))
                likely, form, sketch = (counts.get(name) or 0 for name in names)
                different = (sketch & ((1 << _SKETCH) - 1)).bit_count()
                if is_no_chance(likely, form, different, KINDS[kind].chance, KINDS[kind].share):
                    count += likely * sample
            if count:
                found.append(Finding(watched.column, kind, count))
    return found


def is_no_chance(likely: int, form: int, different: int, chance: float, share: float) -> bool:
    """Tell whether so many likely values cannot be chance.

    Of ``form`` values ``likely`` have right check digits, among them at least ``different`` different ones. That as
    many have them by ``chance`` is less probable than exp(-n D), n being the different values of that form and D the
    divergence of the share from the chance (Chernoff): it must be below one in a million, and the share high.
    """
    if not likely or likely < share * form:
        return False
    part = likely / form
    divergence = part * math.log(part / chance)
    if part < 1:
        divergence += (1 - part) * math.log((1 - part) / (1 - chance))
    return different / part * divergence >= -math.log(_FALSE_ALARM)
