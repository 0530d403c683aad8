"""The closed lists that connector and table files choose from. Files name things; code gives them meaning."""

from __future__ import annotations

from typing import Final

#: Kinds of personal data. A column with one of these is hashed unless its table says ``publish = "clear"``.
PERSONAL_DATA: Final = ("identifier", "name", "email", "phone", "address", "postal_code", "location", "birth_date")

#: How a value is brought into the one form that is compared and hashed; see ``transforms.columns.registry``.
NORMALIZERS: Final = (
    "text",
    "lower",
    "name",
    "address",
    "email",
    "phone",
    "postal_code",
    "state",
    "country",
)

#: How a value is hashed. Only ``sha256`` needs no secret.
ALGORITHMS: Final = ("hmac-sha256", "salted-sha256", "sha256")
KEYED_ALGORITHMS: Final = ("hmac-sha256", "salted-sha256")

#: How the 32 bytes of a hash are written: 64 lower-case hexadecimal digits, or 44 characters of base64.
ENCODINGS: Final = ("hex", "base64")

#: What becomes of a column in the published table.
PUBLISH: Final = ("hash", "clear")

#: How the bytes of a delivered file may be protected; told apart by content.
CODECS: Final = ("envelope", "openpgp", "plain")

#: When a delivery is whole.
READY_RULES: Final = ("vendor_manifest", "done_marker", "quiet_period")

#: What a delivery means for the table.
LOAD_MODES: Final = ("full_refresh",)
