"""Pydantic models of the config file. They validate it, and the JSON Schema for editors is generated from them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from dialects.orchestration.modules import Fallback, Modules
from gateway.config.caller_keys import fits_header
from gateway.config.filters import Filters
from gateway.config.host_lists import HostNames, Hosts, HostsAndNetworks, Networks
from gateway.config.mistakes import Place
from gateway.config.network import Store
from gateway.config.observability_section import ObservabilitySection
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.schema_file import UNSEEN
from gateway.config.service_keys import expand, is_url
from gateway.server.options import Port, ServerOptions
from routing.policy import Policy

_ANY = "*"
"""The step of a place in `known_keys` that stands for any key of an object whose keys are names."""

_KEY_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
"""The pattern of the names of callers' keys. Such a name needs no escaping in log lines, metrics and headers."""
_KEY_HASH: Final = r"sha256:[0-9a-fA-F]{64}"
_SCHEME: Final = "bearer "
_SHORTEST_KEY = 16
"""The minimum length of a signing key, in characters."""

_MASKING = (frozenset({"providers"}),)
_AROUND = (frozenset({"input"}), frozenset({"output"}))
_TEMPLATE = (frozenset({"id"}), frozenset({"scenario", "name", "version"}))

_Weight = Annotated[float, Field(ge=0, le=1_000_000)]
_Name = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    """Base class of the objects in the file. The dataclasses of `routing.policy` follow the same rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class _Deployment(_Section):
    weight: _Weight = 1.0
    """The deployment's share of the requests, relative to the model's other deployments. 0 drains the deployment."""
    tier: int = 0
    """The strategy `priority` prefers the deployments with the lowest tier."""
    orchestration: bool = False
    """Whether this is an orchestration deployment. The proxy recognises those that discovery finds without this
    setting."""


class DeploymentEntry(_Deployment):
    """A deployment, named by its URL."""

    url: str
    """The URL of the deployment, which contains /deployments/<id>."""


class DeploymentId(_Deployment):
    """A deployment, named by its id."""

    id: str
    """The id of the deployment in SAP AI Core."""


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """Wrap a single entry in a list."""
    return [value] if isinstance(value, str | dict) else value


def _under(name: str) -> Callable[[Any], Any]:
    """Return a function that wraps a string in an object with the one key *name*."""
    return lambda value: {name: value} if isinstance(value, str) else value


def _key_or_env(value: Any) -> Any:
    if value is None or value == "env" or isinstance(value, dict):
        return value
    raise ValueError('must be an object or "env"; paste the service key, or name its file in service_key_json')


def _expanded(text: str, info: ValidationInfo) -> str:
    """Replace each ${NAME} in a string with that environment variable. The validation context is the environment."""
    return expand(text, info.context or {}).strip()


def _not_blank(text: str) -> str:
    if not text:
        raise ValueError("is blank; write a long random text, or leave it out")
    return text


def _sendable(text: str) -> str:
    if not fits_header(text):
        raise ValueError(
            "has a character that no header can carry, such as a line break or one beyond Latin-1; "
            "write letters and digits alone"
        )
    if text[: len(_SCHEME)].lower() == _SCHEME:
        raise ValueError('begins with "Bearer ", which does not belong to a key; write the rest alone')
    return text


def _key_name(text: str) -> str:
    if not re.fullmatch(_KEY_NAME, text):
        raise ValueError(
            f"{text!r} does not fit into log lines; write at most 64 characters, each a letter from A to Z or a to z, "
            "a digit, or one of . _ @ -, and begin with a letter or a digit"
        )
    return text


def _key_hash(text: str) -> str:
    if not re.fullmatch(_KEY_HASH, text):
        raise ValueError(
            "is not the hash of a key; write sha256: and the 64 digits that `printf %s 'the key' | sha256sum` prints"
        )
    return text


def _not_short(text: str) -> str:
    if len(text) < _SHORTEST_KEY:
        raise ValueError(f"is shorter than {_SHORTEST_KEY} characters; write a long random text, or leave it out")
    return text


def proxy_url(text: str) -> str:
    """Return the URL of an HTTP proxy unchanged.

    Raises `ValueError`, without the URL in its text, if it cannot be used.
    """
    if not is_url(text):
        raise ValueError("is not a URL; write one that starts with http:// and names a host")
    if text.lower().startswith("https:"):
        raise ValueError("must not start with https://: TLS to the proxy is not supported; write http://")
    return text


def proxy_or_none(text: str) -> str:
    """Return the URL of an HTTP proxy, or `NO_PROXY_AT_ALL`. Raises `ValueError` as `proxy_url` does."""
    return NO_PROXY_AT_ALL if text.lower() == NO_PROXY_AT_ALL else proxy_url(text)


def _with(*keys: frozenset[str]) -> AfterValidator:
    """Return a validator which requires that an object has all keys of at least one of the sets *keys*."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        if not any(choice <= value.keys() for choice in keys):
            choices = " or ".join(" and ".join(sorted(choice)) for choice in keys)
            raise ValueError(f"is not complete; it must have {choices}")
        return value

    return AfterValidator(check)


def _grounding(value: dict[str, Any]) -> dict[str, Any]:
    match value:
        case {"config": {"placeholders": {"input": [str(), *_], "output": str()}}}:
            return value
        case _:
            what = (
                'lacks its placeholders; write "config": {"placeholders": {"input": ["question"], "output": "found"}}'
            )
            raise ValueError(what)


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error.msg}") from None
    return text


_Url = Annotated[DeploymentEntry, BeforeValidator(_under("url"), json_schema_input_type=str | DeploymentEntry)]
_Id = Annotated[DeploymentId, BeforeValidator(_under("id"), json_schema_input_type=str | DeploymentId)]
_AnyUrls = str | DeploymentEntry | list[str | DeploymentEntry]
_AnyIds = str | DeploymentId | list[str | DeploymentId]
_Secret = Annotated[str, Field(json_schema_extra={UNSEEN: True})]
_Token = Annotated[
    _Secret, Field(min_length=1), AfterValidator(_expanded), AfterValidator(_not_blank), AfterValidator(_sendable)
]
_KeyName = Annotated[
    str, Field(min_length=1, json_schema_extra={"pattern": f"^{_KEY_NAME}$"}), AfterValidator(_key_name)
]
_KeyHash = Annotated[
    _Secret,
    Field(json_schema_extra={"pattern": f"^{_KEY_HASH}$"}),
    AfterValidator(_expanded),
    AfterValidator(_key_hash),
]
_SigningKey = Annotated[_Secret, Field(min_length=1), AfterValidator(_expanded), AfterValidator(_not_short)]
NO_PROXY_AT_ALL: Final = "none"
"""The value of `upstream.proxy` that switches the HTTP proxy off, even if the environment names one."""
_ProxyUrl = Annotated[_Secret, AfterValidator(_expanded), AfterValidator(proxy_or_none)]
_Patterns = list[Annotated[str, AfterValidator(_regular_expression)]]
_Urls = Annotated[list[_Url], BeforeValidator(_listed, json_schema_input_type=_AnyUrls)]
_Ids = Annotated[list[_Id], BeforeValidator(_listed, json_schema_input_type=_AnyIds)]


class SubAccountSection(_Section):
    """A subaccount of SAP BTP with SAP AI Core: one service key and one resource group."""

    resource_group: _Name | None = None
    """The resource group of the deployments. The default is "default"."""
    service_key_json: str | None = None
    """The path of the service key file, relative to the config file. The key holds a client secret or a certificate."""
    service_key: Annotated[dict[str, Any] | Literal["env"] | None, BeforeValidator(_key_or_env)] = None
    """The service key itself, or "env" to read it from where SAP's SDKs look for it. It may contain ${VARIABLES}."""
    deployment_models: dict[_Name, _Urls] = Field(default_factory=dict)
    """For each model, the URLs of its deployments: a list or a single URL. A list may be empty."""
    deployment_ids: dict[_Name, _Ids] = Field(default_factory=dict)
    """For each model, the ids of its deployments: a list or a single id. A list may be empty."""
    weight: _Weight = 1.0
    """The weight of the whole subaccount. It multiplies the weights of its deployments; 0 drains them."""
    tier: int = 0
    """The tier of the whole subaccount. It is added to the tiers of its deployments."""
    discovery: bool | None = None
    """Whether the proxy asks the host of AI_API_URL for running deployments and adds them to the listed ones. By
    default it does so if none is listed. For a listed deployment, the model that it is found to run determines its
    protocol."""


class KeySection(_Section):
    """The key of one caller."""

    name: _KeyName
    """The name of the caller in log lines and in /router/state. Response ids are signed for this name, so a caller
    keeps its conversations when its key is replaced under the same name."""
    key: _Token | None = None
    """The key itself. It may contain ${VARIABLES}."""
    hash: _KeyHash | None = None
    """The hash of the key, if the file should not hold the key: sha256: and the SHA-256 of the key in hexadecimal."""
    admin: bool = False
    """Whether this is an admin key. If there is at least one, only admin keys may read /metrics and /router/state and
    change the proxy while it runs."""


class FilterSection(_Section):
    """Filters that decide which models are served.

    Each is a regular expression that is searched for in the model's name.
    """

    include_filters: _Patterns = Field(default_factory=list)
    """The proxy serves only models that match one of these. The default is all models."""
    exclude_filters: _Patterns = Field(default_factory=list)
    """The proxy does not serve models that match one of these, even if include_filters admits them."""
    include: _Patterns = Field(default_factory=list)
    """An alias of include_filters."""
    exclude: _Patterns = Field(default_factory=list)
    """An alias of exclude_filters."""

    def resolved(self) -> Filters:
        """Return the filters, with those under both names merged."""
        return Filters((*self.include_filters, *self.include), (*self.exclude_filters, *self.exclude))


class FallbackModel(_Section):
    """A model that orchestration calls if the one before it fails."""

    model: _Name
    """The name of the model in SAP AI Core."""
    version: str = ""
    """The version of the model. The default is the latest."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters that replace those of the request."""


_Fallback = Annotated[FallbackModel, BeforeValidator(_under("model"), json_schema_input_type=str | FallbackModel)]
_Template = Annotated[
    dict[str, str], BeforeValidator(_under("id"), json_schema_input_type=_Name | dict[str, str]), _with(*_TEMPLATE)
]


class ModulesSection(_Section):
    """The orchestration modules for one model. SAP's documentation describes the objects."""

    masking: Annotated[dict[str, Any], _with(*_MASKING)] | None = None
    """Masking of prompts: {"providers": […]}."""
    filtering: Annotated[dict[str, Any], _with(*_AROUND)] | None = None
    """Content filters for prompts and answers: {"input": {"filters": […]}, "output": {"filters": […]}}."""
    grounding: Annotated[dict[str, Any], AfterValidator(_grounding)] | None = None
    """Grounding: where orchestration looks up documents for a prompt. The input placeholder receives the user's last
    message, and the output placeholder receives what was found."""
    translation: Annotated[dict[str, Any], _with(*_AROUND)] | None = None
    """Translation of prompts and answers: {"input": {…}, "output": {…}}."""
    fallbacks: list[_Fallback] | None = None
    """The models that orchestration calls, one after another, if this model fails. Each is a name or an object."""
    template: _Template | None = None
    """A stored template that is added to the conversation: its id, or {"scenario": …, "name": …, "version": …}."""
    placeholders: dict[str, str] | None = None
    """The values of the placeholders of the template."""
    version: _Name | None = None
    """The version of the model. The default is the latest."""
    timeout: Annotated[int, Field(ge=1, le=1200)] | None = None
    """The time limit of orchestration for each call of a model, in seconds. Orchestration's default is 600."""
    chunk_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """The number of characters of a stream that orchestration filters or translates at a time. Its default is 100."""
    delimiters: list[_Name] | None = None
    """The texts after which orchestration may end such a piece of a stream."""


class OrchestrationSection(ModulesSection):
    """Orchestration deployments: when they are used, for which models, and with which modules."""

    standby: bool = True
    """Whether orchestration serves a model only while no other deployment of that model is available."""
    models: list[_Name] | None = None
    """The models that orchestration serves, by their names in SAP AI Core; [] means none. The default is the list in
    the catalogue of SAP AI Core."""
    per_model: dict[_Name, ModulesSection] = Field(default_factory=dict)
    """Modules for single models, each under any of its names. A module here replaces the one for all models, and null
    switches it off."""

    def resolved(self) -> OrchestrationOptions:
        """Return the orchestration settings, with the modules of single models merged with those for all models."""
        return OrchestrationOptions(
            self.standby,
            None if self.models is None else tuple(self.models),
            self._modules(),
            {model: self._modules(own) for model, own in self.per_model.items()},
        )

    def _modules(self, own: ModulesSection | None = None) -> Modules:
        """Return the modules of a model: those that its section *own* sets, and otherwise those for all models."""
        written = own.model_fields_set if own is not None else frozenset()
        given = {each: getattr(own if each in written else self, each) for each in ModulesSection.model_fields}
        given = {module: value for module, value in given.items() if value is not None}
        fallbacks = tuple(Fallback(each.model, each.version, each.params) for each in given.pop("fallbacks", ()))
        return Modules(fallbacks=fallbacks, delimiters=tuple(given.pop("delimiters", ())), **given)


@dataclass(frozen=True, slots=True)
class ServerSection(ServerOptions):
    """Settings of the server: where it listens, and how many requests it accepts."""

    host: _Name | None = None
    """Same as the top-level host."""
    port: Port | None = None
    """Same as the top-level port."""
    trusted_proxies: Networks = ()
    allowed_hosts: HostNames = ()
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """This setting no longer has any effect. Use requests and connections."""

    def resolved(self) -> ServerOptions:
        """Return the settings of the server, without the fields that only the config file has."""
        return ServerOptions(**{each.name: getattr(self, each.name) for each in fields(ServerOptions)})


class UpstreamSection(_Section):
    """How the proxy connects to SAP AI Core."""

    proxy: _ProxyUrl | None = None
    """The URL of the HTTP proxy for outgoing connections, http://user:password@host:port, or "none". The default is the
    proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY."""
    no_proxy: Hosts | None = None
    """Hosts with their subdomains, addresses and networks that the proxy reaches without the HTTP proxy. The default is
    NO_PROXY."""
    proxy_loopback: bool = False
    """Whether connections to this machine also go through the HTTP proxy."""
    ca_bundle: str | None = None
    """The path of a PEM file with the certificates to trust, relative to the config file. The default is the first of
    these that is set: REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, or SSL_CERT_FILE together with SSL_CERT_DIR."""
    trust: Annotated[Store, BeforeValidator(_lower)] | None = None
    """The authorities that are trusted in addition to ca_bundle: "system" for those of the operating system, "certifi"
    for those of Mozilla. Without this setting, the proxy trusts ca_bundle alone, or certifi if there is no
    ca_bundle."""
    strict_certificates: bool | None = None
    """Whether certificates must obey every rule of RFC 5280. The default is Python's, which is true from 3.13 on. Use
    false for authorities that break these rules."""
    fetch_media: bool = True
    """Whether the proxy downloads images and documents that a request names by URL, for models that need the bytes. It
    connects to ports 80 and 443 of public addresses only, and downloads at most 32 MiB for each request."""
    media_allow: HostsAndNetworks = ()
    """Networks and hosts with addresses that are not public, from which the proxy downloads as well. A network such as
    10.20.0.0/16 admits its addresses. A host such as docs.corp.example, or *.corp.example for all hosts below it,
    admits the addresses of that host in private networks."""
    media_deny: HostsAndNetworks = ()
    """Networks and hosts from which the proxy never downloads, even if media_allow admits them."""
    observability: ObservabilitySection = ObservabilitySection.model_construct()


class TelemetrySection(_Section):
    """OpenTelemetry traces and metrics. The OTEL_* variables set where they are sent."""

    otlp: bool | None = None
    """Whether to send traces and metrics by OTLP over HTTP. By default they are sent if OTEL_EXPORTER_OTLP_ENDPOINT is
    set."""


class ConfigFile(_Section):
    """The config file of the SAP AI Core LLM proxy."""

    schema_: str | None = Field(None, alias="$schema")
    """The path or URL of the JSON Schema, which editors use."""
    subaccounts: dict[_Name, SubAccountSection] = Field(default_factory=dict, alias="subAccounts")
    """The subaccounts by name, in the order in which round robin uses them. The default is one subaccount, whose
    service key is in the environment."""
    secret_authentication_tokens: list[_Token] = Field(default_factory=list)
    """The API keys that clients send to the proxy. They may contain ${VARIABLES}. See allow_unauthenticated."""
    keys: list[KeySection] = Field(default_factory=list)
    """Further API keys that clients send to the proxy, each with the name of its caller."""
    secret_signing_keys: list[_SigningKey] = Field(default_factory=list)
    """The keys that sign response ids and reasoning. The first one signs; signatures of the others are still accepted.
    They may contain ${VARIABLES}. The default keys are derived from the secrets of the service keys."""
    port: Port | None = None
    """The port to listen on. The default is 3001."""
    host: _Name | None = None
    """The address to listen on. The default is 127.0.0.1."""
    extensions: list[_Name] = Field(default_factory=list)
    """Python modules that register strategies or define a function `extend(router)`. They are next to the config file
    or installed."""
    model_filters: FilterSection = FilterSection.model_construct()
    orchestration: OrchestrationSection = OrchestrationSection.model_construct()
    routing: Policy = Policy()
    server: ServerSection = ServerSection()
    upstream: UpstreamSection = UpstreamSection.model_construct()
    telemetry: TelemetrySection = TelemetrySection.model_construct()
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """The lowest level of messages in the log."""
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """The format of the log: "text" for people, or "json" for programs, with one JSON object in each line."""
    allow_unauthenticated: bool = False
    """Whether a proxy without keys serves everybody, from any machine and under any host name. Otherwise a proxy
    without keys serves only this machine."""


def known_keys(place: Place) -> list[str]:
    """List the keys that the object at *place* in the config file may have."""
    listed = {"deployment_models": {_ANY: ""}, "deployment_ids": {_ANY: ""}}
    modules = {"fallbacks": [_ANY]}
    example = {
        "subAccounts": {_ANY: listed},
        "orchestration": {"per_model": {_ANY: modules}, **modules},
        "routing": {"models": {_ANY: {}}},
        "keys": [{"name": "any"}],
    }
    here: Any = ConfigFile.model_validate(example).model_dump(by_alias=True)
    for step in place:
        here = here[0] if isinstance(step, int) else here.get(step, here.get(_ANY, {}))
    return list(here)
