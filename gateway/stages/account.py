"""Open the record, hold the money; release what is durable; settle and close, once.

The `opened` entry is staged here and becomes durable with the first entry that follows: the
attempt, before anything leaves, or the ending, before a refusal is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from gateway.core.account import Account
from gateway.core.answer import Event, Events
from gateway.core.attribution import attribution_of
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, GatewayError
from gateway.core.exchange import Exchange, Outcome, outcome_of
from gateway.core.model_name import is_model_name
from gateway.core.money import dollars
from gateway.core.pipeline import Proceed
from gateway.core.ports import Journal
from gateway.core.records import Entry, Kind


class KeepAccount:
    """The stage: every exchange that a known caller opens is opened, settled and closed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Events:
        opened = _opened(exchange)
        whose = attribution_of(exchange)
        record = self._journal.begin(exchange.id, exchange.principal, opened, whose)
        account = exchange.account = Account(exchange, record)
        why = _Why()

        async def close() -> None:
            outcome = exchange.outcome or Outcome.FAILED
            await account.close(outcome, why.code, None)

        exchange.defer(close)
        try:
            inflow = _Inflow(await proceed(exchange), exchange.dialect)
        except BaseException as error:
            why.note(error)
            raise
        exchange.defer(inflow.stop)
        return _released(exchange, inflow, account, why)


class _Why:
    """The code of what ended the exchange, for its record."""

    code: str | None = None

    def note(self, error: BaseException) -> None:
        if isinstance(error, GatewayError):
            self.code = str(error.code)
        elif isinstance(error, Exception):
            self.code = str(Code.INTERNAL_ERROR)


async def _released(exchange: Exchange, inflow: _Inflow, account: Account, why: _Why) -> Events:
    """The events, each as soon as its record is durable; the ending with the record's."""
    numbered = 0
    try:
        while True:
            events, ended = await inflow.take()
            for event in events:
                exchange.dialect.number(event, numbered)
                numbered += 1
            content = _content(events)
            if ended:
                no = exchange.declined
                outcome = outcome_of(no.why) if no else Outcome.COMPLETED
                await account.close(outcome, str(no.why.code) if no else None, content)
                exchange.outcome = outcome
                _tell(exchange, account, whole=any(event.whole for event in events))
            elif content is not None:
                await account.release(content)
            for event in events:
                yield event
            if ended:
                return
    except Exception as error:
        why.note(error)
        raise


def _content(events: Sequence[Event]) -> bytes | None:
    return b"\n".join([event.encode() for event in events]) if events else None


def _tell(exchange: Exchange, account: Account, *, whole: bool) -> None:
    """Headers that are known only now, when they can still be sent."""
    if whole and account.closed is not None:
        exchange.headers["x-govgate-leaf"] = account.closed.leaf.hex()
        if not account.attempts or exchange.model.price is not None:
            exchange.headers["x-govgate-cost-usd"] = dollars(account.spent())


class _Inflow:
    """Reads an answer ahead, so that one commit covers all that arrived during the last.

    Events that end something are held back until more arrives or the answer is over, so that
    an ending is never released before the record's own. An answer that begins with all of it
    is read on the spot; no other is worth a task of its own.
    """

    def __init__(self, events: Events, dialect: Dialect) -> None:
        self._events = events
        self._dialect = dialect
        self._arrived: list[Event] = []
        self._over = False
        self._error: BaseException | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    MOST_AHEAD = 1_024
    """Events read ahead; a provider that is faster than the ledger waits."""

    async def _begin(self) -> None:
        async for event in self._events:
            self._arrived.append(event)
            if not event.whole:
                self._reader = asyncio.create_task(self._read())
                await asyncio.sleep(0)  # what is there already goes with the first
                break
        else:
            self._over = True
        self._news.set()

    async def _read(self) -> None:
        try:
            async for event in self._events:
                self._arrived.append(event)
                self._news.set()
                if len(self._arrived) >= self.MOST_AHEAD:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - raised by `take`, where it is awaited
            self._error = error
        self._over = True
        self._news.set()

    async def take(self) -> tuple[list[Event], bool]:
        """What has arrived and may go, and whether that is the end. Raises what the answer
        raised, once everything before it was taken."""
        if self._reader is None and not self._over:
            await self._begin()
        while True:
            await self._news.wait()
            self._news.clear()
            self._room.set()
            if self._over and self._error is None:
                return self._taken(len(self._arrived)), True
            if ready := self._taken(self._ready()):
                if self._over:
                    self._news.set()
                return ready, False
            if self._error is not None:
                raise self._error

    def _ready(self) -> int:
        """How many events may go before the ending is known."""
        count = len(self._arrived)
        while count and self._ends(self._arrived[count - 1]):
            count -= 1
        return count

    def _ends(self, event: Event) -> bool:
        return event.whole or bool(self._dialect.ended(event)) or self._dialect.only_usage(event)

    def _taken(self, count: int) -> list[Event]:
        taken, self._arrived = self._arrived[:count], self._arrived[count:]
        return taken

    async def stop(self) -> None:
        """Stop reading, whatever has arrived."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])


def _opened(exchange: Exchange) -> Entry:
    """The request as it came: who, what for, which model; its text only in parts.

    What does not look like the name of a model is text too.
    """
    asked = exchange.request.get("model")
    facts: dict[str, Any] = {
        "action": exchange.dialect.action,
        "model": asked if isinstance(asked, str) and is_model_name(asked) else None,
        "stream": exchange.streamed,
        "started": exchange.started.isoformat(timespec="milliseconds"),
    }
    parts = {"request_received": exchange.received}
    if exchange.call.attributes:
        parts["attributes"] = orjson.dumps(dict(exchange.call.attributes))
    if exchange.call.forwarded:
        parts["forwarded"] = orjson.dumps(dict(exchange.call.forwarded))
    return Entry(Kind.OPENED, facts, parts)
