"""Why a delivered file cannot be read."""

from __future__ import annotations

from typing import Final

#: Every reason a file can be quarantined for, and what to do about it.
REASONS: Final[dict[str, str]] = {
    "empty_file": "the object has no bytes; ask the source to send it again",
    "unrecognised_content": "neither an accepted encryption nor delimited text; see the connector's codecs",
    "bad_envelope": "the envelope's header is damaged; ask the source to send the file again",
    "wrong_key": "encrypted for another key; compare the source's public key with the private key given",
    "missing_key": "encrypted, but this run was given no key for it; see --envelope-key and --pgp-key",
    "not_authentic": "the file was cut, changed or encrypted with another data key; ask the source to send it again",
    "damaged_compression": "the compressed data is cut or changed; ask the source to send the file again",
    "undecodable_text": "the text is not UTF-8, nor UTF-16 with a byte order mark; ask the source for UTF-8",
    "not_delimited_text": "the content does not parse with the connector's delimiter and quotes",
    "missing_column": "a column that the connector requires is not in the header",
    "ambiguous_header": "two columns of the header mean the same field; name only one of them",
    "changed_while_read": "the object was replaced while it was read; run again to take the new one",
    "unreadable_object": "the object could not be read from storage; see the access rights and run again",
}

#: Reasons that say nothing about the file: a run never goes on without a file for one of these.
NOT_THE_FILES_FAULT: Final = frozenset({"missing_key", "changed_while_read", "unreadable_object"})


class BadFile(ValueError):  # noqa: N818  it is about a file, and reads so in an except clause
    """A file that cannot be used: ``reason`` is a key of REASONS, ``detail`` says more and never holds a value."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both parts; ``reason`` must be known."""
        if reason not in REASONS:
            raise KeyError(reason)
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")
