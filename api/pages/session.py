"""Signing in with a token: a cookie that no script can read and no other site can send.

The cookie holds the token itself, so that nothing about sessions is stored, and a token that is
revoked ends them at once. ``SameSite=Strict`` keeps requests of other sites without it
(RFC 6265bis, section 5.5); what a script of ours sends to the API carries it as well, and is
accepted only where the browser says that the request came from a page of this very origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from api.cookie import COOKIE, as_secret, token_of
from api.pages.asking import Refused, get

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

OPEN = frozenset({"sign_in", "scripts.charts"})
SAFE = ("GET", "HEAD")
FIRST = "/ui/"
DAYS = 30


def from_own_page(environ: WSGIEnvironment) -> bool:
    """Whether a page of this very origin made the request, as the browser says itself.

    Sec-Fetch-Site is of W3C's Fetch Metadata; where it is missing Origin has to match, and a
    request that changes nothing may come without either.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    safe = environ.get("REQUEST_METHOD") in SAFE
    if site is not None:
        return site == "same-origin" or (safe and site == "none")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return safe
    try:
        return urlsplit(origin).netloc == environ.get("HTTP_HOST")
    except ValueError:  # no address at all, such as http://[
        return False


class CookieToken:
    """Lets scripts of our pages ask the API: the cookie's token becomes the Authorization."""

    def __init__(self, api: WSGIApplication) -> None:
        self._api = api

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer as the API does; a header of the request's own goes before the cookie."""
        if "HTTP_AUTHORIZATION" not in environ and from_own_page(environ):
            secret = token_of(environ.get("HTTP_COOKIE", ""))
            if secret is not None:
                environ["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        return self._api(environ, start)


def mounted(pages: WSGIApplication, api: WSGIApplication, *, prefix: str) -> WSGIApplication:
    """One application: what begins with `prefix` is a page, everything else the API's."""
    cookie = CookieToken(api)

    def either(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(prefix + "/"):
            return pages(environ, start)
        return cookie(environ, start)

    return either


def _next() -> str:
    """The page that was asked for before signing in; never an address of another site."""
    wanted = request.values.get("next", "")
    inside = wanted == "/ui" or wanted.startswith(("/ui/", "/ui?"))
    plain = inside and not any(part in wanted for part in ("//", "\\", ".."))
    return wanted if plain and wanted.isprintable() else FIRST


def sign_in() -> Any:
    """The form, and what becomes of it."""
    if request.method in SAFE:
        return render_template("pages/sign_in.html", next=_next(), error=None)
    g.secret = as_secret(request.form.get("token", "")) or ""
    try:
        if not g.secret:
            raise Refused(401, {"detail": "paste the token that you were given, whole"})
        get("/v1/token")
    except Refused as refused:
        page = render_template("pages/sign_in.html", next=_next(), error=str(refused))
        return page, refused.status
    answer = redirect(_next(), 303)
    answer.set_cookie(
        COOKIE,
        g.secret,
        max_age=DAYS * 86400,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
        path="/",
    )
    return answer


def sign_out() -> Any:
    """Forget the token."""
    answer = redirect(url_for("sign_in"), 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
    return answer


def _before() -> Response | None:
    g.secret = token_of(request.headers.get("Cookie", "")) or ""
    if request.method not in SAFE and not from_own_page(request.environ):
        raise Refused(403, {"detail": "this form was sent from another site"})
    if request.endpoint in OPEN:
        return None
    if not g.secret:
        return _to_sign_in()
    try:
        g.me = get("/v1/token")
    except Refused as refused:
        if refused.status == 401:
            return _to_sign_in()
        raise
    return None


def _to_sign_in() -> Response:
    wanted = request.full_path.rstrip("?") if request.method in SAFE else "/ui"
    return redirect(url_for("sign_in", next=wanted), 303)


def install(app: Flask) -> None:
    """Ask for a token in front of every page of `app`."""
    app.before_request(_before)
    views: tuple[tuple[str, Callable[[], Any], list[str]], ...] = (
        ("sign_in", sign_in, ["GET", "POST"]),
        ("sign_out", sign_out, ["POST"]),
    )
    for name, view, methods in views:
        app.add_url_rule(f"/ui/{name.replace('_', '-')}", name, view, methods=methods)
