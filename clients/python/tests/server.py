"""An HTTP server for tests: it passes calls on, or answers by itself, or loses answers; and it keeps what it was asked."""

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

JSON = {"content-type": "application/json"}
PROBLEM = {"content-type": "application/problem+json"}


@dataclass(frozen=True)
class Asked:
    """One call as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An answer; or none, if the connection is closed instead."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=lambda: JSON)


LOST = Answer(0, None)

Script = Callable[[Asked], Answer]


class Server:
    """Answers each call with the first of `answers` that is left, and the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer | Script] = []
        self._upstream = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def in_front_of(self, url: str) -> str:
        """The URL of the same API with this server before it. A call that no answer is written for is passed on."""
        parts = urlsplit(url)
        self._upstream = parts.port or 80
        self.answers.append(self.pass_on)
        return f"{parts.scheme}://{parts.hostname}:{self._http.server_port}{parts.path}"

    def pass_on(self, asked: Asked) -> Answer:
        """What the server behind this one answers to the same call: signature and host stay as they came."""
        connection = http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=60)
        connection.request(asked.method, asked.path, asked.body, asked.headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return Answer(answer.status, content, {"content-type": answer.headers.get("content-type", "")})

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(asked) if callable(answer) else answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = server.answer(Asked(self.command, self.path, headers, body))
                if answer.status == 0:
                    self.close_connection = True
                    return
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in (answer.headers | {"content-length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
                pass

        return Handler
