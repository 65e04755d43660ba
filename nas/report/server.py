"""Shows the report on this machine while a run goes on: the page, its news and its stamp, on 127.0.0.1 alone."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from search_space.errors import InputError

_logger = logging.getLogger(__name__)
HOST = "127.0.0.1"


class ReportServer(ThreadingHTTPServer):
    """Answers ``/`` with the page, ``/news`` with its data alone, ``/stamp`` with what changes when they would."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, page: Callable[[str], bytes], news: Callable[[str], bytes], stamp: Callable[[], str]
    ) -> None:
        """Listen.

        Args:
            port: 0 for any free one.
            page: Gives the page for a stamp; called again only when the stamp has changed.
            news: Gives the page's data alone, likewise.
            stamp: Gives the state of what is shown.

        Raises:
            InputError: The port is taken.
        """
        self._build, self._stamp = {"page": page, "news": news}, stamp
        self._lock = threading.Lock()
        self._built: dict[str, tuple[str, bytes]] = {}
        try:
            super().__init__((HOST, port), _Handler)
        except OverflowError:
            raise InputError(f"--serve {port}: a port is a number from 0 to 65535") from None
        except OSError as error:
            raise InputError(f"--serve {port}: cannot listen there: {error.strerror}") from None
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{HOST}:{self.server_port}/"

    def stamp(self) -> bytes:
        """The state of what is shown."""
        return self._stamp().encode()

    def built(self, what: str) -> bytes:
        """The page or the news as of now, built again only if there is something new."""
        with self._lock:
            stamp = self._stamp()
            if what not in self._built or self._built[what][0] != stamp:
                self._built[what] = stamp, self._build[what](stamp)
            return self._built[what][1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away or sends nonsense is no news."""
        _logger.debug("request of %s failed", client_address, exc_info=sys.exc_info())


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    timeout = 10  # seconds that a silent client may hold a thread
    server_version, sys_version = "nas-report", ""
    error_message_format, error_content_type = "%(code)d %(message)s\n", "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        # Another site's page may reach loopback under a name of its own; it gets nothing.
        if self.headers.get("Host") not in self.server.names:
            self.send_error(403)
        elif self.path == "/":
            self._answer("text/html; charset=utf-8", self.server.built("page"))
        elif self.path == "/news":
            self._answer("application/json; charset=utf-8", self.server.built("news"))
        elif self.path == "/stamp":
            self._answer("text/plain; charset=utf-8", self.server.stamp())
        else:
            self.send_error(404)

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        _logger.debug(format, *args)
