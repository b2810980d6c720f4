"""Who asks: one hook in front of every route; what is not public needs a token."""

from __future__ import annotations

import re
from typing import TypeVar

from apiflask import APIFlask
from flask import Request, Response, g, request
from flask_limiter import Limiter
from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter
from werkzeug.datastructures import MIMEAccept

from api.context import now, parts
from api.errors import (
    PROBLEM,
    BadRequest,
    NotAcceptable,
    TooManyRequests,
    Unauthenticated,
    UnknownHost,
    UnsupportedMediaType,
    problem,
)
from api.rate_counts import RateCounts
from api.roles import require, role_needed
from api.wording import UNKNOWN_PARAMETER
from automl.errors import DataError
from scheduler.config import Settings

View = TypeVar("View")

PUBLIC = frozenset(
    {
        "static",
        "health.healthz",
        "health.readyz",
        "open_inference.live",
        "open_inference.ready",
        "documents.index",
        "documents.docs",
        "documents.openapi",
    }
)
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")
MAX_SECRET = 512  # characters; ours have 43
FAILURES_PER_MINUTE = 30  # of one address, then 429; a valid token still passes
PRODUCES, REPEATABLE = "_produces", "_repeatable"

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class produces:
    """Declare the media types a view can answer with; the first is the default."""

    def __init__(self, *types: str) -> None:
        self.types = types

    def __call__(self, view: View) -> View:
        setattr(view, PRODUCES, self.types)
        return view


class repeatable:
    """Declare the query parameters of a view that may be given several times."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __call__(self, view: View) -> View:
        setattr(view, REPEATABLE, self.names)
        return view


def reads_query(view: object) -> bool:
    """Whether a view declares query parameters, which its schema then checks by name."""
    declared = getattr(view, "_spec", {}).get("args") or ()
    return any(location == "query" for _, location in declared)


def negotiated(*types: str) -> str:
    """The one of `types` that Accept likes best; the first when it says nothing."""
    accept: MIMEAccept = request.accept_mimetypes
    if not accept:
        return types[0]
    best = accept.best_match(types)
    if best is None:
        raise NotAcceptable(f"this can be had as {', '.join(types)}")
    return best


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Host names answered to: a page of another site that rebinds its name gets a 421.

    Werkzeug's own list of trusted hosts cannot hold an IPv6 address.
    """
    own = {"localhost", "127.0.0.1", "[::1]", *settings.allowed_hosts}
    if settings.host not in ("0.0.0.0", "::", ""):
        own.add(f"[{settings.host}]" if ":" in settings.host else settings.host)
    return frozenset(name.lower() for name in own)


def bearer(incoming: Request) -> str | None:
    """The secret of the Authorization header; None when it has none."""
    header = incoming.headers.get("Authorization", "")
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > MAX_SECRET:
        return None
    return secret


def caller() -> str:
    """Whose requests are counted together: a token's, else those of an address."""
    return str(getattr(g, "token_id", None) or request.remote_addr or "unknown")


def install(app: APIFlask, *, settings: Settings) -> None:
    """Put host check, authentication, rate limit and negotiation in front of every route."""
    hosts = allowed_hosts(settings)
    failures = FixedWindowRateLimiter(RateCounts())
    app.config.setdefault("AUTH_FAILURES_PER_MINUTE", FAILURES_PER_MINUTE)

    def check_host() -> None:
        match = HOST.fullmatch(request.headers.get("Host", ""))
        if match is None or match[1].lower() not in hosts:
            raise UnknownHost("this service does not answer to that Host; see FRUGAL_ALLOWED_HOSTS")

    def authenticate() -> None:
        if request.endpoint in PUBLIC:
            return
        secret = bearer(request)
        token = parts().store.token_by_secret(secret, now=now()) if secret else None
        if token is None:
            limit = RateLimitItemPerMinute(app.config["AUTH_FAILURES_PER_MINUTE"])
            if not failures.hit(limit, request.remote_addr or ""):
                raise TooManyRequests("too many requests without a valid token")
            if secret is None:
                raise Unauthenticated("send a token as Authorization: Bearer <token>")
            raise Unauthenticated("the token is unknown, revoked or expired", code="invalid_token")
        g.project_id = token.project_id
        g.token = token
        g.token_id = token.id
        g.role = token.role
        if request.endpoint is not None:  # what is not there is a 404 for everybody
            require(token.role, role_needed(request.endpoint))

    def negotiate() -> None:
        if request.endpoint is None or request.endpoint == "static":
            return
        view = app.view_functions[request.endpoint]
        negotiated(*getattr(view, PRODUCES, ("application/json",)))

    def check_query() -> None:
        if len(request.query_string) > 16_384:
            raise BadRequest("the query is longer than 16 kB", code="query_too_long")
        several = getattr(app.view_functions.get(request.endpoint or ""), REPEATABLE, ())
        for name, values in request.args.lists():
            if len(values) > 1 and name not in several:
                raise BadRequest(f"query parameter {name[:100]!r} is given twice", field=name[:100])
        # Browsers, probes and links to public pages may add their own.
        if not request.args or request.endpoint is None or request.endpoint in PUBLIC:
            return
        if not reads_query(app.view_functions[request.endpoint]):
            name = next(iter(request.args))[:200]
            raise DataError(
                f"{name}: {UNKNOWN_PARAMETER}", code="invalid_request", details={"field": name}
            )

    def check_encoding() -> None:
        coded = request.headers.get("Content-Encoding", "").strip().lower()
        if coded not in ("", "identity"):
            raise UnsupportedMediaType(
                "the body must come without Content-Encoding; a file may be compressed itself, "
                "as data.csv.gz is"
            )

    def secure(response: Response) -> Response:
        if response.status_code == 204:
            response.headers.pop("Content-Type", None)  # there is nothing to be of a type
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint not in PUBLIC:
            response.headers["Cache-Control"] = "no-store"
            response.vary.add("Authorization")
        if (
            request.method in ("GET", "HEAD")
            and response.status_code == 200
            and not response.is_streamed
            and not response.direct_passthrough
        ):
            response.add_etag()
            response.make_conditional(request)
        if response.status_code == 412 and response.mimetype != PROBLEM:
            return secure(problem(412, "precondition_failed", "it is not the version in If-Match"))
        return response

    app.before_request(check_host)
    app.before_request(authenticate)
    Limiter(
        caller,
        app=app,
        default_limits=[f"{settings.requests_per_minute} per minute"],
        storage_uri="frugal-counts://",
        headers_enabled=False,
    )
    app.before_request(negotiate)
    app.before_request(check_query)
    app.before_request(check_encoding)
    app.after_request(secure)
