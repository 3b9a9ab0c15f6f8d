"""Service keys of SAP AI Core: how they are found and checked, and how their secrets are kept out of logs."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config.mistakes import Mistake, ServiceKeyError, kind, why_no_json

_REFERENCE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a password
_API_VERSION = "/v2"

_FROM_ENVIRONMENT: Final = {
    # key of a service key   the variable that holds it
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
"""The kinds of a client's credentials, each with the keys of the service key that it needs."""
SECRET_KEYS: Final = frozenset({"clientsecret", "certificate", "key"})
"""The keys of a service key whose values are secret."""
_UNSENDABLE: Final = "has a character that no header can carry; copy it again from the service key in the BTP cockpit"
_MISSING: Final = "is missing; copy it from the service key in the BTP cockpit"


@dataclass(frozen=True, slots=True)
class Secret:
    """A string that is hidden in `repr`, and so in logs and error messages."""

    _text: str

    def reveal(self) -> str:
        """Return the string itself."""
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
"""The credentials of a client: a secret or an X.509 certificate."""


def secret_of(proof: Proof) -> str:
    """Return the secret part of the credentials; an empty string if it is in a file that cannot be read."""
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
    """The credentials that obtain tokens of one tenant, and the URL of its API."""

    client_id: str
    proof: Proof
    token_url: str
    """The complete URL of the token endpoint."""
    api_url: str
    """The base URL of the AI API, with its version and without a trailing slash."""
    tenant: str = ""
    """The identity zone, which is sent as AI-Tenant-Id in requests that name their tenant."""


def is_same_tenant(one: ServiceKey, other: ServiceKey) -> bool:
    """Return whether two service keys belong to the same tenant."""
    same_tenant = bool(one.tenant) and one.tenant == other.tenant
    return one.api_url == other.api_url and (same_tenant or one.token_url == other.token_url)


@dataclass(frozen=True, slots=True)
class Found:
    """A service key from the environment, and the resource group that is configured there."""

    key: ServiceKey
    resource_group: str
    source: str = ""
    """The variable or the file that holds the key, for messages."""
    file: Path | None = None
    """The file that holds the key, if it is in one."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `${NAME}` in *text* with that environment variable; `$${NAME}` becomes `${NAME}`.

    Raises `ServiceKeyError` if the variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        if match[1] not in env:
            raise ServiceKeyError(Mistake("", f"the environment variable {match[1]} is not set; set it"))
        return env[match[1]]

    return _REFERENCE.sub(value, text)


class _KeyReader:
    """Reader of the strings in one service key; it collects what is wrong in `mistakes`."""

    def __init__(self, raw: Mapping[str, Any], env: Mapping[str, str]) -> None:
        services = raw.get("serviceurls")
        self._raw = {**raw, _API_URL: services.get("AI_API_URL") if isinstance(services, Mapping) else None}
        self._env = env
        self.mistakes: list[Mistake] = []

    def text(self, name: str, *, required: bool = False) -> str:
        """Read one string; return an empty string if it is missing or has a mistake."""
        value = self._raw.get(name)
        if required and value in (None, ""):
            self.wrong(name, _MISSING)
        elif isinstance(value, str):
            try:
                return self._whole(name, expand(value, self._env).strip())
            except ServiceKeyError as error:
                self.mistakes.extend(mistake.under(name) for mistake in error.mistakes)
        elif value is not None:
            self.wrong(name, f"must be a string, not {kind(value)}; write it in quotes")
        return ""

    def _whole(self, name: str, text: str) -> str:
        """Return *text*, which can be sent only if it has no half of a surrogate pair; report it if it has one."""
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self.wrong(name, "has half of a character; copy it again from the service key in the BTP cockpit")
        return text

    def url(self, name: str, suffix: str) -> str:
        """Read one required URL, and append *suffix* if it does not end with it."""
        text = self.text(name, required=True).rstrip("/")
        if text and not is_url(text):
            self.wrong(name, "is not a URL; write one that starts with https:// and names a host")
        return text if text.endswith(suffix) else text + suffix

    def token_url(self) -> str:
        """Read the URL of the token endpoint. A service key with a certificate has a URL of its own for it."""
        return self.url("certurl" if self._raw.get("certurl") else "url", _TOKEN_PATH)

    def proof(self, base: Path) -> Proof | None:
        """Read the credentials of the client, which must be of exactly one kind; None if they have a mistake."""
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
    """Build a service key from its JSON; *base* is the folder for relative paths in it. Raises `ServiceKeyError`."""
    whole = _as_object(raw, "")
    reader = _KeyReader(
        whole if "clientid" in whole else _as_object(whole.get("credentials", whole), "credentials"), env
    )
    client_id = reader.text("clientid", required=True)
    proof = reader.proof(base)
    token_url = reader.token_url()
    api_url = reader.url(_API_URL, _API_VERSION)
    tenant = reader.text("identityzoneid")
    if not (tenant.isascii() and tenant.isprintable()):
        reader.wrong("identityzoneid", _UNSENDABLE)
    if reader.mistakes or proof is None:
        raise ServiceKeyError(*reader.mistakes)
    return ServiceKey(client_id, proof, token_url, api_url, tenant)


def _as_object(raw: object, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ServiceKeyError(Mistake(where, f"must be an object, not {kind(raw)}; write the service key in braces"))
    return raw


def is_url(text: str) -> bool:
    """Return whether *text* is an HTTP URL with a host and without blanks."""
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
    """Replace each backslash with a following n by a line break, for PEM texts from environment variables."""
    return text.replace("\\n", "\n").strip() + "\n"


def is_service_key(raw: object) -> bool:
    """Return whether a JSON value is a service key, even one with mistakes."""
    match raw:
        case {"clientid": str()} | {"credentials": {"clientid": str()}}:
            return True
        case _:
            return False


def read_file(path: Path, *, env: Mapping[str, str]) -> ServiceKey:
    """Read a service key from a JSON file. Raises `ServiceKeyError`."""
    return parse(load_json(path), env=env, base=path.parent)


def load_json(path: Path, twice: Callable[[str], object] = lambda _: None) -> Any:
    """Read one JSON file, and call *twice* with each key that is repeated in an object.

    Raises `ServiceKeyError`; its message does not quote the file.
    """

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
    except (ValueError, RecursionError) as error:
        raise ServiceKeyError(Mistake("", f"{path} is not valid JSON: {why_no_json(error)}")) from None


def home_folder() -> Path | None:
    """Return the home folder of the current user; None if the user has none, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def find(env: Mapping[str, str], home: Path | None) -> Found | None:
    """Find a service key where SAP's own tools look for one. The first place that has a key is used.

    The order is AICORE_SERVICE_KEY, the AICORE_* variables, the configuration file of SAP's tools, VCAP_SERVICES.
    Raises `ServiceKeyError`.
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
            own = file if source == str(file) else None
            return Found(parse(raw, env=env, base=own.parent if own else Path()), group, source, own)
        except ServiceKeyError as error:
            raise ServiceKeyError(*(mistake.under(source) for mistake in error.mistakes)) from None
    return None


def _json_variable(env: Mapping[str, str], name: str) -> Any:
    """Parse a variable that holds JSON; None if it is not set."""
    if not env.get(name, "").strip():
        return None
    try:
        return json.loads(env[name])
    except (ValueError, RecursionError) as error:
        raise ServiceKeyError(Mistake(name, f"is not valid JSON: {why_no_json(error)}")) from None


def _key_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """Build an unchecked service key from the AICORE_* names in *values*; empty if there are none."""
    raw = {name: values[variable] for name, variable in _FROM_ENVIRONMENT.items() if values.get(variable)}
    if "AI_API_URL" in raw:
        raw["serviceurls"] = {"AI_API_URL": raw.pop("AI_API_URL")}
    return raw


def _config_file(env: Mapping[str, str], home: Path | None) -> tuple[Path, Mapping[str, Any]]:
    """Read the configuration file of SAP's tools. A file that a variable names explicitly must exist."""
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
    """Return whether a file exists; *unsure* if that cannot be determined, for example for lack of permission."""
    try:
        return path.is_file()
    except OSError:
        return unsure


def _bound(env: Mapping[str, str]) -> Any:
    """Return the credentials of the first AI Core instance that is bound to a Cloud Foundry application."""
    services = _json_variable(env, "VCAP_SERVICES")
    match services:
        case {"aicore": [{"credentials": credentials}, *_]}:
            return credentials
        case _:
            return None
