"""The trusted authorities of TLS: from `certifi`, from files, or from the operating system through `truststore`."""

import ssl
from pathlib import Path

import certifi

from gateway.config.network import Trust
from gateway.upstream.background import is_out_of_descriptors
from gateway.upstream.unreachable import TrustUnusableError


class TrustStore:
    """Builds TLS contexts when they are first needed. If two threads build one at once, both are valid."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return the shared context, which must not be changed; raises `OSError` if the authorities cannot be read."""
        if self._context is None:
            self._context = self.new_context()
        return self._context

    def new_context(self) -> ssl.SSLContext:
        """Build a new context, to which a client certificate may be added; raises `OSError` as `context` does."""
        try:
            context = self._loaded()
        except OSError as error:
            if is_out_of_descriptors(error):
                raise
            unusable = TrustUnusableError(self._trust.named_in)
        else:
            context.set_alpn_protocols(["http/1.1"])
            if self._trust.strict is not None:
                rest = context.verify_flags & ~ssl.VERIFY_X509_STRICT
                context.verify_flags = rest | ssl.VERIFY_X509_STRICT if self._trust.strict else rest
            return context
        # Raised outside of the handler: OpenSSL's error as a cause would look like a failure of the server.
        raise unusable

    def _loaded(self) -> ssl.SSLContext:
        bundles = list(self._trust.bundles)
        if self._trust.store == "system":
            context = _of_system()
        else:
            first = Path(certifi.where()) if self._trust.store == "certifi" else bundles.pop(0)
            context = ssl.create_default_context(cafile=_file(first), capath=_folder(first))
        for each in bundles:
            context.load_verify_locations(cafile=_file(each), capath=_folder(each))
        return context


def _of_system() -> ssl.SSLContext:
    """Build a context that trusts the authorities of the operating system.

    It verifies the certificate at the end of the handshake, and also works with non-blocking sockets.
    """
    import truststore  # noqa: PLC0415 - imported only if it is used

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _file(path: Path) -> str | None:
    return None if path.is_dir() else str(path)


def _folder(path: Path) -> str | None:
    return str(path) if path.is_dir() else None
