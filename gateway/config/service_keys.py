"""Service keys of SAP AI Core: read from anywhere SAP's own tools read them, checked, and kept out of sight."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config.mistakes import Mistake, ServiceKeyError, kind

_REFERENCE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a password
_API_VERSION = "/v2"

_FROM_ENVIRONMENT: Final = {
    # key of a service key   the variable that carries it
    "clientid": "AICORE_CLIENT_ID",
    "clientsecret": "AICORE_CLIENT_SECRET",
    "url": "AICORE_AUTH_URL",
    "certurl": "AICORE_CERT_URL",
    "cert_file_path": "AICORE_CERT_FILE_PATH",
    "key_file_path": "AICORE_KEY_FILE_PATH",
    "certificate": "AICORE_CERT_STR",
    "key": "AICORE_KEY_STR",
    "identityzoneid": "AICORE_IDENTITY_ZONE_ID",
    "AI_API_URL": "AICORE_BASE_URL",
}
_RESOURCE_GROUP: Final = "AICORE_RESOURCE_GROUP"
_API_URL: Final = "serviceurls.AI_API_URL"
_CREDENTIALS: Final = (("clientsecret",), ("certificate", "key"), ("cert_file_path", "key_file_path"))
"""The kinds of credentials of a client, each with the keys of a service key that it needs."""
SECRET_KEYS: Final = frozenset({"clientsecret", "certificate", "key"})
"""The keys of a service key whose values nobody is shown."""
_MISSING: Final = "is missing; copy it from the service key in the BTP cockpit"


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
"""The credentials of a client: a secret, or an X.509 certificate."""


def secret_of(proof: Proof) -> str:
    """Give what only this client knows; nothing if it is in a file that cannot be read."""
    match proof:
        case Secret():
            return proof.reveal()
        case CertificateText(_, key):
            return key.reveal()
        case CertificateFiles(_, path):
            try:
                return path.read_text(encoding="utf-8")
            except (OSError, ValueError):
                return ""


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The credentials for the tokens of one tenant, and the URL of its API."""

    client_id: str
    proof: Proof
    token_url: str
    """The whole URL of the token endpoint."""
    api_url: str
    """The base of the AI API, with its version and without a trailing slash."""
    tenant: str = ""
    """The identity zone: sent as AI-Tenant-Id where a request names its tenant."""


def is_same_tenant(one: ServiceKey, other: ServiceKey) -> bool:
    """Tell whether two service keys belong to the same tenant."""
    same_tenant = bool(one.tenant) and one.tenant == other.tenant
    return one.api_url == other.api_url and (same_tenant or one.token_url == other.token_url)


@dataclass(frozen=True, slots=True)
class Found:
    """A service key from the environment, with what else was said there."""

    key: ServiceKey
    resource_group: str
    source: str = ""
    """Where it was found, for people."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `${NAME}` in *text* with that environment variable; `$${NAME}` becomes `${NAME}`."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        if match[1] not in env:
            raise ServiceKeyError(Mistake("", f"the environment variable {match[1]} is not set; set it"))
        return env[match[1]]

    return _REFERENCE.sub(value, text)


class _KeyReader:
    """Reads the strings of one service key; `mistakes` says what is wrong with them."""

    def __init__(self, raw: Mapping[str, Any], env: Mapping[str, str]) -> None:
        services = raw.get("serviceurls")
        self._raw = {**raw, _API_URL: services.get("AI_API_URL") if isinstance(services, Mapping) else None}
        self._env = env
        self.mistakes: list[Mistake] = []

    def text(self, name: str, *, required: bool = False) -> str:
        """Read one string; one that has a mistake or is not there is empty."""
        value = self._raw.get(name)
        if required and value in (None, ""):
            self.wrong(name, _MISSING)
        elif isinstance(value, str):
            try:
                return expand(value, self._env).strip()
            except ServiceKeyError as error:
                self.mistakes.extend(mistake.under(name) for mistake in error.mistakes)
        elif value is not None:
            self.wrong(name, f"must be a string, not {kind(value)}; write it in quotes")
        return ""

    def url(self, name: str, suffix: str) -> str:
        """Read one URL that must be there, and give it the *suffix* that it lacks."""
        text = self.text(name, required=True).rstrip("/")
        if text and not is_url(text):
            self.wrong(name, "is not a URL; write one that starts with https:// and names a host")
        return text if text.endswith(suffix) else text + suffix

    def token_url(self) -> str:
        """Read the URL of the token endpoint: a certificate has its own."""
        return self.url("certurl" if self._raw.get("certurl") else "url", _TOKEN_PATH)

    def proof(self, base: Path) -> Proof | None:
        """Read the credentials of this client, which must be of one kind."""
        before = len(self.mistakes)
        texts = {name: self.text(name) for names in _CREDENTIALS for name in names}
        if len(self.mistakes) > before:
            return None
        given = [names for names in _CREDENTIALS if any(texts[name] for name in names)]
        absent = [name for names in given for name in names if not texts[name]]
        secret, certificate, key, *files = texts.values()
        if not given:
            self.wrong("clientsecret", "is missing; copy it from the service key, or give certificate and key")
        elif len(given) > 1:
            self.wrong(
                "clientsecret", "is given beside a certificate, or a certificate is given twice; keep only one of them"
            )
        elif absent:
            self.wrong(absent[0], f"is missing; {' and '.join(given[0])} must be given together")
        elif secret:
            return Secret(secret)
        elif certificate:
            return CertificateText(_pem(certificate), Secret(_pem(key)))
        else:
            return self._files(*(base / file for file in files))
        return None

    def _files(self, *paths: Path) -> CertificateFiles:
        for name, path in zip(_CREDENTIALS[-1], paths, strict=True):
            if not _is_file(path, unsure=False):
                self.wrong(name, f"names {path}, which does not exist; correct the path")
        return CertificateFiles(*paths)

    def wrong(self, where: str, what: str) -> None:
        """Report one mistake."""
        self.mistakes.append(Mistake(where, what))


def parse(raw: object, *, env: Mapping[str, str], base: Path) -> ServiceKey:
    """Build a service key from its JSON; *base* is the folder that relative paths in it start from."""
    whole = _as_object(raw, "")
    reader = _KeyReader(
        whole if "clientid" in whole else _as_object(whole.get("credentials", whole), "credentials"), env
    )
    client_id = reader.text("clientid", required=True)
    proof = reader.proof(base)
    token_url = reader.token_url()
    api_url = reader.url(_API_URL, _API_VERSION)
    tenant = reader.text("identityzoneid")
    if reader.mistakes or proof is None:
        raise ServiceKeyError(*reader.mistakes)
    return ServiceKey(client_id, proof, token_url, api_url, tenant)


def _as_object(raw: object, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ServiceKeyError(Mistake(where, f"must be an object, not {kind(raw)}; write the service key in braces"))
    return raw


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


def _pem(text: str) -> str:
    """Undo the two-character line ends that PEM texts get in environment variables."""
    return text.replace("\\n", "\n").strip() + "\n"


def is_service_key(raw: object) -> bool:
    """Tell whether some JSON is a service key, whatever is wrong with it."""
    match raw:
        case {"clientid": str()} | {"credentials": {"clientid": str()}}:
            return True
        case _:
            return False


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
        raise ServiceKeyError(Mistake("", f"{path} is not UTF-8 text; save it as UTF-8")) from None
    except json.JSONDecodeError as error:
        raise ServiceKeyError(
            Mistake("", f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}")
        ) from None


def home_folder() -> Path | None:
    """Name the home of whoever runs this; a container may run it for a user who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def find(env: Mapping[str, str], home: Path | None) -> Found | None:
    """Look for a service key where SAP's own tools do; the first place that has one is used.

    In this order: AICORE_SERVICE_KEY, the AICORE_* variables, the configuration file of SAP's tools, VCAP_SERVICES.
    """
    file, values = _config_file(env, home)
    group = env.get(_RESOURCE_GROUP) or values.get(_RESOURCE_GROUP) or "default"
    places = (
        ("AICORE_SERVICE_KEY", _json_variable(env, "AICORE_SERVICE_KEY")),
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


def _json_variable(env: Mapping[str, str], name: str) -> Any:
    """Read a variable that holds JSON; nothing when it is not set."""
    if not env.get(name, "").strip():
        return None
    try:
        return json.loads(env[name])
    except json.JSONDecodeError as error:
        raise ServiceKeyError(Mistake(name, f"is not valid JSON: {error.msg} at column {error.colno}")) from None


def _key_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """Build a raw service key from AICORE_* names; empty when none is there."""
    raw = {name: values[variable] for name, variable in _FROM_ENVIRONMENT.items() if values.get(variable)}
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
        raise ServiceKeyError(Mistake(str(path), f"must be an object of AICORE_* names, not {kind(values)}"))
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
