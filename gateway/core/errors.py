"""Why an exchange stopped, in words a caller can act on.

GatewayError
├── Denied          before any answer, or instead of one: an HTTP error in the caller's dialect
│   ├── Malformed     the request cannot be read; `param` names the field
│   ├── Unusable      policy packs that cannot be used; `problems` says why
│   └── OverBudget    the most it could cost does not fit; nothing was written or held
├── Filtered        inside an answer: it ends as the dialect ends a filtered answer
├── Unavailable     something we depend on is gone or answers nonsense; we fail closed
└── UpstreamError   the model's side said no, or broke; its status and words are passed on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Every code the gateway answers with. Stable: people match on them.

    The HTTP status, type and retry advice of each stand in `gateway/server/errors.py`.
    """

    INVALID_API_KEY = "invalid_api_key"
    IDENTITY_UNAVAILABLE = "identity_unavailable"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    INSUFFICIENT_ROLE = "insufficient_role"
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INSUFFICIENT_QUOTA = "insufficient_quota"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_NOT_PRICED = "model_not_priced"
    CONTENT_FILTER = "content_filter"
    STOPPED = "stopped"
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNKNOWN_URL = "unknown_url"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    OWNED_ELSEWHERE = "owned_elsewhere"
    STEP_REFUSED = "step_refused"
    PRECONDITION_FAILED = "precondition_failed"
    PRECONDITION_REQUIRED = "precondition_required"
    UNUSABLE_PACK = "unusable_pack"
    POLICY_UNAVAILABLE = "policy_unavailable"
    POLICY_ERROR = "policy_error"
    REVIEWS_UNAVAILABLE = "reviews_unavailable"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    AUDIT_STORAGE_FULL = "audit_storage_full"
    INSPECTION_UNAVAILABLE = "inspection_unavailable"
    OVERLOADED = "overloaded"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    INTERNAL_ERROR = "internal_error"


class GatewayError(Exception):
    """Anything the gateway says no with."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        rules: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        """Seconds after which a repeat may succeed, where that is known."""
        self.rules = tuple(rules)
        """Ids of the policy rules that said no."""


class Denied(GatewayError):
    """The policy, or the lack of a credential or a budget, stopped the request."""


class Malformed(Denied):
    """The request cannot be read as its dialect."""

    def __init__(
        self, message: str, *, param: str | None = None, code: Code = Code.INVALID_REQUEST
    ) -> None:
        super().__init__(code, message, param=param)


class Unusable(Denied):
    """Policy packs that cannot be used. `problems` is everything that is wrong, as JSON."""

    def __init__(self, message: str, problems: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(Code.UNUSABLE_PACK, message)
        self.problems = tuple(problems)


class OverBudget(Denied):
    """A hold does not fit its budget. `remaining` is what was left, in micro-USD."""

    def __init__(self, remaining: int, message: str) -> None:
        super().__init__(Code.INSUFFICIENT_QUOTA, message)
        self.remaining = remaining


class Filtered(GatewayError):
    """The answer broke a rule; what was held back is never released.

    `shown` is text that was cleared before the rule was found broken, and may be released.
    """

    def __init__(self, code: Code, message: str, *, shown: str = "") -> None:
        super().__init__(code, message)
        self.shown = shown


class Unavailable(GatewayError):
    """A dependency could not be asked, or answered nonsense, so nothing may pass."""


class UpstreamError(GatewayError):
    """The provider refused or broke.

    `status` is the provider's own HTTP status, None when it gave none; `body` its error
    object where it sent one; `retryable` whether the call certainly produced nothing.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        status: int | None = None,
        body: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(code, message, retry_after=retry_after)
        self.status = status
        self.body = body
        self.retryable = retryable
