"""Why a delivered file cannot be read."""

from __future__ import annotations

from typing import Final

#: Every reason a file can be quarantined for, and what to do about it.
REASONS: Final[dict[str, str]] = {
    "empty_file": "the object has no bytes; ask the source to send it again",
    "unrecognised_content": "nothing that the connector reads; see its codecs, archives and format.types",
    "unknown_name": "no feed of the connector takes a file of this name; see the files of its feeds",
    "bad_envelope": "the envelope's header is damaged; ask the source to send the file again",
    "wrong_key": "encrypted for another key; compare the source's public key with the private key given",
    "missing_key": "encrypted, but this run was given no key for it; see --envelope-key and --pgp-key",
    "not_authentic": "the file was cut, changed or encrypted with another data key; ask the source to send it again",
    "damaged_compression": "the compressed data is cut or changed; ask the source to send the file again",
    "damaged_archive": "the archive is cut or a checksum is wrong; ask the source to send it again",
    "empty_archive": "there is no file in the archive; ask the source to send it again",
    "unsafe_archive": "the archive names files outside of itself, links, or a file twice; ask the source what made it",
    "encrypted_archive": "members are encrypted with a password; ask for OpenPGP encryption of the whole archive",
    "nested_archive": "there is an archive inside the archive; ask the source for one level",
    "archive_bomb": "more or larger members than the connector's delivery.archive_limits; raise them if it is real",
    "undecodable_text": "the text is not in the encoding it should be in; ask for UTF-8, or name it: format.encoding",
    "not_delimited_text": "the content does not parse with the connector's delimiter and quotes",
    "not_json": "the content is no sequence of JSON objects",
    "damaged_file": "the Parquet or Avro file is cut or changed; ask the source to send it again",
    "missing_column": "a column that the connector requires is not in the header",
    "column_count": "a file without a header has another number of columns; see the connector's format.columns",
    "ambiguous_header": "two columns of the header mean the same field; name only one of them",
    "unknown_member": "no feed takes this member of the archive; it was not loaded, a copy is in quarantine",
    "changed_while_read": "the object was replaced while it was read; run again to take the new one",
    "unreadable_object": "the object could not be read from storage; see the access rights and run again",
}

#: Reasons that are reported and keep nothing else from being loaded.
REPORTED_ONLY: Final = frozenset({"unknown_member"})

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
