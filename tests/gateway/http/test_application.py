"""What Flask does for an application that leaves out what nobody asks for."""

import flask
import pytest
from werkzeug.routing import BuildError
from werkzeug.test import EnvironBuilder

from gateway.http.application import Application, JSONResponse, ModelName, current_request
from gateway.http.security_headers import PRIVATE


@pytest.fixture
def app() -> Application:
    made = Application(__name__)
    made.url_map.converters["model"] = ModelName

    @made.get("/static")
    def static() -> flask.Response:
        current_request().view_args["left"] = "behind"
        return JSONResponse(b"{}", 200, {"X-A": "b"})

    @made.get("/models/<model:name>")
    def model(name: str) -> flask.Response:
        return JSONResponse(name.encode(), 200, {})

    return made


def test_a_path_leads_to_the_same_view_however_often_it_is_asked_for(app: Application) -> None:
    client = app.test_client()
    first, second, refused = client.get("/static"), client.get("/static"), client.post("/static")
    again = client.get("/static")

    assert [each.status_code for each in (first, second, refused, again)] == [200, 200, 405, 200]
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_only_paths_without_variables_are_remembered(app: Application) -> None:
    client = app.test_client()
    answers = [client.get(path).data for path in ("/static", "/models/a/b", "/models/c", "/unknown", "/models/d")]

    assert (answers[1], answers[2]) == (b"a/b", b"c")
    assert set(app.known_paths) == {("/static", "GET")}


def test_no_request_finds_the_variables_of_another(app: Application) -> None:
    found = []
    app.before_request(lambda: found.append(dict(current_request().view_args)))
    for _ in range(3):
        app.test_client().get("/static")

    assert found == [{}] * 3


def test_what_is_to_happen_when_a_request_is_over_happens(app: Application) -> None:
    over = []
    app.teardown_request(over.append)
    app.test_client().get("/static")

    assert over == [None]


def test_there_are_no_sessions_to_write_to(app: Application) -> None:
    app.secret_key = "known"
    with app.test_request_context("/static"), pytest.raises(RuntimeError, match="session is unavailable"):
        flask.session["a"] = "b"


@pytest.mark.parametrize(("method", "body"), [("GET", b'{"a":1}'), ("HEAD", b"")])
def test_a_json_response_is_complete_and_says_when_it_is_out(method: str, body: bytes) -> None:
    told, closed = [], []
    response = JSONResponse(b'{"a":1}', 401, {"X-A": "b"})
    response.call_on_close(lambda: closed.append(True))
    pieces = response(EnvironBuilder(method=method).get_environ(), lambda *what: told.append(what))
    said = b"".join(pieces)

    assert (said, closed) == (body, [])
    pieces.close()
    headers = [("X-A", "b"), ("Content-Type", "application/json"), ("Content-Length", "7"), *PRIVATE]
    assert (told, closed) == ([("401 UNAUTHORIZED", headers)], [True])


def test_no_url_is_made_of_a_path(app: Application) -> None:
    with app.test_request_context(), pytest.raises(BuildError):
        flask.url_for("static")
    with app.test_request_context(), pytest.raises(BuildError):
        flask.url_for("model", name="a")
