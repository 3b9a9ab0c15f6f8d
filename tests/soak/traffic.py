"""The clients of the soak, each in a thread of its own."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.soak.answers import judged
from tests.soak.asks import Ask, asks, headers_of, talk
from tests.soak.client import Client, CutOffError, LateError
from tests.soak.hostile import ATTACKS, Attacker
from tests.soak.outcomes import Ledger, Outcome, Result
from tests.soak.served import CALLERS, Served

_IDLE = 12
_LINE = 400
_LOST = 300
"""The requests whose counts may be lost with a worker that is killed: those of two seconds, and some."""


class Pacer:
    """Lets so many requests begin in each second, over all threads. The lock guards when the next may."""

    def __init__(self, rate: float, over: threading.Event) -> None:
        self._gap = 1 / rate
        self._over = over
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def wait(self) -> bool:
        """Wait for one's turn; whether it has come, and not the end of the soak."""
        with self._lock:
            now = time.monotonic()
            turn = self._next = max(self._next + self._gap, now)
        return not self._over.wait(turn - now)


@dataclass
class Scene:
    """What all threads share."""

    served: Served
    ledger: Ledger
    over: threading.Event
    pacer: Pacer
    seed: int
    clock: Callable[[], float] = time.monotonic

    def rng(self, name: str) -> Random:
        return Random(f"{self.seed}/{name}")


def talker(scene: Scene, name: str) -> None:
    """Ask whatever is asked, one after another, and judge each answer."""
    rng = scene.rng(name)
    key, client = scene.served.keys[rng.choice(CALLERS)], Client("127.0.0.1", scene.served.port)
    for ask in asks(rng):
        step: Ask | None = ask
        while step is not None:
            if not scene.pacer.wait():
                client.close()
                return
            step = _asked(scene, client, step, key, rng)
        if rng.random() < 0.05:
            client.close()


def _asked(scene: Scene, client: Client, ask: Ask, key: str, rng: Random) -> Ask | None:
    """Ask one thing; give what is asked next."""
    began, status = scene.clock(), 0
    following: Ask | None = None
    try:
        told = client.ask(ask.method, ask.path, *headers_of(ask, key, rng))
        status = told.status
        result, detail = judged(told, shape=ask.shape, marker=ask.marker, wants=ask.wants, check=ask.check)
        if result is Result.OK and ask.then is not None:
            following = ask.then(told)
    except CutOffError as error:
        result, detail = Result.CUT, str(error)
    except LateError as error:
        result, detail = Result.LATE, str(error)
    sticky, again = ask.is_sticky, client.reconnected
    scene.ledger.add(Outcome(ask.kind, began, scene.clock(), result, ask.model, status, detail, sticky, again))
    return following


def leaver(scene: Scene, name: str) -> None:
    """Leave in the middle of things: within the body, before the answer, after its head, within the stream."""
    rng = scene.rng(name)
    while not scene.over.wait(rng.uniform(0.2, 1.0)):
        began, moment = scene.clock(), rng.choice(("body", "answer", "head", "stream"))
        ask = talk(rng, stream=True, slow=moment != "body")
        head, body = request_bytes(ask, scene.served.keys[rng.choice(CALLERS)])
        client = socket.create_connection(("127.0.0.1", scene.served.port), 60)
        try:
            client.sendall(head + (body[: len(body) // 2] if moment == "body" else body))
            if moment == "answer":
                scene.over.wait(rng.uniform(0, 0.2))
            elif moment != "body":
                client.recv(1 if moment == "head" else rng.randrange(500, 4000))
            if rng.random() < 0.3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        except OSError:
            pass  # it is gone already, as it would be
        finally:
            client.close()
        scene.ledger.add(Outcome(f"left: {moment}", began, scene.clock(), Result.LEFT, ask.model))


def request_bytes(ask: Ask, key: str) -> tuple[bytes, bytes]:
    """The head and the body of a request, as they are sent."""
    body = ask.data or b""
    lines = [f"{ask.method} {ask.path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode(), body


def slow_reader(scene: Scene, name: str) -> None:
    """Read streams a few bytes at a time; they come whole all the same."""
    rng = scene.rng(name)
    client = Client("127.0.0.1", scene.served.port)
    while not scene.over.wait(rng.uniform(0.2, 2.0)):
        ask, began, status = talk(rng, stream=True, slow=False), scene.clock(), 0
        key = scene.served.keys[rng.choice(CALLERS)]
        try:
            response = client.open(ask.method, ask.path, *headers_of(ask, key, rng))
            read, status = b"", response.status
            for _ in range(40):
                read += response.read1(200)
                scene.over.wait(0.05)
            told = client.rest(response, read)
            result, detail = judged(told, shape=ask.shape, marker=ask.marker, wants=200, check=ask.check)
        except CutOffError as error:
            result, detail = Result.CUT, str(error)
        except LateError as error:
            result, detail = Result.LATE, str(error)
        except (OSError, ValueError) as error:  # read1 raises what it likes of a connection that has ended
            client.close()
            result, detail = Result.CUT, f"within the answer: {type(error).__name__}"
        scene.ledger.add(Outcome(f"slow: {ask.kind}", began, scene.clock(), result, ask.model, status, detail))
    client.close()


def sleeper(scene: Scene, name: str) -> None:
    """Keep connections on which hardly anything is asked; some are closed by the proxy, which is its right."""
    rng = scene.rng(name)
    clients = [Client("127.0.0.1", scene.served.port) for _ in range(_IDLE)]
    key = scene.served.keys["ada"]
    while not scene.over.wait(1.0):
        ask = talk(rng, slow=False)
        _asked(scene, rng.choice(clients), ask, key, rng)
    for client in clients:
        client.close()


def attacker(scene: Scene, name: str) -> None:
    """Make hostile requests, from addresses of their own."""
    rng = scene.rng(name)
    weights = [attack.weight for attack in ATTACKS]
    while not scene.over.wait(rng.uniform(0.1, 0.6)):
        [attack] = rng.choices(ATTACKS, weights)
        began, source = scene.clock(), f"127.0.0.{rng.randrange(2, 12)}"
        try:
            status = attack.make(Attacker(scene.served, rng, source))
        except TimeoutError:
            result, status = Result.LATE, 0
        except OSError as error:
            scene.ledger.problem(f"the hostile request “{attack.name}” could not be made: {error!r}")
            continue
        else:
            result = Result.REFUSED if status in attack.allowed else Result.WRONG
            # A worker that is killed closes what it has.
            result = Result.CUT if not status and result is Result.WRONG else result
        detail = "" if result is Result.REFUSED else f"not one of {sorted(attack.allowed)}"
        scene.ledger.add(Outcome(f"hostile: {attack.name}", began, scene.clock(), result, "", status, detail))


def listener(scene: Scene, name: str) -> None:
    """Listen to the events of the router for a while, then come again."""
    rng = scene.rng(name)
    headers = {"Authorization": f"Bearer {scene.served.keys['root']}"}
    client = Client("127.0.0.1", scene.served.port)
    while not scene.over.wait(rng.uniform(0.5, 2)):
        began, until, status, detail = scene.clock(), scene.clock() + rng.uniform(1, 12), 0, ""
        try:
            response = client.open("GET", "/router/events", None, headers)
            status, first = response.status, response.readline(_LINE)
            result = Result.OK if status == 200 and first == b"retry: 1000\n" else Result.WRONG
            detail = "" if result is Result.OK else repr(first)
            while result is Result.OK and scene.clock() < until and not scene.over.is_set() and response.readline():
                pass
            response.close()
        except CutOffError as error:
            result, detail = Result.CUT, str(error)
        except LateError as error:
            result, detail = Result.LATE, str(error)
        except (OSError, ValueError):
            result = Result.LEFT  # its worker has ended, or was killed
        client.close()
        scene.ledger.add(Outcome("events", began, scene.clock(), result, "", status, detail))


def scraper(scene: Scene, name: str) -> None:
    """Read the state and the metrics on both ports, and run the command `status` now and then."""
    rng, total, turn = scene.rng(name), 0.0, 0
    root = scene.served.keys["root"]
    while not scene.over.wait(rng.uniform(0.5, 1.5)):
        turn += 1
        port = rng.choice((scene.served.port, scene.served.admin_port))
        path = rng.choice(("/metrics", "/router/state", "/health", "/ready"))
        began = scene.clock()
        try:
            said = scene.served.get(port, path, root)
        except OSError as error:
            scene.ledger.add(Outcome(f"scrape {path}", began, scene.clock(), Result.CUT, "", 0, repr(error)))
            continue
        result, detail = Result.OK, ""
        if path == "/metrics":
            counted = exchanges(said.decode())
            if counted < total - (_LOST if scene.served.killed else 0):
                result, detail = Result.WRONG, f"{counted:g} exchanges, after {total:g}"
            total = counted
        scene.ledger.add(Outcome(f"scrape {path}", began, scene.clock(), result, "", 200, detail))
        if turn % 40 == 5:
            _status_command(scene, rng)


def _status_command(scene: Scene, rng: Random) -> None:
    command, *rest = rng.choice((("status", "--json"), ("status", "--once"), ("models",)))
    began = scene.clock()
    told = scene.served.place.run(command, *rest)
    result = Result.OK if told.returncode == 0 and told.stdout else Result.WRONG
    detail = "" if result is Result.OK else f"exit status {told.returncode}: {(told.stderr or told.stdout)[-300:]}"
    scene.ledger.add(Outcome(f"command {command}", began, scene.clock(), result, "", 0, detail))


def exchanges(metrics: str) -> float:
    """The requests that metrics have counted."""
    lines = (line for line in metrics.splitlines() if line.startswith("aicore_proxy_exchanges_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


CLIENTS: tuple[tuple[Callable[[Scene, str], None], int], ...] = (
    (talker, 24), (leaver, 2), (slow_reader, 2), (sleeper, 1), (attacker, 3), (listener, 2), (scraper, 1),
)  # fmt: skip
"""Each kind of client, and how many there are."""
