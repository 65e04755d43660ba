import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nas.commands import report as report_command
from nas.journal import Journal
from nas.report.server import HOST, ReportServer
from search_space.errors import InputError
from tests.runs import make_run


class State:
    """What is shown, and how often it was built."""

    def __init__(self) -> None:
        self.stamp, self.built = "first", 0

    def page(self, stamp: str) -> bytes:
        self.built += 1
        return f"<p>{stamp}".encode()

    def news(self, stamp: str) -> bytes:
        return f"news of {stamp}".encode()


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def server(state: State) -> Iterator[ReportServer]:
    with ReportServer(0, state.page, state.news, lambda: state.stamp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: ReportServer, path: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://{HOST}:{server.server_port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def send(server: ReportServer, data: bytes) -> bytes:
    """Send bytes as they are; what comes back before the server or a short wait ends it."""
    with socket.create_connection((HOST, server.server_port), timeout=5) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.recv(65536)
        except OSError:
            return b""


def test_it_listens_on_loopback_only(server: ReportServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.socket.family == socket.AF_INET


def test_the_page_is_built_once_for_each_stamp(server: ReportServer, state: State) -> None:
    assert get(server, "/") == (200, b"<p>first")
    assert get(server, "/") == (200, b"<p>first")
    assert get(server, "/stamp") == (200, b"first")
    assert state.built == 1
    state.stamp = "second"
    assert get(server, "/stamp") == (200, b"second")
    assert get(server, "/") == (200, b"<p>second")
    assert state.built == 2
    assert get(server, "/news") == (200, b"news of second")


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/../../etc/passwd", "//etc/passwd", "/%2e%2e/journal.jsonl", "/index.html", "/?", "/stamp/"],
)
def test_nothing_else_is_answered(server: ReportServer, path: str) -> None:
    assert get(server, path) == (404, b"404 Not Found\n")


def test_another_host_name_gets_nothing(server: ReportServer) -> None:
    assert get(server, "/", Host="evil.example")[0] == 403
    assert get(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


def test_other_methods_are_refused(server: ReportServer) -> None:
    for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"HEAD"):
        host = f"{HOST}:{server.server_port}".encode()
        assert b" 501 " in send(server, method + b" / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").splitlines()[0]


def test_a_thousand_bad_requests_change_nothing(server: ReportServer, capfd: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    shapes = [
        lambda: generator.bytes(int(generator.integers(1, 400))),
        lambda: b"GET " + generator.bytes(60) + b" HTTP/1.1\r\n\r\n",
        lambda: b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        lambda: b"GET /" + b"../" * 50 + b"etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        lambda: b"GET / HTTP/9.9\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        lambda: b"",
    ]
    for i in range(1000):
        answer = send(server, shapes[i % len(shapes)]())
        assert b"root:" not in answer
        assert b"<p>" not in answer
    assert get(server, "/") == (200, b"<p>first")
    assert capfd.readouterr() == ("", "")


def test_a_client_that_hangs_up_is_no_news(server: ReportServer, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        with socket.create_connection((HOST, server.server_port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.sendall(b"GET / HTTP/1.1\r\n")
    assert get(server, "/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken(server: ReportServer) -> None:
    with pytest.raises(InputError, match=rf"--serve {server.server_port}: cannot listen there: Address already in use"):
        ReportServer(server.server_port, lambda stamp: b"", lambda stamp: b"", lambda: "")


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(InputError, match=rf"--serve {port}: a port is a number from 0 to 65535"):
        ReportServer(port, lambda stamp: b"", lambda stamp: b"", lambda: "")


def test_the_command_follows_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, trials=16, stop_after=8)
    seen: list[bytes] = []
    news: list[bytes] = []

    def serve(server: ReportServer) -> None:
        seen.append(server.stamp())
        seen.append(server.built("page"))
        make_run(tmp_path, trials=16)
        news.append(server.built("news"))
        seen.append(server.stamp())
        seen.append(server.built("page"))

    monkeypatch.setattr(ReportServer, "serve_forever", serve)
    assert report_command.main([str(tmp_path), "--serve"]) == 0
    assert seen[0] != seen[2]
    assert b"stopped after 8 of 16" in seen[1]
    assert b"finished, 16 trials" in seen[3]
    assert b"connect-src &#39;self&#39;" in seen[3]
    assert b"finished, 16 trials" in news[0]
    assert len(news[0]) < len(seen[3]) / 2
    assert len(json.loads(news[0])["data"]["runs"][0]["trials"]["macs"]) == 16
    assert b"finished, 16 trials" in (tmp_path / "report.html").read_bytes()
    assert b"connect-src &#39;none&#39;" in (tmp_path / "report.html").read_bytes()


def test_the_stamp_tells_a_run_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path, trials=16, stop_after=8)
    pages: list[bytes] = []

    def serve(server: ReportServer) -> None:
        with Journal(tmp_path / "journal.jsonl"):
            pages.append(server.built("page"))
        pages.append(server.built("page"))

    monkeypatch.setattr(ReportServer, "serve_forever", serve)
    assert report_command.main([str(tmp_path), "--serve"]) == 0
    assert b"still running, 8 of 16 trials" in pages[0]
    assert b"stopped after 8 of 16 trials" in pages[1]
