"""What is known of a tool: how a person sets it up, which files it reads, how it is started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from dialects.core.conversation import JSON
from gateway.tool_settings import KEY_VARIABLE
from gateway.tool_settings.deployed import DeployedModel

PROVIDER: Final = "sap-ai-core"
"""The name of this proxy in settings that name providers."""
TITLE: Final = "SAP AI Core"


class ConnectError(Exception):
    """A tool cannot be connected; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A running proxy, as a caller sees it; *url* has neither a path nor a slash at its end."""

    url: str
    key: str = field(repr=False)
    models: tuple[DeployedModel, ...]
    """At least one."""
    in_browser: bool = False
    """Whether it is read in a browser, perhaps on another machine: no path of this one is named, and people see the
    key itself where they fill it in."""

    @property
    def key_for_people(self) -> str:
        """What people fill in as the key."""
        return self.key if self.in_browser else f"what `echo ${KEY_VARIABLE}` prints"


Edits = Mapping[tuple[str, ...], object]
"""Values, as JSON has them, by the path of keys to where they go; what stands elsewhere stays."""


class Format(Enum):
    """How a settings file is written."""

    JSON = "JSON"
    """With comments and commas at the end, where there are any."""
    TOML = "TOML"
    ENV = "NAME=value"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file of a tool's own, and what is written there."""

    path: Path
    format: Format
    edits: Edits


@dataclass(frozen=True, slots=True)
class Start:
    """How a tool is started so that it asks the proxy, without any file: what it gets beside the user's arguments."""

    program: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    unset: tuple[str, ...] = ()
    """Variables that would lead it elsewhere."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """What a person copies."""

    body: str
    into: str
    """Where it goes, for people."""
    is_shell: bool = False


Places = Callable[[Mapping[str, str], Path], tuple[tuple[Path, Format], ...]]
"""From the environment and the home folder to the tool's own files."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A row of the table of tools. *source* is the page that documents its settings."""

    name: str
    title: str
    source: str
    snippet: Callable[[Connection], Snippet]
    aliases: tuple[str, ...] = ()
    places: Places | None = None
    edits: Callable[[Connection], tuple[Edits, ...]] | None = None
    """One for each place."""
    start: Callable[[Connection], Start] | None = None

    def paths(self, env: Mapping[str, str], home: Path) -> tuple[Path, ...]:
        """List the tool's own files; none if a person had better set it up."""
        return tuple(path for path, _ in self.places(env, home)) if self.places else ()

    def files(self, to: Connection, env: Mapping[str, str], home: Path) -> tuple[SettingsFile, ...]:
        """List the tool's own files with what is written there."""
        if not (self.places and self.edits):
            return ()
        places = zip(self.places(env, home), self.edits(to), strict=True)
        return tuple(SettingsFile(path, kind, edits) for (path, kind), edits in places)


def merged(base: JSON, edits: Edits) -> JSON:
    """Give *base* with the edits made, itself unchanged; raise `ConnectError` where a value stands in the way."""
    result = dict(base)
    for path, value in edits.items():
        place = result
        for key in path[:-1]:
            inner = place.get(key, {})
            if not isinstance(inner, dict):
                raise ConnectError(f"{'.'.join(path)} cannot be set: {key} is not an object there")
            place[key] = place = dict(inner)
        place[path[-1]] = value
    return result
