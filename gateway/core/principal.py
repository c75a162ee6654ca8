"""Who is calling, as their API key or a token of theirs says."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Limits:
    """Per-minute ceilings of one key; None is unlimited."""

    requests: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An application, known by a key or a token. `models` and `scopes` are glob patterns."""

    org: str
    team: str
    app: str
    key_id: str
    scopes: tuple[str, ...] = ("*",)
    models: tuple[str, ...] = ("*",)
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    limits: Limits = Limits()
    budget_id: str | None = None
    user: str | None = None
    """Who uses it, where that is verified."""

    def may_call(self, action: str) -> bool:
        """Whether the key's scopes cover `action`, such as `chat.completions.create`."""
        return _covered(action, self.scopes)

    def may_use(self, model: str) -> bool:
        """Whether the key's own list of models admits `model`."""
        return _covered(model, self.models)


def _covered(name: str, patterns: tuple[str, ...]) -> bool:
    return "*" in patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
