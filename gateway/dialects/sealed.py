"""Bytes that stand where text could: images, sound, sealed reasoning. They spell nothing.

What does not look like bytes is text, whatever its name says that it holds.
"""

from __future__ import annotations

import re
from typing import Any

LEAST = 40
"""Characters below which base64 is taken for text: sealed content is longer."""
_SHORTEST_LINE = 60
"""Characters of a line of base64 (64 in PEM, 76 in MIME) but for the last: words are shorter."""
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n"
_DATA_URL = re.compile(
    r"data:[\w.+-]{1,64}/[\w.+-]{1,64}(?:;[\w.+-]{1,32}=[\w.+-]{1,32})?;base64,", re.ASCII
)


def is_base64(text: str) -> bool:
    """Whether `text` is nothing but base64 (RFC 4648), in one line or in long ones."""
    return len(text) >= LEAST and _spells_nothing(text)


def is_data_url(text: str) -> bool:
    """Whether `text` is a `data:` URL in base64 (RFC 2397), of any length."""
    head = _DATA_URL.match(text)
    return head is not None and _spells_nothing(text[head.end() :])


def is_bytes(value: Any) -> bool:
    """Whether `value` is a string that looks like bytes, in either form."""
    return isinstance(value, str) and (is_data_url(value) or is_base64(value))


def _spells_nothing(text: str) -> bool:
    if text.encode(errors="surrogatepass").translate(None, _ALPHABET):
        return False
    lines = text.strip().splitlines() if "\n" in text or "\r" in text else []
    return all(len(line) >= _SHORTEST_LINE for line in lines[:-1])
