"""`mask`: send placeholders instead of personal data; put the data back in the answer.

A placeholder reads `[[EMAIL_ADDRESS_1]]`. The same value has the same one throughout the
conversation, numbered by first occurrence, so that a resent conversation masks alike; where the
provider holds the earlier turns, each turn numbers from a place of its own. Text
that already looks like a placeholder is masked too, and so comes back as it was. What the
model invents stays as it is. A name or an id that cannot be rewritten refuses the request.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from gateway.core.answer import Lane, MakeRewriter
from gateway.core.exchange import Exchange
from gateway.core.findings import Direction, Finding
from gateway.core.passages import Slot, rewrite
from gateway.core.ports import Masker

LITERAL = "LITERAL"
"""The label of text that merely looks like a placeholder."""

_TURNS, _APART = 10**6, 10**3
"""A turn of a conversation that the provider holds begins to number at one of a million places,
so far apart that the values of one turn do not reach the next place."""

_BRACKET, _CLOSE, _INSIDE = r"\\{0,2}\[", r"\\{0,2}\]", r"[A-Za-z0-9_\\ ]"
"""As a model may write them: escaped, once or twice, and with spaces."""
_DOUBLE = re.compile(rf"{_BRACKET}{_BRACKET}({_INSIDE}+?){_CLOSE}{_CLOSE}")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*_[0-9]+")


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which findings to mask: these labels, at this score or above."""

    labels: frozenset[str]
    min_score: float = 0.5
    with_: str = msgspec.field(name="with", default="placeholder")


class Mask:
    """The obligation. `masker` replaces; numbering and restoring are here."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    async def __call__(self, exchange: Exchange, params: Mapping[str, Any]) -> MakeRewriter | None:
        wanted = msgspec.convert(params, Params)
        if wanted.with_ != "placeholder":
            raise msgspec.ValidationError(f"cannot mask with {wanted.with_!r}")
        continued = exchange.dialect.continues(exchange.request)
        vault = Vault(secrets.randbelow(_TURNS) * _APART if continued else 0)
        by_place = _by_place(exchange.findings, wanted)
        edits: list[tuple[Slot, str]] = []
        for slot in exchange.slots:
            found = by_place.get(slot.where, [])
            text = slot.text
            if "[" in text:
                found = [*found, *_literals(text, slot.where)]
            if found:
                edits.append((slot, self._masker.mask(text, found, vault.name)))
        rewrite(edits)
        if not vault.values:
            return None
        json_answer = exchange.dialect.answers_json(exchange.request)
        values = vault.values
        return lambda lane: Restore(values, json=_is_json(lane, json_answer))


def _by_place(findings: Sequence[Finding], wanted: Params) -> dict[str, list[Finding]]:
    places: dict[str, list[Finding]] = {}
    for finding in findings:
        if (
            finding.label in wanted.labels
            and finding.score >= wanted.min_score
            and finding.direction is Direction.INPUT
            and finding.end > finding.start
        ):
            places.setdefault(finding.where, []).append(finding)
    return places


def _literals(text: str, where: str) -> list[Finding]:
    return [
        Finding("literal", LITERAL, where, match.start(), match.end(), 1.0)
        for match in _DOUBLE.finditer(text)
        if _NAME.fullmatch(_plain(match[1]))
    ]


def _is_json(lane: Lane, json_answer: bool) -> bool:
    return lane.json or (json_answer and lane.name == "content")


class Vault:
    """What was masked in one exchange. Lives as long as it, in memory only.

    `first` is the number before the first. Where the provider holds earlier turns, which had
    placeholders of their own, another turn's must not read as one of these.
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self.values: dict[str, str] = {}
        """The value behind each name, such as EMAIL_ADDRESS_1."""
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def name(self, label: str, value: str) -> str:
        """The placeholder of `value`."""
        name = self._names.get((label, value))
        if name is None:
            number = self._counts[label] = self._counts.get(label, self._first) + 1
            name = self._names[label, value] = f"{label}_{number}"
            self.values[name] = value
        return f"[[{name}]]"


class Restore:
    """Puts values back for placeholders, also where a model changed case or escaped them.

    Holds back only an end of the text that may still become a placeholder of this exchange.
    In a lane of JSON the value is escaped as the inside of a JSON string.
    """

    def __init__(self, values: Mapping[str, str], *, json: bool) -> None:
        self._values = {
            name: orjson.dumps(value)[1:-1].decode() if json else value
            for name, value in values.items()
        }
        longest = max(len(name) for name in values)
        inside = rf"{_INSIDE}{{0,{2 * longest + 4}}}"
        self._whole = re.compile(rf"{_BRACKET}{_BRACKET}({inside}?){_CLOSE}{_CLOSE}")
        self._start = re.compile(
            rf"(?:{_BRACKET}{_BRACKET}(?P<inside>{inside}?)(?:{_CLOSE})?(?:\\{{0,2}})"
            rf"|{_BRACKET}\\{{0,2}}|\\{{1,2}})\Z"
        )
        self._longest = 2 * longest + 4 + 12
        self._held = ""

    async def feed(self, text: str) -> str:
        text = self._held + text
        cut = self._cut(text)
        self._held = text[cut:]
        return self._restored(text[:cut])

    async def finish(self) -> str:
        held, self._held = self._held, ""
        return self._restored(held)

    def _cut(self, text: str) -> int:
        """Where text begins that may still become a placeholder; the end if none does."""
        if "[" not in text and "\\" not in text[-2:]:
            return len(text)
        begin = max(0, len(text) - self._longest)
        while found := self._start.search(text, begin):
            name = _plain(found["inside"] or "")
            if any(live.startswith(name) for live in self._values):
                return found.start()
            begin = found.start() + 1
        return len(text)

    def _restored(self, text: str) -> str:
        if "[" not in text:
            return text
        return self._whole.sub(lambda hit: self._values.get(_plain(hit[1]), hit[0]), text)


def _plain(name: str) -> str:
    """A placeholder's name without what a model may do to it."""
    return name.replace("\\", "").replace(" ", "").upper()
