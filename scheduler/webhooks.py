"""Calls to the hosts that the operator allowed: signed, pinned to one address, never redirected."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

from automl.errors import DataError
from scheduler.errors import problem
from scheduler.store import Store
from scheduler.store_outbox import Call

log = logging.getLogger(__name__)

SECONDS = 5.0  # to connect and for each read; twice that in all
# After 30 s, 2 min, 8 min and so on, to some 11 hours in all; then it is given up.
FIRST_WAIT = timedelta(seconds=30)
MOST_ATTEMPTS = 7
MOST_AT_ONCE = 20
MOST_URL = 2000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Collection[str]]


class Unheard(Exception):
    """The call did not come through; the text says why, without anything the other side sent."""


def checked_url(text: str, hosts: Collection[str]) -> str:
    """A URL that may be called: http or https, of a host that the operator named.

    Raises DataError `webhook_not_allowed`; an empty list of hosts allows none.

    >>> checked_url("https://hooks.example/run?x=1", ["hooks.example"])
    'https://hooks.example/run?x=1'
    """
    _parsed(text, hosts)
    return text


def _parsed(text: str, hosts: Collection[str]) -> SplitResult:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise _refused("it is no URL") from None
    if len(text) > MOST_URL or not text.isascii() or any(c <= " " or c == "\\" for c in text):
        raise _refused(f"a URL has at most {MOST_URL} printable ASCII characters")
    if url.scheme not in ("http", "https"):
        raise _refused("only http and https are called")
    if url.username is not None or url.password is not None:
        raise _refused("it has a user or password in it")
    if port == 0 or not url.hostname:
        raise _refused("it names no host and port")
    allowed = {host.lower() for host in hosts}
    own = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    usual = 443 if url.scheme == "https" else 80
    named = {f"{own}:{port or usual}"} | ({own} if port in (None, usual) else set())
    if not named & allowed:
        raise _refused(
            "its host is not among those that the operator allowed (FRUGAL_WEBHOOK_HOSTS)"
        )
    return url


def _refused(why: str) -> DataError:
    return DataError(
        f"this webhook may not be called: {why}",
        code="webhook_not_allowed",
        details={"field": "webhook"},
    )


def deliver(
    store: Store,
    *,
    now: datetime,
    hosts: Collection[str],
    secret: str = "",
    resolve: Resolve | None = None,
    seconds: float = SECONDS,
) -> int:
    """Send the calls that are due, each at least once; returns how many were heard.

    A call that is not heard is tried again with doubling pauses; then it is given up, and its
    problem says so. A host that is no longer allowed is not called.

    Parameters
    ----------
    secret : signs the calls; without one they carry no signature
    resolve : a name and port to addresses, by default the system's
    """
    n_heard = 0
    lease = 2 * seconds * MOST_AT_ONCE
    for call in store.take_calls(now=now, seconds=lease, limit=MOST_AT_ONCE):
        try:
            _post(call, hosts=hosts, secret=secret, resolve=resolve or resolved, seconds=seconds)
        except DataError as error:
            store.postpone_call(call.id, until=None, problem=problem(error.code, str(error)))
            log.warning("call %s: given up, its host is not allowed", call.id)
        except Unheard as error:
            _unheard(store, call, str(error), now=now)
        else:
            store.end_call(call.id, now=now)
            n_heard += 1
    return n_heard


def _unheard(store: Store, call: Call, why: str, *, now: datetime) -> None:
    last = call.attempts >= MOST_ATTEMPTS
    until = None if last else now + FIRST_WAIT * 4 ** (call.attempts - 1)
    code = "webhook_given_up" if last else "webhook_unheard"
    store.postpone_call(
        call.id, until=until, problem=problem(code, f"attempt {call.attempts}: {why}")
    )
    log.warning("call %s, attempt %d: %s%s", call.id, call.attempts, why, "; given up" * last)


def signature(secret: str, body: bytes, *, timestamp: int) -> str:
    """The header that proves who calls: HMAC-SHA256 over the time, a point and the body.

    >>> signature("s", b"{}", timestamp=0)[:14]
    't=0,v1=e79b1f6'
    """
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def _post(
    call: Call, *, hosts: Collection[str], secret: str, resolve: Resolve, seconds: float
) -> None:
    """POST a call once. Raises Unheard, or DataError where its host is not allowed."""
    url = _parsed(call.url, hosts)
    host, port = str(url.hostname), url.port or (443 if url.scheme == "https" else 80)
    address = _pinned(host, port, resolve, hosts=hosts)
    about = {"id": call.id, "created_at": call.created_at and call.created_at.isoformat()}
    body = json.dumps({**about, **call.payload}, allow_nan=False).encode()
    headers = {
        "Host": url.netloc,
        "Content-Type": "application/json",
        "User-Agent": "frugal",
        "Webhook-Id": call.id,
        "Webhook-Attempt": str(call.attempts),
        "Connection": "close",
    }
    if secret:
        at = int(time.time())  # for the receiver's clock, against replays; nothing depends on it
        headers["Webhook-Signature"] = signature(secret, body, timestamp=at)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection = _Pinned(host, address, port, tls=url.scheme == "https", seconds=seconds)
    timer = threading.Timer(2 * seconds, connection.cut)
    timer.start()
    try:
        connection.request("POST", path, body=body, headers=headers)
        status = connection.getresponse().status  # what it says is not read
    except (OSError, http.client.HTTPException) as error:
        raise Unheard(f"no answer ({type(error).__name__})") from None
    finally:
        timer.cancel()
        connection.close()
    if not 200 <= status < 300:
        kind = "redirects are not followed" if 300 <= status < 400 else "not accepted"
        raise Unheard(f"answered {status}, {kind}")


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever the name says meanwhile; no proxies."""

    def __init__(self, host: str, address: str, port: int, *, tls: bool, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._address, self._tls = address, tls

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """End it from another thread: an answer that drips byte by byte never times out."""
        with contextlib.suppress(OSError):
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)


def _pinned(host: str, port: int, resolve: Resolve, *, hosts: Collection[str]) -> str:
    """The one address to connect to. Raises Unheard when there is none that may be called.

    A private address may be called only where it stands in the operator's list itself.
    """
    try:
        addresses = resolve(host, port)
    except OSError:
        raise Unheard("its name is not known") from None
    for address in addresses:
        own = f"[{address}]" if ":" in address else address
        if is_public(address) or own in hosts or f"{own}:{port}" in hosts:
            return address
    raise Unheard("its name leads to no public address; name the address itself to allow it")


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver. Raises OSError."""
    found: list[tuple[Any, ...]] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


def is_public(text: str) -> bool:
    """Whether an address is of the public Internet.

    `is_global` alone lets multicast through, and addresses that a gateway turns into others.

    >>> is_public("1.1.1.1"), is_public("10.0.0.1"), is_public("::ffff:169.254.169.254")
    (True, False, False)
    """
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address in _NAT64 or address in _6TO4 or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
