"""Decisions remembered: the same facts under the same policy are decided the same.

A policy is a pure function of the question. Which facts of it matter a pack declares
(`Pack.reads`); the rest, such as the session or where a finding sits, does not make a question
new. Of the time only matters which of the pack's dates have passed.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from importlib.resources import files
from operator import itemgetter
from typing import Any, TypeAlias

import orjson
from cachetools import LRUCache
from jsonschema_rs import Draft202012Validator

from gateway.core.ids import new_id
from gateway.core.policy import Decision, Question, Verdict
from gateway.core.ports import Policy

_Key: TypeAlias = tuple[str, bytes]
_Fact: TypeAlias = Callable[[Question], Any]

_SECONDS = len("2026-01-01T00:00:00")


class CachedPolicy:
    """Asks `inner` only what it has not decided before; keeps up to `size` verdicts.

    `reads` are the facts that the policy looks at, as dotted paths, `*` standing for each of
    a list; `instants` the moments at which what it says may change, ascending. A question that
    is not of the known shape is always asked, and never remembered; so is every failure. Who
    asks what is just being asked waits for that answer: a start under load asks once.
    """

    def __init__(
        self,
        inner: Policy,
        reads: Collection[str],
        instants: Sequence[str] = (),
        *,
        size: int = 10_000,
    ) -> None:
        self._inner = inner
        self._facts = [*_plain_facts(reads), *_list_facts(reads)]
        self._instants = instants
        self._size = size
        self._verdicts: LRUCache[_Key, Verdict] = LRUCache(size)
        self._asking: dict[_Key, asyncio.Future[Decision]] = {}
        schema = files("gateway") / "assets" / "schemas" / "question.json"
        self._well_formed = Draft202012Validator(orjson.loads(schema.read_bytes())).is_valid

    @property
    def revision(self) -> str:
        return self._inner.revision

    async def decide(self, question: Question) -> Decision:
        """Decide, under an id of its own each time. Raises what `inner` raises."""
        key = self._key(question)
        if key is None:
            return await self._inner.decide(question)
        verdict = self._verdicts.get(key)
        if verdict is not None:
            return Decision(new_id("dec"), key[0], verdict)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, question))
            asking.add_done_callback(partial(self._asked, key))
            return await asyncio.shield(asking)
        decision = await asyncio.shield(asking)
        return Decision(new_id("dec"), decision.revision, decision.verdict)

    async def _ask(self, key: _Key, question: Question) -> Decision:
        decision = await self._inner.decide(question)
        if decision.revision == key[0]:
            self._verdicts[key] = decision.verdict
        return decision

    def _asked(self, key: _Key, asking: asyncio.Future[Decision]) -> None:
        del self._asking[key]
        if not asking.cancelled():
            asking.exception()  # whoever still waits is told; nobody need be left

    def _key(self, question: Question) -> _Key | None:
        """The revision, and what the policy can see of the question.

        None when nothing is remembered, or the question is not of the known shape.
        """
        try:
            if self._size == 0 or not self._well_formed(question):
                return None
            facts = [fact(question) for fact in self._facts]
            if self._instants:
                facts.append(bisect_right(self._instants, question["context"]["time"][:_SECONDS]))
            return self._inner.revision, orjson.dumps(facts)
        except (ValueError, TypeError):  # not even JSON
            return None


def _plain_facts(reads: Iterable[str]) -> list[_Fact]:
    return [_at(path.split(".")) for path in sorted(reads) if "*" not in path]


def _list_facts(reads: Iterable[str]) -> list[_Fact]:
    """One fact for each list: what is read of each of its members."""
    fields: dict[str, list[str]] = {}
    for path in sorted(reads):
        holder, star, field = path.partition(".*.")
        if star:
            fields.setdefault(holder, []).append(field)
    return [_each(holder.split("."), names) for holder, names in fields.items()]


def _at(path: Sequence[str]) -> _Fact:
    def fact(question: Question) -> Any:
        value: Any = question
        for name in path:
            if value is None:
                return None
            value = value[name]
        return value

    return fact


def _each(path: Sequence[str], fields: Sequence[str]) -> _Fact:
    members, read = _at(path), itemgetter(*fields)
    return lambda question: [read(member) for member in members(question)]
