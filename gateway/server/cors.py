"""Calls from pages in a browser (Fetch standard, "CORS protocol"): none, unless listed.

The data plane has no cookies, so credentials are never allowed: a page that was not given a
key can do nothing with one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

_METHODS = "GET, POST, DELETE, HEAD, OPTIONS"
_SENT = frozenset(
    {
        "accept",
        "accept-language",
        "api-key",
        "authorization",
        "content-type",
        "idempotency-key",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "traceparent",
        "user-agent",
        "x-api-key",
        "x-client-request-id",
    }
)
_SENT_PREFIXES = ("anthropic-", "x-govgate-", "x-stainless-")
"""Request headers that a page may send, besides those that the browser always lets it."""
_TOLD = ("anthropic-", "openai-", "request-id", "retry-after", "server-timing", "x-")
"""How the names of headers begin that a page may read."""
_CLOSED = ("/api/", "/console")
"""Where no page of anybody else has any business."""
_KEPT_SECONDS = "600"


class Cors:
    """The origins whose pages may call. Compared as they are spelled; there is no pattern."""

    def __init__(self, origins: Collection[str] = ()) -> None:
        """`origins` such as `https://app.example.org`. Raises `ValueError` for another shape."""
        for origin in origins:
            scheme, found, host = origin.partition("://")
            if scheme not in ("http", "https") or not found or not host or set(host) & set("/*?#@"):
                raise ValueError(
                    "GOVGATE_SERVER__CORS_ORIGINS: an origin is scheme://host or "
                    f"scheme://host:port, without a slash at its end: {origin!r}"
                )
        self._origins = frozenset(origin.lower() for origin in origins)

    def concerns(self, path: str) -> bool:
        """Whether an answer at `path` depends on the origin."""
        return bool(self._origins) and not path.startswith(_CLOSED)

    def admits(self, path: str, origin: str) -> bool:
        """Whether pages of `origin` may call `path`."""
        return self.concerns(path) and origin.lower() in self._origins

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What the answer to a preflight says, to an origin that is admitted."""
        wanted = headers.get("access-control-request-headers", "").lower().split(",")
        allowed = [name.strip() for name in wanted if _may_be_sent(name.strip())]
        answer = {
            "access-control-allow-methods": _METHODS,
            "access-control-max-age": _KEPT_SECONDS,
        }
        if allowed:
            answer["access-control-allow-headers"] = ", ".join(allowed)
        return answer

    def exposed(self, names: Iterable[str]) -> str:
        """The headers of an answer, of those it has, that a page may read."""
        return ", ".join(sorted({name for name in names if name.startswith(_TOLD)}))


def _may_be_sent(name: str) -> bool:
    return name in _SENT or name.startswith(_SENT_PREFIXES)
