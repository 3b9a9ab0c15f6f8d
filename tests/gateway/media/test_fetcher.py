"""Fetching what a caller points at: public addresses only, and only so much for so long."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.media.fetcher import MediaFetcher, addresses_of
from gateway.media.inline import Fetched

PATIENCE = 30.0
TLS_HELLO = b"\x16"
PNG = b"\x89PNG\r\n\x1a\n"

EVERY_PORT = range(1, 65_536)
"""What a test's own server listens on is no port of a web server."""

Script = Callable[[socket.socket, bytes], None]


class Host:
    """A server that plays a script to each connection, after it has read a request's head."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._play, args=(peer,), daemon=True))
            self._threads[-1].start()

    def _play(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(PATIENCE)
            head = b""
            while not (b"\r\n\r\n" in head or head.startswith(TLS_HELLO)):
                got = peer.recv(4096)
                if not got:
                    return
                head += got
            self.heads.append(head)
            try:
                self._script(peer, head)
            except OSError:
                return


@contextmanager
def hosting(script: Script) -> Iterator[Host]:
    host = Host(script)
    try:
        yield host
    finally:
        host.close()


def saying(*pieces: bytes) -> Script:
    return lambda peer, _: [peer.sendall(piece) for piece in pieces] and None


def answer(body: bytes = PNG, mime: bytes = b"image/png", status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, mime, more, len(body), body)


def redirect(to: bytes) -> bytes:
    return answer(b"", status=b"302 Found", more=b"Location: %b\r\n" % to)


def open_fetcher(**more: object) -> MediaFetcher:
    return MediaFetcher(allows=lambda _: True, ports=EVERY_PORT, **more)  # type: ignore[arg-type]  # each test names what it needs


def refusal(fetch: Callable[[str], Fetched], url: str) -> str:
    with pytest.raises(FaultError) as caught:
        fetch(url)
    assert (caught.value.fault.kind, caught.value.fault.status) == (FaultKind.INVALID_REQUEST, 400)
    return caught.value.fault.message


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
        message = refusal(MediaFetcher(ports=EVERY_PORT), f"http://{host}:{target.port}/a.png")

    assert message.endswith("its address is not public.")
    assert target.heads == []


@pytest.mark.parametrize("addresses", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"], []])
def test_a_name_is_refused_if_any_of_its_addresses_is_private(addresses: list[str]) -> None:
    message = refusal(MediaFetcher(resolve=lambda *_: addresses), "http://two.example/a.png")

    assert message == "Cannot fetch 'http://two.example/a.png': its address is not public."


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/a", "gopher://127.0.0.1", "data:image/png;base64,AA==", "a.png",
            "http://", "https:///a", "//example.com/a", ""],
)  # fmt: skip
def test_only_http_and_https_are_fetched(url: str) -> None:
    assert refusal(MediaFetcher(), url).endswith("only http and https URLs are supported.")


@pytest.mark.parametrize("port", [0, 22, 81, 444, 6379, 8080, 65_535])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_only_the_ports_of_web_servers_are_fetched_from(scheme: str, port: int) -> None:
    def resolve(*_: object) -> list[str]:
        raise AssertionError("a port that is not fetched from was looked up")

    message = refusal(MediaFetcher(resolve=resolve), f"{scheme}://pictures.example:{port}/a.png")
    assert message.endswith("only ports 80 and 443 are allowed.")


@pytest.mark.parametrize("authority", ["pictures.example", "pictures.example:80", "pictures.example:443"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_is_looked_up_at_the_ports_of_web_servers(scheme: str, authority: str) -> None:
    fetch = MediaFetcher(resolve=lambda *_: ["10.0.0.1"])

    assert refusal(fetch, f"{scheme}://{authority}/a.png").endswith("its address is not public.")


def test_a_redirect_to_another_port_is_refused() -> None:
    with hosting(saying(redirect(b"http://127.0.0.1:6379/"))) as host:
        fetch = MediaFetcher(allows=lambda _: True, ports=[host.port])

        assert refusal(fetch, host.url).endswith("only ports 80 and 443 are allowed.")


@pytest.mark.parametrize("url", ["http://[::1", "http://example.com:port/", "http://example.com:99999/"])
def test_a_broken_address_is_refused_and_no_defect(url: str) -> None:
    assert refusal(MediaFetcher(resolve=lambda *_: ["8.8.8.8"]), url).endswith("it could not be fetched.")


def test_a_name_that_nobody_knows_is_refused() -> None:
    assert refusal(MediaFetcher(), "http://nowhere.invalid/a.png").endswith("it could not be fetched.")


def test_a_long_address_is_named_in_part() -> None:
    assert len(refusal(MediaFetcher(), "ftp://example.com/" + "a" * 9000)) < 300


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
def test_an_answer_other_than_200_is_refused_with_its_status(status: bytes) -> None:
    with hosting(saying(answer(b"", status=status))) as host:
        assert refusal(open_fetcher(), host.url).endswith(f"the server answered with status {status[:3].decode()}.")


@pytest.mark.parametrize(
    "last_words", [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
                   b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"X" * 70_000],
    ids=["nothing", "cut", "nonsense", "half", "many-headers", "long-line"],
)  # fmt: skip
def test_an_answer_that_breaks_off_or_is_none_is_refused(last_words: bytes) -> None:
    with hosting(saying(last_words)) as host:
        assert refusal(open_fetcher(), host.url).endswith("it could not be fetched.")


def test_nobody_listening_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert refusal(open_fetcher(), f"http://127.0.0.1:{port}/").endswith("it could not be fetched.")


def test_a_server_without_tls_is_refused_over_https() -> None:
    with hosting(saying(answer())) as host:
        assert refusal(open_fetcher(), host.url.replace("http:", "https:")).endswith("it could not be fetched.")


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
    assert message.endswith("it could not be fetched.")


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
            fetch = MediaFetcher(allows=lambda address: address == "127.0.0.1", ports=EVERY_PORT)
            message = refusal(fetch, public.url)

    assert message == f"Cannot fetch {target!r}: its address is not public."
    assert private.heads == []


@pytest.mark.parametrize("to", [b"file:///etc/passwd", b"ftp://example.com/"])
def test_a_redirect_to_another_scheme_is_refused(to: bytes) -> None:
    with hosting(saying(redirect(to))) as host:
        assert refusal(open_fetcher(), host.url).endswith("only http and https URLs are supported.")


def test_a_redirect_in_circles_comes_to_an_end() -> None:
    with hosting(saying(redirect(b"/again"))) as host:
        assert refusal(open_fetcher(), host.url).endswith("it redirects too often.")
    assert len(host.heads) == 4


def test_a_redirect_that_leads_nowhere_is_refused() -> None:
    with hosting(saying(answer(b"", status=b"302 Found"))) as host:
        assert refusal(open_fetcher(), host.url).endswith("the server answered with status 302.")


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


def test_memory_is_reserved_for_all_that_is_kept_and_before_it_is() -> None:
    reserved: list[int] = []
    with hosting(saying(answer(b"x" * 100_000))) as host:
        found = open_fetcher()(host.url, reserve=reserved.append)

    def refuse(_: int) -> None:
        raise FaultError(Fault(FaultKind.UNAVAILABLE, "No memory."))

    with hosting(saying(answer(b"x" * 100_000))) as host, pytest.raises(FaultError, match="No memory"):
        open_fetcher()(host.url, reserve=refuse)

    assert (len(found.data), sum(reserved)) == (100_000, 200_000)


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

    assert message.endswith("it took longer than 0.3 seconds.")
    assert took < PATIENCE


def test_redirects_share_the_time_of_one_fetch() -> None:
    """Each takes two thirds of it, by a clock of the test's own; when it is over, no host is looked up any more."""
    now = [1000.0]
    looked_up: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    def late(peer: socket.socket, _: bytes) -> None:
        now[0] += 20.0
        peer.sendall(redirect(b"/again"))

    with hosting(late) as host:
        fetch = open_fetcher(seconds=30.0, clock=lambda: now[0], resolve=resolve)
        assert refusal(fetch, host.url).endswith("it took longer than 30 seconds.")
    assert 2 == len(host.heads) == len(looked_up)
