"""The cookie of whoever signed in to the pages."""

from __future__ import annotations

import re

COOKIE = "frugal_token"
MAX_SECRET = 512  # characters; ours have 43
_SECRET = re.compile(f"[!-~]{{1,{MAX_SECRET}}}")


def token_of(cookies: str) -> str | None:
    """The token in a Cookie header, None when it has none.

    >>> token_of("a=b; frugal_token=s3cret"), token_of("a=b"), token_of("")
    ('s3cret', None, None)
    """
    for cookie in cookies.split(";"):  # by hand: an odd byte in another's cookie is not our matter
        name, _, value = cookie.strip().partition("=")
        if name == COOKIE:
            return as_secret(value.strip('"'))
    return None


def as_secret(text: str) -> str | None:
    """What may be a secret, without the blanks around it; None for what cannot be one.

    >>> as_secret(" s3cret "), as_secret("two words"), as_secret("")
    ('s3cret', None, None)
    """
    text = text.strip()
    return text if _SECRET.fullmatch(text) else None
