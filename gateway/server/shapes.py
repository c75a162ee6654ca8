"""How the gateway itself says no, outside of an exchange: in the shape that the path's callers
read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.dialect import Dialect
from gateway.core.errors import GatewayError, Unusable
from gateway.dialects import openai_shape
from gateway.server.errors import status_of, with_request_id

JSON = "application/json"
PROBLEM = "application/problem+json"
CONTROL = "/api/"
"""Where the control plane is, which answers with problem details."""
MODELS = "/v1/models"
ANTHROPIC = "/v1/messages"
"""The endpoint whose errors have Anthropic's shape."""

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Shapes:
    """Knows the shape of errors at every path, also where there is no route."""

    def __init__(self, dialects: Mapping[str, Dialect]) -> None:
        """`dialects` are the governed endpoints, by path."""
        self._dialects = sorted(dialects.items(), key=lambda item: -len(item[0]))
        self._anthropic = dialects.get(ANTHROPIC)

    def error(
        self, path: str, headers: Mapping[str, str], error: GatewayError, request_id: str
    ) -> tuple[str, dict[str, Any]]:
        """The media type and the body that say `error` to a caller of `path`.

        Below an endpoint, errors are that endpoint's; of the list of models, those of the
        vendor whose headers came with the request.
        """
        if path.startswith(CONTROL):
            return PROBLEM, _problem(path, error, request_id)
        dialect = self._dialect(path)
        if dialect is None and is_below(path, MODELS) and "anthropic-version" in headers:
            dialect = self._anthropic
        body = dialect.error(error, {}) if dialect else openai_shape.error_body(error, {})
        return JSON, with_request_id(body, request_id)

    def _dialect(self, path: str) -> Dialect | None:
        return next((dialect for known, dialect in self._dialects if is_below(path, known)), None)


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root`, or one of its own."""
    return path == root or path.startswith(f"{root}/")


def _problem(path: str, error: GatewayError, request_id: str) -> dict[str, Any]:
    """Problem details (RFC 9457). `code`, `request_id` and `problems` are members of our own."""
    status = status_of(error)
    more = {"problems": list(error.problems)} if isinstance(error, Unusable) else {}
    return {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": error.message,
        "instance": path,
        "code": str(error.code),
        "request_id": request_id,
        **more,
    }
