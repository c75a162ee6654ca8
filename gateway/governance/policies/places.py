"""Where a rule applies, and why it does not: the same as `policies/lib/rules.rego` says.

Rules and exceptions are as engines take them; questions are those that the policy is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.core.policy import Question
from gateway.core.rulesets import Json

When: TypeAlias = Mapping[str, Sequence[str]]

_SECONDS = len("2026-01-01T00:00:00")


@dataclass(frozen=True, slots=True)
class Miss:
    """A selector that does not select: what it wants, and what it was shown."""

    selector: str
    wanted: Sequence[str]
    saw: Any


def misses(when: When, question: Question) -> list[Miss]:
    """Every selector that does not select; none where all do."""
    found = []
    for selector, wanted in when.items():
        if selector not in _SELECTORS:
            found.append(Miss(selector, wanted, None))
            continue
        read, selects = _SELECTORS[selector]
        if not selects(wanted, saw := read(question)):
            found.append(Miss(selector, wanted, saw))
    return found


def attached(places: Sequence[When] | None, question: Question) -> bool:
    """Whether the attachments of its pack put a rule here; None puts it anywhere."""
    return places is None or any(not misses(when, question) for when in places)


def now(question: Question) -> str:
    """The time of a question, as rules name times: in UTC, to the second."""
    return str(question["context"]["time"])[:_SECONDS]


def begun(begin: str | None, question: Question) -> bool:
    return begin is None or begin <= now(question)


def over(end: str | None, question: Question) -> bool:
    return end is not None and end <= now(question)


def in_force(rule: Json, question: Question) -> bool:
    """Whether a rule holds for a question, whatever it looks for in it."""
    return (
        rule["mode"] in ("observe", "enforce")
        and begun(rule["from"], question)
        and not over(rule["until"], question)
        and attached(rule["attached"], question)
        and not misses(rule["when"], question)
    )


def holding(exceptions: Mapping[str, Json], rule: str, question: Question) -> Iterator[str]:
    """The ids of the exceptions to a rule that hold for a question, in order."""
    for id in sorted(exceptions):
        exception = exceptions[id]
        mine = exception["rule"] == rule and not over(exception["until"], question)
        if mine and not misses(exception["when"], question):
            yield id


def like(pattern: str, text: str) -> bool:
    """Whether `text` is as a pattern says, in which `*` stands for any run of characters."""
    start, *rest = pattern.split("*")
    if not rest:
        return text == start
    *middle, end = rest
    inner = text[len(start) : len(text) - len(end)]
    fits = len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)
    return fits and all(part in inner for part in middle)


def like_any(patterns: Sequence[str], text: Any) -> bool:
    """Whether a text is as any of these patterns says; what is no text is not."""
    return isinstance(text, str) and any(like(pattern, text) for pattern in patterns)


def _among(wanted: Sequence[str], value: Any) -> bool:
    return value in wanted


def _overlap(wanted: Sequence[str], values: Any) -> bool:
    return any(value in wanted for value in values)


_SELECTORS: Mapping[str, tuple[Callable[[Question], Any], Callable[[Sequence[str], Any], bool]]] = {
    "apps": (lambda question: question["subject"]["id"], like_any),
    "teams": (lambda question: question["subject"]["properties"]["team"], like_any),
    "models": (lambda question: question["resource"]["id"], like_any),
    "hosting": (lambda question: question["resource"]["properties"]["hosting"], _among),
    "regions": (lambda question: question["resource"]["properties"]["region"], _among),
    "tags": (lambda question: question["subject"]["properties"]["tags"], _overlap),
}
