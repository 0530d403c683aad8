"""Deliveries of tens of millions of rows, made a column at a time by DuckDB, and what is to be expected of them.

The rows are a function of the seed. What the pipeline should publish is counted by reading the clear files back, under
a rule of its own for e-mail addresses: it accepts and refuses the same as the pipeline's only for addresses made here.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from tests.fixtures.aep_delivery import HEADERS
from tests.fixtures.fernet_writer import encrypt_envelope

Skew = Literal["even", "key", "file", "partition"]

#: What a scenario makes uneven.
SKEWS: Final[tuple[Skew, ...]] = ("even", "key", "file", "partition")
#: How many times as large as each of the others the first file is.
LARGE_FILE: Final = 100

_HOT: Final = "everyone@example.com"
_MEMORY: Final = "6GB"

# r and s are drawn for each row, p is the person, h and g are drawn for each person; every use has bits of its own.
_ROWS: Final = """
select
    'C' || p,
    ['James','Mary','Wei','Fatima','Priya','José','Zoë','Jürgen','Renée','D''Arcy',' Anne-Marie ','OLGA','luca',
     'Mary  Ann','Łukasz','Hannah'][1 + (h & 15)],
    ['Smith','Johnson','Garcia','O''Brien','Müller','Núñez','Smith, Jr.','de la Cruz','King "Bud"','LEE','Novak',
     'Straße','Åberg','Kim','Rossi','van Dyk'][1 + ((h >> 4) & 15)]
     || if((h >> 8) & 3 = 0, '-' || ((h >> 10) & 1023), ''),
    (1 + (h >> 20) % 9900) || ' ' || ['Main Street','Oak St.','N. Elm Ave','2nd Avenue','Park Pl','High Street',
     'Sunset Boulevard','County Road 12'][1 + ((h >> 36) & 7)] || ['',', Unit 7','',' "Rear"'][1 + ((h >> 39) & 3)],
    [null,null,null,'Apt 4','Suite 200','# 12','PO Box 9','null'][1 + ((h >> 41) & 7)],
    ['Springfield','New York','Boston','Winston-Salem','Paris','Köln','Washington, D.C.','LONDON'][1 + ((h >> 44) & 7)],
    if(c = 'US', ['IL','New York','ma','NC'][1 + ((h >> 47) & 3)], null),
    if(c = 'US', lpad(((h >> 20) % 99951)::varchar, 5, '0') || if(r & 3 = 0, '-1234', ''),
       lpad(((h >> 20) % 89999)::varchar, 5, '0')),
    case when (r >> 2) % 100 < 3 then null when (r >> 10) & 7 = 0 then ' ' || lower(c) || ' ' else c end,
    case when {hot} then '{address}'
         when (r >> 13) % 1000 < 20 then [null, '', '   ', 'null'][1 + ((s >> 20) & 3)]
         when (r >> 13) % 1000 < 25 then
            ['not an address ' || i, 'ann' || i || '(at)example.com', 'ann' || i || '@@example.com',
             'ann' || i || '@'][1 + ((s >> 22) & 3)]
         when (r >> 24) & 7 = 0 then upper(mail)
         when (r >> 24) & 7 = 1 then '  ' || mail || ' '
         else mail end,
    case when (r >> 30) % 100 < 3 then ['unknown','0000000000','12','n/a'][1 + ((s >> 24) & 3)]
         when (r >> 30) % 100 < 8 then null
         when c = 'GB' then ['+4420','020 ','0044 20 ','(020) '][1 + (r >> 40) % 4]
              || '79460' || lpad((g % 1000)::varchar, 3, '0')
         when c = 'DE' then ['+4930','030/','0049 30 ','030 '][1 + (r >> 40) % 4]
              || '23125' || lpad((g % 1000)::varchar, 3, '0')
         when c = 'FR' then ['+331','01 ','0033 1 ','01.'][1 + (r >> 40) % 4]
              || '9900' || lpad((g % 10000)::varchar, 4, '0')
         else ['+1','','(','1-'][1 + (r >> 40) % 4] || if(c = 'CA', '416', '212')
              || ['',' ',') ','-'][1 + (r >> 40) % 4]
              || '555' || ['',' ','-','.'][1 + (r >> 40) % 4] || '01' || lpad((g % 100)::varchar, 2, '0') end,
    ['active','Active','disabled','suspended',' active',null,'','null'][1 + ((r >> 44) & 7)],
    ['realized','existing'][1 + ((r >> 47) & 1)]
from (
    select *, ['james','mary','wei','s.grace','noah_k','luca-r','first.last','x'][1 + (g >> 20) % 8] || p
        || ['@example.com','@example.org','@mail.example.com','+news@example.com'][1 + (g >> 24) % 4] as mail,
        {country} as c
    from (
        select *, (hash(p, {seed} + 2) >> 1)::bigint as h, (hash(p, {seed} + 3) >> 1)::bigint as g
        from (
            select *, case when i >= 100 and s % 10 = 0 then (s >> 8) % i else i end as p
            from (select range as i, (hash(range, {seed}) >> 1)::bigint as r,
                  (hash(range, {seed} + 1) >> 1)::bigint as s from range({first}, {end}))
        )
    )
)
"""
_EVEN: Final = "['US','US','US','US','US','US','US','CA','CA','GB','GB','GB','DE','DE','FR','FR'][1 + ((g >> 30) & 15)]"
_ONE: Final = "if((g >> 34) % 100 < 95, 'US', ['CA','GB','DE','FR'][1 + ((g >> 30) & 3)])"
_COUNTED: Final = r"""
select count(*), count(*) filter (where mail is null), count(distinct mail) from (
    select case when regexp_full_match(address, '[^@\s]+@[^@\s]+\.[^@\s.]+') then address end as mail
    from (select lower(trim("personalEmail.address")) as address
          from read_csv(?, header = true, all_varchar = true, delim = ',', quote = '"', escape = '\'))
)
"""


@dataclass(frozen=True)
class ScaleDelivery:
    """What was made. ``published`` is one row a distinct valid address, ``rejected`` rows have none.

    ``made_seconds`` are those of the clear files alone, ``encrypted_seconds`` those of the envelopes.
    """

    rows: int
    files: int
    clear_bytes: int
    rejected: int
    published: int
    made_seconds: float
    encrypted_seconds: float


def file_rows(rows: int, files: int, *, large: bool = False) -> list[int]:
    """Return how many rows each file gets; with ``large`` the first has LARGE_FILE times as many as each other."""
    weights = [LARGE_FILE if large else 1, *[1] * (files - 1)]
    ends = [rows * end // sum(weights) for end in itertools.accumulate(weights)]
    return [end - start for start, end in itertools.pairwise([0, *ends])]


def write_clear(path: Path, first: int, rows: int, *, seed: int, skew: Skew = "even") -> None:
    """Write the rows ``first`` to ``first + rows`` as Spark's CSV writer would, but with every quote that is due."""
    query = _ROWS.format(
        first=first,
        end=first + rows,
        seed=seed * 4,
        hot="(s >> 40) % 10 < 3" if skew == "key" else "false",
        address=_HOT,
        country=_ONE if skew == "partition" else _EVEN,
    )
    names = ",".join(f'"{name}"' for name in HEADERS["xdm"])
    with duckdb.connect(config={"memory_limit": _MEMORY}) as connection:
        connection.execute(
            f"copy (select * from ({query}) as t({names})) to '{path}' "  # noqa: S608  all of it is ours
            "(format csv, header, delimiter ',', quote '\"', escape '\\')"
        )


def count_clear(paths: Sequence[Path], scratch: Path) -> tuple[int, int, int]:
    """Return rows, rows without a valid address, and distinct valid addresses, as read from the clear files."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "temp_directory": str(scratch),
    }
    with duckdb.connect(config=settings) as connection:
        row = connection.execute(_COUNTED, [[str(path) for path in paths]]).fetchone()
    if row is None:
        raise ValueError("nothing was counted")
    return int(row[0]), int(row[1]), int(row[2])


def make_delivery(
    landing: Path, scratch: Path, rows: int, files: int, *, seed: int, skew: Skew, public_key: bytes | None
) -> ScaleDelivery:
    """Fill ``landing`` with one export in ``files`` files, as envelopes unless ``public_key`` is None.

    Clear files lie in ``scratch`` until they are encrypted, each no longer than that.
    """
    landing.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    paths: list[Path] = []
    first = 0
    for number, count in enumerate(file_rows(rows, files, large=skew == "file"), 1):
        paths.append(scratch / f"amazon-s3_scale_20261121_120000_{number}.csv")
        write_clear(paths[-1], first, count, seed=seed, skew=skew)
        first += count
    made = time.monotonic() - began
    size = sum(path.stat().st_size for path in paths)
    found, rejected, published = count_clear(paths, scratch)
    if found != rows:
        raise ValueError(f"{rows:,} rows were to be made, but {found:,} are in the files")
    began = time.monotonic()

    def deliver(path: Path) -> None:
        if public_key is None:
            path.replace(landing / path.name)
            return
        encrypt_envelope(path, landing / f"{path.name}.encrypted", public_key)
        path.unlink()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(deliver, paths))
    return ScaleDelivery(rows, files, size, rejected, published, made, time.monotonic() - began)
