"""Normalising many columns of a frame at once, and saying why a value became null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.profiles.rule import Function, Rule, run

#: Before the name of an output: the column that says why it is null although there was a value.
REASON_OF: Final = "__reason_of_"


@dataclass(frozen=True)
class Output:
    """A column to be made: from the text in column ``source``, by ``rule``, under ``name``."""

    name: str
    source: str
    rule: Rule


def with_normalized(frame: DataFrame, outputs: Sequence[Output], country: str) -> DataFrame:
    """Add a column (string) for each output; ``country`` is the column of the row's ISO alpha-2 code.

    Where a rule wants its intermediate result as a column there is a projection of all outputs, so there are as many
    as the longest rule needs. No output may bear the name of a column that another one reads.
    """
    segments = {output.name: _segments(output.rule) for output in outputs}
    for number in range(max((len(each) for each in segments.values()), default=0)):
        columns = {}
        for output in outputs:
            if number < len(segments[output.name]):
                column = F.col(output.source if number == 0 else output.name)
                for function in segments[output.name][number]:
                    column = function(column, F.col(country))
                columns[output.name] = column
        frame = frame.withColumns(columns)
    return frame


def _segments(rule: Rule) -> list[list[Function]]:
    """Return a rule's functions, parted where the next one wants a plain column."""
    segments: list[list[Function]] = [[]]
    for step in rule.steps:
        segments[-1].append(step.functions[0])
        segments.extend([function] for function in step.functions[1:])
    return segments


def reason(output: Output, country: str) -> Column:
    """Return why the output, which is a column already, is null though its source is not; null everywhere else.

    All but the last of a rule's reasons are found by running its first steps again, on such rows alone. A row without
    a country has that for its reason where the rule needs one.
    """
    source, known = F.col(output.source), F.col(country)
    reasons = output.rule.reasons
    found = F.when(F.lit(False), F.lit(None).cast("string"))
    for name in reasons[:-1]:
        steps = output.rule.steps[: 1 + max(at for at, step in enumerate(output.rule.steps) if step.reason == name)]
        found = found.when(run(steps, source, known).isNull(), F.lit(name))
    last = F.lit(reasons[-1] if reasons else None).cast("string")
    if output.rule.needs_country:
        last = F.when(known.isNull(), F.lit("unknown_country")).otherwise(last)
    return F.when(source.isNotNull() & F.col(output.name).isNull(), found.otherwise(last))


def with_reasons(frame: DataFrame, outputs: Sequence[Output], country: str) -> DataFrame:
    """Add ``REASON_OF`` + name (string) for each output of a frame that ``with_normalized`` has made."""
    return frame.withColumns({REASON_OF + output.name: reason(output, country) for output in outputs})
