"""Idempotency keys in memory, over a journal in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.errors import Unavailable
from gateway.core.exchange import Outcome
from gateway.core.ports import Earlier
from gateway.core.principal import Principal
from gateway.core.records import Kind
from tests.fakes.journal import FakeJournal


@dataclass(slots=True)
class _Held:
    content: bytes
    exchange_id: str
    until: float
    media: str | None = None


@dataclass
class FakeRepeats:
    """Implements `Repeats`. `now` is the time in seconds; set it to let a day pass."""

    journal: FakeJournal
    now: float = 0.0
    held: dict[tuple[str, str], _Held] = field(default_factory=dict)
    failing: Unavailable | None = None
    """Raised instead of an answer, for as long as it is set."""

    async def earlier(self, key_id: str, name: str, content: bytes) -> Earlier | None:
        self._check()
        held = self.held.get((key_id, name))
        if held is None or held.until <= self.now:
            return None
        endings = [e for e in self.journal.entries(held.exchange_id) if e.kind is Kind.CLOSED]
        outcome = Outcome(endings[0].facts["outcome"]) if endings else None
        return Earlier(held.exchange_id, held.content == content, outcome, held.media)

    async def claim(
        self, principal: Principal, name: str, content: bytes, exchange_id: str, after: str | None
    ) -> bool:
        self._check()
        held = self.held.get((principal.key_id, name))
        if held is not None and held.until > self.now and held.exchange_id != after:
            return False
        fresh = _Held(content, exchange_id, self.now + 24 * 3_600)
        self.held[principal.key_id, name] = fresh
        return True

    async def note_media(self, exchange_id: str, media: str) -> None:
        self._check()
        for held in self.held.values():
            if held.exchange_id == exchange_id:
                held.media = media

    async def released(self, exchange_id: str) -> bytes | None:
        self._check()
        pieces: list[bytes] = []
        for entry in self.journal.entries(exchange_id):
            if "answer_released" in entry.parts:
                pieces.append(entry.parts["answer_released"])
            elif "answer_released" in entry.facts:
                pieces.append(entry.parts["answer_received"])
        return b"\n".join(pieces) if pieces else None

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing
