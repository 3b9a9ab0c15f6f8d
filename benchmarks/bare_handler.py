"""The smallest possible proxy with Flask and requests: it passes requests and responses on unchanged."""

import os

import requests
from flask import Flask, Response, request
from requests.adapters import HTTPAdapter

UPSTREAM = os.environ["BENCH_UPSTREAM"]

app = Flask(__name__)
session = requests.Session()
session.trust_env = False
session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1024))


@app.post("/<path:path>")
def pass_on(path: str) -> Response:
    """Post the body to the same path of the upstream."""
    answer = session.post(
        f"{UPSTREAM}/{path}",
        data=request.get_data(),
        headers={"Content-Type": "application/json"},
        stream=True,
        timeout=300,
    )
    body = answer.content if "Content-Length" in answer.headers else answer.iter_content(None)
    return Response(body, answer.status_code, content_type=answer.headers.get("Content-Type"))
