"""`screen`: look at every passage of the answer before the caller does.

Works on what the model said, before masked values are put back: a value that the caller sent
is theirs to read, one that the model brings up is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from gateway.core.answer import FAILURE, Lane, MakeRewriter
from gateway.core.errors import Code, Denied, Filtered
from gateway.core.exchange import Exchange
from gateway.core.findings import Direction, Finding
from gateway.core.passages import Passage, Slot, rewrite, slots_of
from gateway.core.ports import Inspector
from gateway.core.splitter import Splitter, Unit
from gateway.core.values import named

CONTEXT = 200
"""Characters of text already shown that an inspector sees before a passage."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for, and what to do when it is found. Empty `labels` means any label."""

    kinds: frozenset[str]
    labels: frozenset[str] = frozenset()
    min_score: float = 0.5
    on_match: Literal["filter", "redact"] = "filter"
    unit: Unit = Unit.SENTENCE

    def concerns(self, finding: Finding) -> bool:
        return (
            finding.kind in self.kinds
            and (not self.labels or finding.label in self.labels)
            and finding.score >= self.min_score
        )


class Screen:
    """The obligation. Asks the inspectors whose kinds of findings a rule names."""

    def __init__(self, inspectors: Mapping[str, Inspector]) -> None:
        self._inspectors = inspectors
        """By the kind of findings that each makes."""

    async def __call__(self, exchange: Exchange, params: Mapping[str, Any]) -> MakeRewriter | None:
        wanted = msgspec.convert(params, Params)
        if unknown := wanted.kinds - self._inspectors.keys():
            raise msgspec.ValidationError(f"nothing here finds {', '.join(sorted(unknown))}")
        inspectors = list(
            {id(self._inspectors[k]): self._inspectors[k] for k in wanted.kinds}.values()
        )
        examine = _Examine(exchange, inspectors, wanted)
        strike_out = _Examine(exchange, inspectors, replace(wanted, on_match="redact"))
        json_answer = exchange.dialect.answers_json(exchange.request)

        def make(lane: Lane) -> _ScreenedText | _ScreenedJson | _Repeated:
            if lane.repeats:
                return _Repeated()
            if lane == FAILURE:  # there is no answer to stop
                return _ScreenedText(strike_out, str(lane), Splitter(Unit.WHOLE))
            if lane.json or (json_answer and lane.name == "content"):
                return _ScreenedJson(examine, str(lane))
            return _ScreenedText(examine, str(lane), Splitter(wanted.unit))

        return make


class _Examine:
    """Shows passages to the inspectors; says what may be released of them."""

    def __init__(self, exchange: Exchange, inspectors: Sequence[Inspector], wanted: Params) -> None:
        self._exchange = exchange
        self._inspectors = inspectors
        self._wanted = wanted

    async def __call__(self, passages: Sequence[Passage]) -> list[str]:
        """The passages' text as it may be shown. Raises `Filtered`."""
        found = await self._found(passages)
        self._exchange.found(found)
        if found and self._wanted.on_match == "filter":
            raise Filtered(
                Code.CONTENT_FILTER,
                f"The answer was stopped by policy ({found[0].kind}: {found[0].label}). "
                f"Reference {self._exchange.decision.id}.",
            )
        return [
            _redacted(passage.text, [hit for hit in found if hit.where == passage.where])
            for passage in passages
        ]

    async def _found(self, passages: Sequence[Passage]) -> list[Finding]:
        found: list[Finding] = []
        for inspector in self._inspectors:
            try:
                found += await inspector.inspect(passages)
            except Exception as error:
                self._exchange.unavailable.append(inspector.name)
                raise Filtered(
                    Code.INSPECTION_UNAVAILABLE, "The answer could not be inspected."
                ) from error
        self._exchange.mention(named(found, passages))
        return [finding for finding in found if self._wanted.concerns(finding)]


class _Repeated:
    """The caller's own words, which an answer repeats: nothing to look at that is new."""

    async def feed(self, text: str) -> str:
        return text

    async def finish(self) -> str:
        return ""


class _ScreenedText:
    """Text, a passage at a time."""

    def __init__(self, examine: _Examine, where: str, splitter: Splitter) -> None:
        self._examine = examine
        self._where = where
        self._splitter = splitter
        self._before = ""

    async def feed(self, text: str) -> str:
        return await self._cleared(self._splitter.feed(text))

    async def finish(self) -> str:
        return await self._cleared(self._splitter.finish())

    async def _cleared(self, passages: Sequence[str]) -> str:
        """The passages as they may be shown; those before one that is not, in `Filtered`."""
        shown = ""
        for text in passages:
            passage = Passage(text, self._where, Direction.OUTPUT, "assistant", self._before)
            try:
                shown += (await self._examine([passage]))[0]
            except Filtered as broken:
                broken.shown = shown
                raise
            self._before = (self._before + text)[-CONTEXT:]
        return shown


class _ScreenedJson:
    """JSON, such as the arguments of a tool call: released only whole, and still JSON."""

    def __init__(self, examine: _Examine, where: str) -> None:
        self._examine = examine
        self._where = where
        self._pieces: list[str] = []

    async def feed(self, text: str) -> str:
        self._pieces.append(text)
        return ""

    async def finish(self) -> str:
        holder = {"text": "".join(self._pieces)}
        slots = slots_of(Slot(holder, "text", self._where, "assistant"), json=True)
        passages = [Passage(s.text, s.where, Direction.OUTPUT, "assistant") for s in slots]
        shown = zip(slots, await self._examine(passages), strict=True)
        try:
            rewrite([(slot, text) for slot, text in shown if text != slot.text])
        except Denied as error:  # two names of one object, of which no value may be lost
            raise Filtered(error.code, error.message) from error
        return holder["text"]


def _redacted(text: str, findings: Sequence[Finding]) -> str:
    """`text` with each finding replaced by its label; overlapping ones by the first's."""
    pieces: list[str] = []
    at = 0
    for finding in sorted(findings, key=lambda hit: (hit.start, -hit.end)):
        if finding.end <= at:
            continue
        if finding.start >= at or not pieces:
            pieces += [text[at : max(at, finding.start)], f"[{finding.label}]"]
        at = finding.end
    return "".join(pieces) + text[at:]
