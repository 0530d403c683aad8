"""The closed lists that connector and table files choose from. Files name things; code gives them meaning."""

from __future__ import annotations

from typing import Final

#: Kinds of personal data. A column with one of these is hashed unless its table says ``publish = "clear"``.
PERSONAL_DATA: Final = (
    "identifier",
    "name",
    "email",
    "phone",
    "address",
    "postal_code",
    "location",
    "birth_date",
    "gender",
    "device_id",
)

#: Kinds of values: what a profile has a rule for, so that values come into the one form that is compared and hashed.
NORMALIZERS: Final = (
    "text",
    "lower",
    "name",
    "first_name",
    "last_name",
    "address",
    "city",
    "state",
    "postal_code",
    "country",
    "email",
    "hashed_email",
    "phone",
    "phone_e164",
    "hashed_phone",
    "birth_date",
    "gender",
    "mobile_ad_id",
    "idfa",
    "f5first",
    "f5last",
    "fi",
    "dobd",
    "dobm",
    "doby",
)

#: How a value is hashed. ``sha1`` and ``md5`` are for platforms that know no better.
ALGORITHMS: Final = ("hmac-sha256", "salted-sha256", "sha256", "sha1", "md5")
KEYED_ALGORITHMS: Final = ("hmac-sha256", "salted-sha256")

#: How the bytes of a hash are written: two lower-case hexadecimal digits a byte, or base64 with padding.
ENCODINGS: Final = ("hex", "base64")

#: What becomes of a value of which normalising leaves nothing: no value, or, for conformance alone, the hash of "".
EMPTY: Final = ("null", "hash")

#: How a source may write hashes that it delivers: hexadecimal digits of lower, upper or any case, or base64.
DELIVERED_ENCODINGS: Final = ("hex", "upper-hex", "any-hex", "base64")

#: The forms of phone numbers: with a plus, without one, without calling code.
PHONES: Final = ("e164", "digits", "national")

#: What becomes of a column in the published table.
PUBLISH: Final = ("hash", "clear")

#: Kinds of personal data that values can be told to resemble, in columns that are not declared to hold any. A column
#: whose values may look like that, and are none, names them in ``resembles``.
RESEMBLES: Final = ("email", "phone", "payment_card", "national_id", "iban", "ip_address", "name")

#: How the bytes of a delivered file may be protected; told apart by content.
CODECS: Final = ("envelope", "openpgp", "plain")

#: When a delivery is whole.
READY_RULES: Final = ("vendor_manifest", "done_marker", "quiet_period")

#: What a delivery means for the table. ``full_refresh``: it is the table. ``append``: its rows come on top, each key
#: once. ``upsert``: its rows replace those of the same key. ``partition_overwrite``: it replaces the partitions it has.
LOAD_MODES: Final = ("full_refresh", "append", "upsert", "partition_overwrite")

#: Which of several exports with a time in their names are loaded: the newest of each audience, or all, oldest first.
KEEP: Final = ("newest", "all")

#: What a delivered file may be written in; Parquet and Avro are told by content, JSON by its first character.
FILE_TYPES: Final = ("delimited", "json", "parquet", "avro")

#: What several files may be packed into; told by content. A tar archive may be gzipped.
ARCHIVES: Final = ("zip", "tar")

#: Encodings of text. A byte order mark decides where there is one; without one the text is what the connector says.
TEXT_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be", "iso-8859-1", "windows-1252")

#: Units of times that are delivered as a number since 1970-01-01T00:00:00Z.
EPOCHS: Final = ("seconds", "milliseconds", "microseconds")

#: The sign before the fraction of a number; the other one may separate thousands.
DECIMAL_SIGNS: Final = (".", ",")

#: Columns about a row that a table may have beside its own: where it came from, which run brought it, a hash of it.
AUDIT_COLUMNS: Final = ("source_file", "source_row", "run_id", "loaded_at", "row_hash")
