"""Writing a connector from a sample, as a user asks for it."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.new_connector import Args, main
from jobs.runtime.args import parse_args
from jobs.runtime.configuration import load_configuration
from jobs.runtime.errors import ArgumentError
from schemas.feed import Feed
from schemas.problems import SchemaError
from schemas.table import Table
from tests.fixtures.fernet_writer import encrypt_envelope
from tests.fixtures.key_files import make_keys

ROWS = 60


@dataclass(frozen=True)
class Made:
    """What the job wrote and said."""

    feed: Feed
    table: Table
    connector_text: str
    table_text: str
    printed: str

    @property
    def hashed(self) -> set[str]:
        return {column.name for column in self.table.columns if column.hash is not None}

    @property
    def types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.table.columns}

    @property
    def classes(self) -> dict[str, str | None]:
        return {column.name: column.personal_data for column in self.table.columns}


class Maker:
    """Runs the job on samples in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def run(self, *words: str) -> None:
        main(parse_args(Args, [*words, "--out", str(self.folder / "definitions")]))

    def __call__(self, data: str | bytes, *words: str, ending: str = ".csv", secrets: tuple[str, ...] = ()) -> Made:
        """Make a connector from a file with this content, of which ``secrets`` may not come out anywhere."""
        file = self.folder / f"sample{ending}"
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        self.run("--file", str(file), "--name", "made", *words)
        captured = self._capsys.readouterr()
        connector_text, table_text = (
            (self.folder / "definitions" / kind / "made.toml").read_text(encoding="utf-8")
            for kind in ("connectors", "tables")
        )
        for text in (connector_text, table_text, captured.out, captured.err):
            for secret in secrets:
                assert secret.casefold() not in text.casefold()
        connector, tables = load_configuration(f"file://{self.folder}/definitions/connectors/made.toml", None)
        return Made(connector.feeds[0], tables["made"], connector_text, table_text, captured.out)


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Maker:
    return Maker(tmp_path, capsys)


def above(text: str, line: str) -> str:
    """Return the comment right above the first line that starts like this."""
    lines = text.splitlines()
    at = next(number for number, each in enumerate(lines) if re.match(rf"{re.escape(line)}\b", each))
    start = at
    while start and lines[start - 1].startswith("# "):
        start -= 1
    return " ".join(each.removeprefix("# ") for each in lines[start:at])


def section(text: str, name: str) -> str:
    return text.partition(f"[{name}]\n")[2].partition("\n\n")[0]


# --- samples as they come


def german() -> str:
    head = (
        "Kundennummer;Vorname;Nachname;E-Mail;Telefon;Straße;PLZ;Ort;Land;Umsatz;Geburtsdatum;Newsletter;Letzter Kauf"
    )
    rows = [
        f"K{10000 + at};Jörgfried;Müllerin{at};kunde{at}@beispiel.example;0171 {1000000 + at};Hauptgasse {at};"
        f"0{1000 + at};Münchhausen;DE;1.{at:03d},{at:02d};{1 + at % 28:02d}.{1 + at % 12:02d}.{1950 + at % 50};"
        f"{'ja' if at % 2 else 'nein'};{1 + at % 28}.{1 + at % 12}.2024 14:05"
        for at in range(ROWS)
    ]
    return "\r\n".join([head, *rows]) + "\r\n"


GERMAN_SECRETS = ("Jörgfried", "Müllerin", "beispiel.example", "1000000", "Hauptgasse", "Münchhausen", "K10001")


def american() -> str:
    head = (
        "Subscriber Key,EmailAddress,First Name,Last Name,Mobile Phone,Address 1,City,State,Zip,JoinDate,LastOpen,"
        "Points,Tier,OptIn,Notes"
    )
    rows = [
        f"{900000 + at * 37},Jane{at}@Sample.example,Janette,O'Brienne{at},(206) 555-{1000 + at},\"{at} Mainway St, "
        f'Apt {at}",Seattletown,WA,{98100 + at},{1 + at % 12}/{1 + at % 28}/2023,{1 + at % 12}/{1 + at % 28}/2024 '
        f"{1 + at % 12}:05:09 {'AM' if at % 2 else 'PM'},{at * 3 % 70},{('Gold', 'Silver', 'Bronze')[at % 3]},"
        f'{"True" if at % 3 else "False"},"said ""call me"" at 206-555-{2000 + at}"'
        for at in range(ROWS)
    ]
    return "\n".join([head, *rows]) + "\n"


AMERICAN_SECRETS = ("Sample.example", "Janette", "Brienne", "555-10", "Mainway", "Seattletown", "900037", "call me")


def test_a_german_excel_file(make: Maker) -> None:
    made = make(german().encode("cp1252"), "--country", "DE", secrets=GERMAN_SECRETS)
    layout = made.feed.format
    assert (layout.encoding, layout.delimiter, layout.quote, layout.header) == ("windows-1252", ";", '"', True)
    assert layout.decimal == ","
    assert made.feed.default_country == "DE"
    assert made.types["umsatz"] == "decimal(18,2)"
    assert made.types["newsletter"] == "boolean"
    assert made.feed.column("newsletter").values == {"ja": "yes", "nein": "no"}
    assert made.types["letzter_kauf"] == "timestamp"
    assert made.feed.column("letzter_kauf").time_formats == ("d.M.yyyy H:mm",)
    assert made.classes == {
        "kundennummer": "identifier", "vorname": "name", "nachname": "name", "e_mail": "email", "telefon": "phone",
        "strasse": "address", "plz": "postal_code", "ort": "location", "land": "location", "umsatz": None,
        "geburtsdatum": "birth_date", "newsletter": None, "letzter_kauf": None,
    }  # fmt: skip
    assert made.hashed == {name for name, kind in made.classes.items() if kind} - {"land"}
    assert made.feed.column("strasse").aliases == ("Straße",)
    assert made.feed.dedup.keys == ("kundennummer",)
    assert made.feed.column("kundennummer").required
    assert "iso-8859-1" in above(made.connector_text, "encoding")
    assert "UTC" in above(made.connector_text, "zone")
    assert "no value of the sample is quoted" in above(made.connector_text, "quote")
    assert "doubt" in above(section(made.table_text, "columns.geburtsdatum"), "personal_data")
    assert re.search(r"^umsatz +decimal\(18,2\) +- +clear +-$", made.printed, re.MULTILINE)
    assert "landing/made/" in made.printed
    assert f"--connector file://{make.folder}/definitions/connectors/made.toml" in made.printed


def test_an_american_file(make: Maker) -> None:
    made = make(american(), secrets=AMERICAN_SECRETS)
    assert made.feed.column("join_date").time_formats == ("M/d/yyyy",)
    assert made.feed.column("last_open").time_formats == ("M/d/yyyy h:mm:ss a",)
    assert (made.types["join_date"], made.types["last_open"]) == ("date", "timestamp")
    assert (made.types["points"], made.types["tier"], made.types["opt_in"]) == ("bigint", "string", "boolean")
    clear = {"join_date", "last_open", "points", "tier", "opt_in"}
    assert made.hashed == set(made.types) - clear
    assert made.classes["notes"] == "identifier"
    assert "phone number inside" in above(section(made.table_text, "columns.notes"), "personal_data")
    assert made.feed.dedup.keys == ("subscriber_key",)
    assert "so do email_address" in above(made.connector_text, "keys")
    assert "ASCII" in above(made.connector_text, "encoding")
    assert 'default_country = "XX"' in made.connector_text
    assert made.feed.default_country is None


def test_months_and_days_that_nothing_tells_apart(make: Maker) -> None:
    text = "email,start_date\n" + "".join(f"a{at}@x.example,{1 + at % 9}/{1 + at % 7}/2024\n" for at in range(20))
    made = make(text, "--country", "US", secrets=("x.example",))
    assert made.feed.column("start_date").time_formats == ("M/d/yyyy",)
    assert "no number above 12" in above(made.connector_text, "time_formats")
    assert "no number above 12" in made.printed
    assert make(text, "--overwrite").feed.column("start_date").time_formats == ("d/M/yyyy",)


def test_pipes_without_quotes(make: Maker) -> None:
    rows = "".join(f'{at + 1}|"Big" Shop {at}|{at}.5|{1700000000 + at * 5555}|NULL\n' for at in range(ROWS))
    made = make(f"id|name|amount|created_ts|left\n{rows}", secrets=("Big", "1700000000"))
    assert (made.feed.format.delimiter, made.feed.format.quote) == ("|", "")
    assert made.feed.column("created_ts").epoch == "seconds"
    assert "number of digits" in above(made.connector_text, "epoch")
    assert made.types == {
        "id": "string", "name": "string", "amount": "decimal(18,2)", "created_ts": "timestamp", "left_value": "string",
    }  # fmt: skip
    assert made.feed.column("left_value").aliases == ("left",)
    assert made.feed.format.null_values == ("NULL",)
    assert made.hashed == {"id", "name", "left_value"}


def test_tabs_without_a_header(make: Maker) -> None:
    rows = "".join(
        f"00{at + 100}\tAnnabella\tSchmittke{at}\t+49 171 {2000000 + at}\t1985-03-{1 + at % 28:02d}\t{at % 2}\t\\N\n"
        for at in range(ROWS)
    )
    made = make(rows, secrets=("Annabella", "Schmittke", "2000001", "1985", "00100"))
    assert not made.feed.format.header
    assert made.feed.format.delimiter == "\t"
    assert made.feed.format.columns == tuple(f"column_{number}" for number in range(1, 8))
    assert made.hashed == set(made.types) - {"column_6"}
    assert made.classes["column_4"] == "phone"
    assert made.classes["column_5"] == "birth_date"
    assert made.feed.default_country == "DE"
    assert "calling codes" in above(made.connector_text, "default_country")
    assert made.feed.format.null_values == ("\\N",)


def test_a_header_can_be_said(make: Maker) -> None:
    text = "Kennung,Merkmal\n" + "".join(f"Anneliese{at},Wert{at}\n" for at in range(5))
    made = make(text, secrets=("Anneliese", "Kennung", "Merkmal"))
    assert "--header yes" in above(made.connector_text, "header")
    said = make(text, "--header", "yes", "--overwrite", secrets=("Anneliese",))
    assert set(said.types) == {"kennung", "merkmal"}
    assert said.hashed == {"kennung", "merkmal"}


def test_nested_json_lines(make: Maker) -> None:
    records = [
        {
            "person": {"name": {"firstName": f"Anfinn{at}"}, "homeAddress": {"city": "Osloby", "countryCode": "NO"}},
            "personalEmail": {"address": f"x{at}@mail.example"},
            "crmId": f"crm-{at}",
            "tags": ["hidden"],
            "points": at,
            "when": f"2024-01-{1 + at % 28:02d}T10:00:00Z",
            "ok": at % 2 == 0,
        }
        for at in range(ROWS)
    ]
    secrets = ("Anfinn", "Osloby", "mail.example", "crm-1", "hidden")
    for text in ("\n".join(map(json.dumps, records)), json.dumps(records)):
        made = make(text, "--overwrite", ending=".json", secrets=secrets)
        assert made.feed.format.types == ("json",)
        assert made.feed.column("person_name_first_name").aliases == ("person.name.firstName",)
        assert made.classes["personal_email_address"] == "email"
        assert made.types["when_value"] == "timestamp"
        assert (made.types["points"], made.types["ok"]) == ("bigint", "boolean")
        assert made.hashed == set(made.types) - {"points", "when_value", "ok", "person_home_address_country_code"}
        assert made.feed.dedup.keys[0] == "crm_id"


def test_keys_that_are_data_become_no_columns(make: Maker) -> None:
    record = {"email": "a@x.example", "points": 3, "by_mail": {"b@y.example": 1}, "by_id": {"4711081": {"n": 2}}}
    made = make(json.dumps(record) + "\n", ending=".json", secrets=("x.example", "y.example", "4711081"))
    assert set(made.types) == {"email", "points"}
    assert "2 columns" in made.connector_text


def test_avro(make: Maker) -> None:
    fields = [{"name": "userId", "type": "string"}, {"name": "total", "type": "double"}]
    schema = fastavro.parse_schema({"type": "record", "name": "row", "fields": fields})
    file = io.BytesIO()
    fastavro.writer(file, schema, [{"userId": f"user{at}", "total": at / 4} for at in range(ROWS)])
    made = make(file.getvalue(), ending=".avro", secrets=("user1",))
    assert made.feed.format.types == ("avro",)
    assert made.types == {"user_id": "string", "total": "decimal(18,2)"}
    assert made.hashed == {"user_id"}


@pytest.mark.parametrize("text", ["email,first_name", "email,first_name\n", "email;first_name;note\n\n"])
def test_a_header_alone(make: Maker, text: str) -> None:
    made = make(text)
    assert made.hashed == set(made.types)
    assert "name alone" in above(section(made.table_text, "columns.email"), "personal_data")


def test_two_columns_with_one_name_are_no_header(make: Maker) -> None:
    made = make("name,name\nAnneliese,Bertha\n", secrets=("Anneliese", "Bertha"))
    assert "alike" in above(made.connector_text, "header")


def test_an_address_is_never_a_name(make: Maker) -> None:
    with pytest.raises(ArgumentError, match="--header no"):
        make("a@x.example,b\n1,2\n", "--header", "yes")


def parquet() -> bytes:
    draw = random.Random(5)
    columns = {
        "customer_id": [f"cust{at}" for at in range(ROWS)],
        "email_sha256": [f"{draw.getrandbits(256):064x}" for _ in range(ROWS)],
        "ltv": [at * 1.5 for at in range(ROWS)],
        "maid": [f"{draw.getrandbits(32):08x}-1111-4222-8333-{at:012x}" for at in range(ROWS)],
        "updated_at": pa.array([1_700_000_000_000_000 + at for at in range(ROWS)], pa.timestamp("us", tz="UTC")),
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_parquet(make: Maker, *, packed: bool) -> None:
    data = parquet()
    made = make(gzip.compress(data) if packed else data, ending=".parquet", secrets=("cust1", "-1111-"))
    assert made.feed.format.types == ("parquet",)
    assert made.hashed == {"customer_id", "email_sha256", "maid"}
    assert made.classes["maid"] == "device_id"
    assert made.types["updated_at"] == "timestamp"
    assert "prehashed" in above(section(made.table_text, "columns.email_sha256"), "personal_data")
    assert made.table.column("email_sha256").normalize == "lower"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_other_encodings(make: Maker, encoding: str) -> None:
    made = make(german().encode(encoding), secrets=GERMAN_SECRETS)
    assert made.feed.format.encoding == {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert "kundennummer" in made.types


def test_escapes(make: Maker) -> None:
    rows = "".join(f'{at},"a \\"nick\\" b, {at}","back\\\\slash{at}"\n' for at in range(ROWS))
    made = make(f"id,quote,text\n{rows}", secrets=("nick", "slash"))
    assert (made.feed.format.quote, made.feed.format.escape) == ('"', "\\")
    assert set(made.types) == {"id", "quote", "text"}


def zipped(**members: str | bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return file.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "archive"),
    [
        (gzip.compress(american().encode()), None),
        (zipped(readme__txt="hello", data__csv=american(), more__csv="x"), "zip"),
        (zipped(data__csv__gz=gzip.compress(american().encode())), "zip"),
        (tarred("data.csv", american().encode()), "tar"),
    ],
)
def test_packed_files(make: Maker, data: bytes, archive: str | None) -> None:
    made = make(data, ending=".packed", secrets=AMERICAN_SECRETS)
    assert len(made.types) == 15
    if archive is None:
        assert "archives" not in made.connector_text
    else:
        assert f'archives      = ["{archive}"]' in made.connector_text
        assert "first suitable member" in above(made.connector_text, "archives")
        assert f"{archive} archive" in made.printed


def test_a_large_file_is_read_from_its_beginning(make: Maker) -> None:
    row = 'a{}@x.example,"first line\nsecond {}",12\n'
    text = "email,note,points\n" + "".join(row.format(at, at) for at in range(60_000))
    assert len(text) > 2 << 20
    for data in (text.encode(), gzip.compress(text.encode()) + b"damaged behind the beginning"):
        made = make(data, "--rows", "500", "--overwrite", secrets=("x.example", "first line"))
        assert "sample of 500 rows" in made.connector_text
        assert made.types["points"] == "bigint"
    made = make(text, "--rows", "1000000", "--overwrite")  # as many as the beginning has
    assert made.classes["note"] == "identifier"


def test_odd_names_and_too_many_columns(make: Maker) -> None:
    names = ["Select", "1st Choice", "***", "reason", 'quo"te\\d', *(f"points_{at}" for at in range(120))]
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    rows = "".join(",".join(str(at % 7) for _ in names) + "\n" for at in range(30))
    made = make(f"{quoted}\n{rows}")
    assert len(made.table.columns) == 100
    assert list(made.types)[:4] == ["select_value", "c_1st_choice", "reason_value", "quo_te_d"]
    assert made.feed.column("quo_te_d").aliases == ('quo"te\\d',)
    assert made.feed.column("reason_value").aliases == ("reason",)
    assert "columns 3 of the file" in made.connector_text
    assert "left out, for AWS Clean Rooms allows 100 columns" in made.table_text
    assert "more columns were left out" in made.printed


def test_nothing_in_a_comment_can_end_it(make: Maker) -> None:
    text = '"email","a\n[hash]\nb"\n' + "".join(f'"a{at}@x.example","{at}"\n' for at in range(20))
    made = make(text, secrets=("x.example",))
    assert made.feed.column("a_hash_b").aliases == ("a\n[hash]\nb",)


def test_files_are_not_overwritten(make: Maker) -> None:
    make(american())
    with pytest.raises(ArgumentError, match="--overwrite"):
        make(american())
    assert make(american(), "--overwrite").types


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes"),
        (b"  \n\n", "no characters but blanks"),
        (b"MZ\x00\x03\x04\x05\x06\x07" * 100, "control characters"),
        (
            b"Looks like text for the first bytes, which is all that most look at: then " + bytes(range(256)) * 20,
            "binary",
        ),
        (b"BZh91AY&SY" + b"x" * 100, "bzip2"),
        (b"PAR1\x15 hidden", "Parquet"),
        (zipped(book__xml="<x/>"), "no member"),
        (b"x" * (3 << 20), "longer than 1 MiB"),
        (b"sep=;\nemail;zip\nhidden;1\n", "Excel's mark"),
        (b"Report of hidden\n" + b"email,zip,x\nhidden,1,2\n" * 9, "is there text above the header?"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhidden\n", "encrypted (OpenPGP); a clear sample is needed"),
        (zipped(a__csv=b"-----BEGIN PGP MESSAGE-----\n\nhidden\n"), "encrypted (OpenPGP)"),
        (gzip.compress(b"email\nhidden@x.example\n")[:-9], "ends in the middle"),
        (b"email,E-MAIL,zip\nhidden@x.example,,1\n", "columns 1 and 2"),
        (b'{"a": {"b": 1}, "a_b": "hidden"}\n', "two names would become the column"),
    ],
)
def test_what_cannot_be_read_is_told(make: Maker, data: bytes, message: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(message)) as raised:
        make(data, "--header", "yes") if b"E-MAIL" in data else make(data)
    assert "hidden" not in str(raised.value)
    assert not (make.folder / "definitions").exists()


def test_an_envelope_is_told(make: Maker, tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")
    (tmp_path / "clear.csv").write_text(american(), encoding="utf-8")
    encrypt_envelope(tmp_path / "clear.csv", tmp_path / "sealed", keys.rsa_public.read_bytes())
    with pytest.raises(ArgumentError, match="encrypted \\(an envelope\\)"):
        make((tmp_path / "sealed").read_bytes())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "Loyalty"], "--name"),
        (["--name", "select"], "reserved word"),
        (["--name", "made", "--country", "Germany"], "--country"),
        (["--name", "made", "--rows", "0"], "--rows"),
        (["--name", "made"], "there is no file"),
    ],
)
def test_mistakes_in_arguments(make: Maker, words: list[str], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make.run("--file", str(make.folder / "missing.csv"), *words)


def test_files_that_would_not_load_are_never_written(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.new_connector.connector_draft", lambda *_: 'name = "made"\n')
    with pytest.raises(SchemaError):
        make(american())
    assert not (make.folder / "definitions").exists()
