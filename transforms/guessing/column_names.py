"""What the name of a column tells, in the languages that exports are written in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.names import clean_name


@dataclass(frozen=True)
class Kind:
    """A kind of personal data.

    ``personal_data`` and ``normalize`` are words of the vocabulary, ``says`` is what a person calls a value, ``shape``
    names the test of ``value_shapes`` that most values pass, empty where values show nothing.
    """

    name: str
    personal_data: str
    normalize: str
    says: str
    shape: str = ""


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("email", "email", "email", "e-mail address", "email"),
        Kind("phone", "phone", "phone", "phone number", "phone"),
        Kind("device_id", "device_id", "lower", "device id"),
        Kind("ip", "device_id", "lower", "IP address", "ip"),
        Kind("birth_date", "birth_date", "text", "date of birth"),
        Kind("gender", "gender", "lower", "gender or form of address"),
        Kind("first_name", "name", "first_name", "first name"),
        Kind("last_name", "name", "last_name", "last name"),
        Kind("secret", "identifier", "text", "number of a document, account or card"),
        Kind("person_id", "identifier", "text", "id of a person"),
        Kind("postal_code", "postal_code", "postal_code", "postal code"),
        Kind("location", "location", "text", "place on earth"),
        Kind("id", "identifier", "text", "id"),
        Kind("city", "location", "city", "city"),
        Kind("state", "location", "state", "state or province"),
        Kind("country", "location", "country", "country"),
        Kind("address", "address", "address", "address line"),
        Kind("full_name", "name", "name", "name"),
        Kind("any_name", "name", "name", "name"),
        Kind("identifier", "identifier", "text", "value that may tell who somebody is"),
    )
}

_PERSON: Final = (
    "customer|cust|client|kunden?|cliente?|user|member|mitglieds?|subscriber|abonnent|contact|kontakt|person|personen|"
    "profile|profil|account|konto|loyalty|card|karten?|party|household|haushalts?|patient|guest|gast|crm|visitor|lead|"
    "individual|identity|insured|versicherten|employee|mitarbeiter|student|policy|external|master|ecid|mc|socio|klant"
)
_NUMBER: Final = "id|ids|nr|no|num|number|nummer|numero|key|code|ref|guid|uuid|hash|token|pk"

#: Words in cleaned names, by kind, as regular expressions between underscores. The first that fits comes first.
_WORDS: Final[dict[str, str]] = {
    "email": r"(?:[a-z]+_)?e?_?mails?(?:_?(?:address|adresse?|addr|id|sha256|md5))?|emailaddr|correo|courriel|hem",
    "phone": (
        r"(?:home|work|mobile|cell|business|day|evening|primary|main|private?)?_?(?:tele)?_?(?:ph|f)one?s?"
        r"(?:_?(?:number|nummer|no|nr|num|main|home|mobile|sha256))?|tel|telefon(?:o|nummer)?|telefoon(?:nummer)?|"
        r"mobile?s?(?:_?(?:number|nummer|no|nr|telefon))?|mobiltelefon|movil|handy(?:_?(?:nummer|nr))?|"
        r"cell(?:ular|ulare|phone)?|gsm|fax(?:nummer)?|rufnummer|msisdn|whats_?app|sms"
    ),
    "device_id": r"device(?:_?id)?|idfa|idfv|gaid|maid|aaid|adid|rampid|advertising_?id|rida|tifa|cookie(?:_?id)?|imei|"
    r"mac_?address|fingerprint|gclid|fbp|fbc|ga_?client_?id|user_?pseudo_?id|pseudo_?id",
    "ip": r"ip|ips|i_pv_?[46]|ip_?v?_?[46]|ip_?addr(?:ess)?|ip_?adresse?|remote_?addr",
    "birth_date": r"birth|birth_?(?:date|day|year|month)|dob|yob|geburts?_?(?:datum|tag|jahr)|born|naissance|"
    r"nacimiento|(?:data|fecha|date)_?(?:di_|de_)?(?:naissance|nacimiento|nascita|nascimento)|nascita|nascimento|geboorte_?datum|"
    r"fodelse_?datum|urodzenia|anniversaire|cumpleanos",
    "gender": r"gender|sex|geschlecht|sexe|sexo|sesso|genero|genere|geslacht|salutation|anrede|civilite|honorific|"
    r"(?:name_)?prefix",
    "first_name": r"first_?names?|fname|given_?names?|vor_?names?|prenom|nombres?|nome|voornaam|fornamn|imie|forename|"
    r"middle_?names?|middle_?initial|rufname|nick_?name",
    "last_name": r"last_?names?|lname|sur_?names?|family_?names?|nach_?names?|familien_?names?|nom|nom_de_famille|"
    r"apellidos?|cognome|sobrenome|achternaam|efternamn|nazwisko|maiden_?name|geburtsname",
    "secret": r"ssn|sin|social_?security.*|sozialversicherung.*|sv_?n(?:umme)?r|tax_?(?:id|number|no|payer.*)?|steuer_?"
    r"(?:id|nr|nummer)|passport.*|reisepass.*|ausweis.*|personalausweis.*|national_?id|id_?card.*|iban|bic|swift|"
    r"konto_?(?:nr|nummer)|bank_?account.*|account_?number|credit_?card.*|"
    r"kreditkarten?.*|(?:pan)|cvv|cvc|driv(?:er|ing).*licen[cs]e.*|fuhrerschein.*|license_?plate|kennzeichen|vin|"
    r"nif|dni|nie|cpf|cnpj|curp|rfc|codice_?fiscale|partita_?iva|nino|nhs.*|bsn|pesel|personnummer|aadhaar|pan_?number|"
    r"passwor[dt]|kennwort|secret|api_?key",
    "person_id": rf"(?:{_PERSON})_?(?:{_NUMBER})|(?:{_PERSON})_.*_?(?:id|uuid|guid)|user_?name|login|log_?in_?name|"
    r"benutzer(?:name)?|subscriber_?key|contact_?key|session(?:_?id)?|twitter|facebook|instagram|linkedin|screen_?name|"
    r"handle|ecid|crmid|sfdc_?id|(?<=^_)(?:customer|kunde|client|member|user|subscriber)(?=_$)",
    "postal_code": r"zip(?:_?(?:code|plus)?)(?:_?\d)?|zipcode|post(?:al)?_?(?:code|nr|nummer)?|postleitzahl|plz|"
    r"code_?postale?|cod(?:igo|ice)?_?postale?|cap|cp|cep|kod_?pocztowy|pin_?code|postnummer|eircode",
    "location": r"lat|lon|lng|long|latitude|longitude|breitengrad|langengrad|geo(?:_?(?:hash|point|location))?|gps|"
    r"coordinates?|koordinaten?",
    "id": r"id|uuid|guid|pk|(?:[a-z]+_)*(?:id|ids|uuid|guid|key|pk)|(?:[a-z]+)id",
    "city": r"city|town|ort|wohnort|stadt|ville|ciudad|citta|cidade|stad|miasto|localidad|locality|municipality|"
    r"gemeinde|suburb|woonplaats",
    "state": r"state|province|provinz|provincia|bundesland|region|departement|kanton|county|prefecture|"
    r"state_?(?:code|province)|state_or_province|estado",
    "country": r"countr(?:y|ies)|country_?(?:code|name|iso|region)|land|lander?code|landercode|laenderkennzeichen|pays|"
    r"pais|paese|kraj|nation|nationality|staat|iso_?country",
    "address": r"address(?:e|es)?(?:_?line)?|adresse?n?|addr|anschrift|street(?:_?(?:name|number|no))?|strasse|str|"
    r"hausnummer|haus_?nr|house_?(?:number|no|nr)|rue|calle|via|rua|straat|direccion|indirizzo|endereco|adres|adress|"
    r"gata|ulica|apartment|apt|building|floor|adresszusatz|po_?box|postfach|direction|domicilio|voie",
    "full_name": r"(?:full|complete|customer|display|contact|account|person|member|card_?holder|recipient|ship_?to|"
    r"bill_?to|kunden|inhaber|voller)_?name|(?<=^_)(?:name|naam|namn)|nombre_?completo|ansprechpartner|contact_?person",
    "any_name": r"[a-z_]*name|[a-z_]*naam",
}
_PATTERNS: Final = {kind: re.compile(rf"_(?:{words})(?=_)") for kind, words in _WORDS.items()}
_TIME: Final = re.compile(
    r"_(?:[a-z]*date|[a-z]*datum|[a-z]*time|timestamp|ts|at|on|since|until|created|updated|modified|zeit|zeitpunkt|fecha|"
    r"data|dato|seit|day|tag|epoch|expir[a-z]*|when|last_?(?:login|seen|visit|open|purchase)|moment|[a-z]*stamp)_"
)
_FLAG: Final = re.compile(
    r"_(?:is|has|was|can|may|flag|[a-z]*opt|opt(?:ed)?_?(?:in|out)?|optin|optout|consent|active|aktiv|enabled|deleted|valid|"
    r"verified|subscribed|allowed|einwilligung|newsletter|unsubscribed|permission|do_not_[a-z]+|consentimiento)_"
)
_QUALIFIED: Final = re.compile(
    r"_(?:type|typ|status|flag|opt_?in|opt_?out|consent|source|count|verified|domain|valid|preference|frequency|tier|level|"
    r"score|channel|language|currency|version|reason|category|group|segment|rank|size|total|amount|quality|anzahl)_"
)
_MEASURE: Final = re.compile(
    r"_(?:amount|total|sum|count|cnt|quantity|qty|points?|punkte|score|balance|saldo|value|wert|price|preis|revenue|"
    r"umsatz|betrag|spend|spent|cost|rank|age|alter|size|visits?|orders?|sales|margin|rate|duration|position|sequence|"
    r"menge|anzahl|importe|monto|montant|importo|ltv|clv|distance|weight|height|nb|num|number_of)_"
)


def wrapped(name: str) -> str:
    """Return a column's cleaned name between underscores, digits apart: ``E-Mail2`` becomes ``_e_mail_2_``."""
    cleaned = clean_name(name) or ""
    return f"_{re.sub(r'(?<=[a-z])(?=[0-9])', '_', cleaned.removesuffix('_value'))}_"


def kinds_by_name(name: str) -> Iterator[Kind]:
    """Yield the kinds of personal data that a column's name speaks of, the likeliest first."""
    words = wrapped(name)
    for kind, pattern in _PATTERNS.items():
        if pattern.search(words):
            yield KINDS[kind]


def is_time_name(name: str) -> bool:
    """Tell whether a column is named like a date or time."""
    return _TIME.search(wrapped(name)) is not None


def is_flag_name(name: str) -> bool:
    """Tell whether a column is named like a switch."""
    return _FLAG.search(wrapped(name)) is not None


def is_qualified_name(name: str) -> bool:
    """Tell whether a column is named like something about a value, such as its type, rather than the value."""
    return _QUALIFIED.search(wrapped(name)) is not None


def is_measure_name(name: str) -> bool:
    """Tell whether a column is named like a quantity."""
    return _MEASURE.search(wrapped(name)) is not None
