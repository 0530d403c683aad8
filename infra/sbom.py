"""The bill of materials of a build: what Glue runs, piece by piece, as CycloneDX 1.6 (ECMA-424).

One commit makes the same bytes on any machine: the serial number is made from the commit and the Glue release, the time
is the commit's.
"""

from __future__ import annotations

import re
import uuid
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Commit, Component, ComponentType, Pedigree
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.metadata import InvalidMetadata, Metadata
from packaging.utils import canonicalize_name

from infra.errors import BuildError
from infra.release import Release
from infra.wheels import Wheel

#: Properties of our own, for what CycloneDX 1.6 has no field for (1.7 has isExternal for the first).
PROVIDED_BY: Final = "cleanroom-etl:provided-by"
SBOM_IN_WHEEL: Final = "cleanroom-etl:sbom-in-wheel"
_SPARK: Final = "pyspark"  # the module whose version is Spark's
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_OWN_SBOM: Final = re.compile(r"[^/]+\.dist-info/sboms/.+[^/]")  # PEP 770


@dataclass(frozen=True)
class Product:
    """What was built: the project, its commit and that one's time, and the SHA-256 of the code zip.

    ``license`` is an SPDX expression; ``ships`` are the normalised names of the packages that it asks for itself.
    """

    name: str
    version: str
    license: str | None
    ships: Collection[str]
    commit: str
    time: datetime
    sha256: str


def sbom_name(release: Release) -> str:
    """Return the file name of a release's bill of materials, with the ending that CycloneDX asks for."""
    return f"glue-{release.name}.cdx.json"


def sbom(product: Product, wheels: Iterable[Wheel], provided: Mapping[str, str], release: Release) -> bytes:
    """Return the bill of materials as JSON.

    ``wheels`` are on this machine; ``provided`` are the modules of Glue that our code imports, versions by normalised
    name, pyspark among them. Raises BuildError where a wheel needs what neither the wheels nor Glue bring.
    """
    about = {wheel.name: (wheel, _metadata(wheel)) for wheel in wheels}
    needed = {name: _needed(metadata, release) for name, (_, metadata) in about.items()}
    for name, wanted in needed.items():
        if missing := sorted(wanted - about.keys() - release.modules.keys()):
            raise BuildError(
                f"{name} needs {', '.join(missing)}, which neither the wheels nor Glue {release.name} bring; "
                f"run python -m infra.lock --glue {release.name} and commit the file"
            )
    of_glue = {each: release.modules[each] for wanted in needed.values() for each in wanted - about.keys()}
    of_glue |= {name: version for name, version in provided.items() if name != _SPARK}
    shipped = {name: _shipped(*each) for name, each in about.items()}
    modules = {name: _module(name, version, release) for name, version in of_glue.items()}
    platform = _platform(provided, release)
    own = _own(product)
    bom = Bom(
        serial_number=uuid.uuid5(
            uuid.NAMESPACE_URL, f"pkg:generic/{product.name}@{product.commit}#glue-{release.name}"
        ),
        metadata=BomMetaData(component=own, timestamp=product.time),
        components=[*shipped.values(), *modules.values(), *platform],
    )
    asked_for = [
        component for name, component in (shipped | modules).items() if name in product.ships or name in provided
    ]
    bom.register_dependency(own, [*asked_for, *platform])
    for name, component in shipped.items():
        bom.register_dependency(component, [(shipped | modules)[each] for each in needed[name]])
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def _own(product: Product) -> Component:
    return Component(
        type=ComponentType.APPLICATION,
        name=product.name,
        version=product.version,
        bom_ref=f"{product.name}@{product.version}",
        licenses=_licenses([product.license] if product.license else []),
        hashes=_sha256(product.sha256),
        pedigree=Pedigree(commits=[Commit(uid=product.commit)]),
    )


def _shipped(wheel: Wheel, metadata: Metadata) -> Component:
    with zipfile.ZipFile(wheel.path) as archive:
        inside = [name for name in archive.namelist() if _OWN_SBOM.fullmatch(name)]
    purl = PackageURL("pypi", None, wheel.name, wheel.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=wheel.name,
        version=wheel.version,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=_licenses(_declared(metadata)),
        hashes=_sha256(sha256(wheel.path.read_bytes()).hexdigest()),
        properties=[Property(name=SBOM_IN_WHEEL, value=name) for name in inside],
    )


def _module(name: str, version: str, release: Release) -> Component:
    purl = PackageURL("pypi", None, name, version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=purl.to_string(),
        purl=purl,
        properties=_by_glue(release),
    )


def _platform(provided: Mapping[str, str], release: Release) -> list[Component]:
    """Return what the Glue release is by contract. No purl: the Spark and Python that run there are Amazon's builds."""
    described = [
        (ComponentType.PLATFORM, "AWS Glue", release.name),
        (ComponentType.PLATFORM, "Python", release.python_version),
        *([(ComponentType.FRAMEWORK, "Apache Spark", provided[_SPARK])] if _SPARK in provided else []),
    ]
    return [
        Component(
            type=kind,
            name=name,
            version=version,
            bom_ref=f"{name.lower().replace(' ', '-')}@{version}",
            supplier=OrganizationalEntity(name="Amazon Web Services"),
            properties=_by_glue(release),
        )
        for kind, name, version in described
    ]


def _by_glue(release: Release) -> list[Property]:
    return [Property(name=PROVIDED_BY, value=f"AWS Glue {release.name}")]


def _sha256(digest: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]


def _metadata(wheel: Wheel) -> Metadata:
    with zipfile.ZipFile(wheel.path) as archive:
        names = [name for name in archive.namelist() if _METADATA.fullmatch(name)]
        if len(names) != 1:
            raise BuildError(f"{wheel.path.name} has {len(names)} files METADATA instead of one; it is no proper wheel")
        content = archive.read(names[0])
    try:
        # not validated: an old field that is not to the letter is no reason to stop; what is read is checked when used
        metadata = Metadata.from_email(content, validate=False)
        _ = metadata.requires_dist, metadata.license_expression
    except InvalidMetadata as error:
        raise BuildError(f"{wheel.path.name}: METADATA: {error}") from None
    return metadata


def _needed(metadata: Metadata, release: Release) -> set[str]:
    """Return the normalised names that a wheel depends on when it is installed for ``release``, without extras."""
    environment = {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": f"{release.python_version}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{release.python_version}.0",
        "python_version": release.python_version,
        "sys_platform": "linux",
    }
    return {
        canonicalize_name(each.name)
        for each in metadata.requires_dist or []
        if each.marker is None or each.marker.evaluate(environment)
    }


def _declared(metadata: Metadata) -> list[str]:
    """Return the licences of a package: the SPDX expression (PEP 639), or what older packages say in its place."""
    if metadata.license_expression:
        return [metadata.license_expression]
    text = (metadata.license or "").strip()
    if text and "\n" not in text:  # some put the licence's whole text there
        return [text]
    marked = [each for each in metadata.classifiers or [] if each.startswith("License ::")]
    return [each.rpartition(" :: ")[2] for each in marked]


def _licenses(texts: Iterable[str]) -> list[License]:
    """Return licences by SPDX id or expression where they are one, else by name."""
    return [
        LicenseFactory().make_from_string(text, license_acknowledgement=LicenseAcknowledgement.DECLARED)
        for text in texts
    ]
