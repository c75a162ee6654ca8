"""The error objects of both APIs, and what the gateway adds to them."""

from __future__ import annotations

from typing import Any, Literal

from anthropic.types import ErrorObject
from pydantic import BaseModel, ConfigDict

from tests.shapes.members import held, require

ANTHROPIC = ("/v1/messages",)
"""Below these, errors are Anthropic's."""
UNLISTED = frozenset({"request_too_large", "conflict_error"})
"""Types that Anthropic's reference has ("Errors"), and its package does not."""


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Governance(_Exact):
    """Which decision led to an error; ours, inside the error object."""

    decision_id: str
    exchange_id: str
    action: Literal["allow", "deny", "review", "filter"]
    rules: list[str]
    stage: Literal["request", "answer"]


class _OpenAIError(_Exact):
    message: str
    type: str
    param: str | None
    code: str | None


class _Governed(_OpenAIError):
    governance: Governance


class _OpenAIBody(_Exact):
    error: _OpenAIError | _Governed


class _AnthropicBody(_Exact):
    type: Literal["error"]
    error: dict[str, Any]
    request_id: str


class _AlsoAnError(BaseModel):
    type: str
    message: str


def is_anthropic(path: str) -> bool:
    """Whether callers of `path` read Anthropic's shape."""
    return any(path == root or path.startswith(f"{root}/") for root in ANTHROPIC)


def check_error(path: str, body: Any, *, anthropic: bool = False) -> None:
    """Raise `OutOfShape` unless `body` is an error object that callers of `path` read.

    `anthropic`: by the caller's headers, where both vendors have such a path.
    """
    if not (anthropic or is_anthropic(path)):
        held(_OpenAIBody, body)
        return
    error = held(_AnthropicBody, body).error
    held(_AlsoAnError if error.get("type") in UNLISTED else ErrorObject, error)
    ours = error.keys() - {"type", "message", "code", "param", "governance"}
    require(not ours, "an error holds nothing else", error)
    for name in ("code", "param"):
        require(isinstance(error.get(name, ""), str), f"{name} is text", error)
    if "governance" in error:
        held(Governance, error["governance"])
