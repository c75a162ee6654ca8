"""Which rules apply to a caller and a model, which do not, and why.

It says the same as `policies/lib/rules.rego`: a rule that the engine names among its reasons or
among what it observes applies here. Whether an application of a rule then hits depends on what is
found in a request, which nobody knows beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.core.policy import SCHEMA_VERSION, Question
from gateway.core.rulesets import Json, Rules
from gateway.governance.policies.places import (
    Miss,
    attached,
    begun,
    holding,
    like_any,
    misses,
    over,
)


class Cause(StrEnum):
    """Why a rule applies, or does not."""

    APPLIES = "applies"
    OBSERVES = "observes"
    """It applies, and only watches."""
    FLOOR = "floor"
    """It applies, though an exception says otherwise: it is a floor."""
    OFF = "off"
    NOT_BEGUN = "not_begun"
    OVER = "over"
    NOT_ATTACHED = "not_attached"
    NOT_SELECTED = "not_selected"
    OTHER_MODEL = "other_model"
    EXCEPTED = "excepted"


_APPLIES = frozenset({Cause.APPLIES, Cause.OBSERVES, Cause.FLOOR})


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule, and whether it applies here."""

    rule: str
    cause: Cause
    why: str
    """The cause in a sentence, with what was wanted and what was seen."""
    sentence: str
    """What the rule does."""
    kind: str | None = None
    """None of a rule that is off."""
    mode: str = "off"
    floor: bool = False
    misses: Sequence[Miss] = ()
    """The selectors that do not select, of NOT_SELECTED."""
    exceptions: Sequence[str] = field(default=())
    """Those that hold here, whether they set it aside or not."""

    @property
    def applies(self) -> bool:
        return self.cause in _APPLIES

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rule": self.rule,
            "applies": self.applies,
            "cause": str(self.cause),
            "why": self.why,
            "sentence": self.sentence,
            "kind": self.kind,
            "mode": self.mode,
            "floor": self.floor,
            "misses": [
                {"selector": miss.selector, "wanted": list(miss.wanted), "saw": miss.saw}
                for miss in self.misses
            ],
            "exceptions": list(self.exceptions),
        }


def who_asks(
    app: str,
    model: str,
    time: str,
    *,
    team: str | None = None,
    tags: Sequence[str] = (),
    hosting: str | None = None,
    region: str | None = None,
) -> Question:
    """As much of a question as says where rules apply. `time` is RFC 3339, in UTC."""
    return {
        "schema_version": SCHEMA_VERSION,
        "subject": {"id": app, "properties": {"team": team, "tags": list(tags)}},
        "resource": {"id": model, "properties": {"hosting": hosting, "region": region}},
        "context": {"time": time},
    }


def effective(rules: Rules, question: Question, locale: str = "en") -> Sequence[Standing]:
    """Every rule, by id, with why it applies to the question or does not."""
    spoken = rules.sentences.get(locale, {})
    exceptions = rules.exceptions
    ids = {id for id in spoken if not id.startswith("exception:")}
    found = []
    for id in sorted({*ids, *rules.rules}):
        sentence = spoken.get(id, "")
        rule = rules.rules.get(id)
        if rule is None:
            found.append(Standing(id, Cause.OFF, "It is off.", sentence))
        else:
            found.append(_standing(id, rule, exceptions, question, sentence))
    return found


def _standing(
    id: str, rule: Json, exceptions: Mapping[str, Json], question: Question, sentence: str
) -> Standing:
    held = [name.removeprefix("exception:") for name in holding(exceptions, id, question)]
    missed = misses(rule["when"], question)
    cause, why = _cause(rule, missed, held, question)
    mode, floor = str(rule["mode"]), bool(rule["floor"])
    selectors = missed if cause is Cause.NOT_SELECTED else []
    return Standing(id, cause, why, sentence, rule["kind"], mode, floor, selectors, held)


def _cause(
    rule: Json, missed: Sequence[Miss], held: Sequence[str], question: Question
) -> tuple[Cause, str]:
    model = question["resource"]["id"]
    if not begun(rule["from"], question):
        return Cause.NOT_BEGUN, f"It begins to hold at {rule['from']} UTC."
    if over(rule["until"], question):
        return Cause.OVER, f"It held until {rule['until']} UTC."
    if not attached(rule["attached"], question):
        return Cause.NOT_ATTACHED, _not_attached(rule["attached"], question)
    if missed:
        return Cause.NOT_SELECTED, " ".join(_said(miss) for miss in missed)
    if rule["kind"] == "model_access" and not like_any(rule["params"]["models"], model):
        return Cause.OTHER_MODEL, f"It admits {_any(rule['params']['models'])}, not {model}."
    if rule["mode"] == "observe":
        return Cause.OBSERVES, "It applies, and only watches: it changes nothing."
    if held and rule["floor"]:
        return Cause.FLOOR, f"It applies, in spite of {_any(held)}: it is a floor."
    if held:
        return Cause.EXCEPTED, f"The exception {held[0]} sets it aside."
    return Cause.APPLIES, "It applies."


def _not_attached(places: Sequence[Mapping[str, Sequence[str]]], question: Question) -> str:
    if not places:
        return "The attachments of its pack put it nowhere."
    said = [" ".join(_said(miss) for miss in misses(when, question)) for when in places]
    return f"No attachment of its pack puts it here. {' '.join(dict.fromkeys(said))}"


def _said(miss: Miss) -> str:
    match miss.saw:
        case [] | None:
            seen = "none"
        case list():
            seen = ", ".join(map(str, miss.saw))
        case _:
            seen = str(miss.saw)
    return f"It is for {miss.selector} {_any(miss.wanted)}; here: {seen}."


def _any(names: Sequence[str]) -> str:
    return " or ".join(names)


def as_text(standings: Sequence[Standing]) -> str:
    """The rules as people read them: first those that apply."""
    return "\n".join(_lines(standings))


def _lines(standings: Sequence[Standing]) -> Iterator[str]:
    for applies, title in ((True, "applies"), (False, "does not apply")):
        some = [one for one in standings if one.applies is applies]
        yield f"{title}: {len(some)}"
        for one in some:
            yield f"\n{one.rule}  ({one.kind or 'off'}, {one.mode})"
            yield f"  {one.sentence}"
            yield f"  {one.why}"
        yield ""
