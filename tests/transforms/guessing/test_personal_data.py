from __future__ import annotations

import pytest

from transforms.guessing.column_names import kinds_by_name
from transforms.guessing.personal_data import judge
from transforms.guessing.value_shapes import hash_of, share
from transforms.guessing.value_types import guess_type

NAMES = {
    "email": ["email", "E-Mail", "eMail", "EmailAddress", "e_mail_adresse", "personalEmail.address", "mail", "correo"],
    "phone": ["phone", "Mobile Phone", "mobilePhone.number", "tel", "Telefon", "Telefonnummer", "Handy", "phone_1",
              "Mobilnummer", "telefono", "cell"],
    "first_name": ["first_name", "FirstName", "Vorname", "given_name", "prenom", "Prénom", "person.name.firstName"],
    "last_name": ["LastName", "surname", "Nachname", "family name", "apellido", "cognome"],
    "address": ["address", "Address 1", "street", "Straße", "strasse", "Hausnummer", "direccion"],
    "postal_code": ["zip", "ZIP Code", "postal_code", "PLZ", "Postleitzahl", "code postal", "postcode"],
    "city": ["city", "Ort", "homeAddress.city", "ville", "Wohnort"],
    "state": ["state", "stateProvince", "Bundesland", "province"],
    "country": ["country", "Land", "country_code", "pays", "País"],
    "birth_date": ["dob", "birth_date", "Geburtsdatum", "date_of_birth", "birthday", "BirthDate"],
    "gender": ["gender", "Sex", "Geschlecht", "Anrede"],
    "ip": ["ip", "ip_address", "IPv4"],
    "device_id": ["device_id", "idfa", "GAID", "maid", "cookie_id"],
    "person_id": ["customer_id", "CustomerID", "userId", "member_number", "Kundennummer", "SubscriberKey", "crm id",
                  "loyalty_card_no"],
    "secret": ["ssn", "tax_id", "Steuer-ID", "passport_number", "IBAN", "credit card"],
    "full_name": ["name", "full_name", "Customer Name"],
    "id": ["id", "order_id", "product_uuid"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_names_in_many_languages(kind: str, name: str) -> None:
    assert next(kinds_by_name(name)).name == kind


@pytest.mark.parametrize("name", ["points", "tier", "status", "amount", "created_at", "is_active", "idea", "maillot"])
def test_names_of_other_things(name: str) -> None:
    assert next(kinds_by_name(name), None) is None


def judged(name: str, values: list[str], *, named: bool = True) -> tuple[str | None, bool, int]:
    found = judge(name, values, guess_type(values), named=named)
    return found.kind.name if found.kind else None, found.clear, len(found.doubts)


EMAILS = [f"a{number}@x.com" for number in range(10)]
FEW = ["a", "b"] * 10
MANY = [f"text {chr(97 + number)}" for number in range(20)]
VALUES = [
    ("contact", EMAILS, ("email", False, 0)),
    ("x", [*EMAILS, "none"], ("email", False, 1)),
    ("email", ["n"] * 9 + ["m"], ("identifier", False, 1)),
    ("email_opt_in", ["true", "false"], (None, True, 0)),
    ("email_status", FEW, (None, True, 1)),
    ("email_verified_at", ["2024-01-31"], (None, True, 0)),
    ("x", ["(206) 555-0100", "+49 171 1234567"], ("phone", False, 1)),
    ("phone", ["2065550100", "2065550101"], ("phone", False, 0)),
    ("zip", ["12345-6789"], ("postal_code", False, 0)),
    ("x", ["123-45-6789"], ("secret", False, 1)),
    ("x", ["DE89370400440532013000"], ("secret", False, 1)),
    ("x", ["4111111111111111", "5555555555554444", "378282246310005"], ("secret", False, 1)),
    ("x", ["10.0.0.1", "2001:db8::1"], ("ip", False, 1)),
    ("x", ["123e4567-e89b-12d3-a456-426614174000"], ("identifier", False, 1)),
    ("maid", ["123e4567-e89b-12d3-a456-426614174000"], ("device_id", False, 0)),
    ("email_hash", ["0a" * 32, "0b" * 32], ("email", False, 1)),
    ("notes", [*MANY, "ask me@x.com now"], ("identifier", False, 1)),
    ("notes", [*MANY, "call 206 555 0100"], ("identifier", False, 1)),
    ("notes", MANY, ("identifier", False, 1)),
    ("tier", FEW, (None, True, 0)),
    ("colour", FEW, (None, True, 1)),
    ("points", ["1", "20", "3"], (None, True, 0)),
    ("x", [str(number) for number in range(25)], ("identifier", False, 1)),
    ("x", ["12345", "54321"], ("identifier", False, 1)),
    ("amount", ["1.50", "2.50"], (None, True, 0)),
    ("x", ["1985-01-31", "1990-01-31"], ("birth_date", False, 1)),
    ("signup", ["2024-01-31"], (None, True, 0)),
    ("country", ["DE", "Germany", "FR"], ("country", True, 0)),
    ("country", ["x", "y"], ("identifier", False, 1)),
    ("city", ["Ulm"], ("city", False, 1)),
    ("whatever", [], ("identifier", False, 1)),
    ("phone", [], ("phone", False, 1)),
    ("company_name", MANY, ("any_name", False, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "expected"), VALUES, ids=[f"{each[0]}-{each[2][0]}" for each in VALUES])
def test_names_and_values_together(name: str, values: list[str], expected: tuple[str | None, bool, int]) -> None:
    assert judged(name, values) == expected


@pytest.mark.parametrize("values", [FEW, MANY, ["80331", "80333"]])
def test_text_without_names_is_hashed(values: list[str]) -> None:
    assert judged("column_1", values, named=False) == ("identifier", False, 1)


def test_hashes_are_told_by_their_length() -> None:
    assert hash_of(["ab" * 32]) == "SHA-256"
    assert hash_of(["AB" * 20]) == "SHA-1"
    assert hash_of(["ab" * 16]) == "MD5"
    assert hash_of(["ab" * 16, "ab" * 20]) is None
    assert hash_of(["A" * 43 + "="]) == "SHA-256 in base64"
    assert hash_of(["1" * 32]) is None


def test_check_digits_count() -> None:
    assert share(["DE89370400440532013001"], "iban") == 0
    assert share(["4111111111111112"], "card") == 0
