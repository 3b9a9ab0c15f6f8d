"""The path of the OpenAPI document, and the routes that it describes."""

from collections.abc import Iterator

from dialects.framing.json_text import dumps_bytes
from gateway.http.application import Application, JSONResponse

_NOT_DESCRIBED = frozenset({"HEAD", "OPTIONS"})
"""The methods that Flask adds to routes by itself."""


def add_openapi(app: Application) -> None:
    """Add `/openapi.json`. The document is built for each request, since hardly anybody asks for it twice."""

    @app.get("/openapi.json")
    def openapi() -> JSONResponse:
        from gateway.http.openapi.document import describe  # noqa: PLC0415 - it costs memory, and few ask for it

        return JSONResponse(dumps_bytes(describe(routes(app))), 200, {})


def routes(app: Application) -> Iterator[tuple[str, str, str]]:
    """Yield each method of each route: the pattern of the path, the name of the view, and the method."""
    for rule in app.url_map.iter_rules():
        automatic = _NOT_DESCRIBED if getattr(rule, "provide_automatic_options", True) else {"HEAD"}
        for method in (rule.methods or set()) - automatic:
            yield rule.rule, rule.endpoint, method
