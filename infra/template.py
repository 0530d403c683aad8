"""What a CloudFormation template asks for and makes: its parameters, and what is kept when the stack goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from infra.errors import DeployError
from schemas.problems import nearest

_UNFIT: Final = "the parameters do not fit the template:\n  "


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (!Ref, !Sub …), whose meaning is not needed here."""


def _intrinsic(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {tag: loader.construct_mapping(node, deep=True)}
    raise TypeError(node)


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a template: its default (None: it must be given), the values it takes, what it means."""

    name: str
    default: str | None
    allowed: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class Resource:
    """A resource of a template: its type, and what becomes of it when it leaves the stack."""

    name: str
    kind: str
    deletion: str

    @property
    def stays(self) -> bool:
        """Whether it stays when the stack is deleted."""
        return self.deletion in ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True)
class Template:
    """The parts of a template that deploying and destroying need, by name."""

    parameters: dict[str, Parameter]
    resources: dict[str, Resource]


def read_template(body: str | Mapping[str, Any], origin: str) -> Template:
    """Return the template in ``body``, text or parsed already. Raises DeployError where it is none."""
    try:
        document = yaml.load(body, Loader=_Loader) if isinstance(body, str) else body  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise DeployError(f"{origin} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("Resources"), Mapping):
        raise DeployError(f"{origin} is no CloudFormation template: it has no Resources")
    parameters = {
        name: Parameter(
            name,
            None if "Default" not in each else _text(each["Default"]),
            tuple(map(_text, each.get("AllowedValues", ()))),
            " ".join(str(each.get("Description", "")).split()),
        )
        for name, each in (document.get("Parameters") or {}).items()
    }
    resources = {
        name: Resource(name, each["Type"], each.get("DeletionPolicy", "Delete"))
        for name, each in document["Resources"].items()
    }
    return Template(parameters, resources)


def _text(value: object) -> str:
    """Write a YAML value as CloudFormation takes it: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_names(template: Template, given: Mapping[str, str]) -> None:
    """Raise DeployError with every name that the template does not have, and every value that it does not take."""
    problems = []
    for name, value in given.items():
        if name not in template.parameters:
            problems.append(f"there is no parameter {name}{nearest(name, template.parameters)}")
        elif (allowed := template.parameters[name].allowed) and value not in allowed:
            problems.append(f"{name} cannot be {value!r}{nearest(value, allowed)}")
    if problems:
        raise DeployError(_UNFIT + "\n  ".join(problems))


def choose_parameters(
    template: Template, given: Mapping[str, str], previous: Mapping[str, str] | None
) -> list[dict[str, Any]]:
    """Return the parameters of a change set: the given ones, and for the others what the stack has already.

    Args:
        template: what is deployed.
        given: values by name.
        previous: the parameters of the stack as it is; None for a new one, which takes the defaults.

    Raises DeployError with every parameter that has no value.
    """
    problems = []
    chosen: list[dict[str, Any]] = []
    for name, parameter in template.parameters.items():
        if name in given:
            chosen.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif previous is not None and name in previous:
            chosen.append({"ParameterKey": name, "UsePreviousValue": True})
        elif parameter.default is None:
            problems.append(f"{name} has no default and was not given: {parameter.description or 'see the template'}")
    if problems:
        raise DeployError(_UNFIT + "\n  ".join(problems))
    return chosen
