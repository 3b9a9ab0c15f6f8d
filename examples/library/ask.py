"""The package without the proxy: ask a model on SAP AI Core from a program of one's own, with failover.

    python ask.py config.json gpt-5.5 "What is SAP AI Core?"

The file lists subaccounts as the proxy's does, each with its `service_key` and its `deployment_models`.
`routing` decides where to ask and in which protocol; everything that touches a network is in this file.
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from routing import (
    Attempt,
    Endpoint,
    Fault,
    FaultError,
    FaultKind,
    LoadBalancer,
    Policy,
    RequestRouter,
    fault_from,
)

SECONDS = 60.0
"""How long an answer may take."""


def pools(subaccounts: dict[str, Any]) -> dict[str, list[Endpoint]]:
    """List the endpoints of every model."""
    found: dict[str, list[Endpoint]] = {}
    for name, account in subaccounts.items():
        for model, urls in account["deployment_models"].items():
            group = account.get("resource_group", "default")
            found.setdefault(model, []).extend(Endpoint(name, url, model, resource_group=group) for url in urls)
    return found


class Sender:
    """Sends requests to deployments, with a token for each subaccount."""

    def __init__(self, subaccounts: dict[str, Any]) -> None:
        self._keys = {name: account["service_key"] for name, account in subaccounts.items()}
        self._tokens: dict[str, str] = {}

    def send(self, attempt: Attempt, payload: dict[str, Any]) -> dict[str, Any]:
        """Post an OpenAI request in the attempt's protocol and give OpenAI's answer; raises `FaultError`."""
        endpoint, protocol = attempt.endpoint, attempt.protocol
        body = protocol.get_request_converter()({**payload, "model": endpoint.backend})
        url = protocol.build_endpoint_for(endpoint.url, endpoint.backend, body, stream=False)
        headers = {
            "Authorization": f"Bearer {self._token(endpoint.subaccount)}",
            "AI-Resource-Group": endpoint.resource_group,
            "Content-Type": "application/json",
            **protocol.headers(stream=False),
        }
        answer = _post(url, json.dumps(body).encode(), headers)
        return protocol.get_response_converter()(answer, endpoint.model)

    def _token(self, subaccount: str) -> str:
        if subaccount not in self._tokens:
            key = self._keys[subaccount]
            form = {
                "grant_type": "client_credentials",
                "client_id": key["clientid"],
                "client_secret": key["clientsecret"],
            }
            try:
                answer = _post(f"{key['url']}/oauth/token", urllib.parse.urlencode(form).encode(), {})
            except FaultError as error:
                # No endpoint of the subaccount can be asked, so all of them are passed over.
                raise FaultError(Fault(FaultKind.NO_TOKEN, error.fault.message)) from error
            self._tokens[subaccount] = answer["access_token"]
        return self._tokens[subaccount]


def _post(url: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the URL is the config file's
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - see above
            loaded: dict[str, Any] = json.loads(answer.read())
            return loaded
    except urllib.error.HTTPError as error:
        with error:
            raise FaultError(fault_from(error.code, dict(error.headers), error.read(), time.time())) from error
    except TimeoutError as error:
        # The model may still be at work: `unanswered` keeps the router from asking a third one.
        raise FaultError(Fault(FaultKind.TIMEOUT, "no answer in time", unanswered=True)) from error
    except (OSError, ValueError) as error:
        raise FaultError(Fault(FaultKind.UNREACHABLE, "SAP AI Core could not be reached")) from error


def ask(router: RequestRouter, sender: Sender, model: str, question: str) -> tuple[str, str]:
    """Give a model's answer, and the trail of attempts that led to it; raises `FaultError` or `NoEndpointError`."""
    payload = {"messages": [{"role": "user", "content": question}]}
    with router.attempts(model) as attempts:  # closes every lease at its end
        for attempt in attempts:
            try:
                answer = sender.send(attempt, payload)
            except FaultError as error:
                attempt.failed(error.fault)
            else:
                attempt.answered()
                return answer["choices"][0]["message"]["content"], attempts.trail
        raise FaultError(attempts.final_fault or Fault(FaultKind.UNAVAILABLE, "no endpoint could be tried"))


def main(config: str, model: str, question: str) -> None:
    """Print the answer, and on stderr where it came from."""
    subaccounts = json.loads(Path(config).read_text(encoding="utf-8"))["subAccounts"]
    balancer = LoadBalancer(pools(subaccounts), policy=Policy(aliases={"fast": "gpt-5.5"}))
    answer, trail = ask(RequestRouter(balancer), Sender(subaccounts), model, question)
    print(answer)
    print(trail, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
