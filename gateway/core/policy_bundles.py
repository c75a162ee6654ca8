"""How an OPA server is given what it decides by: bundles, which it fetches over HTTP.

Source: https://www.openpolicyagent.org/docs/management-bundles
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

NAME = "govgate"
"""What the bundle is called, and the key that it is signed with."""
MEDIA_TYPE = "application/vnd.openpolicyagent.bundles"
"""Of a bundle from a server that knows of long polling: OPA polls it so only then."""


class BundleAnswer(NamedTuple):
    """An HTTP answer; `headers` have names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


Sign: TypeAlias = Callable[[bytes], str]
"""A payload as a signed token: JSON Web Signature, in its compact form."""

FetchBundle: TypeAlias = Callable[[Mapping[str, str]], Awaitable[BundleAnswer]]
"""What is answered to a GET of the bundle with these headers, whose names are in small letters.
It may take as long as the `prefer` header allows."""
