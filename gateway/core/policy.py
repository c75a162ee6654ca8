"""What the policy decision point is asked, and what it says.

The shapes are those of `policies/schemas/`; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from gateway.core.errors import Code, Unavailable

SCHEMA_VERSION = 1

Question: TypeAlias = Mapping[str, Any]
"""Subject, action, resource, context (OpenID AuthZEN 1.0). Holds facts, never prompt text."""


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    REVIEW = "review"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a decision. A field that we do not know is an error, never ignored."""


class Reason(_Strict, frozen=True):
    """Why: a rule, a stable code, a message per locale, and the facts it rests on."""

    rule: str
    code: str
    message: dict[str, str]
    severity: Severity
    facts: dict[str, Any]


class Obligation(_Strict, frozen=True):
    """A duty the decision carries. A duty we cannot discharge refuses the exchange."""

    id: str
    params: dict[str, Any]
    rule: str


class Observed(_Strict, frozen=True):
    """A rule in `observe` mode, and the effect it would have had."""

    rule: str
    would: str


class Overridden(_Strict, frozen=True):
    """A rule that an exception or a floor set aside, and which."""

    rule: str
    by: str


class Verdict(_Strict, frozen=True):
    """What a policy engine answered, shape checked."""

    effect: Effect
    reasons: tuple[Reason, ...]
    obligations: tuple[Obligation, ...]
    observed: tuple[Observed, ...]
    overridden: tuple[Overridden, ...]

    @classmethod
    def parse(cls, result: object) -> Verdict:
        """The verdict that an engine's `result` is; `result` is decoded JSON.

        Raises `Unavailable(POLICY_ERROR)` when it is undefined (None) or of another shape.
        """
        try:
            return msgspec.convert(result, cls)
        except msgspec.ValidationError as error:
            raise Unavailable(
                Code.POLICY_ERROR, f"The policy's answer is not a decision: {error}"
            ) from error


class Decision(msgspec.Struct, frozen=True):
    """A verdict, under an id of its own and the policy revision that gave it."""

    id: str
    revision: str
    verdict: Verdict

    @property
    def effect(self) -> Effect:
        return self.verdict.effect

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        return self.verdict.obligations

    def obligation(self, id: str) -> Obligation | None:
        """The first obligation called `id`, if the decision carries one."""
        return next((duty for duty in self.obligations if duty.id == id), None)
