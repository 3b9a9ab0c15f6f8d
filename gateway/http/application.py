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
from gateway.requests.lifetime import Lifetime


class ModelName(PathConverter):
    """A model's name in a path: any characters, so that one that no model can have is refused as such."""

    regex = "[^/](?s:.)*?"


class Verb(BaseConverter):
    """What Google's paths ask of a model; letters alone, so that a path full of colons is read once."""

    regex = "[a-zA-Z]+"


class Request(flask.Request):
    """A request, with what is known about it before a view is called."""

    blueprints: list[str] = []  # noqa: RUF012 - there are none, and Flask asks three times
    lifetime: Lifetime
    fields: Mapping[str, str]
    """Its headers, names in lower case."""
    caller = ANONYMOUS_CALLER
    place: Place | None = None
    """Its place among the requests in progress, once it has one."""
    asked: object = None
    """The model that its body names."""


def current_request() -> Request:
    """Return the request of this thread, which is faster than looking up `flask.request` at each use."""
    request: Request = flask.request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - as Flask documents it
    return request


class _NoSessions(SessionInterface):
    """No session is read from a request, and none is saved."""

    _SESSION: Final = NullSession()

    def open_session(self, app: flask.Flask, request: flask.Request) -> NullSession:  # noqa: ARG002 - Flask's signature
        """Give the session that refuses to be written to."""
        return self._SESSION


class _Rule(Rule):
    """A path of which no URL is made, as nobody asks for one: to compile what makes them took half of `create_app`."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: ARG002 - its signature
        return _make_no_url


def _make_no_url(*_: object, **__: object) -> tuple[str, str]:
    raise ValidationError


class _Adapter(MapAdapter):
    """Matches the URL of a request; the rule of a path without variables is looked up in *known* from then on."""

    known: dict[tuple[str, str], Rule]

    def match(self, *args: Any, **how: Any) -> Any:
        """Find the rule, and the variables of the path."""
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
    """Flask without sessions and coroutines, and without a check of the host, which only redirects use."""

    request_class = Request
    session_interface = _NoSessions()
    url_rule_class = _Rule

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name, static_folder=None)
        self.known_paths: dict[tuple[str, str], Rule] = {}
        """The rules of the paths without variables that were asked for, by path and method."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give *func* as it is: none here is a coroutine, so none is asked whether it is."""
        return func

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Bind the URL map to *request*."""
        if request is None:
            return super().create_url_adapter(None)
        environ = request.environ
        host = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        adapter = _Adapter(self.url_map, host, "/", "", environ["wsgi.url_scheme"], request.path, method, query)
        adapter.known = self.known_paths
        return adapter

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call the listeners that wait for the end of a request, if there are any."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)


class _ComposedHeaders(Headers):
    """Headers that are not checked for line breaks here, because the server checks them."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._list = list(headers)


class _Pieces:
    """The chunks of a response, and a function to call after the last; five times as fast as `ClosingIterator`."""

    __slots__ = ("_pieces", "close")

    def __init__(self, pieces: Iterable[bytes], close: Callable[[], None]) -> None:
        self._pieces = pieces
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


class EventStream(flask.Response):
    """A response of server-sent events, which no proxy between here and the client may cache or buffer."""

    def __init__(self, events: Iterable[bytes]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, mimetype="text/event-stream", headers=headers)


class JSONResponse(flask.Response):
    """A response of JSON whose headers are complete, so that nothing is looked for in them."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        framed = ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
        super().__init__([body], status, _ComposedHeaders([*headers.items(), *framed]))

    def get_wsgi_headers(self, _environ: Any) -> Headers:
        """Give the headers as they are."""
        return self.headers

    def get_app_iter(self, environ: Any) -> Iterable[bytes]:
        """Give the body, of which a client that asked with HEAD gets nothing."""
        return _Pieces(() if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded(), self.close)
