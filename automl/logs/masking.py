"""Log messages with everything masked that differs from line to line: numbers, ids, paths."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

MASK = "<*>"
# A template is what a message begins with: a stack trace below it is not looked at.
MAX_CHARACTERS = 4_000
MAX_TOKENS = 64
# RE2 runs these in time linear in the text. The first that fits at a place wins.
VARIABLE = "|".join(
    (
        r"https?://[^\s\"'<>]+",
        # with the word before it, as in req-38101a0b-2096-447d-96ea-a692162415ae
        r"(?:[A-Za-z]+[-_])?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        r"(?:/[\w.$%+*~@-]+){2,}/?",
        r"\b0[xX][0-9a-fA-F]+\b",
        # numbers, and ids: a word with a number in it, dates, times, addresses with a port
        r"[-+]?(?:[A-Za-z_]+[-_]?-?)?\d\w*(?:[-.:,/]\d\w*)*%?",
        r"\b[0-9a-fA-F]{8,}\b",
    )
)
CODE = r"^\S{1,32}$"
# What is masked twice in a row is one thing: a list of addresses is as good as one.
REPEATED = re.compile(r"<\*>(?:[\s,;:/._|-]*<\*>)+")
# An address is written with a slash before it or without.
EDGES = re.compile(r"/?<\*>")


def mask(messages: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Messages with `<*>` for what varies, of the first line and at most 4,000 characters.

    A message of one short word is an event's code, and stays.

    >>> mask(pa.array(["Received blk_-38 of size 67108864 from /10.251.73.220", "E5"])).to_pylist()
    ['Received <*> of size <*> from /<*>', 'E5']
    """
    lengths = pc.max(pc.binary_length(messages)).as_py() or 0
    if lengths > MAX_CHARACTERS:
        messages = pc.utf8_slice_codeunits(messages, 0, MAX_CHARACTERS)
    if pc.any(pc.match_substring(messages, "\n"), min_count=0).as_py():
        messages = pc.replace_substring_regex(messages, r"\n(?s:.*)", "")
    masked = pc.replace_substring_regex(messages, VARIABLE, MASK)
    coded = pc.match_substring_regex(messages, CODE)
    return pc.if_else(coded, messages, masked) if pc.any(coded, min_count=0).as_py() else masked


def tokens(masked: str) -> tuple[str, ...]:
    """The first 64 words of a masked message, masks in a row taken together.

    >>> tokens("to <*> <*>, <*> done")
    ('to', '<*>', 'done')
    """
    if " " not in masked:
        return tuple(masked.split())[:MAX_TOKENS]
    return tuple(EDGES.sub(MASK, REPEATED.sub(MASK, masked)).split()[:MAX_TOKENS])
