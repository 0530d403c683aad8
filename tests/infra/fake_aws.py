"""AWS by table: answers by call. Requests and answers are held against botocore's models: neither is made up."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from infra.account import Account

ACCOUNT = "123456789012"
REGION = "eu-central-1"


class Refusal(NamedTuple):
    """An error that AWS answers with."""

    code: str
    message: str = ""
    status: int = 400


#: An answer, one after the other (the last one stays), or what makes it from the request.
Answer = Mapping[str, Any] | Refusal | list[Any] | Callable[[Mapping[str, Any]], Any]


@dataclass
class FakeAws:
    """A session whose calls are answered by service and operation; ``real`` services are let through."""

    answers: dict[str, Answer]
    real: frozenset[str] = frozenset()
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def account(self) -> Account:
        """An account that is answered from here; without real services one for all, for clients are slow to make."""
        if self.real:
            return _new_account(lambda: self)
        _CURRENT.append(self)
        return _shared_account()

    def requests(self, operation: str) -> list[Mapping[str, Any]]:
        return [request for name, request in self.calls if name == operation]

    def keep_request(self, params: dict[str, Any], model: OperationModel, context: dict[str, Any], **_: object) -> None:
        context["request"] = dict(params)
        if model.service_model.service_name not in self.real:
            self.calls.append((f"{model.service_model.service_name}.{model.name}", dict(params)))

    def answer(self, model: OperationModel, context: dict[str, Any], **_: object) -> tuple[AWSResponse, Any] | None:
        service = model.service_model.service_name
        if service in self.real:
            return None
        name = f"{service}.{model.name}"
        if name not in self.answers:
            self.unknown.append(name)
            return _refusal(Refusal("NotAnswered", name))
        answer: Any = self.answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(context["request"])
        if isinstance(answer, Refusal):
            return _refusal(answer)
        if model.output_shape is not None:
            report = ParamValidator().validate(answer, model.output_shape)
            if report.has_errors():  # told by the test, for a check must not fail for it
                self.unknown.append(f"{name}: {report.generate_report()}")
        return AWSResponse("", 200, HTTPHeaders(), None), {
            **answer,
            "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}},
        }


def _refusal(refusal: Refusal) -> tuple[AWSResponse, Any]:
    error = {"Code": refusal.code, "Message": refusal.message}
    metadata = {"HTTPStatusCode": refusal.status, "HTTPHeaders": {}}
    return AWSResponse("", refusal.status, HTTPHeaders(), None), {"Error": error, "ResponseMetadata": metadata}


_CURRENT: list[FakeAws] = []


@functools.cache
def _shared_account() -> Account:
    return _new_account(lambda: _CURRENT[-1])


def _new_account(find: Callable[[], FakeAws]) -> Account:
    session = boto3.Session(aws_access_key_id="fake", aws_secret_access_key="fake", region_name=REGION)

    def keep_request(**about: Any) -> None:
        find().keep_request(**about)

    def answer(**about: Any) -> Any:
        return find().answer(**about)

    session.events.register("before-parameter-build", keep_request)
    session.events.register("before-call", answer)
    return Account(session, ACCOUNT, REGION)
