"""What both peer programs know: header names, states, countries, and which columns are hashed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from tests.fixtures.aep_delivery import HEADERS
from tests.fixtures.aep_people import FIELDS

#: Header name to field, of the one header family that the peers read.
COLUMNS: Final = dict(zip(HEADERS["xdm"], FIELDS, strict=True))

HASHED: Final = ("customer_id", "first_name", "last_name", "address_1", "address_2", "zip", "email", "phone")
CLEAR: Final = ("city", "state", "loyalty_member_status", "segmentation_status", "country")

#: Latin e-mail addresses with a dot in the domain; understood alike by Python's re and by RE2.
EMAIL: Final = r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+"

COUNTRIES: Final = {
    **dict.fromkeys(("US", "USA", "UNITED STATES"), "US"),
    **dict.fromkeys(("CA", "CAN", "CANADA"), "CA"),
    **dict.fromkeys(("GB", "GBR", "UNITED KINGDOM"), "GB"),
    **dict.fromkeys(("DE", "DEU", "GERMANY"), "DE"),
    **dict.fromkeys(("FR", "FRA", "FRANCE"), "FR"),
}

_STATES = """
AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut, DE Delaware,
DC District of Columbia, FL Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, IN Indiana, IA Iowa, KS Kansas,
KY Kentucky, LA Louisiana, ME Maine, MD Maryland, MA Massachusetts, MI Michigan, MN Minnesota, MS Mississippi,
MO Missouri, MT Montana, NE Nebraska, NV Nevada, NH New Hampshire, NJ New Jersey, NM New Mexico, NY New York,
NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma, OR Oregon, PA Pennsylvania, PR Puerto Rico, RI Rhode Island,
SC South Carolina, SD South Dakota, TN Tennessee, TX Texas, UT Utah, VT Vermont, VA Virginia, WA Washington,
WV West Virginia, WI Wisconsin, WY Wyoming, AB Alberta, BC British Columbia, MB Manitoba, NB New Brunswick,
NL Newfoundland and Labrador, NS Nova Scotia, NT Northwest Territories, NU Nunavut, ON Ontario,
PE Prince Edward Island, QC Quebec, SK Saskatchewan, YT Yukon
"""

#: Name of a state of the US or a province of Canada, upper case, to its postal code.
STATES: Final = {name.upper(): code for code, _, name in (part.strip().partition(" ") for part in _STATES.split(","))}


def arguments(description: str | None) -> tuple[Path, Path, bytes]:
    """Read the command line of a peer: the clear CSV, the folder to write, and the hash key."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--source", type=Path, required=True, help="clear CSV with XDM header names")
    parser.add_argument("--target", type=Path, required=True, help="folder for the Parquet files")
    parser.add_argument("--hash-key", type=Path, required=True, help="file with the key")
    args = parser.parse_args()
    return args.source, args.target, args.hash_key.read_bytes().strip()
