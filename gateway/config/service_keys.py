"""Service keys of SAP AI Core: read from anywhere SAP's own tools read them, checked, and kept out of sight."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_REFERENCE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a password
_API_VERSION = "/v2"

_FROM_ENVIRONMENT: Final = {
    # key of a service key         variables that carry it, the first that is set wins
    "clientid": ("AICORE_CLIENT_ID",),
    "clientsecret": ("AICORE_CLIENT_SECRET",),
    "url": ("AICORE_AUTH_URL",),
    "certurl": ("AICORE_CERT_URL",),
    "cert_file_path": ("AICORE_CERT_FILE_PATH",),
    "key_file_path": ("AICORE_KEY_FILE_PATH",),
    "certificate": ("AICORE_CERT_STR",),
    "key": ("AICORE_KEY_STR",),
    "identityzoneid": ("AICORE_IDENTITY_ZONE_ID",),
    "AI_API_URL": ("AICORE_BASE_URL",),
}
_RESOURCE_GROUP: Final = "AICORE_RESOURCE_GROUP"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows itself only when asked to."""

    _text: str

    def reveal(self) -> str:
        """Hand out the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong: where it stands, what it is, and what to write instead."""

    where: str
    what: str

    def under(self, prefix: str) -> "Mistake":
        """Say the same from further out."""
        return Mistake(f"{prefix}.{self.where}" if self.where else prefix, self.what)


class ServiceKeyError(ValueError):
    """A service key cannot be used; `mistakes` says why, all at once."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("; ".join(f"{each.where}: {each.what}" if each.where else each.what for each in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class CertificateText:
    """A client certificate and its private key, as PEM text."""

    certificate: str
    key: Secret


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A client certificate and its private key, in files that may be renewed while the proxy runs."""

    certificate: Path
    key: Path


Proof = Secret | CertificateText | CertificateFiles
"""How a client shows who it is: with a secret, or with an X.509 certificate."""


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What it takes to get a token for one tenant, and where its API is."""

    client_id: str
    proof: Proof
    token_url: str
    """The whole URL of the token endpoint."""
    api_url: str
    """The base of the AI API, with its version and without a trailing slash."""
    tenant: str = ""
    """The identity zone: sent as AI-Tenant-Id where a request names its tenant."""


@dataclass(frozen=True, slots=True)
class Found:
    """A service key from the environment, with what else was said there."""

    key: ServiceKey
    resource_group: str
    source: str


def expand(text: str, env: Mapping[str, str]) -> str:
    """Put in the environment variables that *text* names as `${NAME}`; `$${NAME}` stays as it is, less one dollar."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        if match[1] not in env:
            raise ServiceKeyError(Mistake("", f"the environment variable {match[1]} is not set; set it"))
        return env[match[1]]

    return _REFERENCE.sub(value, text)


class _Reading:
    """Takes texts out of a raw service key and remembers what was wrong with them."""

    def __init__(self, raw: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self._raw = raw
        self._env = env
        self.mistakes: list[Mistake] = []

    def text(self, name: str) -> str:
        """Read one optional text; a mistake leaves it empty."""
        value = self._raw.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(name, f"is {_kind(value)}; write a text in quotes")
            return ""
        try:
            return expand(value, self._env).strip()
        except ServiceKeyError as error:
            self.mistakes.extend(mistake.under(name) for mistake in error.mistakes)
            return ""

    def has(self, name: str) -> bool:
        """Tell whether the key says anything under *name*."""
        return bool(self._raw.get(name))

    def url(self, name: str) -> str:
        """Read one optional URL, without its trailing slash."""
        text = self.text(name).rstrip("/")
        if text and not is_url(text):
            self.wrong(name, "is no URL; write one that starts with https:// and names a host")
        return text

    def wrong(self, where: str, what: str) -> None:
        """Remember one mistake."""
        self.mistakes.append(Mistake(where, what))


def parse(raw: object, *, env: Mapping[str, str], base: Path) -> ServiceKey:
    """Build a service key from its JSON; *base* is the folder that relative paths in it start from."""
    if not isinstance(raw, Mapping):
        raise ServiceKeyError(Mistake("", f"is {_kind(raw)}; write the service key as a JSON object"))
    raw = raw.get("credentials", raw) if "clientid" not in raw else raw
    if not isinstance(raw, Mapping):
        raise ServiceKeyError(Mistake("credentials", f"is {_kind(raw)}; write the service key as a JSON object"))
    reading = _Reading(raw, env)
    client_id = reading.text("clientid")
    if not client_id and not reading.has("clientid"):
        reading.wrong("clientid", "is missing; copy it from the service key in the BTP cockpit")
    proof = _proof(reading, base)
    token_url = _token_url(reading)
    services = raw.get("serviceurls")
    nested = _Reading(services if isinstance(services, Mapping) else {}, env)
    api_url = nested.url("AI_API_URL")
    reading.mistakes.extend(mistake.under("serviceurls") for mistake in nested.mistakes)
    if not nested.has("AI_API_URL"):
        reading.wrong("serviceurls.AI_API_URL", "is missing; copy it from the service key in the BTP cockpit")
    tenant = reading.text("identityzoneid")
    if reading.mistakes or proof is None:
        raise ServiceKeyError(*reading.mistakes)
    return ServiceKey(client_id, proof, token_url, _with_suffix(api_url, _API_VERSION), tenant)


def is_url(text: str) -> bool:
    """Tell whether *text* is an HTTP URL with a host and no blanks."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and not any(c.isspace() for c in text)
            and parts.port != 0
        )
    except ValueError:
        return False


def _proof(reading: _Reading, base: Path) -> Proof | None:
    """Read the one way in which this client shows who it is."""
    before = len(reading.mistakes)
    secret = reading.text("clientsecret")
    text = reading.text("certificate"), reading.text("key")
    files = reading.text("cert_file_path"), reading.text("key_file_path")
    if len(reading.mistakes) > before:
        return None
    given = [bool(secret), any(text), any(files)]
    if sum(given) > 1:
        reading.wrong("clientsecret", "stands beside a certificate, or a certificate is given twice; keep only one")
    elif secret:
        return Secret(secret)
    elif all(text):
        return CertificateText(_pem(text[0]), Secret(_pem(text[1])))
    elif all(files):
        return _files(reading, base, *files)
    elif any(text):
        reading.wrong("key" if text[0] else "certificate", "is missing; a certificate and its key go together")
    elif any(files):
        reading.wrong("key_file_path" if files[0] else "cert_file_path", "is missing; the two files go together")
    else:
        reading.wrong("clientsecret", "is missing; copy it from the service key, or give certificate and key")
    return None


def _files(reading: _Reading, base: Path, certificate: str, key: str) -> CertificateFiles:
    """Locate the two files of a certificate."""
    paths = {"cert_file_path": base / certificate, "key_file_path": base / key}
    for name, path in paths.items():
        if not _is_file(path, unsure=False):
            reading.wrong(name, f"names {path}, and no such file can be found")
    return CertificateFiles(*paths.values())


def _token_url(reading: _Reading) -> str:
    """Choose the token endpoint: a certificate has its own."""
    name = "certurl" if reading.has("certurl") else "url"
    url = reading.url(name)
    if not reading.has(name):
        reading.wrong("url", "is missing; copy it from the service key in the BTP cockpit")
    return _with_suffix(url, _TOKEN_PATH)


def _with_suffix(url: str, suffix: str) -> str:
    return url if url.endswith(suffix) else url + suffix


def _pem(text: str) -> str:
    """Undo the two-character line ends that PEM texts get in environment variables."""
    return text.replace("\\n", "\n").strip() + "\n"


def _kind(value: object) -> str:
    """Name what was found in the words of JSON; the value itself may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case _:
            return "a list"


def read_file(path: Path, *, env: Mapping[str, str]) -> ServiceKey:
    """Read a service key from a JSON file."""
    return parse(load_json(path), env=env, base=path.parent)


def load_json(path: Path, twice: Callable[[str], object] = lambda _: None) -> Any:
    """Read one JSON file; what is wrong with it is said without quoting it. *twice* hears of keys that are repeated."""

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, number in Counter(key for key, _ in pairs).items():
            if number > 1:
                twice(key)
        return dict(pairs)

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=as_object)
    except FileNotFoundError:
        raise ServiceKeyError(Mistake("", f"there is no file {path}; correct the path")) from None
    except OSError as error:
        raise ServiceKeyError(Mistake("", f"cannot read {path}: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ServiceKeyError(Mistake("", f"{path} is no UTF-8 text; save it as UTF-8")) from None
    except json.JSONDecodeError as error:
        raise ServiceKeyError(
            Mistake("", f"{path} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}")
        ) from None


def home_folder() -> Path | None:
    """Name the home of whoever runs this; a container may run it for a user who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def find(env: Mapping[str, str], home: Path | None) -> Found | None:
    """Look for a service key where SAP's own tools do; the first place that has anything wins.

    In this order: AICORE_SERVICE_KEY, the AICORE_* variables, the configuration file of SAP's tools, VCAP_SERVICES.
    """
    file, values = _config_file(env, home)
    group = env.get(_RESOURCE_GROUP) or values.get(_RESOURCE_GROUP) or "default"
    places = (
        ("AICORE_SERVICE_KEY", _whole_key(env)),
        ("the AICORE_* variables", _key_from(env)),
        (str(file), _key_from(values)),
        ("VCAP_SERVICES", _bound(env)),
    )
    for source, raw in places:
        if not raw:
            continue
        try:
            return Found(parse(raw, env=env, base=file.parent if source == str(file) else Path()), group, source)
        except ServiceKeyError as error:
            raise ServiceKeyError(*(mistake.under(source) for mistake in error.mistakes)) from None
    return None


def _whole_key(env: Mapping[str, str]) -> Any:
    return _json_variable(env, "AICORE_SERVICE_KEY")


def _json_variable(env: Mapping[str, str], name: str) -> Any:
    """Read a variable that holds JSON; nothing when it is not set."""
    if not env.get(name, "").strip():
        return None
    try:
        return json.loads(env[name])
    except json.JSONDecodeError as error:
        raise ServiceKeyError(Mistake(name, f"is no JSON: {error.msg} at column {error.colno}")) from None


def _key_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """Build a raw service key from AICORE_* names; empty when none is there."""
    raw: dict[str, Any] = {}
    for name, variables in _FROM_ENVIRONMENT.items():
        value = next((values[variable] for variable in variables if values.get(variable)), None)
        if value is not None:
            raw[name] = value
    if "AI_API_URL" in raw:
        raw["serviceurls"] = {"AI_API_URL": raw.pop("AI_API_URL")}
    return raw


def _config_file(env: Mapping[str, str], home: Path | None) -> tuple[Path, Mapping[str, Any]]:
    """Read the configuration file of SAP's tools; an explicitly named one must exist."""
    named, aside = env.get("AICORE_CONFIG"), env.get("AICORE_HOME")
    if not (named or aside or home):
        return Path(), {}
    folder = Path(aside) if aside else (home or Path()) / ".aicore"
    profile = env.get("AICORE_PROFILE", "")
    plain = profile in {"", "default"}
    path = Path(named) if named else folder / ("config.json" if plain else f"config_{profile}.json")
    if not named and plain and not _is_file(path, unsure=bool(aside)):
        return path, {}
    values = load_json(path)
    if not isinstance(values, Mapping):
        raise ServiceKeyError(Mistake(str(path), f"is {_kind(values)}; write an object of AICORE_* names"))
    return path, values


def _is_file(path: Path, *, unsure: bool) -> bool:
    """Tell whether there is a file; *unsure* is the answer where nobody may look."""
    try:
        return path.is_file()
    except OSError:
        return unsure


def _bound(env: Mapping[str, str]) -> Any:
    """Read the credentials of the first AI Core instance bound to a Cloud Foundry application."""
    services = _json_variable(env, "VCAP_SERVICES")
    match services:
        case {"aicore": [{"credentials": credentials}, *_]}:
            return credentials
        case _:
            return None
