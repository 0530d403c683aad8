"""How a source delivers: which objects belong together, when they are whole, what they are packed in."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from schemas import vocabulary
from schemas.problems import Section, nearest


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may be at most.

    ``members`` counts files and folders, ``clear_bytes`` is for all members together, ``ratio`` is clear bytes to one
    byte of the whole archive, which is looked at only where there are more than 16 MiB of clear bytes.
    """

    members: int = 1000
    clear_bytes: int = 200 << 30
    ratio: int = 200


@dataclass(frozen=True)
class Delivery:
    """Which objects make one delivery, and when it is whole.

    ``ready`` names the rule. ``quiet_seconds`` is how long nothing may have changed, ``max_wait_seconds`` how long
    to wait at most. ``snapshot`` is a regular expression with a group ``snapshot``, the time that a name tells, and
    others, such as ``audience``. It is held against names without their folder, or, where it has a slash, against the
    whole path below landing. Instead of ``snapshot`` it may have groups ``year``, ``month``, ``day`` and so on, in
    whatever order names write them. ``keep`` says whether only the newest export of an audience is loaded, or all.
    """

    ready: str = "quiet_period"
    quiet_seconds: int = 60
    max_wait_seconds: int = 3600
    vendor_manifest: str = "manifest-*.json"
    done_marker: str = "*.DONE"
    ignore: tuple[str, ...] = ()
    codecs: tuple[str, ...] = vocabulary.CODECS
    snapshot: str | None = None
    keep: str = "newest"
    archives: tuple[str, ...] = ()
    archive_limits: ArchiveLimits = ArchiveLimits()

    def ignores(self, name: str) -> bool:
        """Tell whether an object (its path below landing) or a member of an archive is none of ours.

        A pattern without a slash is held against the last part of the path.
        """
        last = name.rpartition("/")[2]
        return any(fnmatch.fnmatchcase(name if "/" in pattern else last, pattern) for pattern in self.ignore)


def read_delivery(section: Section) -> Delivery:
    """Read the section ``[delivery]`` of a connector; problems are noted in it."""
    standard = Delivery()
    delivery = Delivery(
        ready=section.text("ready", standard.ready, vocabulary.READY_RULES),
        quiet_seconds=section.whole("quiet_seconds", standard.quiet_seconds),
        max_wait_seconds=section.whole("max_wait_seconds", standard.max_wait_seconds),
        vendor_manifest=section.text("vendor_manifest", standard.vendor_manifest),
        done_marker=section.text("done_marker", standard.done_marker),
        ignore=section.texts("ignore"),
        codecs=section.texts("codecs", standard.codecs, vocabulary.CODECS),
        snapshot=section.optional_text("snapshot"),
        keep=section.text("keep", standard.keep, vocabulary.KEEP),
        archives=section.texts("archives", (), vocabulary.ARCHIVES),
        archive_limits=_archive_limits(section.section("archive_limits")),
    )
    if not delivery.codecs:
        section.problem("codecs", f"must name at least one{nearest('', vocabulary.CODECS)}")
    if delivery.snapshot is not None:
        _check_snapshot(section, delivery.snapshot)
    elif section.has("keep"):
        section.problem("keep", "has no meaning without snapshot")
    section.close()
    return delivery


def _archive_limits(section: Section) -> ArchiveLimits:
    standard = ArchiveLimits()
    limits = ArchiveLimits(
        members=section.whole("members", standard.members, 1),
        clear_bytes=section.whole("clear_bytes", standard.clear_bytes, 1),
        ratio=section.whole("ratio", standard.ratio, 1),
    )
    if limits.members > MOST_MEMBERS:
        section.problem("members", f"must be at most {MOST_MEMBERS}")
    section.close()
    return limits


#: A row id has room for so many files of one archive.
MOST_MEMBERS = 4095


def _check_snapshot(section: Section, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        section.problem("snapshot", f"is no regular expression: {error}")
        return
    if "snapshot" not in groups and "year" not in groups:
        section.problem(
            "snapshot",
            "needs a group (?P<snapshot>…) around the part that tells the export's time, or groups year, month, day "
            "(hour, minute, second) around its pieces",
        )
