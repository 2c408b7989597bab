"""A real mail server and a real SMS provider for tests: sockets of their own, and what they were given."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class MailServer:
    """Speaks SMTP as RFC 5321 has it: enough for a client, with answers to order by receiver."""

    port: int = 0
    letters: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    connections: int = 0

    def to(self, address: str) -> list[EmailMessage]:
        return [letter for to, letter in self.letters if to == address]


@contextmanager
def mail_server() -> Iterator[MailServer]:
    server = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            server.connections += 1
            self.say("220 test ready")
            to = ""
            while line := self.rfile.readline().decode("utf-8", "replace").strip():
                word = line.partition(" ")[0].upper()
                if word == "RCPT":
                    to = line.partition("<")[2].partition(">")[0]
                    self.say(server.refuses.get(to, "250 ok"))
                elif word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (body := self.rfile.readline()) != b".\r\n":
                        lines.append(body.removeprefix(b".") if body.startswith(b"..") else body)
                    letter = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                    assert isinstance(letter, EmailMessage)
                    server.letters.append((to, letter))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Session) as running:
        server.port = running.server_address[1]
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            running.shutdown()
            thread.join()


@dataclass
class SmsProvider:
    """An HTTP provider: what it was posted, with which token; `status` and `answer` are to order."""

    url: str = ""
    posted: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    status: int = 200
    answer: bytes | None = None


@contextmanager
def sms_provider() -> Iterator[SmsProvider]:
    provider = SmsProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            provider.posted.append(posted)
            provider.tokens.append(self.headers["Authorization"])
            answer = provider.answer or json.dumps({"id": f"p-{posted['reference']}"}).encode()
            self.send_response(provider.status)
            if 300 <= provider.status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}/send"
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
