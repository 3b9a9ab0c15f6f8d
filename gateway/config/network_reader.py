"""Reader of the network settings: from the config file, or else from the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.config.mistakes import Findings
from gateway.config.network import NO_PROXY, PROXY, Network, Proxies, Proxy, Trust
from gateway.config.schema import NO_PROXY_AT_ALL, UpstreamSection, proxy_url
from gateway.config.service_keys import Secret

_FOR_TLS: Final = ("https_proxy", "all_proxy")
_FOR_OTHERS: Final = ("http_proxy", "all_proxy")
_FOLDERS: Final = "SSL_CERT_DIR"
"""The environment variable that may list several folders."""
_BUNDLES: Final = (("REQUESTS_CA_BUNDLE",), ("CURL_CA_BUNDLE",), ("SSL_CERT_FILE", _FOLDERS))
"""The environment variables that name trusted certificates. The first group with a variable that is set is used."""
_INSTEAD: Final = f'; set {PROXY} to one, or to "{NO_PROXY_AT_ALL}"'


def read_network(section: UpstreamSection, findings: Findings) -> Network:
    """Read the network settings; report unusable values to *findings*."""
    return Network(_proxies(section, findings), _trust(section, findings))


def _proxies(section: UpstreamSection, findings: Findings) -> Proxies:
    variable, listed = _variable(findings.env, "no_proxy")
    exempt, exempt_in = tuple(listed.replace(",", " ").split()), variable or NO_PROXY
    if section.no_proxy is not None:
        exempt, exempt_in = tuple(section.no_proxy), NO_PROXY
    loopback = section.proxy_loopback
    if section.proxy is None:
        https, http = _named(_FOR_TLS, findings), _named(_FOR_OTHERS, findings)
        return Proxies(https, http, exempt, exempt_in, loopback=loopback)
    if section.proxy == NO_PROXY_AT_ALL:
        return Proxies(unused=next(filter(None, (_variable(findings.env, each)[0] for each in _FOR_TLS)), ""))
    own = Proxy(Secret(section.proxy))
    return Proxies(own, own, exempt, exempt_in, loopback=loopback)


def _named(names: tuple[str, ...], findings: Findings) -> Proxy | None:
    """Return the proxy in the first of some variables that is set, or None; report a proxy that cannot be used."""
    for each in names:
        name, text = _variable(findings.env, each)
        if not text:
            continue
        url = text if "://" in text else f"http://{text}"
        try:
            return Proxy(Secret(proxy_url(url)), name)
        except ValueError as error:
            what = f"does not name an HTTP proxy that can be used, so the proxy uses none: the value {error}{_INSTEAD}"
            if all(what not in line for line in findings.warnings):
                findings.odd(name, what)
            return None
    return None


def _trust(section: UpstreamSection, findings: Findings) -> Trust:
    own = findings.file(section.ca_bundle, "upstream.ca_bundle")
    if section.trust is not None or section.ca_bundle is not None:
        return Trust(section.trust, (own,) if own else (), section.strict_certificates)
    for names in _BUNDLES:
        found = {name: paths for name in names if (paths := _paths(name, findings))}
        if found:
            bundles = tuple(path for paths in found.values() for path in paths)
            return Trust(None, bundles, section.strict_certificates, " and ".join(found))
    return Trust(strict=section.strict_certificates)


def _paths(name: str, findings: Findings) -> list[Path]:
    """Return the file or the folders that the variable *name* lists; report those that do not exist."""
    text = findings.env.get(name, "").strip()
    named = [Path(each) for each in (text.split(os.pathsep) if name == _FOLDERS else [text]) if each]
    found = [path for path in named if path.exists()]
    if len(found) < len(named):
        findings.odd(name, "names certificates that do not exist, so it has no effect; correct the path, or unset it")
    return found


def _variable(env: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the name and the value of an environment variable, in lower case or else in capitals.

    Both are empty if neither is set. As in curl, an empty variable in lower case hides the one in capitals.
    """
    for each in (name, name.upper()):
        if each in env:
            text = env[each].strip()
            return (each, text) if text else ("", "")
    return "", ""
