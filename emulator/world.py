"""The world an emulator serves: tenants, their credentials and their deployments."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from emulator.models import MODELS_BY_NAME, ORCHESTRATION, Model

Json = dict[str, Any]

_NAMES = (
    "anthropic--claude-4.5-sonnet",
    "anthropic--claude-4.6-sonnet",
    "anthropic--claude-4.5-haiku",
    "anthropic--claude-4.8-opus",
    "amazon--nova-pro",
    "amazon--titan-embed-text",
    "gemini-3.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-embedding",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5.5",
    "gpt-5.3-codex",
    "text-embedding-3-small",
    "nvidia--llama-3.2-nv-embedqa-1b",
)
"""Models of each family that are not past their end of life."""


def _digest(*words: object) -> str:
    """Return a hexadecimal digest of some values. Equal values have equal digests."""
    return hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()


def _uuid(*words: object) -> str:
    """Return text in the form of a UUID. Equal values give equal UUIDs."""
    digits = _digest(*words)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed model, as the management API lists it."""

    id: str
    model: Model
    status: str = "RUNNING"
    version: str = "latest"
    created: str = "2026-04-17T15:19:53Z"
    group: str = ""
    """Its resource group, if that is not the tenant's first one."""
    configured: str = ""
    """The id of its configuration, if that is not derived from its own id."""

    @property
    def configuration_id(self) -> str:
        """The id of its configuration."""
        return self.configured or _uuid("configuration", self.id)

    @property
    def scenario(self) -> str:
        """Its scenario."""
        return "orchestration" if self.model is ORCHESTRATION else "foundation-models"

    @property
    def name(self) -> str:
        """The name of its configuration."""
        if self.model is ORCHESTRATION:
            return "defaultOrchestrationConfig"
        return f"{self.model.name.replace('--', '-')}-config"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A subaccount with its own AI Core: credentials, resource groups, deployments."""

    name: str
    client_id: str
    client_secret: str
    resource_group: str
    deployments: tuple[Deployment, ...]
    x509: bool = False
    other_groups: tuple[str, ...] = ()

    @property
    def resource_groups(self) -> tuple[str, ...]:
        """All its resource groups, its main one first."""
        return (self.resource_group, *self.other_groups)


@dataclass(frozen=True, slots=True)
class World:
    """The tenants that the emulator starts with."""

    tenants: tuple[Tenant, ...]
    executables_shown: bool = False
    catalogue: bool = True
    """Whether the catalogue of models is served, unless a setting says otherwise."""

    def tenant(self, name: str) -> Tenant | None:
        """Return the tenant with this name, or None."""
        return next((tenant for tenant in self.tenants if tenant.name == name), None)


def deploy(tenant: str, model: str, number: int = 1, status: str = "RUNNING") -> Deployment:
    """Create a deployment of a model in the catalogue. Its id depends only on the arguments."""
    found = ORCHESTRATION if model == "orchestration" else MODELS_BY_NAME[model]
    return Deployment(f"d{_digest(tenant, model, number, status)[:15]}", found, status, created=_created(number))


def _created(number: int) -> str:
    """Return the creation date of a deployment. Those of one model are a day apart."""
    return f"2026-04-{1 + number % 28:02}T15:19:53Z"


def tenant(
    name: str, resource_group: str, models: tuple[str, ...] = _NAMES, copies: int = 2, *, x509: bool = False
) -> Tenant:
    """Build a tenant with running deployments of each model, and some that every account has, such as a stopped one."""
    running = tuple(deploy(name, model, number) for model in models for number in range(1, copies + 1))
    odd = (
        deploy(name, models[0], 3, "STOPPED"),
        deploy(name, models[-1], 3, "PENDING"),
        deploy(name, "orchestration"),
    )
    return _credentials(name, resource_group, running + odd, x509=x509)


def orchestration_tenant(name: str, resource_group: str, copies: int = 1) -> Tenant:
    """Build a tenant that only has deployments of orchestration."""
    return _credentials(
        name, resource_group, tuple(deploy(name, "orchestration", number) for number in range(1, copies + 1))
    )


def empty_tenant(name: str, resource_group: str = "default") -> Tenant:
    """Build a tenant without deployments."""
    return _credentials(name, resource_group, ())


def with_group(tenant: Tenant, name: str, models: tuple[str, ...] = ()) -> Tenant:
    """Return a tenant with another resource group, in which each model of *models* is deployed."""
    more = tuple(replace(deploy(f"{tenant.name}/{name}", model), group=name) for model in models)
    return replace(tenant, deployments=tenant.deployments + more, other_groups=(*tenant.other_groups, name))


def _credentials(name: str, resource_group: str, deployments: tuple[Deployment, ...], *, x509: bool = False) -> Tenant:
    """Return a tenant with credentials that are derived from its name."""
    return Tenant(
        name,
        f"sb-{_uuid('client', name)}!b123456|aicore!b540",
        f"{_digest('secret', name)[:12]}$Q1+x/{name}=",
        resource_group,
        deployments,
        x509,
    )


def default_world() -> World:
    """Build two subaccounts, each with two deployments of every model that is not past its end of life."""
    return World((tenant("eu", "default"), tenant("us", "team-a")))


def service_key(tenant: Tenant, base: str) -> Json:
    """Render the service key of a tenant, with URLs that point to this server."""
    app = tenant.client_id.removeprefix("sb-")
    key: Json = {
        "clientid": tenant.client_id,
        "url": f"{base}/auth/{tenant.name}",
        "identityzone": tenant.name,
        "identityzoneid": _uuid("zone", tenant.name),
        "appname": app,
        "credential-type": "x509" if tenant.x509 else "binding-secret",
        "serviceurls": {"AI_API_URL": base},
    }
    if tenant.x509:
        return key | {
            "certurl": f"{base}/cert/{tenant.name}",
            "certificate": "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n",
            "key": "-----BEGIN RSA PRIVATE KEY-----\\nMIIB\\n-----END RSA PRIVATE KEY-----\\n",
        }
    return key | {"clientsecret": tenant.client_secret}
