"""What was found out: the subaccounts with what they serve, what is wrong, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from dialects.core.faults import Fault

JSON = dict[str, Any]
FILE: Final = ""
"""The subaccount of a finding that is about the config file as a whole."""


class Severity(Enum):
    """How much a finding matters."""

    WRONG = "wrong"
    """Something that is configured cannot be served."""
    REMARK = "remark"
    """Everything is served, but there is something to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or to know, and what to do about it."""

    severity: Severity
    code: str
    """What kind of thing it is, in a word that does not change."""
    subaccount: str
    what: str
    """What is wrong: one line without a full stop."""
    fix: str = ""
    """What to do about it, alike; empty where there is nothing to do."""
    models: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    """The ids of the deployments that it is about."""

    @property
    def as_json(self) -> JSON:
        """Write it for programs."""
        return {
            "severity": self.severity.value,
            "code": self.code,
            "subaccount": self.subaccount or None,
            "what": self.what,
            "fix": self.fix or None,
            "models": list(self.models),
            "deployments": list(self.deployments),
        }


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """One deployment that is served, or would be if nothing were wrong."""

    id: str
    status: str
    """As SAP AI Core lists it; empty where it lists none."""
    ok: bool | None
    """Whether it can be asked; None where that is not known."""

    @property
    def as_json(self) -> JSON:
        """Write it for programs."""
        return {"id": self.id, "status": self.status or None, "ok": self.ok}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model in one subaccount, or what orchestration deployments serve there."""

    name: str
    runs: str
    """What SAP AI Core calls it; empty where that is not known."""
    family: str
    protocols: tuple[str, ...]
    """The protocols in which it is asked, by the client that asks."""
    deployments: tuple[DeploymentRow, ...]
    serves: tuple[str, ...]
    """The models that clients get."""
    standby: bool = False
    """Whether it is asked only in the place of other deployments."""

    @property
    def ok(self) -> bool | None:
        """Whether all of its deployments can be asked; None where that is not known of all."""
        states = {each.ok for each in self.deployments}
        return False if False in states else None if None in states else True

    @property
    def as_json(self) -> JSON:
        """Write it for programs."""
        return {
            "model": self.name,
            "runs": self.runs or None,
            "family": self.family,
            "protocols": list(self.protocols),
            "serves": list(self.serves),
            "standby": self.standby,
            "ok": self.ok,
            "deployments": [each.as_json for each in self.deployments],
        }


@dataclass(frozen=True, slots=True)
class SubaccountRow:
    """One subaccount with what it serves."""

    name: str
    resource_group: str
    models: tuple[ModelRow, ...]
    ok: bool

    @property
    def as_json(self) -> JSON:
        """Write it for programs."""
        return {
            "name": self.name,
            "resource_group": self.resource_group,
            "ok": self.ok,
            "models": [each.as_json for each in self.models],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model in one subaccount said to a short prompt."""

    subaccount: str
    model: str
    protocol: str
    seconds: float | None = None
    """Until its first word, or until its vectors were there."""
    text: str = ""
    """The beginning of what it said."""
    error: str = ""
    fault: Fault | None = None
    """Why it did not answer."""

    @property
    def ok(self) -> bool:
        """Whether it answered."""
        return not self.error

    @property
    def as_json(self) -> JSON:
        """Write it for programs."""
        return {
            "subaccount": self.subaccount,
            "model": self.model,
            "protocol": self.protocol or None,
            "ok": self.ok,
            "first_word_ms": None if self.seconds is None else round(self.seconds * 1000),
            "text": self.text,
            "error": self.error or None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found."""

    subaccounts: tuple[SubaccountRow, ...]
    findings: tuple[Finding, ...]
    answers: tuple[Answer, ...] | None = None
    """What the models answered; None where they were not asked."""

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What is to be put right."""
        return tuple(each for each in self.findings if each.severity is Severity.WRONG)

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """What is to know beside it."""
        return tuple(each for each in self.findings if each.severity is Severity.REMARK)

    @property
    def is_ok(self) -> bool:
        """Whether the proxy would serve all that is configured."""
        return not self.wrong

    @property
    def exit_code(self) -> int:
        """What a command line says of it: 0 if all is well."""
        return 0 if self.is_ok else 1

    @property
    def models(self) -> tuple[str, ...]:
        """Name the models that clients get, each once."""
        return tuple(sorted({name for account in self.subaccounts for row in account.models for name in row.serves}))

    @property
    def summary(self) -> str:
        """Say it all in one line."""
        served = f"{counted(len(self.subaccounts), 'subaccount')}, {counted(len(self.models), 'model')}"
        state = f"{counted(len(self.wrong), 'thing')} to put right" if self.wrong else "all is well"
        return f"{served}: {state}"

    @property
    def as_json(self) -> JSON:
        """Write it for programs; `answers` is there where models were asked."""
        told: JSON = {
            "ok": self.is_ok,
            "summary": self.summary,
            "subaccounts": [each.as_json for each in self.subaccounts],
            "findings": [each.as_json for each in self.findings],
        }
        return told if self.answers is None else {**told, "answers": [each.as_json for each in self.answers]}


def counted(number: int, what: str) -> str:
    """Write how many there are of something: `1 model`, `2 models`."""
    return f"{number} {what}{'s' * (number != 1)}"


def wrong(code: str, subaccount: str, what: str, fix: str = "", **about: tuple[str, ...]) -> Finding:
    """Report something that is to be put right."""
    return Finding(Severity.WRONG, code, subaccount, what, fix, **about)


def remark(code: str, subaccount: str, what: str, fix: str = "", **about: tuple[str, ...]) -> Finding:
    """Report something to know."""
    return Finding(Severity.REMARK, code, subaccount, what, fix, **about)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Put what is wrong before what is to know, and leave the order otherwise."""
    return tuple(sorted(findings, key=lambda each: each.severity is not Severity.WRONG))
