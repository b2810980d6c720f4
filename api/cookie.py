"""The cookie of whoever signed in to the pages."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

COOKIE = "frugal_token"
MAX_SECRET = 512  # characters; ours have 43


def token_of(cookies: str) -> str | None:
    """The token in a Cookie header, None when it has none.

    >>> token_of("a=b; frugal_token=s3cret"), token_of("a=b"), token_of("")
    ('s3cret', None, None)
    """
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return None
    secret = "" if found is None else found.value
    return secret if 0 < len(secret) <= MAX_SECRET else None
