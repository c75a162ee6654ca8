"""Another target is asked only when the policy allows it, under the duties that were done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.adapters.catalogue import StaticCatalogue
from gateway.core.errors import Code
from gateway.core.exchange import Exchange, Judgement
from gateway.core.policy import Decision, Question
from gateway.core.ports import Choice, Group, Model
from gateway.stages.decide import Decide
from tests.exchanges import allowing, answering, chat_request
from tests.fakes.journal import FakeJournal
from tests.unit.stages.test_decide import NOW, coming

FIRST = Model("m", "a", "x", hosting="external", region="eu")
TWIN = Model("m", "a", "y", hosting="external", region="eu", max_output_tokens=5)
OTHER = Model("m", "b", "x", hosting="local")
GROUP = Model("m", "a", "x", hosting="external", region="eu",
              group=Group((Choice(FIRST), Choice(TWIN), Choice(OTHER))))  # fmt: skip
MASK = ("mask", {"labels": ["A"]})
LABEL = ("label", {"labels": ["x"]})
HOME = ("reroute", {"hosting": ["local"]})

Duties = Sequence[tuple[str, Mapping[str, Any]]]


class ByProvider:
    """Implements `Policy`: the effect and the duties of each provider."""

    revision = "sha256:1"

    def __init__(self, verdicts: Mapping[str, tuple[str, Duties]]) -> None:
        self._verdicts = verdicts
        self.asked: list[Question] = []

    async def decide(self, question: Question) -> Decision:
        self.asked.append(question)
        provider = question["resource"]["properties"]["provider"]
        effect, duties = self._verdicts[provider]
        return Decision(f"dec_{provider}", self.revision, allowing(*duties, effect=effect))


async def decided(policy: ByProvider) -> Exchange:
    catalogue = StaticCatalogue([GROUP], [], lambda model: None)
    exchange = coming(chat_request())
    await Decide(policy, catalogue, FakeJournal(), now=lambda: NOW)(exchange, answering([]))
    return exchange


async def judged(first: Duties, again: Duties, effect: str = "allow") -> Judgement:
    exchange = await decided(ByProvider({"a": ("allow", first), "b": (effect, again)}))
    return await exchange.judge(OTHER)


async def test_the_targets_are_known_and_the_first_is_decided_about() -> None:
    policy = ByProvider({"a": ("allow", ())})
    exchange = await decided(policy)
    assert exchange.targets == [FIRST, TWIN, OTHER]
    assert exchange.model == FIRST
    assert len(policy.asked) == 1


async def test_where_the_policy_sees_no_difference_it_is_not_asked_again() -> None:
    policy = ByProvider({"a": ("allow", ())})
    exchange = await decided(policy)
    judgement = await exchange.judge(TWIN)
    assert judgement == Judgement(exchange.decision)
    assert len(policy.asked) == 1


async def test_the_same_question_is_put_about_the_other_target() -> None:
    policy = ByProvider({"a": ("allow", ()), "b": ("allow", ())})
    exchange = await decided(policy)
    judgement = await exchange.judge(OTHER)
    assert (judgement.decision.id, judgement.refusal) == ("dec_b", None)
    first, again = policy.asked
    assert again["resource"]["properties"] == {
        "provider": "b", "hosting": "local", "region": None, "tags": [],
    }  # fmt: skip
    assert {**again, "resource": first["resource"]} == first


@pytest.mark.parametrize("effect", ["deny", "review"])
async def test_what_is_not_allowed_is_refused(effect: str) -> None:
    judgement = await judged((), (), effect)
    assert judgement.refusal is not None
    assert judgement.decision.id == "dec_b"


@pytest.mark.parametrize(
    ("first", "again", "same"),
    [
        ([MASK], [MASK], True),
        ([MASK, LABEL], [LABEL, MASK], True),
        ([MASK], [], False),
        ([], [MASK], False),
        ([MASK], [("mask", {"labels": ["B"]})], False),
        ([MASK, HOME], [MASK], True),
        ([HOME], [HOME], True),
        ([MASK], [MASK, HOME], False),
        ([HOME], [("reroute", {"region": ["eu"]})], False),
    ],
)
async def test_it_may_be_asked_only_under_the_duties_that_were_done(
    first: Duties, again: Duties, same: bool
) -> None:
    judgement = await judged(first, again)
    assert (judgement.refusal is None) is same
    if judgement.refusal is not None:
        assert (judgement.refusal.code, judgement.refusal.param) == (Code.CONTENT_FILTER, "model")


async def test_the_order_may_depend_on_the_session() -> None:
    asked: list[tuple[Model, str | None]] = []

    def order(model: Model, session: str | None) -> Sequence[Model]:
        asked.append((model, session))
        return [OTHER, FIRST]

    catalogue = StaticCatalogue([GROUP], [], lambda model: None)
    policy = ByProvider({"b": ("allow", ())})
    exchange = coming(chat_request(), attributes={"x-govgate-session-id": "s1"})
    await Decide(policy, catalogue, FakeJournal(), order=order)(exchange, answering([]))
    assert asked == [(GROUP, "s1")]
    assert (exchange.model, exchange.targets) == (OTHER, [OTHER, FIRST])
