"""Made-up people of the nine countries that the AMC Uploader knows: the Parquet files of the profile benchmark.

Every row is a function of its number: more rows begin with the same as fewer. Phones are international,
from ranges kept for fiction or assigned to nobody; addresses are of the kinds that the rules tell apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

#: What is normalised and hashed; the address stands for both lines of one.
FIELDS: Final = ("email", "first_name", "last_name", "phone", "address", "city", "state", "postal_code")
COLUMNS: Final = ("id", *FIELDS, "country")
SCHEMA: Final = pa.schema([("id", pa.int64()), *((name, pa.string()) for name in COLUMNS[1:])])

_BLOCK: Final = 10_000
_PARTS: Final = 4


class _Country(NamedTuple):
    """What differs between countries; # in a postal code or a phone stands for any digit, X for any letter."""

    weight: int
    phones: tuple[str, ...]
    postal_codes: tuple[str, ...]
    places: tuple[tuple[str, str, str], ...]
    streets: tuple[str, ...]
    words: tuple[str, ...]


_US_WORDS: Final = (
    *("Street", "St", "St.", "Avenue", "Ave", "AVE.", "Boulevard", "Blvd", "Road", "Rd.", "Drive", "Dr", "Lane", "Ln"),
    *("Court", "Ct.", "Circle", "Place", "Parkway", "Pkwy", "Highway", "Terrace", "Trail", "Way", "Crossing"),
)
_US_STREETS: Final = (
    *("Main", "Oak", "N. Elm", "South Maple", "2nd", "Martin Luther King Jr.", "W 42nd", "Washington", "Cherry Hill"),
    *("Northeast Lake", "Old Mill", "Sunset", "County Line", "Summit Ridge", "E Park", "St. Charles", "O'Farrell"),
)
_COUNTRIES: Final = {
    "US": _Country(
        weight=46,
        phones=("1|212|555|01##", "1|415|555|01##", "1|617|555|01##", "1|808|555|01##", "1|312|555|01##"),
        postal_codes=("#####", "#####", "#####-####", " #####", "####"),
        places=(
            *(("Springfield", "IL", "Illinois"), ("New York", "NY", "New York"), ("Los Angeles", "CA", "California")),
            *(("Boston", "MA", "Massachusetts"), ("Winston-Salem", "NC", "North Carolina"), ("Seattle", "wa", "wash.")),
            *(("St. Louis", "MO", "Missouri"), ("Coeur d'Alene", "ID", "idaho"), ("Cañon City", "CO", "Colorado")),
        ),
        streets=_US_STREETS,
        words=_US_WORDS,
    ),
    "CA": _Country(
        weight=9,
        phones=("1|416|555|01##", "1|514|555|01##", "1|604|555|01##"),
        postal_codes=("X#X #X#", "x#x#x#", "X#X-#X#"),
        places=(
            *(("Toronto", "ON", "Ontario"), ("Montréal", "QC", "Quebec"), ("Vancouver", "BC", "British Columbia")),
            ("St. John's", "NL", "Newfoundland and Labrador"),
        ),
        streets=("King", "Queen", "Yonge", "rue Sainte-Catherine", "Bloor", "Granville", "Avenue du Parc"),
        words=("Street", "St. W", "Street West", "Ave", "Avenue", "Road", "Crescent", "Blvd.", "Drive"),
    ),
    "GB": _Country(
        weight=10,
        phones=("44|20|7946|0###", "44|161|496|0###", "44|7700|900|###"),
        postal_codes=("XX# #XX", "X## #XX", "xx## #xx", "X#X #XX", "XX#X #XX"),
        places=(
            *(("London", "", "Greater London"), ("Edinburgh", "SCT", "Scotland"), ("Stoke-on-Trent", "", "England")),
            ("Newcastle upon Tyne", "", "Tyne & Wear"),
        ),
        streets=("High", "Church", "Victoria", "Station", "King's", "The", "St. James's", "Abbey", "Mill"),
        words=("Street", "Road", "Rd", "Lane", "Close", "Gardens", "Square", "Avenue", "Place", "Court"),
    ),
    "DE": _Country(
        weight=9,
        phones=("49|30|23125|###", "49|69|90009|###", "49|89|99998|###", "49|171|39200|##"),
        postal_codes=("#####", "D-#####", "####"),
        places=(
            *(("München", "BY", "Bavaria"), ("Köln", "NW", "Nordrhein-Westfalen"), ("Leipzig", "SN", "Sachsen")),
            *(("Frankfurt am Main", "HE", "Hessen"), ("Berlin", "BE", "Berlin")),
        ),
        streets=("König", "Haupt", "Berliner ", "Goethe", "Müller", "Am Schloß", "Groß-Gerauer-", "Schiller"),
        words=("straße", "str.", "Straße", "strasse", "weg", "allee", "platz"),
    ),
    "FR": _Country(
        weight=7,
        phones=("33|1|99|00|##|##", "33|2|61|91|##|##", "33|4|65|71|##|##"),
        postal_codes=("#####", "F-#####"),
        places=(
            *(("Paris", "", "Île-de-France"), ("Lyon", "", "Auvergne-Rhône-Alpes"), ("Saint-Étienne", "", "Loire")),
            ("Aix-en-Provence", "", "Provence-Alpes-Côte d'Azur"),
        ),
        streets=("de l'Église", "Victor Hugo", "du Général de Gaulle", "des Fleurs", "Saint-Honoré", "de la Paix"),
        words=("rue", "Rue", "Avenue", "av.", "Boulevard", "bd", "Place", "Allée", "Chemin", "Impasse"),
    ),
    "IT": _Country(
        weight=5,
        phones=("39|555|01#|####", "39|555|01#|###"),
        postal_codes=("#####", "I-#####"),
        places=(("Roma", "RM", "Rome"), ("Milano", "MI", "Milan"), ("Reggio nell'Emilia", "RE", "Reggio Emilia")),
        streets=("Garibaldi", "Giuseppe Verdi", "dei Mille", "della Libertà", "XX Settembre", "Sant'Agostino"),
        words=("Via", "via", "Viale", "Piazza", "P.zza", "Corso", "Largo", "Vicolo", "Strada"),
    ),
    "ES": _Country(
        weight=4,
        phones=("34|555|01#|###", "34|555|01|##|##"),
        postal_codes=("#####", "####"),
        places=(("Madrid", "M", "Madrid"), ("Málaga", "MA", "Malaga"), ("L'Hospitalet", "B", "Barcelona")),
        streets=("Mayor", "de Alcalá", "San Juan", "del Núñez", "de la Constitución", "Gran Vía"),
        words=("Calle", "C/", "c.", "Avenida", "Avda.", "Plaza", "Pza", "Paseo", "Camino"),
    ),
    "IN": _Country(
        weight=5,
        phones=("91|55501|#####", "91|555|01#|####"),
        postal_codes=("######", "### ###", "#####"),
        places=(("Mumbai", "MH", "Maharashtra"), ("New Delhi", "DL", "Delhi"), ("Bengaluru", "KA", "Karnataka")),
        streets=("M.G.", "Nehru", "Linking", "Park", "Anna", "Brigade", "Dr. Ambedkar"),
        words=("Road", "Rd", "Marg", "Street", "Nagar", "Lane", "Highway"),
    ),
    "JP": _Country(
        weight=5,
        phones=("81|90|0000|####", "81|80|0000|####"),
        postal_codes=("###-####", "#######", "〒###-####"),
        places=(("東京", "", "東京都"), ("Osaka", "", "Ōsaka"), ("横浜市", "", "Kanagawa"), ("Kyoto", "", "京都府")),
        streets=("銀座", "Ginza", "Nishi-Shinjuku", "中央区日本橋", "Minami Aoyama", "北二条西"),
        words=("丁目", "-chome", " Street", "通り"),
    ),
}
_CODES: Final = tuple(_COUNTRIES)
_WEIGHTS: Final = [country.weight for country in _COUNTRIES.values()]

_FIRST_NAMES: Final = (
    *("James", "Mary", "Wei", "Fatima", "Priya", "OLGA", "samuel", "Grace", "Noah", "Amara", "Luca", "Hannah", "Kate"),
    *("José", "Zoë", "Łukasz", "Jürgen", "Søren", "Renée", "山田", "Анна", "Mary Ann", "Anne-Marie", "D'Arcy", "Bjørn"),
)
_NAME_STARTS: Final = (
    *("Sm", "Johns", "Garc", "Ok", "Nov", "Ross", "Lars", "Dub", "Schm", "Br", "Mc", "O'Br", "Müll", "Núñ", "Straß"),
    *("de la Cr", "Mac", "Åb", "van D", "Saint-P", "Ødeg", "Wr", "T. S. ", "Gr", "Wilk", "Fern"),
)
_NAME_ENDS: Final = (
    *("ith", "on", "ia", "afor", "ak", "i", "en", "ois", "idt", "own", "Donald", "ien", "er", "ez", "e", "uz", "yk"),
    *("ierre", "ård", "ight", "ins", "andes", "ini", "Jr.", "son", "田中"),
)
_MAIL_NAMES: Final = ("james", "mary.k", "wei", "fatima_", "priya", "s.grace", "noah-r", "o'brien", "jürgen", "x")
_DOMAINS: Final = ("example.com", "example.org", "mail.example.net", "EXAMPLE.com", "shop.example", "example.co.uk")
_UNITS: Final = (
    *(
        " Apt #4B",
        " Apt 12",
        " Apt. 3C",
        ", Unit 7",
        " #5",
        ", Suite 200",
        " Ste. 210",
        " (rear)",
        ", Floor 3",
        " No 9",
    ),
    *(" Bldg. C, Rm 5", " PO Box 91", " apartment 6", ", Flat 2/1", " # 12", "!", "\tLot 3"),
)
_BEFORE: Final = ("c/o Smith, ", "C/O Acme Inc. ", "The Elms, ", "[Depot] ", "Flat 3\n", "#3 ", "Building #2, Gate #4 ")
_BAD_PHONES: Final = ("unknown", "+0000000", "+1 555", "n/a", "+999 12345678901234567")


def people(rows: int) -> Iterator[tuple[str | int | None, ...]]:
    """Make rows in the order of COLUMNS."""
    for number in range(rows):
        if number % _BLOCK == 0:
            dice = random.Random(number)
        code = dice.choices(_CODES, _WEIGHTS)[0]
        country = _COUNTRIES[code]
        city, state, name = dice.choice(country.places)
        yield (
            number,
            _seldom_null(dice, _email(dice, number)),
            dice.choice(_FIRST_NAMES),
            dice.choice(_NAME_STARTS) + dice.choice(_NAME_ENDS),
            _seldom_null(dice, _phone(dice, country.phones)),
            _seldom_null(dice, _address(dice, code, country)),
            city,
            (state if dice.random() < 0.7 else name) or None,
            _seldom_null(dice, _filled(dice, dice.choice(country.postal_codes))),
            code,
        )


def _seldom_null(dice: random.Random, value: str) -> str | None:
    return value if dice.random() < 0.97 else None


def _filled(dice: random.Random, pattern: str) -> str:
    kinds = {"#": "0123456789", "X": "ABCEGHJKLNPRSTUWXY", "x": "abceghjklnprstuwxy"}
    return "".join(dice.choice(kinds[character]) if character in kinds else character for character in pattern)


def _email(dice: random.Random, number: int) -> str:
    email = f"{dice.choice(_MAIL_NAMES)}{number}@{dice.choice(_DOMAINS)}"
    kind = dice.random()
    if kind < 0.05:
        return f" {email} "
    if kind < 0.10:
        return email.replace("@", "+news@")
    if kind < 0.11:
        return email.replace("@", " at ")
    return email.upper() if kind < 0.25 else email


def _phone(dice: random.Random, patterns: tuple[str, ...]) -> str:
    kind = dice.random()
    if kind < 0.01:
        return dice.choice(_BAD_PHONES)
    code, area, *local = _filled(dice, dice.choice(patterns)).split("|")
    if kind < 0.45:
        return f"+{code}{area}{''.join(local)}"
    if kind < 0.60:
        return f"+{code} ({area}) {'-'.join(local)}"
    if kind < 0.63 and code == "44":
        return f"+{code} (0){area} {' '.join(local)}"
    separator = " " if kind < 0.80 else "-" if kind < 0.90 else "."
    return f"+{code}" + separator + separator.join([area, *local]) + (" ext. 12" if kind > 0.99 else "")


def _address(dice: random.Random, code: str, country: _Country) -> str:
    house = str(dice.randrange(1, 9900))
    kind = dice.random()
    if kind < 0.08:
        house += "-" + dice.choice("ABC")
    elif kind < 0.12:
        house += dice.choice(("B", "-2", " 1/2"))
    street, word = dice.choice(country.streets), dice.choice(country.words)
    if code == "DE":
        line = f"{street}{word} {house}"
    elif code in {"IT", "ES"}:
        line = f"{word} {street}, {house}"
    elif code == "FR":
        line = f"{house}{dice.choice((' ', ', ', ' bis '))}{word} {street}"
    elif code == "JP":
        line = f"{dice.randrange(1, 9)}-{dice.randrange(1, 20)}-{dice.randrange(1, 20)} {street}{word}"
    else:
        line = f"{house} {street} {word}"
    if dice.random() < 0.30:
        line += dice.choice(_UNITS)
    return dice.choice(_BEFORE) + line if dice.random() < 0.04 else line


def table_of_people(rows: int) -> pa.Table:
    """Return the first ``rows`` people."""
    columns = zip(*people(rows), strict=True)
    made = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(made, schema=SCHEMA)


def write_people(folder: Path, rows: int) -> None:
    """Write the first ``rows`` people into a few files of one size, which several readers can share."""
    folder.mkdir(parents=True)
    made = table_of_people(rows)
    size = -(-rows // _PARTS)
    for number in range(_PARTS):
        pq.write_table(made.slice(number * size, size), folder / f"part-{number}.parquet", compression="snappy")
