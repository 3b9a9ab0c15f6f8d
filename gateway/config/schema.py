"""The shape of the config file: what may stand where, for people, editors and the reader of settings."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from routing import policy
from routing.policy import Policy

JSON = Any

_Weight = Annotated[float, Field(ge=0, le=1_000_000)]
_Port = Annotated[int, Field(ge=1, le=65535)]
_Name = Annotated[str, Field(min_length=1)]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Section(BaseModel):
    """One object of the file; keys it does not know are left to `unknown_keys`."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class DeploymentEntry(_Section):
    """One deployment, by its URL."""

    url: str
    """The URL of the deployment: it holds /deployments/<id>."""
    weight: _Weight = 1.0
    """Its share of the traffic beside the other deployments of the model; 0 drains it."""
    tier: int = 0
    """Its priority, under the strategy `priority`: the lowest is used first."""


class DeploymentId(_Section):
    """One deployment, by its id."""

    id: str
    """The id of the deployment in this subaccount's AI Core."""
    weight: _Weight = 1.0
    """Its share of the traffic beside the other deployments of the model; 0 drains it."""
    tier: int = 0
    """Its priority, under the strategy `priority`: the lowest is used first."""


def _listed(value: Any) -> Any:
    """Let one entry stand for a list of it."""
    return [value] if isinstance(value, str | dict) else value


def _as_url(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _as_id(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


def _key_or_env(value: Any) -> Any:
    if value is None or value == "env" or isinstance(value, dict):
        return value
    raise ValueError('is neither an object nor "env"; paste the service key, or name its file in service_key_json')


_Url = Annotated[DeploymentEntry, BeforeValidator(_as_url, json_schema_input_type=str | DeploymentEntry)]
_Id = Annotated[DeploymentId, BeforeValidator(_as_id, json_schema_input_type=str | DeploymentId)]
_AnyUrls = str | DeploymentEntry | list[str | DeploymentEntry]
_AnyIds = str | DeploymentId | list[str | DeploymentId]
_Urls = Annotated[list[_Url], BeforeValidator(_listed, json_schema_input_type=_AnyUrls)]
_Ids = Annotated[list[_Id], BeforeValidator(_listed, json_schema_input_type=_AnyIds)]


class SubAccountSection(_Section):
    """One subaccount (tenant) of SAP BTP with SAP AI Core in it."""

    resource_group: _Name | None = None
    """The resource group of the deployments; "default" if it is not said."""
    service_key_json: str | None = None
    """Path of the service key file, relative to the config file."""
    service_key: Annotated[dict[str, Any] | Literal["env"] | None, BeforeValidator(_key_or_env)] = None
    """The service key itself, or "env" to take it from where SAP's own tools do. Texts may hold ${VARIABLES}."""
    deployment_models: dict[_Name, _Urls] = Field(default_factory=dict)
    """For each model the URLs of its deployments; one may stand without a list, and a list may be empty."""
    deployment_ids: dict[_Name, _Ids] = Field(default_factory=dict)
    """For each model the ids of its deployments; one may stand without a list, and a list may be empty."""
    weight: _Weight = 1.0
    """The share of the traffic of the whole subaccount; multiplies that of its deployments, and 0 drains them."""
    tier: int = 0
    """The priority of the whole subaccount; added to that of its deployments."""
    discovery: bool | None = None
    """Whether running deployments are looked up and added; by default only where none are listed."""


class FilterSection(_Section):
    """Which models are served: regular expressions, searched for in the name; include comes first."""

    include_filters: list[str] = Field(default_factory=list)
    """Only models that match one of these; none means all."""
    exclude_filters: list[str] = Field(default_factory=list)
    """Of those, not the models that match one of these."""
    include: list[str] = Field(default_factory=list)
    """Another name for include_filters."""
    exclude: list[str] = Field(default_factory=list)
    """Another name for exclude_filters."""


class ServerSection(_Section):
    """How the proxy listens."""

    host: _Name | None = None
    """The address to listen on."""
    port: _Port | None = None
    """The port to listen on."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes. Each balances for itself."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Has no effect any more: threads come and go as they are needed. See requests and connections."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """Bytes that a request may have."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Connections that one process has open at the same time; beyond, idle ones are closed, then new ones wait."""
    requests: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Requests that one process answers at the same time."""
    waiting: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Requests that may wait in one process for a place among those that are answered."""
    waiting_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds that a request waits for such a place."""
    header_timeout: _Seconds = 10.0
    """Seconds from the first byte of a request to the end of its headers."""
    keep_alive: _Seconds = 75.0
    """Seconds that a connection stays open without a request."""
    body_timeout: _Seconds = 30.0
    """Seconds for which a request body may make no progress."""
    write_timeout: _Seconds = 60.0
    """Seconds for which a client may read nothing of its response."""
    drain_delay: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Seconds from SIGTERM, when /ready becomes a 503, until no more connections are accepted."""
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = 25.0
    """Seconds that open requests may go on after that."""
    admin_port: _Port | None = None
    """The port on which the supervising process answers /health, /ready, /metrics and /router/state for all workers."""
    admin_host: _Name = "127.0.0.1"
    """The address of that port; where others than this machine reach it, /metrics and /router/state want a key."""


class UpstreamSection(_Section):
    """How SAP AI Core is reached."""

    proxy: str | None = None
    """URL of an HTTP proxy on the way out. HTTPS_PROXY and its like are read only if named here: ${HTTPS_PROXY}."""
    ca_bundle: str | None = None
    """Path of a PEM file with the certificates to trust, relative to the config file."""
    fetch_media: bool = True
    """Whether images and documents named by URL are fetched, from public addresses only, for models that want bytes."""


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class ConfigFile(_Section):
    """The config file of the SAP AI Core LLM proxy."""

    schema_: str | None = Field(None, alias="$schema")
    """Where an editor finds this description."""
    subaccounts: dict[_Name, SubAccountSection] = Field(default_factory=dict, alias="subAccounts")
    """The subaccounts by name; they take turns in this order. None: the one whose key is in the environment."""
    secret_authentication_tokens: list[_Name] = Field(default_factory=list)
    """The keys that open the proxy to callers. Texts may hold ${VARIABLES}. None: see allow_unauthenticated."""
    port: _Port | None = None
    """The port to listen on; 3001 if it is not said."""
    host: _Name | None = None
    """The address to listen on; 127.0.0.1 if it is not said."""
    extensions: list[_Name] = Field(default_factory=list)
    """Python modules beside the config file (or installed) that register strategies, or `extend(router)`."""
    model_filters: FilterSection = FilterSection()
    routing: Policy = Policy()
    server: ServerSection = ServerSection()
    upstream: UpstreamSection = UpstreamSection()
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """How much is logged."""
    allow_unauthenticated: bool = False
    """Whether everyone may call when no tokens are set; otherwise the proxy is then for this machine only."""


def json_schema() -> dict[str, JSON]:
    """Describe the config file as JSON Schema, with every description an editor can show."""
    schema = TypeAdapter(ConfigFile).json_schema(by_alias=True)
    documented = _attribute_docs(policy)
    for name, definition in schema["$defs"].items():
        for field, text in documented.get(name, {}).items():
            definition["properties"][field].setdefault("description", text)
    for definition in (schema, *schema["$defs"].values()):
        definition["additionalProperties"] = False
        for described in (definition, *definition["properties"].values()):
            described.pop("title", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _attribute_docs(module: ModuleType) -> dict[str, dict[str, str]]:
    """Collect the text under each attribute of each class of a module."""
    found: dict[str, dict[str, str]] = {}
    for owner in ast.parse(inspect.getsource(module)).body:
        if not isinstance(owner, ast.ClassDef):
            continue
        for attribute, text in zip(owner.body, owner.body[1:], strict=False):
            match attribute, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                    found.setdefault(owner.name, {})[name] = inspect.cleandoc(doc)
    return found


Path = tuple[str | int, ...]


def unknown_keys(raw: JSON, schema: Mapping[str, JSON]) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Yield where a key stands that *schema* does not know, the key, and the keys that it knows there."""
    yield from _unknown(raw, schema, schema, ())


def _unknown(
    raw: JSON, here: Mapping[str, JSON], schema: Mapping[str, JSON], path: Path
) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    if isinstance(raw, list):
        for option in _options(here, schema, "array"):
            for index, item in enumerate(raw):
                yield from _unknown(item, option.get("items", {}), schema, (*path, index))
    if isinstance(raw, Mapping):
        for option in _options(here, schema, "object"):
            known, others = option.get("properties", {}), option.get("additionalProperties")
            for key, value in raw.items():
                if key in known:
                    yield from _unknown(value, known[key], schema, (*path, key))
                elif isinstance(others, Mapping):
                    yield from _unknown(value, others, schema, (*path, key))
                elif not others:
                    yield path, key, tuple(known)


def _options(here: Mapping[str, JSON], schema: Mapping[str, JSON], kind: str) -> Iterator[Mapping[str, JSON]]:
    """Follow references and alternatives to the descriptions that are about this kind of value."""
    if "$ref" in here:
        yield from _options(schema["$defs"][here["$ref"].rpartition("/")[2]], schema, kind)
    for option in here.get("anyOf", ()):
        yield from _options(option, schema, kind)
    if here.get("type") == kind:
        yield here
