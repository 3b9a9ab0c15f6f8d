"""What tests of `check` begin with: settings without a file, and answers to its questions without a network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dialects.core.faults import Fault, FaultKind
from gateway.cli.check.advice import Adviser
from gateway.cli.check.examine import Questions, examine
from gateway.cli.check.report import Report
from gateway.config.network import DIRECT, Proxies
from gateway.config.service_keys import Proof, Secret, ServiceKey
from gateway.config.settings import Settings
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.upstream.discovery import Listed

TODAY = datetime(2026, 11, 27, 6, tzinfo=UTC)
NOTHING_ASKED = Fault(FaultKind.INVALID_REQUEST, "messages is missing", 400)
"""What a model says to an empty request."""


@dataclass(frozen=True)
class Made:
    """Makes settings, and examines them by given answers."""

    def account(
        self,
        name: str = "eu",
        models: dict[str, list[str]] | None = None,
        *,
        url: str = "https://api.example",
        discovery: bool = False,
        proof: Proof | None = None,
    ) -> SubAccount:
        key = ServiceKey("id", proof or Secret("hunter2"), f"{url}/oauth/token", f"{url}/v2")
        deployments = {
            model: tuple(Deployment(f"{url}/v2/inference/deployments/{each}") for each in ids)
            for model, ids in (models or {}).items()
        }
        return SubAccount(name, "team-a", key, deployments, discovery=discovery)

    def settings(self, *accounts: SubAccount, **more: Any) -> Settings:
        return Settings({each.name: each for each in accounts}, **more)

    def listed(self, name: str, model: str = "gpt-4.1", status: str = "RUNNING") -> Listed:
        return Listed(name, model, status, f"https://api.example/v2/inference/deployments/{name}")

    def adviser(self, proxies: Proxies = DIRECT.proxies, *, issuer: str = "") -> Adviser:
        return Adviser(proxies, issuer=lambda _: issuer)

    def report(self, settings: Settings, *deployments: Listed, **answers: Any) -> Report:
        """Examine *settings* where all is well but for what is *answered* otherwise."""
        ask = Questions(
            get_in=lambda _: None,
            list_deployments=lambda _: deployments,
            resource_groups=lambda _: ("team-a",),
            ask_nothing=lambda *_: NOTHING_ASKED,
            adviser=self.adviser(),
            now=TODAY,
        )
        return examine(settings, replace(ask, **answers)).report


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def said(made: Made) -> Callable[..., list[tuple[str, str, str]]]:
    """What is found, each with its severity and what to do about it."""

    def said(settings: Settings, *deployments: Listed, **answers: Any) -> list[tuple[str, str, str]]:
        found = made.report(settings, *deployments, **answers).findings
        return [(each.severity.value, each.what, each.fix) for each in found]

    return said
