"""Row accounting: read = published + duplicates + deletes + suppressed + rejected, for every file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jobs.runtime.errors import TooManyRejectsError
from schemas.feed import Feed


@dataclass(frozen=True)
class FileAccount:
    """What became of one file's rows: read = published + duplicates + deletes + suppressed + rejected (by reason).

    ``published`` are those that the table gets, ``deletes`` those that took a row out of it, ``duplicates`` those that
    another row of their key won over, or that say what the table says already, ``suppressed`` those about people on a
    suppression list.
    """

    name: str
    read: int
    published: int
    duplicates: int
    deletes: int
    rejected: dict[str, int]
    suppressed: int = 0


@dataclass(frozen=True)
class Accounting:
    """What became of a run's rows."""

    files: tuple[FileAccount, ...]

    @property
    def read(self) -> int:
        """Rows that were delivered."""
        return sum(each.read for each in self.files)

    @property
    def published(self) -> int:
        """Rows that the table gets."""
        return sum(each.published for each in self.files)

    @property
    def duplicates(self) -> int:
        """Rows that another row of the same identity won over."""
        return sum(each.duplicates for each in self.files)

    @property
    def deletes(self) -> int:
        """Rows that took a row out of the table."""
        return sum(each.deletes for each in self.files)

    @property
    def suppressed(self) -> int:
        """Rows about people on a suppression list."""
        return sum(each.suppressed for each in self.files)

    @property
    def rejected(self) -> int:
        """Rows that a rule refused."""
        return sum(self.reasons.values())

    @property
    def reasons(self) -> dict[str, int]:
        """Rejected rows by reason, the most frequent first."""
        total: Counter[str] = Counter()
        for each in self.files:
            total.update(each.rejected)
        return dict(total.most_common())


def check_rejects(accounting: Accounting, feed: Feed) -> None:
    """Raise TooManyRejectsError where a greater share of the rows was rejected than the connector allows."""
    if accounting.rejected > accounting.read * feed.rejects.max_share:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in accounting.reasons.items())
        raise TooManyRejectsError(
            f"{accounting.rejected:,} of {accounting.read:,} rows are rejected ({reasons}), more than the "
            f"{feed.rejects.max_share:.0%} that feed {feed.name} allows (rejects.max_share); "
            "nothing was published. Look at the delivery, or at the connector's format and rules"
        )
