"""From a config file to frozen settings: everything resolved, and every mistake reported at once."""

import difflib
import importlib
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError

from gateway.config.environment import PREFIX, for_demo, overlaid
from gateway.config.mistakes import Findings, Mistake, Place, ServiceKeyError, described, spelled
from gateway.config.model_overrides import unused
from gateway.config.network import DIRECT, Network
from gateway.config.network_reader import read_network
from gateway.config.schema import ConfigFile, Filters, OrchestrationSection, ServerSection, known_keys
from gateway.config.service_keys import Secret, is_service_key, load_json
from gateway.config.subaccounts import Deployment, SubAccount, SubaccountReader
from gateway.server.options import ServerOptions
from routing.endpoint import Endpoint
from routing.model_names import ModelNames, with_resolved_names
from routing.policy import Policy
from routing.request_router import RequestRouter
from routing.strategy import STRATEGIES

_T = TypeVar("_T")
_LOOPBACK = "127.0.0.1"
_PORT = 3001
_UNKNOWN: Final = {"extra_forbidden", "unexpected_keyword_argument"}
"""Pydantic's names of a key that it does not know."""


class SettingsError(ValueError):
    """The settings cannot be used; `mistakes` lists all that is wrong, and the message has a line for each.

    `warnings` says what else is odd: a key that is spelled wrongly is often why another is missing.
    """

    def __init__(self, source: str, mistakes: Sequence[Mistake], warnings: Sequence[str] = ()) -> None:
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)
        lines = (
            ": ".join(filter(None, ("" if each.where.startswith(PREFIX) else source, each.where, each.what)))
            for each in mistakes
        )
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the proxy is told."""

    subaccounts: Mapping[str, SubAccount]
    tokens: tuple[Secret, ...] = ()
    signing_keys: tuple[Secret, ...] = ()
    """What response ids and seals are signed with, the current key first; without any it is derived."""
    host: str = _LOOPBACK
    host_name: str = ""
    """The host as it was configured, or given on the command line, whatever address is listened on."""
    port: int = _PORT
    server: ServerOptions = field(default_factory=ServerOptions)
    policy: Policy = field(default_factory=Policy)
    filters: Filters = field(default_factory=Filters)
    orchestration: OrchestrationSection = field(default_factory=OrchestrationSection)
    log_level: str = "info"
    log_format: str = "text"
    allow_unauthenticated: bool = False
    network: Network = DIRECT
    fetch_media: bool = True
    extensions: tuple[ModuleType, ...] = ()
    """Modules of the user's own: each may have a function `extend(router)`."""
    is_demo: bool = False
    """Whether what is served is the embedded emulator."""
    source: Path | None = None
    """The config file; none if the environment said it all."""
    warnings: tuple[str, ...] = ()

    def overridden(self, workers: int | None = None, **given: Any) -> "Settings":
        """Give the settings with what was *given* on the command line instead."""
        server = self.server if workers is None else self.server.model_copy(update={"workers": workers})
        return replace(self, server=server, **{"host_name": given.get("host", self.host_name), **given})

    def extend(self, router: RequestRouter) -> None:
        """Let the user's own modules add to *router*, those that have something to add."""
        for module in self.extensions:
            getattr(module, "extend", lambda _: None)(router)


def load(path: Path | None, env: Mapping[str, str], home: Path | None) -> Settings:
    """Read the settings from *path* and the environment, which goes first; raise `SettingsError` with every mistake."""
    return _Loader(path, env, home).settings()


def demo_address(env: Mapping[str, str]) -> tuple[str, int]:
    """Tell the host and the port on which a demo listens in this environment; raise `SettingsError` as `load` does."""
    return _Loader(None, for_demo(env), None).address()


def network_of(path: Path | None, env: Mapping[str, str]) -> Network:
    """Tell how the network is left; raise `SettingsError` as `load` does."""
    return _Loader(path, env, None).network()


def pools(settings: Settings) -> dict[str, tuple[Endpoint, ...]]:
    """List the endpoints of every model, subaccounts and deployments in the order of the file.

    What orchestration serves joins the deployments of the same model alone, under whatever name those are configured.
    """
    found: dict[str, list[Endpoint]] = {}
    alone = ModelNames(_alone(settings.subaccounts.values()), fallback=False)
    for account in settings.subaccounts.values():
        for model, deployments in account.deployments.items():
            for each in deployments:
                name = (alone.same(model) or model) if each.orchestration else model
                endpoint = Endpoint(
                    subaccount=account.name,
                    url=each.url,
                    model=name,
                    resource_group=account.resource_group,
                    weight=each.weight * account.weight,
                    tier=each.tier + account.tier,
                    runs=each.runs or (settings.orchestration.named(model) if each.orchestration else ""),
                    orchestration=each.orchestration,
                    standby=each.orchestration and settings.orchestration.standby,
                )
                pool = found.setdefault(name, [])
                if not (endpoint.orchestration and endpoint in pool):
                    pool.append(endpoint)
    return {model: tuple(endpoints) for model, endpoints in found.items()}


def _alone(accounts: Iterable[SubAccount]) -> dict[str, None]:
    """Name the models that have a deployment of their own, in the order of the file."""
    named = ((model, each) for account in accounts for model, own in account.deployments.items() for each in own)
    return dict.fromkeys(model for model, each in named if not each.orchestration)


def with_discovered(settings: Settings, found: Mapping[str, Mapping[str, Sequence[Deployment]]]) -> Settings:
    """Add what was looked up, per subaccount, to what is configured.

    Of what is configured itself, only what its deployments are, and which models they say they run, is noted.
    """
    accounts = {
        name: replace(account, deployments=_joined(account.deployments, found.get(name, {}), settings.filters))
        for name, account in settings.subaccounts.items()
    }
    return replace(settings, subaccounts=accounts)


def _joined(
    configured: Mapping[str, tuple[Deployment, ...]], found: Mapping[str, Sequence[Deployment]], filters: Filters
) -> dict[str, tuple[Deployment, ...]]:
    there: dict[str, dict[str, Deployment]] = {}
    for model, deployments in found.items():
        for each in deployments:
            there.setdefault(each.id, {})[model] = each
    joined = {
        model: tuple(_running(model, each, there.get(each.id, {})) for each in deployments)
        for model, deployments in configured.items()
    }
    known = {
        (each.id, each.runs) if each.orchestration else each.id
        for deployments in joined.values()
        for each in deployments
    }
    for model, deployments in found.items():
        new = tuple(each for each in deployments if not {each.id, (each.id, model)} & known)
        if new and filters.admits(model):
            joined[model] = joined.get(model, ()) + new
    return joined


def _running(name: str, configured: Deployment, there: dict[str, Deployment]) -> Deployment:
    """Note of a deployment that is *configured* under a *name* what it is, and what it runs of what is *there*."""
    orchestration = configured.orchestration or any(each.orchestration for each in there.values())
    runs = ModelNames(there, fallback=False).same(name) if orchestration else next(reversed(there), None)
    return replace(configured, runs=runs or "", orchestration=orchestration)


class _Loader:
    """Reads one config file, or none."""

    def __init__(self, path: Path | None, env: Mapping[str, str], home: Path | None) -> None:
        self._path = path
        self._found = Findings(Path() if path is None else path.parent, env, home)

    def settings(self) -> Settings:
        """Read all of it, or raise all that is wrong."""
        config = self._config()
        extensions = self._extensions(config.extensions)
        tokens = tuple(map(Secret, config.secret_authentication_tokens))
        settings = Settings(
            subaccounts=self._subaccounts(config),
            tokens=tokens,
            signing_keys=tuple(map(Secret, config.secret_signing_keys)),
            host=self._address(config, tokens),
            host_name=self._host(config),
            port=self._port(config),
            server=self._server(config.server),
            policy=self._policy(config.routing),
            filters=config.model_filters,
            orchestration=config.orchestration,
            log_level=config.log_level,
            log_format=config.log_format,
            allow_unauthenticated=config.allow_unauthenticated,
            network=read_network(config.upstream, self._found),
            fetch_media=config.upstream.fetch_media,
            extensions=extensions,
            source=self._path,
        )
        if self._found.mistakes:
            raise self._error()
        for where, what in unused(settings.subaccounts.values(), settings.policy):
            self._found.odd(where, what)
        return replace(settings, warnings=self._found.warnings)

    def address(self) -> tuple[str, int]:
        """Read the host and the port alone, whoever may call."""
        config = self._config()
        host, port = self._host(config), self._port(config)
        if self._found.mistakes:
            raise self._error()
        return host, port

    def network(self) -> Network:
        """Read how the network is left, whoever is asked there."""
        found = read_network(self._config().upstream, self._found)
        if self._found.mistakes:
            raise self._error()
        return found

    def _config(self) -> ConfigFile:
        """Read the file into its shape; what has a mistake is reported and left out, so that the rest is read."""
        raw = overlaid(self._with_new_names(self._raw()), self._found)
        config, complaints = self._validated(raw, "forbid")
        if config is not None:
            return config
        for place, name, _ in complaints:
            if name in _UNKNOWN:
                near = difflib.get_close_matches(str(place[-1]), known_keys(place[:-1]), n=1)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                self._found.odd(spelled(place), f"this key is unknown and has no effect{hint}")
        config, complaints = self._validated(raw, "ignore")
        sound = deepcopy(raw)
        for place, _, what in complaints:
            self._found.wrong(spelled(place), what)
            _take_out(sound, place)
        if config is None:
            config, _ = self._validated(sound, "ignore")
        if config is None:
            raise self._error()
        return config

    def _validated(
        self, raw: Any, extra: Literal["forbid", "ignore"]
    ) -> tuple[ConfigFile | None, Sequence[tuple[Place, str, str]]]:
        """Read the shape of a file, or what is wrong with it; *extra* says whether unknown keys are wrong."""
        try:
            return ConfigFile.model_validate(raw, extra=extra, context=self._found.env), ()
        except ValidationError as error:
            return None, tuple(described(error, self._found.texts))

    def _with_new_names(self, raw: Any) -> Any:
        """Read a section under the name that it had before, with a warning."""
        match raw:
            case {"routing": {"cooling": section, **others}} if "cooldown" not in others:
                self._found.odd("routing.cooling", "is called routing.cooldown now; the old name still works")
                return {**raw, "routing": {**others, "cooldown": section}}
            case _:
                return raw

    def _extensions(self, names: Sequence[str]) -> tuple[ModuleType, ...]:
        """Import the user's own modules, which may lie beside the config file."""
        folder = str(self._found.folder.resolve())
        if names and folder not in sys.path:
            sys.path.append(folder)
        modules: list[ModuleType] = []
        for index, name in enumerate(names):
            try:
                modules.append(importlib.import_module(name))
            except Exception as error:  # noqa: BLE001 - a module may raise anything while it is imported
                what = f"the module {name!r} cannot be imported: {type(error).__name__}: {error}"
                self._found.wrong(f"extensions[{index}]", what)
        return tuple(modules)

    def _raw(self) -> Any:
        if self._path is None:
            return {}
        try:
            raw = load_json(self._path, self._written_twice)
        except ServiceKeyError as error:
            for mistake in error.mistakes:
                # The path is named in front of every mistake.
                self._found.wrong("", mistake.what.removeprefix(f"{self._path} "))
            raise self._error() from None
        if is_service_key(raw):
            command = f"sap-ai-proxy init --service-key {shlex.quote(str(self._path))}"
            self._found.wrong("", f"is a service key, not a config file; create a config file from it with: {command}")
            raise self._error()
        return raw

    def _written_twice(self, key: str) -> None:
        self._found.odd(spelled((key,)), "is written twice in one object; only the last one counts")

    def _subaccounts(self, config: ConfigFile) -> dict[str, SubAccount]:
        """Resolve the subaccounts in their order; without any, the one that the environment tells of."""
        reader = SubaccountReader(self._found, config.model_filters)
        if not config.subaccounts:
            return {} if self._found.mistakes else reader.from_environment()
        for name in config.subaccounts:
            if name != name.strip() and name.strip() in config.subaccounts:
                self._found.wrong(
                    spelled(("subAccounts", name)), "exists a second time without the blanks; rename one of them"
                )
        read = (reader.read(name.strip(), section) for name, section in config.subaccounts.items())
        return {account.name: account for account in read if account is not None}

    def _server(self, section: ServerSection) -> ServerOptions:
        if section.threads is not None:
            what = "no longer has an effect: threads start as they are needed; server.requests limits requests"
            self._found.odd("server.threads", what)
        return ServerOptions.model_construct(**{name: getattr(section, name) for name in ServerOptions.model_fields})

    def _policy(self, policy: Policy) -> Policy:
        named = {"routing.strategy": policy.strategy}
        for model, own in policy.models.items():
            if own.strategy is not None:
                named[spelled(("routing", "models", model, "strategy"))] = own.strategy
        for where, name in named.items():
            if name not in STRATEGIES:
                self._found.wrong(where, f"{name!r} is not a strategy; write one of {', '.join(STRATEGIES)}")
        try:
            return with_resolved_names(policy)
        except ValueError as error:
            self._found.wrong("routing", str(error))
            return policy

    def _either(self, outer: _T | None, inner: _T | None, name: str) -> _T | None:
        """Choose between a key at the top and its twin under `server`; two values are one too many."""
        if outer is not None and inner is not None and outer != inner:
            self._found.wrong(f"server.{name}", f"differs from {name} at the top level; keep one of them")
        return outer if inner is None else inner

    def _port(self, config: ConfigFile) -> int:
        return self._either(config.port, config.server.port, "port") or _PORT

    def _host(self, config: ConfigFile) -> str:
        return self._either(config.host, config.server.host, "host") or _LOOPBACK

    def _address(self, config: ConfigFile, tokens: Sequence[Secret]) -> str:
        """Choose where to listen: without keys for callers, on this machine only, unless more is said to be meant."""
        host = self._host(config)
        if tokens or config.allow_unauthenticated or _is_loopback(host):
            return host
        if not self._found.reported("secret_authentication_tokens"):
            what = (
                f"listening on {_LOOPBACK} and not on {host}, because there are no "
                "secret_authentication_tokens; add some, or set allow_unauthenticated"
            )
            self._found.odd("host", what)
        return _LOOPBACK

    def _error(self) -> SettingsError:
        return SettingsError(str(self._path or "environment"), self._found.complaints, self._found.warnings)


def _take_out(raw: Any, place: Place) -> None:
    """Remove what holds a mistake: a key of a subaccount, of `routing` or of `upstream`, or else one at the top."""
    if place:
        depth = {"subAccounts": 3, "routing": 2, "upstream": 2}.get(str(place[0]), 1)
        *outer, key = [step for step in place if step != "[key]"][:depth]  # Pydantic adds it to the place of a name.
        for step in outer:
            raw = raw.get(step, {})  # it may be out already, with a mistake of its own
        raw.pop(key, None)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
