"""Flask without the features that this proxy does not use, so that each request costs less."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import flask
from flask.sessions import NullSession, SessionInterface
from flask.signals import request_tearing_down
from werkzeug.datastructures import Headers
from werkzeug.routing import BaseConverter, MapAdapter, PathConverter, Rule, ValidationError

from gateway.http.admission import Place
from gateway.http.auth import ANONYMOUS_CALLER
from gateway.http.security_headers import PRIVATE
from gateway.requests.lifetime import Lifetime


class ModelName(PathConverter):
    """The name of a model in a path. It matches any characters, so that an impossible name is refused as a model."""

    regex = "[^/](?s:.)*?"


class Verb(BaseConverter):
    """The method in Google's paths.

    It matches letters only, so that a path with many colons is matched in linear time.
    """

    regex = "[a-zA-Z]+"


class Request(flask.Request):
    """A request with the data that is collected before its view is called."""

    blueprints: list[str] = []  # noqa: RUF012 - there are none, and Flask reads them three times
    lifetime: Lifetime
    fields: Mapping[str, str]
    """The headers, with their names in lower case."""
    caller = ANONYMOUS_CALLER
    place: Place | None = None
    """The request's place among those in progress, once it has one."""
    body_limit = 0
    """The maximum size of the body in bytes."""
    asked: object = None
    """The value of `model` in the body."""


def current_request() -> Request:
    """Return the request of this thread, which is faster than looking up `flask.request` at each use."""
    request: Request = flask.request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - as Flask documents it
    return request


class _NoSessions(SessionInterface):
    """A session interface that reads and saves no sessions."""

    _SESSION: Final = NullSession()

    def open_session(self, app: flask.Flask, request: flask.Request) -> NullSession:  # noqa: ARG002 - Flask's signature
        """Return the session that cannot be modified."""
        return self._SESSION


class _Rule(Rule):
    """A URL rule from which no URLs can be built.

    The proxy builds none, and compiling the builders took half of `create_app`.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: ARG002 - its signature
        return _make_no_url


def _make_no_url(*_: object, **__: object) -> tuple[str, str]:
    raise ValidationError


class _Adapter(MapAdapter):
    """An adapter that caches in *known* the rules of paths without variables."""

    known: dict[tuple[str, str], Rule]

    def match(self, *args: Any, **how: Any) -> Any:
        """Return the rule of the path, and the variables in it."""
        if args or how != {"return_rule": True}:
            return super().match(*args, **how)
        path = self.path_info, self.default_method
        if (rule := self.known.get(path)) is not None:
            return rule, {}
        rule, variables = super().match(return_rule=True)
        if not variables:
            self.known[path] = rule
        return rule, variables


class Application(flask.Flask):
    """Flask without sessions, coroutines and the check of the host, which it needs only for redirects."""

    request_class = Request
    session_interface = _NoSessions()
    url_rule_class = _Rule

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name, static_folder=None)
        self.known_paths: dict[tuple[str, str], Rule] = {}
        """The cached rules of paths without variables, by path and method."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return *func* unchanged. No view is a coroutine, so the check for one is skipped."""
        return func

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return an adapter that matches the URL of *request*."""
        if request is None:
            return super().create_url_adapter(None)
        environ = request.environ
        host = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        adapter = _Adapter(self.url_map, host, "/", "", environ["wsgi.url_scheme"], request.path, method, query)
        adapter.known = self.known_paths
        return adapter

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call the teardown functions of the request, if there are any."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)


class _ComposedHeaders(Headers):
    """Headers that are not checked for line breaks, because the server checks them."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._list = list(headers)


class _Pieces:
    """The chunks of a response, and a function to call after the last.

    It is five times as fast as `ClosingIterator`.
    """

    __slots__ = ("_pieces", "close")

    def __init__(self, pieces: Iterable[bytes], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def make_private(response: flask.Response) -> None:
    """Add the headers of answers that are no files to *response*; JSON responses and files have their own."""
    if not isinstance(response, JSONResponse) and "Cache-Control" not in response.headers:
        response.headers.extend(PRIVATE)


class EventStream(flask.Response):
    """A response of server-sent events, which proxies on the way to the client must not buffer."""

    def __init__(self, events: Iterable[bytes]) -> None:
        super().__init__(events, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


class JSONResponse(flask.Response):
    """A JSON response whose headers are already complete, so that Flask need not inspect them."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        framed = ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
        super().__init__([body], status, _ComposedHeaders([*headers.items(), *framed, *PRIVATE]))

    def get_wsgi_headers(self, _environ: Any) -> Headers:
        """Return the headers unchanged."""
        return self.headers

    def get_app_iter(self, environ: Any) -> Iterable[bytes]:
        """Return the chunks of the body; none for a HEAD request."""
        return _Pieces(() if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded(), self.close)
