"""What a replay found: counted as it goes, told as JSON and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.core.money import Money, dollars
from gateway.core.policy import Effect, Verdict
from gateway.core.replays import Batch, Chosen, Unread, Wanted
from gateway.governance.policies.classes import Class, Why
from gateway.governance.policies.replay import Compared

MOST_SAMPLES = 20
"""Exchanges that are named of a class, the newest."""
TOP = 10
"""Applications, teams and rules that are named of a class."""
_DAY = timedelta(days=1)
_SAVING = ("cache", "cap_tokens")
"""Duties that change what is spent, by how much nobody knows."""
_NAMES = {
    Class.NEWLY_DENIED: "newly denied",
    Class.NEWLY_HELD: "newly held for a person",
    Class.NEWLY_CHANGED: "newly changed: other duties",
    Class.NEWLY_ALLOWED: "newly allowed: lets more pass",
    Class.MODE_ONLY: "only observed or told otherwise",
    Class.UNCHANGED: "unchanged",
    Class.NOT_EVALUATED: "cannot be evaluated",
}
_WHY = {
    Why.LISTS_CHANGED: "phrases are looked for that were not looked for then, or no more",
    Why.LISTS_UNKNOWN: "it is not known which phrases were looked for then",
    Why.THRESHOLD: "a rule asks for lower scores than are recorded",
    Why.SCHEMA: "the question is of a version that is not known",
    Why.FACTS: "facts are missing that the policy needs",
    Why.ENGINE: "the policy engine failed",
    Why.TEXT_NOT_RECORDED: "the lists are others than then, and no text was recorded",
    Why.TEXT_GONE: "the lists are others than then, and the text was deleted",
    Why.TEXT_WITHHELD: "the lists are others than then, and the text is withheld",
    Why.TEXT_TOO_LONG: "the lists are others than then, and the text is too long",
    Why.TEXT_UNREADABLE: "the lists are others than then, and the text cannot be read",
}


class Tally:
    """Counts what becomes of questions. What it holds does not grow with them."""

    def __init__(self) -> None:
        self.kinds: Counter[Class] = Counter()
        self.then: Counter[Class] = Counter()
        self.why: Counter[Why] = Counter()
        self.unread: Counter[Unread] = Counter()
        self.duties: Counter[str] = Counter()
        self.effects: Counter[tuple[str, Effect]] = Counter()
        self.samples: dict[Class, list[str]] = {}
        self.top: dict[Class, dict[str, Counter[str]]] = {}
        self.widening = self.inspected = self.cost_denied = self.cost_held = 0
        self.oldest: datetime | None = None
        self.newest: datetime | None = None

    def skip(self, batch: Batch) -> None:
        """Count the exchanges of a batch that have no question."""
        self.unread.update(batch.unread)

    def add(self, one: Compared) -> None:
        """Count a question. The newest come first."""
        kind, asked = one.difference.kind, one.asked
        self.kinds[kind] += 1
        self.then[one.then] += 1
        self.inspected += one.inspected
        self.newest = max(self.newest or asked.ts, asked.ts)
        self.oldest = min(self.oldest or asked.ts, asked.ts)
        if one.why is not None:
            self.why[one.why] += 1
        for side, verdict in (("before", one.before), ("after", one.after)):
            if verdict is not None:
                self.effects[side, verdict.effect] += 1
        if kind is not Class.UNCHANGED:
            self._detail(kind, one)

    def _detail(self, kind: Class, one: Compared) -> None:
        asked, difference = one.asked, one.difference
        samples = self.samples.setdefault(kind, [])
        if len(samples) < MOST_SAMPLES:
            samples.append(asked.exchange_id)
        top = self.top.setdefault(kind, {name: Counter() for name in ("apps", "teams", "rules")})
        top["apps"][asked.app] += 1
        top["teams"][asked.team] += 1
        top["rules"].update(difference.rules)
        self.duties.update(difference.duties)
        self.widening += difference.widens
        if _allowed(one.before):
            self.cost_denied += asked.cost if kind is Class.NEWLY_DENIED else 0
            self.cost_held += asked.cost if kind is Class.NEWLY_HELD else 0


def _allowed(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.effect is Effect.ALLOW


def result(
    tally: Tally, chosen: Chosen, wanted: Wanted, now: datetime, revisions: tuple[str, str]
) -> dict[str, Any]:
    """All of it as JSON: evidence for who approves. Nothing of what anybody said is in it.

    `now` is where a window without an end ends. Times of day are RFC 3339, costs micro-USD.
    """
    asked, kinds = sum(tally.kinds.values()), tally.kinds
    begin, end = _window(tally, chosen, wanted, now)
    days = max((end - begin) / _DAY, 1.0)
    scale = chosen.matched / len(chosen.numbers) if wanted.sample and chosen.numbers else 1.0
    return {
        "base": revisions[0],
        "change": revisions[1],
        "since": begin.isoformat(),
        "until": end.isoformat(),
        "matched": chosen.matched,
        "sampled": wanted.sample and chosen.matched > len(chosen.numbers),
        "replayed": asked,
        "inspected": tally.inspected,
        **{str(kind): kinds[kind] for kind in Class},
        "widening": tally.widening,
        **{f"unread_{name}": tally.unread[name] for name in Unread},
        "shares": {str(k): round(kinds[k] / asked, 6) if asked else 0.0 for k in Class},
        "reasons": {str(why): count for why, count in sorted(tally.why.items())},
        "then": {str(kind): tally.then[kind] for kind in Class if tally.then[kind]},
        "duties": dict(sorted(tally.duties.items())),
        "top": {str(k): {n: _most(c) for n, c in tally.top[k].items()} for k in sorted(tally.top)},
        "samples": {str(kind): tally.samples[kind] for kind in sorted(tally.samples)},
        "reviews_per_day": {
            side: round(tally.effects[side, Effect.REVIEW] * scale / days, 2)
            for side in ("before", "after")
        },
        "cost_denied_micro_usd": tally.cost_denied,
        "cost_held_micro_usd": tally.cost_held,
        "cost_not_known": sum(tally.duties[f"{s}{name}"] for s in "+-~" for name in _SAVING),
    }


def _window(
    tally: Tally, chosen: Chosen, wanted: Wanted, now: datetime
) -> tuple[datetime, datetime]:
    """Between which times the questions lie that are told of."""
    end = wanted.filters.until or now
    all_of_it = wanted.sample or chosen.matched <= len(chosen.numbers)
    begin = wanted.filters.since if all_of_it else None
    return begin or tally.oldest or end, end


def _most(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP])


def as_text(told: Mapping[str, Any]) -> str:
    """A result as people read it."""
    return "\n".join(_lines(told))


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    drawn = " of a sample" if told["sampled"] else ""
    yield f"{told['replayed']:,} recorded questions{drawn}; {told['matched']:,} exchanges match"
    yield f"from {told['since'][:16]} until {told['until'][:16]} UTC"
    if told["inspected"]:
        yield f"requests inspected for phrases: {told['inspected']:,}"
    for name, count, words in _unread(told):
        yield f"left out: {count:,} {words} ({name})"
    yield ""
    for kind in Class:
        share = f"{told['shares'][kind]:8.2%}"
        yield f"{_NAMES[kind]:<34} {told[kind]:>9,} {share}".rstrip()
        for why, count in told["reasons"].items() if kind is Class.NOT_EVALUATED else ():
            yield f"  {_WHY[Why(why)]}: {count:,}"
    if told["duties"]:
        yield f"duties: {', '.join(f'{name} {n:,}' for name, n in told['duties'].items())}"
    if told["widening"]:
        yield f"WARNING: {told['widening']:,} of them let more pass than before"
    yield ""
    yield from _figures(told)
    for kind, top in told["top"].items():
        yield f"\n{_NAMES[Class(kind)]}"
        for name, counts in top.items():
            if counts:
                yield f"  {name:<6} {', '.join(f'{id} {count:,}' for id, count in counts.items())}"
        yield f"  such as {', '.join(told['samples'][kind][:3])}"


def _unread(told: Mapping[str, Any]) -> Sequence[tuple[str, int, str]]:
    words = {
        Unread.NOT_ASKED: "were refused before the policy was asked",
        Unread.ERASED: "cannot be read: their payloads are gone",
        Unread.ALTERED: "cannot be read: they are NOT AS THEY WERE WRITTEN",
    }
    found = [(str(name), told[f"unread_{name}"], said) for name, said in words.items()]
    return [each for each in found if each[1]]


def _figures(told: Mapping[str, Any]) -> Iterator[str]:
    reviews = told["reviews_per_day"]
    yield f"reviews a day: {reviews['before']:g} before, {reviews['after']:g} after"
    for name, words in (("denied", "is denied"), ("held", "waits for a person")):
        if cost := told[f"cost_{name}_micro_usd"]:
            yield f"what newly {words} had cost {dollars(Money(cost))} USD"
    if told["cost_not_known"]:
        yield (
            f"{told['cost_not_known']:,} would cost another sum, which nobody knows: their cache "
            "or their limit of tokens changes"
        )
    yield f"against what was decided then: {_counts(told['then'])}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_NAMES[Class(kind)]} {n:,}" for kind, n in counts.items()) or "nothing"
