"""What CloudFormation makes of the template: values in place of parameters, conditions and functions.

For checks without AWS. Names and ARNs of resources are made up, but of the form that AWS gives them. A function or an
attribute that is not known here is an error, so that nothing is ever checked in a form that it will not have.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATE: Final = Path(__file__).with_name("cleanroom-etl.yaml")

_REFERENCE: Final = re.compile(r"\$\{([\w:.]+)\}")
_FULL_NAMES: Final = {"Ref": "Ref", "Condition": "Condition"}
_NOTHING: Final = object()  # AWS::NoValue: takes the property or list entry that it stands in away


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of functions, as their full forms."""


def _function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = _FULL_NAMES.get(tag, f"Fn::{tag}")
    if isinstance(node, yaml.ScalarNode):
        text = str(loader.construct_scalar(node))
        return {name: text.split(".", 1) if tag == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    raise TypeError(f"!{tag} takes a text or a list")


_Loader.add_multi_constructor("!", _function)


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return the template with its functions in their full form."""
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  a SafeLoader
    return document


@dataclass(frozen=True)
class Site:
    """Where a stack is, and what it is called."""

    stack: str = "acme-profiles"
    account: str = "111122223333"
    region: str = "eu-central-1"
    partition: str = "aws"

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """Return the ARN of a resource; those of ``regional`` services name Region and account."""
        place = f"{self.region}:{self.account}" if regional else ":" if service == "s3" else f":{self.account}"
        return f"arn:{self.partition}:{service}:{place}:{resource}"

    @property
    def pseudo_parameters(self) -> dict[str, Any]:
        """The parameters that every template has."""
        return {
            "AWS::StackName": self.stack,
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com",
            "AWS::NoValue": _NOTHING,
        }


@dataclass(frozen=True)
class Resolved:
    """A template for certain parameters. Resources and outputs whose condition does not hold are not in it."""

    site: Site
    resources: dict[str, dict[str, Any]]
    outputs: dict[str, str]
    refs: dict[str, str]
    broken_rules: list[str] = field(default_factory=list)

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of one resource."""
        found: dict[str, Any] = self.resources[name].get("Properties", {})
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type, by name."""
        return {name: self.properties(name) for name, each in self.resources.items() if each["Type"] == kind}


def resolve(template: Mapping[str, Any], given: Mapping[str, str], site: Site | None = None) -> Resolved:
    """Return the template for the parameters ``given``. Raises ValueError for one that it does not take."""
    return _Resolver(template, given, site or Site()).resolved()


def _parameters(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    declared: Mapping[str, Mapping[str, Any]] = template["Parameters"]
    unknown = given.keys() - declared.keys()
    if unknown:
        raise ValueError(f"no such parameters: {', '.join(sorted(unknown))}")
    values = {}
    for name, parameter in declared.items():
        if name not in given and "Default" not in parameter:
            raise ValueError(f"{name} has no default")
        values[name] = value = str(given.get(name, parameter.get("Default")))
        if not _fits(value, parameter):
            raise ValueError(f"{name} cannot be {value!r}")
    return values


def _fits(value: str, parameter: Mapping[str, Any]) -> bool:
    if parameter["Type"] == "Number":
        return bool(parameter.get("MinValue", 0) <= int(value) <= parameter.get("MaxValue", int(value)))
    if "AllowedValues" in parameter:
        return value in parameter["AllowedValues"]
    return re.fullmatch(parameter.get("AllowedPattern", ".*"), value) is not None


class _Resolver:
    def __init__(self, template: Mapping[str, Any], given: Mapping[str, str], site: Site) -> None:
        self._template, self._site = template, site
        self._values: dict[str, Any] = {**site.pseudo_parameters, **_parameters(template, given)}
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self._condition,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._substituted,
            "Fn::If": lambda parts: self._value(parts[1] if self._condition(parts[0]) else parts[2]),
            "Fn::Equals": lambda parts: self._value(parts[0]) == self._value(parts[1]),
            "Fn::Not": lambda parts: not self._value(parts[0]),
            "Fn::And": lambda parts: all(self._value(each) for each in parts),
            "Fn::Or": lambda parts: any(self._value(each) for each in parts),
            "Fn::Contains": lambda parts: self._value(parts[1]) in self._value(parts[0]),
        }

    def resolved(self) -> Resolved:
        resources = {}
        for name, declared in self._existing("Resources").items():
            after = declared.get("DependsOn", [])
            resources[name] = {
                **{key: value for key, value in declared.items() if key not in ("Condition", "DependsOn")},
                "Properties": self._value(declared.get("Properties", {})),
                "DependsOn": [after] if isinstance(after, str) else after,
            }
        return Resolved(
            self._site,
            resources,
            {name: self._value(declared["Value"]) for name, declared in self._existing("Outputs").items()},
            {name: self._ref(name) for name in resources},
            [
                assertion["AssertDescription"]
                for rule in self._template["Rules"].values()
                if self._value(rule["RuleCondition"])
                for assertion in rule["Assertions"]
                if not self._value(assertion["Assert"])
            ],
        )

    def _existing(self, section: str) -> dict[str, Mapping[str, Any]]:
        return {
            name: declared
            for name, declared in self._template[section].items()
            if "Condition" not in declared or self._condition(declared["Condition"])
        }

    def _condition(self, name: str) -> bool:
        return bool(self._value(self._template["Conditions"][name]))

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            entries = [self._value(each) for each in value]
            return [each for each in entries if each is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            # "Condition" is also a key of policy statements; the function takes a name
            if name in self._functions and (name != "Condition" or isinstance(argument, str)):
                return self._functions[name](argument)
            if name.startswith("Fn::"):
                raise NotImplementedError(name)
        entries_by_key = {key: self._value(each) for key, each in value.items()}
        return {key: each for key, each in entries_by_key.items() if each is not _NOTHING}

    def _ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        declared = self._declared(name)
        kind = declared["Type"]
        if kind not in _NAMED_BY:
            return _MADE_UP[kind](self._site, name)
        given: Any = declared["Properties"]
        for key in _NAMED_BY[kind]:
            given = given[key]
        return self._value(given)

    def _attribute(self, parts: list[str]) -> str:
        name, attribute = parts
        declared = self._declared(name)
        if declared["Type"] == "AWS::IAM::AccessKey" and attribute == "SecretAccessKey":
            return "made-up-secret-access-key"
        if attribute != "Arn":
            raise NotImplementedError(f"{name}.{attribute}")
        return _arn(self._site, declared["Type"], self._ref(name))

    def _declared(self, name: str) -> Mapping[str, Any]:
        declared: Mapping[str, Any] = self._template["Resources"][name]
        if "Condition" in declared and not self._condition(declared["Condition"]):
            raise ValueError(f"{name} is not made, and something refers to it")
        return declared

    def _substituted(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})

        def put(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(self._value(own[name]))
            return str(self._attribute(name.split(".", 1)) if "." in name else self._ref(name))

        return _REFERENCE.sub(put, text)


#: What a resource is called where the template does not name it, by type: what Ref returns.
_MADE_UP: Final[dict[str, Callable[[Site, str], str]]] = {
    "AWS::S3::Bucket": lambda site, name: f"{site.stack}-{name}-1a2b3c4d5e6f".lower(),
    "AWS::KMS::Key": lambda site, name: str(uuid.uuid5(uuid.NAMESPACE_OID, site.stack + name)),
    "AWS::KMS::Alias": lambda site, name: f"alias/{site.stack}-{name}",
    "AWS::SecretsManager::Secret": lambda site, name: site.arn("secretsmanager", f"secret:{name}-1A2b3C4d5E6f-AbCdEf"),
    "AWS::SNS::Topic": lambda site, name: site.arn("sns", f"{site.stack}-{name}-1A2B3C4D5E6F"),
    "AWS::SNS::Subscription": lambda site, name: site.arn("sns", f"{site.stack}-{name}:{uuid.UUID(int=1)}"),
    "AWS::Events::Rule": lambda site, name: f"{site.stack}-{name}-1A2B3C4D5E6F",
    "AWS::IAM::Role": lambda site, name: f"{site.stack}-{name}-1A2B3C4D5E6F",
    "AWS::IAM::User": lambda site, name: f"{site.stack}-{name}-1A2B3C4D5E6F",
    "AWS::IAM::AccessKey": lambda _, __: "AKIAIOSFODNN7EXAMPLE",
    "AWS::IAM::Policy": lambda site, name: f"{site.stack[:4]}-{name[:4]}-1A2B3C4D5E6F",
    "AWS::IAM::ManagedPolicy": lambda site, name: site.arn("iam", f"policy/{site.stack}-{name}-1A2B3C", regional=False),
    "AWS::S3::BucketPolicy": lambda _, name: name,
    "AWS::SNS::TopicPolicy": lambda _, name: name,
}
#: Where the template names a resource, by type; Ref returns the name.
_NAMED_BY: Final = {
    "AWS::Glue::Job": ("Name",),
    "AWS::Glue::Trigger": ("Name",),
    "AWS::Glue::Workflow": ("Name",),
    "AWS::Glue::SecurityConfiguration": ("Name",),
    "AWS::Glue::Database": ("DatabaseInput", "Name"),
}


def _arn(site: Site, kind: str, ref: str) -> str:
    if kind == "AWS::S3::Bucket":
        return site.arn("s3", ref, regional=False)
    if kind == "AWS::KMS::Key":
        return site.arn("kms", f"key/{ref}")
    if kind == "AWS::Events::Rule":
        return site.arn("events", f"rule/{ref}")
    if kind == "AWS::IAM::Role":
        return site.arn("iam", f"role/{ref}", regional=False)
    raise NotImplementedError(f"the ARN of {kind}")
