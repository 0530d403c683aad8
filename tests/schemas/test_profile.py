"""Profile files: what each key means, every kind of mistake, and the names that a profile goes by."""

from __future__ import annotations

import pytest

from schemas.problems import SchemaError
from schemas.profile import HOUSE, Profile, ProfileField, find_profile, parse_profiles, profile_names, profiles

GOOD = """
name = "acme"
comment = "Acme Ads"
aliases = ["acme-ads"]
[versions.2]
comment = "the page of today"
aliases = ["acme-page"]
phones = "digits"
empty = "hash"
encoding = "base64"
already_hashed = "acme.hashes"
sources = ["acme.example, hashing"]
[versions.2.fields]
email = "acme.email"
phone = "acme.phone"
country = "acme.country"
[versions.2.algorithms]
phone = "sha1"
country = "none"
[versions.1]
aliases = ["acme-old", "acme@0"]
already_hashed = "declared"
[versions.1.fields]
email = "acme.old_email"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        parse_profiles(text, "acme.toml")
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_profile_is_what_its_file_says() -> None:
    found, names = parse_profiles(GOOD, "acme.toml")
    assert found == {
        "acme@2": Profile(
            name="acme",
            version="2",
            comment="Acme Ads; the page of today",
            sources=("acme.example, hashing",),
            fields={
                "email": ProfileField("email", "acme.email", "sha256", "base64"),
                "phone": ProfileField("phone", "acme.phone", "sha1", "base64"),
                "country": ProfileField("country", "acme.country", None, None),
            },
            phones="digits",
            empty="hash",
            already_hashed="acme.hashes",
        ),
        "acme@1": Profile(
            name="acme",
            version="1",
            comment="Acme Ads",
            sources=(),
            fields={"email": ProfileField("email", "acme.old_email", "sha256", "hex")},
            phones="e164",
            empty="null",
            already_hashed="",
        ),
    }
    assert [profile.id for profile in found.values()] == list(found)
    assert names == {
        "acme": "acme@2",  # the first version is the one that the name alone stands for
        "acme-ads": "acme@2",
        "acme-page": "acme@2",
        "acme-ads@2": "acme@2",
        "acme-ads@1": "acme@1",
        "acme-old": "acme@1",
        "acme@0": "acme@1",
    }


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("[versions.2.fields]", "[versions.2.fields")], ["not valid TOML: "]),
        ([('name = "acme"', "")], ["acme.toml: name: missing"]),
        ([('name = "acme"', "name = 1")], ["acme.toml: name: must be a string, not int"]),
        ([('comment = "Acme Ads"', 'coment = "Acme Ads"')],
         ["acme.toml: comment: missing", "acme.toml: coment: unknown key; did you mean comment?"]),
        ([('aliases = ["acme-ads"]', 'aliases = "acme-ads"')],
         ["acme.toml: aliases: must be a list of strings, not str"]),
        ([('aliases = ["acme-ads"]', 'aliases = ["x", "x"]')], ["acme.toml: aliases: holds the same entry twice"]),
        ([('aliases = ["acme-page"]', "aliases = [1]")], ["versions.2.aliases: must be a list of strings"]),
        ([('phones = "digits"', 'phones = "digit"')],
         ["versions.2.phones: 'digit' is not known; did you mean digits?"]),
        ([('empty = "hash"', 'empty = "text"')], ["versions.2.empty: 'text' is not known; valid: hash, null"]),
        ([('encoding = "base64"', 'encoding = "base-64"')],
         ["versions.2.encoding: 'base-64' is not known; did you mean base64?"]),
        ([('encoding = "base64"', 'encoding = "upper-hex"')], ["versions.2.encoding: 'upper-hex' is not known"]),
        ([('already_hashed = "acme.hashes"', "already_hashed = true")],
         ["versions.2.already_hashed: must be a string, not bool"]),
        ([("sources = [", "source = [")], ["versions.2.source: unknown key; did you mean sources?"]),
        ([('email = "acme.email"', 'e-mail = "acme.email"')],
         ["versions.2.fields.e-mail: is no kind of value; did you mean email?"]),
        ([('email = "acme.email"', "email = 1")],
         ["versions.2.fields: must map strings to strings", "versions.2.algorithms.phone: is no field",
          "versions.2.algorithms.country: is no field"]),
        ([("[versions.2.fields]", "[versions.2.rules]")],
         ["versions.2.rules: unknown key", "versions.2.algorithms.phone: is no field",
          "versions.2.algorithms.country: is no field"]),
        ([('phone = "sha1"', 'phon = "sha1"')], ["versions.2.algorithms.phon: is no field of this version"]),
        ([('phone = "sha1"', 'phone = "sha-1"')],
         ["versions.2.algorithms.phone: 'sha-1' is not known; did you mean sha1?"]),
        ([('country = "none"', 'country = "nothing"')], ["versions.2.algorithms.country: 'nothing' is not known"]),
        ([('country = "none"', 'country = "nonee"')],
         ["versions.2.algorithms.country: 'nonee' is not known; did you mean none?"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_key_and_nearest_name(pairs: list[tuple[str, str]], expected: list[str]) -> None:
    found = problems(changed(*pairs))
    assert [text for text in expected if not any(text in line for line in found)] == []
    assert all(line.startswith("acme.toml: ") for line in found)
    assert len(found) == len(expected)  # and nothing else is wrong


@pytest.mark.parametrize("versions", ["", "versions = {}", "[versions]"])
def test_a_profile_needs_a_version(versions: str) -> None:
    assert problems(f'name = "acme"\ncomment = "Acme"\n{versions}\n') == [
        "acme.toml: versions: a profile needs at least one version"
    ]


def test_a_version_is_a_table() -> None:
    assert problems('name = "x"\ncomment = "x"\n[versions]\n1 = "email"')[0] == "acme.toml: versions.1: must be a table"
    assert problems('name = "x"\ncomment = "x"\nversions = 3')[0].startswith("acme.toml: versions: must be a table")


def test_all_mistakes_come_in_one_message() -> None:
    text = changed(
        ('comment = "Acme Ads"', ""),
        ('phones = "digits"', 'phones = "plus"\nfax = "x"'),
        ('email = "acme.email"', 'mail = "acme.email"'),
        ('phone = "sha1"', 'phone = "sha2"'),
        ('email = "acme.old_email"', 'emial = "acme.old_email"'),
    )
    keys = [line.split(": ")[1] for line in problems(text)]
    assert sorted(keys) == [
        "comment",
        "versions.1.fields.emial",
        "versions.2.algorithms.phone",
        "versions.2.fax",
        "versions.2.fields.mail",
        "versions.2.phones",
    ]


# --- the packaged ones

#: What sample files and people call the profiles, and the version that is meant.
CALLED = {
    "adobe": "adobe@1",
    "adobe-aep": "adobe@1",
    "aer": "aws-entity-resolution@library",
    "aer-library": "aws-entity-resolution@library",
    "amazon-ads-sdk-2022": "amc-uploader@3.0.11",
    "amazon-events": "amazon-events@1",
    "amazon-events-tag": "amazon-events@1",
    "amc": "amc-uploader@3.0.15",
    "amc-uploader": "amc-uploader@3.0.15",
    "amc-uploader@3.0.11": "amc-uploader@3.0.11",
    "amc-uploader@3.0.12": "amc-uploader@3.0.15",
    "cleanroom-etl": "cleanroom-etl@1",
    "euid": "uid2@docs",
    "euid@sdk": "uid2@sdk",
    "google-ads": "google-ads@customer-match",
    "google-data-manager": "google-data-manager@2025",
    "google-data-manager-doc": "google-data-manager@2026",
    "gravatar": "plain@1",
    "liveramp": "liveramp@1",
    "meta": "meta@docs",
    "meta-param-builder": "meta@param-builder",
    "meta-sdk": "meta@sdk",
    "pinterest": "pinterest@1",
    "salesforce-audience-studio": "plain@1",
    "sgtm-webmasterei": "google-data-manager@2026",
    "snap": "snap@1",
    "the-trade-desk": "uid2@docs",
    "tiktok": "tiktok@2025-06",
    "tiktok-2025-08": "tiktok@2025-08",
    "uid2": "uid2@docs",
    "uid2@sdk": "uid2@sdk",
    "x-twitter": "plain@1",
}


@pytest.mark.parametrize(("name", "identity"), CALLED.items())
def test_a_profile_is_found_by_every_name_it_goes_by(name: str, identity: str) -> None:
    assert find_profile(name).id == identity == profile_names()[name]


def test_every_version_is_found_by_its_id_and_every_profile_by_its_name() -> None:
    known = profiles()
    firsts: dict[str, str] = {}
    for identity, profile in known.items():
        assert identity == profile.id == f"{profile.name}@{profile.version}"
        assert find_profile(identity) is profile
        firsts.setdefault(profile.name, identity)
    assert {name: find_profile(name).id for name in firsts} == firsts
    assert HOUSE in firsts
    assert list(firsts) == sorted(firsts)
    assert set(profile_names().values()) == set(known)


def test_every_version_says_what_it_is_and_where_that_stands() -> None:
    for identity, profile in profiles().items():
        assert profile.comment, identity
        assert profile.sources, identity
        assert profile.fields, identity


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("amc-uplaoder", "'amc-uplaoder' is no profile; did you mean amc-uploader?"),
        ("UID2", "'UID2' is no profile"),  # names are as they are written
        ("uid2@dcos", "'uid2@dcos' is no profile; did you mean uid2@docs?"),
        ("meta-sdks", "'meta-sdks' is no profile; did you mean meta-sdk?"),
        ("amperity", "'amperity' is no profile"),
        ("", "'' is no profile"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name: str, message: str) -> None:
    with pytest.raises(KeyError) as caught:
        find_profile(name)
    assert str(caught.value.args[0]).startswith(message)
    assert ("did you mean" in str(caught.value.args[0])) == ("did you mean" in message)


@pytest.mark.parametrize(
    ("name", "field", "compared"),
    [
        ("uid2", "email", ("sha256", "base64")),
        ("uid2", "hashed_email", (None, None)),
        ("liveramp", "email", ("sha256", "hex")),
        ("liveramp", "phone", ("sha1", "hex")),
        ("liveramp", "idfa", ("sha1", "hex")),
        ("liveramp", "last_name", (None, None)),
        ("google-ads", "postal_code", (None, None)),
        ("google-ads", "email", ("sha256", "hex")),
        ("google-data-manager", "country", (None, None)),
        ("meta", "country", ("sha256", "hex")),
        ("amc", "postal_code", ("sha256", "hex")),
        ("amazon-events", "mobile_ad_id", (None, None)),
    ],
)
def test_what_a_platform_compares(name: str, field: str, compared: tuple[str | None, str | None]) -> None:
    known = find_profile(name).fields[field]
    assert (known.algorithm, known.encoding) == compared


@pytest.mark.parametrize(
    ("name", "phones"),
    [
        ("cleanroom-etl", "e164"),
        ("uid2", "e164"),
        ("google-ads", "e164"),
        ("tiktok@2025-06", "e164"),
        ("tiktok@2025-08", "digits"),
        ("amc", "digits"),
        ("meta", "digits"),
        ("liveramp", "national"),
    ],
)
def test_the_form_of_phone_numbers(name: str, phones: str) -> None:
    assert find_profile(name).phones == phones


def test_only_what_the_uploader_does_hashes_nothing() -> None:
    assert {identity for identity, profile in profiles().items() if profile.empty == "hash"} == {
        "amc-uploader@3.0.15",
        "amc-uploader@3.0.11",
    }
