"""A server that answers what a test tells it, misbehaviour included."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


class Script:
    """Answers each request with the next of the replies for its method and path."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply | None]] = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def add(self, line: str, *replies: Reply | None) -> None:
        self.replies.setdefault(line, []).extend(replies)


def reply(status: int, value: object, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def event_stream(*events: dict[str, Any]) -> Reply:
    text = "retry: 2000\n\n: a comment\n\n" + "".join(
        f"id: {event['seq']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
        for event in events
    )
    return 200, {"Content-Type": "text/event-stream"}, text.encode()


def handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.requests.append((self.path, dict(self.headers), body))
            line = f"{self.command} {self.path.partition('?')[0]}"
            given = script.replies[line].pop(0)
            if given is None:  # hang up
                self.close_connection = True
                return
            status, headers, content = given
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
