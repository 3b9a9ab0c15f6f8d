"""Loader of the settings from a config file and the environment. It reports all mistakes at once."""

import difflib
import importlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from gateway.config.caller_key_reader import read_caller_keys
from gateway.config.caller_keys import CallerKey
from gateway.config.environment import for_demo, overlaid
from gateway.config.mistakes import Findings, Place, ServiceKeyError, spelled
from gateway.config.model_overrides import unused
from gateway.config.network import Network, is_loopback
from gateway.config.network_reader import read_network
from gateway.config.schema import ConfigFile, ServerSection, known_keys
from gateway.config.service_keys import Secret, is_service_key, load_json
from gateway.config.settings import LOOPBACK, PORT, Settings, SettingsError
from gateway.config.subaccount_reader import SubaccountReader
from gateway.config.subaccounts import SubAccount
from gateway.config.telemetry_reader import read_telemetry
from gateway.config.unencrypted import unencrypted
from gateway.config.validation import UNKNOWN, validated
from gateway.server.options import ServerOptions
from routing.model_names import with_resolved_names
from routing.policy import Policy
from routing.strategy import STRATEGIES

_T = TypeVar("_T")


def load(path: Path | None, env: Mapping[str, str], home: Path | None) -> Settings:
    """Load the settings from *path* and the environment, which takes precedence. Raises `SettingsError`."""
    loader = _Loader(path, env, home)
    return loader.settings(loader.config())


def load_unless_extended(path: Path | None, env: Mapping[str, str], home: Path | None) -> Settings | None:
    """Load the settings as `load` does. If they name extensions, import none of them and return None."""
    loader = _Loader(path, env, home)
    config = loader.config()
    return None if config.extensions else loader.settings(config)


def demo_address(env: Mapping[str, str]) -> tuple[str, int]:
    """Return the host and the port on which a demo listens in this environment.

    Raises `SettingsError` as `load` does.
    """
    return _Loader(None, for_demo(env), None).address()


def network_of(path: Path | None, env: Mapping[str, str]) -> Network:
    """Load the network settings only. Raises `SettingsError` as `load` does."""
    return _Loader(path, env, None).network()


class _Loader:
    """Loads one config file together with the environment, or the environment alone."""

    def __init__(self, path: Path | None, env: Mapping[str, str], home: Path | None) -> None:
        self._path = path
        self._found = Findings(Path() if path is None else path.parent, env, home)

    def settings(self, config: ConfigFile) -> Settings:
        """Resolve the content of the file. Raises `SettingsError` with all mistakes."""
        extensions = self._extensions(config.extensions)
        keys = read_caller_keys(config, self._found)
        settings = Settings(
            subaccounts=self._subaccounts(config),
            keys=keys,
            signing_keys=tuple(map(Secret, config.secret_signing_keys)),
            host=self._address(config, keys),
            host_name=self._host(config),
            port=self._port(config),
            server=self._server(config.server),
            policy=self._policy(config.routing),
            filters=config.model_filters.resolved(),
            orchestration=config.orchestration.resolved(),
            log_level=config.log_level,
            log_format=config.log_format,
            allow_unauthenticated=config.allow_unauthenticated,
            network=read_network(config.upstream, self._found),
            fetch_media=config.upstream.fetch_media,
            media_allow=config.upstream.media_allow,
            media_deny=config.upstream.media_deny,
            observability=config.upstream.observability.resolved(),
            telemetry=read_telemetry(config.telemetry.otlp, self._found),
            extensions=extensions,
            source=self._path,
            files=tuple(self._found.files),
        )
        if self._found.mistakes:
            raise self._error()
        for where, what in unused(settings.subaccounts.values(), settings.policy):
            self._found.odd(where, what)
        for where, what in unencrypted(settings.subaccounts.values(), settings.network.proxies):
            self._found.odd(where, what)
        return replace(settings, warnings=self._found.warnings)

    def address(self) -> tuple[str, int]:
        """Read only the host and the port, regardless of API keys."""
        config = self.config()
        host, port = self._host(config), self._port(config)
        if self._found.mistakes:
            raise self._error()
        return host, port

    def network(self) -> Network:
        """Read only the network settings, regardless of accounts."""
        found = read_network(self.config().upstream, self._found)
        if self._found.mistakes:
            raise self._error()
        return found

    def config(self) -> ConfigFile:
        """Read and validate the file.

        Values with mistakes are reported and left out, so that the rest can be checked.
        """
        raw = overlaid(self._with_new_names(self._raw()), self._found)
        config, complaints = validated(raw, self._found, "forbid")
        if config is not None:
            return config
        for place, name, _ in complaints:
            if name in UNKNOWN:
                near = difflib.get_close_matches(str(place[-1]), known_keys(place[:-1]), n=1)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                self._found.odd(spelled(place), f"this key is unknown and has no effect{hint}")
        config, complaints = validated(raw, self._found, "ignore")
        sound = deepcopy(raw)
        for place, _, what in complaints:
            self._found.wrong(spelled(place), what)
            _take_out(sound, place)
        if config is None:
            config, _ = validated(sound, self._found, "ignore")
        if config is None:
            raise self._error()
        return config

    def _with_new_names(self, raw: Any) -> Any:
        """Rename a section that has an old name, with a warning."""
        match raw:
            case {"routing": {"cooling": section, **others}} if "cooldown" not in others:
                self._found.odd("routing.cooling", "is called routing.cooldown now; the old name still works")
                return {**raw, "routing": {**others, "cooldown": section}}
            case _:
                return raw

    def _extensions(self, names: Sequence[str]) -> tuple[ModuleType, ...]:
        """Import the user's extension modules. The folder of the config file is added to the import path."""
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
                # `SettingsError` puts the path in front of every mistake.
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
        """Resolve the subaccounts in their order; if there are none, use the service key from the environment."""
        reader = SubaccountReader(self._found, config.model_filters.resolved())
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
        one, every = section.max_request_memory_bytes, section.max_memory_bytes
        if one is not None and every is not None and one > every:
            self._found.wrong(
                "server.max_request_memory_bytes", f"is more than max_memory_bytes; write at most {every}"
            )
        return section.resolved()

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
        """Return the value of a top-level key or of the same key under `server`; report two that differ."""
        if outer is not None and inner is not None and outer != inner:
            self._found.wrong(f"server.{name}", f"differs from {name} at the top level; keep one of them")
        return outer if inner is None else inner

    def _port(self, config: ConfigFile) -> int:
        return self._either(config.port, config.server.port, "port") or PORT

    def _host(self, config: ConfigFile) -> str:
        return self._either(config.host, config.server.host, "host") or LOOPBACK

    def _address(self, config: ConfigFile, keys: Sequence[CallerKey]) -> str:
        """Return the address to listen on.

        Without keys of callers it is on this machine, unless unauthenticated use is allowed.
        """
        host = self._host(config)
        if keys or config.allow_unauthenticated or is_loopback(host):
            return host
        if not any(map(self._found.reported, ("secret_authentication_tokens", "keys"))):
            what = (
                f"listening on {LOOPBACK} and not on {host}, because there are no "
                "secret_authentication_tokens; add some, or set allow_unauthenticated"
            )
            self._found.odd("host", what)
        return LOOPBACK

    def _error(self) -> SettingsError:
        return SettingsError(str(self._path or "environment"), self._found.complaints, self._found.warnings)


def _take_out(raw: Any, place: Place) -> None:
    """Remove a value with a mistake from the content of the file.

    This removes a whole key of a subaccount, of `routing` or of `upstream`, or else a whole top-level key.
    """
    if place:
        depth = {"subAccounts": 3, "routing": 2, "upstream": 2}.get(str(place[0]), 1)
        *outer, key = place[:depth]
        for step in outer:
            raw = raw.get(step, {})  # an earlier mistake may have removed it
        raw.pop(key, None)
