"""The shape of the config file, for people, for editors and for the reader of the settings."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from dialects.orchestration.modules import Fallback, Modules
from gateway.config.caller_keys import fits_header
from gateway.config.filters import Filters
from gateway.config.mistakes import Place
from gateway.config.network import Store
from gateway.config.observability_section import ObservabilitySection
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.schema_file import UNSEEN
from gateway.config.service_keys import expand, is_url
from gateway.server.options import Port, ServerOptions
from routing.policy import Policy

_ANY = "*"
"""Stands for any name where the file has objects by name."""

_KEY_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
"""The names of callers' keys: a log line, a metric and a header can carry them as they are."""
_KEY_HASH: Final = r"sha256:[0-9a-fA-F]{64}"
_SCHEME: Final = "bearer "
_SHORTEST_KEY = 16
"""How many characters a signing key has at least."""

_MASKING = (frozenset({"providers"}),)
_AROUND = (frozenset({"input"}), frozenset({"output"}))
_TEMPLATE = (frozenset({"id"}), frozenset({"scenario", "name", "version"}))

_Weight = Annotated[float, Field(ge=0, le=1_000_000)]
_Name = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    """One object of the file. The dataclasses of `routing.policy` follow the same rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class _Deployment(_Section):
    weight: _Weight = 1.0
    """The share of the requests beside the other deployments of the model. 0 drains the deployment."""
    tier: int = 0
    """The strategy `priority` uses the deployments with the lowest tier first."""
    orchestration: bool = False
    """Whether it is an orchestration deployment. One that discovery finds is recognised without this."""


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
    """Let one entry stand for a list of it."""
    return [value] if isinstance(value, str | dict) else value


def _hosts(value: Any) -> Any:
    """Let a text stand for the list of what it holds between commas or blanks, as NO_PROXY does."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _network(text: str) -> str:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a network; write one such as 10.0.0.0/8") from None
    return text


def _under(name: str) -> Callable[[Any], Any]:
    """Let a text alone stand for an object with nothing but that text under *name*."""
    return lambda value: {name: value} if isinstance(value, str) else value


def _key_or_env(value: Any) -> Any:
    if value is None or value == "env" or isinstance(value, dict):
        return value
    raise ValueError('must be an object or "env"; paste the service key, or name its file in service_key_json')


def _expanded(text: str, info: ValidationInfo) -> str:
    """Replace ${NAME} in a string with that environment variable; the validation context is the environment."""
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
    """Give the URL of an HTTP proxy as it is; raises `ValueError`, in words without it, if it cannot be used."""
    if not is_url(text):
        raise ValueError("is not a URL; write one that starts with http:// and names a host")
    if text.lower().startswith("https:"):
        raise ValueError("must not start with https://: TLS to the proxy is not supported; write http://")
    return text


def proxy_or_none(text: str) -> str:
    """Give the URL of an HTTP proxy, or what stands for none; raises `ValueError` as `proxy_url`."""
    return NO_PROXY_AT_ALL if text.lower() == NO_PROXY_AT_ALL else proxy_url(text)


def _with(*keys: frozenset[str]) -> AfterValidator:
    """Require that an object has all keys of at least one of the sets *keys*."""

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
"""Stands for no HTTP proxy, whatever the environment names."""
_ProxyUrl = Annotated[_Secret, AfterValidator(_expanded), AfterValidator(proxy_or_none)]
_Hosts = Annotated[list[_Name], BeforeValidator(_hosts, json_schema_input_type=str | list[_Name])]
_Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    BeforeValidator(_hosts, json_schema_input_type=str | list[_Name]),
]
_Patterns = list[Annotated[str, AfterValidator(_regular_expression)]]
_Urls = Annotated[list[_Url], BeforeValidator(_listed, json_schema_input_type=_AnyUrls)]
_Ids = Annotated[list[_Id], BeforeValidator(_listed, json_schema_input_type=_AnyIds)]


class SubAccountSection(_Section):
    """A subaccount of SAP BTP with SAP AI Core: one service key and one resource group."""

    resource_group: _Name | None = None
    """The resource group of the deployments. The default is "default"."""
    service_key_json: str | None = None
    """The path of the service key file, relative to the config file. The key has a client secret or a certificate."""
    service_key: Annotated[dict[str, Any] | Literal["env"] | None, BeforeValidator(_key_or_env)] = None
    """The service key itself, or "env" to find it where SAP's SDKs do. It may hold ${VARIABLES}."""
    deployment_models: dict[_Name, _Urls] = Field(default_factory=dict)
    """For each model, the URLs of its deployments: a list, or one alone. A list may be empty."""
    deployment_ids: dict[_Name, _Ids] = Field(default_factory=dict)
    """For each model, the ids of its deployments: a list, or one alone. A list may be empty."""
    weight: _Weight = 1.0
    """The share of requests of the whole subaccount. It multiplies the weights of its deployments; 0 drains them."""
    tier: int = 0
    """The tier of the whole subaccount. It is added to the tiers of its deployments."""
    discovery: bool | None = None
    """Whether the proxy looks up which deployments are running, at the host of AI_API_URL, and adds them to those that
    are listed. The default is to do so if none is listed. What a listed deployment is seen to run decides in which
    protocol it is asked."""


class KeySection(_Section):
    """The key of one caller."""

    name: _KeyName
    """The name of the caller, in log lines and in /router/state. Response ids are signed for it, so a caller whose key
    is replaced under the same name keeps its conversations."""
    key: _Token | None = None
    """The key itself. It may contain ${VARIABLES}."""
    hash: _KeyHash | None = None
    """Instead of the key: sha256: followed by the SHA-256 of the key in hexadecimal digits."""
    admin: bool = False
    """Whether it is an admin key. If there is at least one, only admin keys may read /metrics and /router/state and
    change what the proxy does."""


class FilterSection(_Section):
    """Which models are served. Regular expressions are searched for in the names of models."""

    include_filters: _Patterns = Field(default_factory=list)
    """Only models that match one of these are served. The default is all models."""
    exclude_filters: _Patterns = Field(default_factory=list)
    """Of those, models that match one of these are not served."""
    include: _Patterns = Field(default_factory=list)
    """Another name of include_filters."""
    exclude: _Patterns = Field(default_factory=list)
    """Another name of exclude_filters."""

    def resolved(self) -> Filters:
        """Give the filters, whichever of their names they were written under."""
        return Filters((*self.include_filters, *self.include), (*self.exclude_filters, *self.exclude))


class FallbackModel(_Section):
    """A model that orchestration itself asks if the one before it fails."""

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
    """What orchestration does around one model. SAP's documentation describes the objects."""

    masking: Annotated[dict[str, Any], _with(*_MASKING)] | None = None
    """What is masked in prompts: {"providers": […]}."""
    filtering: Annotated[dict[str, Any], _with(*_AROUND)] | None = None
    """What is filtered in prompts and answers: {"input": {"filters": […]}, "output": {"filters": […]}}."""
    grounding: Annotated[dict[str, Any], AfterValidator(_grounding)] | None = None
    """Where documents for a prompt are looked up. Its placeholders get the user's last message and what is found."""
    translation: Annotated[dict[str, Any], _with(*_AROUND)] | None = None
    """The languages from and to which prompts and answers are translated: {"input": {…}, "output": {…}}."""
    fallbacks: list[_Fallback] | None = None
    """The models that orchestration itself asks, one after another, if this one fails. Each is a name or an object."""
    template: _Template | None = None
    """A stored template that is added to the conversation: its id, or {"scenario": …, "name": …, "version": …}."""
    placeholders: dict[str, str] | None = None
    """The values of the placeholders of the template."""
    version: _Name | None = None
    """The version of the model. The default is the latest."""
    timeout: Annotated[int, Field(ge=1, le=1200)] | None = None
    """Orchestration waits for each call of a model for this many seconds. Its default is 600."""
    chunk_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """This many characters of a stream are filtered or translated at a time. The default of orchestration is 100."""
    delimiters: list[_Name] | None = None
    """The texts after which a stream may be cut for that."""


class OrchestrationSection(ModulesSection):
    """When orchestration deployments are asked, for which models, and what they do around them."""

    standby: bool = True
    """Whether orchestration is asked for a model only if no deployment of that model is available."""
    models: list[_Name] | None = None
    """The models that orchestration serves, by their names in SAP AI Core; [] means none. The default is what the
    catalogue of SAP AI Core says."""
    per_model: dict[_Name, ModulesSection] = Field(default_factory=dict)
    """What differs for single models, each under any of its names. A module here replaces the one for all models, and
    null switches it off."""

    def resolved(self) -> OrchestrationOptions:
        """Give the settings of orchestration, with what it does around single models complete."""
        return OrchestrationOptions(
            self.standby,
            None if self.models is None else tuple(self.models),
            self._modules(),
            {model: self._modules(own) for model, own in self.per_model.items()},
        )

    def _modules(self, own: ModulesSection | None = None) -> Modules:
        """Put together what is done around a model, of which the section *own* says what differs."""
        written = own.model_fields_set if own is not None else frozenset()
        given = {each: getattr(own if each in written else self, each) for each in ModulesSection.model_fields}
        given = {module: value for module, value in given.items() if value is not None}
        fallbacks = tuple(Fallback(each.model, each.version, each.params) for each in given.pop("fallbacks", ()))
        return Modules(fallbacks=fallbacks, delimiters=tuple(given.pop("delimiters", ())), **given)


@dataclass(frozen=True, slots=True)
class ServerSection(ServerOptions):
    """How the proxy listens, and how many requests it takes."""

    host: _Name | None = None
    """Another place for host."""
    port: Port | None = None
    """Another place for port."""
    trusted_proxies: _Networks = ()
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """This setting has no effect any more. See requests and connections."""

    def resolved(self) -> ServerOptions:
        """Give the settings of the server itself."""
        return ServerOptions(**{each.name: getattr(self, each.name) for each in fields(ServerOptions)})


class UpstreamSection(_Section):
    """How the proxy reaches SAP AI Core."""

    proxy: _ProxyUrl | None = None
    """The URL of an HTTP proxy on the way out, http://user:password@host:port, or "none". The default is what
    HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names."""
    no_proxy: _Hosts | None = None
    """Hosts and their subdomains, addresses and networks that are reached without the HTTP proxy. The default is
    NO_PROXY."""
    proxy_loopback: bool = False
    """Whether this machine itself is reached through the HTTP proxy as well."""
    ca_bundle: str | None = None
    """The path of a PEM file with the certificates to trust, relative to the config file. The default is what
    REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE and SSL_CERT_DIR name."""
    trust: Annotated[Store, BeforeValidator(_lower)] | None = None
    """Which authorities are trusted beside ca_bundle: "system" for those of the operating system, or "certifi" for
    those of Mozilla. The default is ca_bundle alone, or certifi if there is none."""
    strict_certificates: bool | None = None
    """Whether certificates must obey every rule of RFC 5280. The default is that of Python, which is true from 3.13 on;
    false is for authorities that do not obey them."""
    fetch_media: bool = True
    """Whether images and documents that are named by URL are fetched for models that want bytes: from ports 80 and 443
    of public addresses, at most 32 MiB for each request."""
    observability: ObservabilitySection = ObservabilitySection.model_construct()


class TelemetrySection(_Section):
    """Traces and metrics for OpenTelemetry; the OTEL_* variables set where they are sent."""

    otlp: bool | None = None
    """Whether they are sent by OTLP over HTTP. The default is to do so if OTEL_EXPORTER_OTLP_ENDPOINT is set."""


class ConfigFile(_Section):
    """The config file of the SAP AI Core LLM proxy."""

    schema_: str | None = Field(None, alias="$schema")
    """The path or URL of the JSON Schema, for editors."""
    subaccounts: dict[_Name, SubAccountSection] = Field(default_factory=dict, alias="subAccounts")
    """The subaccounts by name, in the order in which they take turns. The default is one subaccount, whose service key
    is in the environment."""
    secret_authentication_tokens: list[_Token] = Field(default_factory=list)
    """The keys with which clients open the proxy. They may hold ${VARIABLES}. See allow_unauthenticated."""
    keys: list[KeySection] = Field(default_factory=list)
    """Further keys with which clients open the proxy, each with the name of its caller."""
    secret_signing_keys: list[_SigningKey] = Field(default_factory=list)
    """The keys that sign response ids and reasoning. The first one signs, and the others are still accepted. They may
    hold ${VARIABLES}. The default is keys that are derived from the secrets of the service keys."""
    port: Port | None = None
    """The port to listen on. The default is 3001."""
    host: _Name | None = None
    """The address to listen on. The default is 127.0.0.1."""
    extensions: list[_Name] = Field(default_factory=list)
    """Python modules that register strategies, or have a function `extend(router)`. They lie beside the config file or
    are installed."""
    model_filters: FilterSection = FilterSection.model_construct()
    orchestration: OrchestrationSection = OrchestrationSection.model_construct()
    routing: Policy = Policy()
    server: ServerSection = ServerSection()
    upstream: UpstreamSection = UpstreamSection.model_construct()
    telemetry: TelemetrySection = TelemetrySection.model_construct()
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """The lowest level that is logged."""
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """The form of the log: lines of text for people, or an object of JSON in each line for programs."""
    allow_unauthenticated: bool = False
    """Whether everybody may use a proxy without keys, from any machine and under any host name. Otherwise a proxy
    without keys serves this machine only."""


def known_keys(place: Place) -> list[str]:
    """List the keys that the object at a place of the config file may have."""
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
