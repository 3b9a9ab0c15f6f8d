"""Fetching what a caller points at: public addresses only, and only so much for so long."""

import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.media.fetcher import addresses_of
from gateway.media.inline import Fetched
from gateway.media.networks import FetchRules
from gateway.requests.lifetime import Lifetime
from gateway.requests.memory_budget import MemoryBudget
from tests.gateway.media.fetching import (
    EVERY_PORT,
    NOT_FETCHED,
    PATIENCE,
    PNG,
    Script,
    answer,
    fetching,
    hosting,
    open_fetcher,
    redirect,
    refusal,
    saying,
)

# What is refused before anything is sent


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]",
        "user:secret@127.0.0.1",
    ],
)  # fmt: skip
def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    with hosting(saying(answer())) as target:
        message = refusal(fetching(ports=EVERY_PORT), f"http://{host}:{target.port}/a.png")

    assert message.endswith(f"{NOT_FETCHED}.")
    assert target.heads == []


@pytest.mark.parametrize("addresses", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"], []])
def test_a_name_is_refused_if_any_of_its_addresses_is_private(addresses: list[str]) -> None:
    message = refusal(fetching(resolve=lambda *_: addresses), "http://two.example/a.png")

    assert message == f"Cannot fetch 'http://two.example/a.png': {NOT_FETCHED}."


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/a", "gopher://127.0.0.1", "data:image/png;base64,AA==", "a.png",
            "http://", "https:///a", "//example.com/a", ""],
)  # fmt: skip
def test_only_http_and_https_are_fetched(url: str) -> None:
    assert refusal(fetching(), url).endswith("only http and https URLs are supported.")


@pytest.mark.parametrize("port", [0, 22, 81, 444, 6379, 8080, 65_535])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_the_ports_of_web_servers_are_fetched_from(scheme: str, port: int) -> None:
    def resolve(*_: object) -> list[str]:
        raise AssertionError("a port that is not fetched from was looked up")

    message = refusal(fetching(resolve=resolve), f"{scheme}://pictures.example:{port}/a.png")
    assert message.endswith("only ports 80 and 443 are allowed.")


@pytest.mark.parametrize("authority", ["pictures.example", "pictures.example:80", "pictures.example:443"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_is_looked_up_at_the_ports_of_web_servers(scheme: str, authority: str) -> None:
    looked_up = []

    def resolve(*asked: object) -> list[str]:
        looked_up.append(asked)
        return ["10.0.0.1"]

    assert refusal(fetching(resolve=resolve), f"{scheme}://{authority}/a.png").endswith(f"{NOT_FETCHED}.")
    assert len(looked_up) == 1


def test_a_redirect_to_another_port_is_refused() -> None:
    with hosting(saying(redirect(b"http://127.0.0.1:6379/"))) as host:
        assert refusal(open_fetcher(ports=[host.port]), host.url).endswith(f"{NOT_FETCHED}.")


@pytest.mark.parametrize("url", ["http://[::1", "http://example.com:port/", "http://example.com:99999/"])
def test_a_broken_address_is_refused_and_no_defect(url: str) -> None:
    assert refusal(fetching(resolve=lambda *_: ["8.8.8.8"]), url).endswith("it is not a URL.")


@pytest.mark.parametrize(
    "host",
    [
        "denied.example..", "denied%2eexample", "denied.example%00", "denied .example", "denied.example&a",
        "[2606:4700:4700::1111%25lo]", "[2606:4700:4700::1111%25a b]", "[::ffff:8.8.8.8%251]",
    ],
)  # fmt: skip
def test_a_host_that_resolvers_may_take_for_another_is_refused(host: str) -> None:
    fetch = fetching(resolve=lambda *_: ["8.8.8.8"], allows=FetchRules(deny=["denied.example"]).allows)

    assert refusal(fetch, f"http://{host}/a.png").endswith("it is not a URL.")


def test_a_very_long_url_is_refused_before_its_host_is_converted() -> None:
    url = "http://" + "ä." * 8_200 + "example/a.png"

    assert refusal(fetching(), url).endswith("it is longer than 16384 characters.")


def test_a_name_that_nobody_knows_is_refused() -> None:
    def resolve(*_: object) -> list[str]:
        raise socket.gaierror("unknown")

    assert refusal(fetching(resolve=resolve), "http://nowhere.invalid/a.png").endswith(f"{NOT_FETCHED}.")


def test_a_long_address_is_named_in_part() -> None:
    assert len(refusal(fetching(), "ftp://example.com/" + "a" * 9000)) < 300


def test_a_name_is_looked_up_by_the_operating_system() -> None:
    assert {address for address in addresses_of("localhost", 80) if ":" not in address} == {"127.0.0.1"}


# What is fetched


def test_bytes_come_with_their_media_type() -> None:
    with hosting(saying(answer(mime=b"Image/PNG; charset=x"))) as host:
        fetched = open_fetcher()(f"{host.url}/a.png?x=1#part")

    assert fetched == Fetched("image/png", PNG)
    [head] = host.heads
    assert head.startswith(b"GET /a.png?x=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{host.port}\r\n".encode() in head


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", b"/"),
        ("?q", b"/?q"),
        ("/a b", b"/a%20b"),
        ("/ü", b"/%C3%BC"),
        ("/%41", b"/%41"),
        ("//x/y", b"//x/y"),
        ("/a?b=c&d", b"/a?b=c&d"),
    ],
)
def test_a_path_is_asked_for_as_servers_want_it(path: str, target: bytes) -> None:
    with hosting(saying(answer())) as host:
        open_fetcher()(host.url + path)

    assert target == host.heads[0].split(b" ")[1]


def test_no_key_and_no_password_goes_out() -> None:
    with hosting(saying(answer())) as host:
        open_fetcher()(f"http://user:secret@127.0.0.1:{host.port}/")

    assert b"secret" not in host.heads[0]
    assert b"authorization" not in host.heads[0].lower()


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    with hosting(saying(answer())) as host:
        fetched = open_fetcher(resolve=resolve)(f"http://pictures.example:{host.port}/")

    assert fetched.data == PNG
    assert asked == [("pictures.example", host.port)]
    assert f"Host: pictures.example:{host.port}".encode() in host.heads[0]


def test_a_body_without_a_length_or_a_type_is_read_to_its_end() -> None:
    with hosting(saying(b"HTTP/1.0 200 OK\r\n\r\n", PNG)) as host:
        assert open_fetcher()(host.url) == Fetched("application/octet-stream", PNG)


def test_a_chunked_body_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with hosting(saying(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")) as host:
        assert open_fetcher()(host.url).data == b"abcde"


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oops", b"204 No Content", b"304 Not Modified"])
def test_an_answer_other_than_200_is_refused(status: bytes) -> None:
    with hosting(saying(answer(b"", status=status))) as host:
        assert refusal(open_fetcher(), host.url).endswith(f"{NOT_FETCHED}.")


@pytest.mark.parametrize(
    "last_words", [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
                   b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", b"X" * 70_000],
    ids=["nothing", "cut", "nonsense", "half", "many-headers", "long-line"],
)  # fmt: skip
def test_an_answer_that_breaks_off_or_is_none_is_refused(last_words: bytes) -> None:
    with hosting(saying(last_words)) as host:
        assert refusal(open_fetcher(), host.url).endswith(f"{NOT_FETCHED}.")


def test_nobody_listening_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert refusal(open_fetcher(), f"http://127.0.0.1:{port}/").endswith(f"{NOT_FETCHED}.")


def test_a_server_without_tls_is_refused_over_https() -> None:
    with hosting(saying(answer())) as host:
        assert refusal(open_fetcher(), host.url.replace("http:", "https:")).endswith(f"{NOT_FETCHED}.")


def test_over_tls_the_name_of_the_address_is_what_the_certificate_must_say() -> None:
    """The connection goes to a number, so the name has to be handed to TLS by itself."""
    names: list[str | None] = []
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_servername_callback(lambda _, name, __: names.append(name))

    def shake_hands() -> None:
        peer, _ = listener.accept()
        with suppress(OSError), peer:
            context.wrap_socket(peer, server_side=True)

    thread = threading.Thread(target=shake_hands, daemon=True)
    thread.start()
    fetch = open_fetcher(resolve=lambda *_: ["127.0.0.1"])
    message = refusal(fetch, f"https://pictures.example:{listener.getsockname()[1]}/a.png")
    thread.join(PATIENCE)
    listener.close()

    assert names == ["pictures.example"]
    assert message.endswith(f"{NOT_FETCHED}.")


def test_another_address_of_a_host_is_tried_where_one_does_not_answer() -> None:
    with hosting(saying(answer())) as host:
        fetch = open_fetcher(resolve=lambda *_: ["127.0.0.2", "127.0.0.1"])

        assert fetch(f"http://pictures.example:{host.port}/a.png").data == PNG


# Redirects


def by_path(answers: dict[bytes, bytes]) -> Script:
    return lambda peer, head: peer.sendall(answers[head.split(b" ")[1]])


def test_a_redirect_is_followed_also_to_a_relative_place() -> None:
    steps = {b"/a": redirect(b"b/c"), b"/b/c": redirect(b"/d"), b"/d": answer()}
    with hosting(by_path(steps)) as host:
        assert open_fetcher()(f"{host.url}/a").data == PNG


def test_a_redirect_to_a_private_address_is_refused_and_not_followed() -> None:
    """The first host is let in by its name, as a public one would be; where it leads is judged by its address."""
    with hosting(saying(answer())) as private:
        target = f"http://127.0.0.2:{private.port}/secret"
        with hosting(saying(redirect(target.encode()))) as public:
            fetch = open_fetcher(allows=lambda _, address: address == "127.0.0.1")
            message = refusal(fetch, public.url)

    assert message == f"Cannot fetch {public.url!r}: {NOT_FETCHED}."
    assert private.heads == []


@pytest.mark.parametrize("to", [b"file:///etc/passwd", b"ftp://example.com/"])
def test_a_redirect_to_another_scheme_is_refused(to: bytes) -> None:
    with hosting(saying(redirect(to))) as host:
        assert refusal(open_fetcher(), host.url) == f"Cannot fetch {host.url!r}: {NOT_FETCHED}."


def test_a_redirect_in_circles_comes_to_an_end() -> None:
    with hosting(saying(redirect(b"/again"))) as host:
        assert refusal(open_fetcher(), host.url).endswith(f"{NOT_FETCHED}.")
    assert len(host.heads) == 4


def test_a_redirect_that_leads_nowhere_is_refused() -> None:
    with hosting(saying(answer(b"", status=b"302 Found"))) as host:
        assert refusal(open_fetcher(), host.url).endswith(f"{NOT_FETCHED}.")


# Size and time


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_what_is_within_the_limit_is_taken_whole(size: int) -> None:
    with hosting(saying(answer(b"x" * size))) as host:
        assert open_fetcher(most=100)(host.url).data == b"x" * size


@pytest.mark.parametrize("size", [101, 200_000])
def test_what_is_larger_than_the_limit_is_refused(size: int) -> None:
    with hosting(saying(answer(b"x" * size))) as host:
        assert refusal(open_fetcher(most=100), host.url).endswith("it is larger than 100 bytes.")


@pytest.mark.parametrize(("room", "refused"), [(100, False), (99, True), (0, True)])
def test_what_is_larger_than_the_room_that_is_left_is_refused(room: int, refused: bool) -> None:
    with hosting(saying(answer(b"x" * 100))) as host:
        if refused:
            message = refusal(lambda url: open_fetcher()(url, room), host.url)
            assert message.endswith(f"it is larger than {room} bytes, which is the room left in this request.")
        else:
            assert open_fetcher()(host.url, room).data == b"x" * 100


@pytest.mark.parametrize(
    ("most", "taken", "kind"), [(150_000, 0, FaultKind.TOO_LARGE), (400_000, 200_000, FaultKind.UNAVAILABLE)]
)
def test_memory_is_reserved_for_all_that_is_kept_and_before_it_is(most: int, taken: int, kind: FaultKind) -> None:
    budget = MemoryBudget(400_000, most)
    share, other = budget.share(), budget.share()
    with hosting(saying(answer(b"x" * 60_000))) as host:
        found = open_fetcher(lifetime=Lifetime(PATIENCE, memory=share))(host.url)
    reserved = share.reserved
    other.take(taken)

    with hosting(saying(answer(b"x" * 100_000))) as host, pytest.raises(FaultError) as refused:
        open_fetcher(lifetime=Lifetime(PATIENCE, memory=share))(host.url)

    assert (len(found.data), refused.value.fault.kind) == (60_000, kind)
    assert 120_000 <= reserved < 120_000 + 65_536


def test_what_has_no_end_is_refused_at_the_limit() -> None:
    def endless(peer: socket.socket, _: bytes) -> None:
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            peer.sendall(b"x" * 10_000)

    with hosting(endless) as host:
        assert refusal(open_fetcher(most=100_000), host.url).endswith("it is larger than 100000 bytes.")


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
              b"HTTP/1.0 200 OK\r\n\r\n"],
    ids=["status", "headers", "body", "endless-body"],
)  # fmt: skip
@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_server_gets_its_time_and_no_more_however_it_spends_it(begun: bytes, drips: bool) -> None:
    """Each drip comes well within a socket's own time-out."""
    over = threading.Event()

    def slow(peer: socket.socket, _: bytes) -> None:
        peer.sendall(begun)
        while not over.wait(0.02):
            if drips:
                peer.sendall(b"x")

    with hosting(slow) as host:
        began = time.monotonic()
        message = refusal(open_fetcher(seconds=0.3), host.url)
        took = time.monotonic() - began
        over.set()

    assert message.endswith(f"{NOT_FETCHED}.")
    assert took < PATIENCE


def test_redirects_share_the_time_of_one_fetch() -> None:
    """Each takes two thirds of it, by a clock of the test's own; when it is over, the redirect is not followed."""
    now = [1000.0]
    looked_up: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    def late(peer: socket.socket, _: bytes) -> None:
        now[0] += 20.0
        peer.sendall(redirect(b"/again"))

    with hosting(late) as host:
        lifetime = Lifetime(PATIENCE * 10, clock=lambda: now[0])
        fetch = open_fetcher(seconds=30.0, lifetime=lifetime, resolve=resolve)
        assert refusal(fetch, f"http://pictures.example:{host.port}/").endswith(f"{NOT_FETCHED}.")
    assert (len(host.heads), looked_up) == (2, ["pictures.example"])
