"""The view of a record: what happened, where it stands, nothing of what was said."""

from __future__ import annotations

import pytest

from gateway.core.exports import Leaf, Record
from gateway.governance.formats.view import MISSING, view_of
from tests.unit.governance.formats.views import TIME

WHOSE = {"org": "acme", "team": "red", "app": "shop", "key_id": "k1", "ts": TIME}
DECISION = {"id": "d1", "revision": "r1", "effect": "allow", "rules": ["pii.mask"],
            "obligations": [{"id": "mask"}, "label"]}  # fmt: skip


def leaf(index: int, kind: str, facts: object, *, intact: bool = True) -> Leaf:
    header = {**WHOSE, "facts": facts}
    return Leaf(index, f"ent_{index}", bytes([index]) * 32, kind, "exc_1", header, intact)


def exchange(*, intact: bool = True, **closing: object) -> Record:
    closed = {"outcome": "completed", "cost_micro_usd": 12, "labels": ["internal"],
              "usage": {"input_tokens": 3, "output_tokens": 4, "exact": True}}  # fmt: skip
    return Record(
        [
            leaf(2, "opened", {"action": "chat.completions.create", "model": "m ann@example.org"}),
            leaf(
                3,
                "attempt",
                {
                    "model": "m",
                    "upstream": "p",
                    "upstream_model": "m-1",
                    "decision": DECISION,
                    "findings_count": 2,
                },
            ),
            leaf(7, "closed", {**closed, **closing}, intact=intact),
        ]
    )


def clean(text: str) -> str:
    return text.replace("ann@example.org", "EMAIL")


def test_an_exchange_is_one_view_of_all_its_entries() -> None:
    view = view_of(exchange(), clean)
    assert (view.kind, view.leaf_index, view.leaves) == ("exchange", 7, [(2, 3), (7, 7)])
    assert (view.model, view.provider, view.served_model) == ("m EMAIL", "p", "m-1")
    assert (view.effect, view.rules, view.obligations) == ("allow", ["pii.mask"], ["mask", "label"])
    assert (view.cost_micro_usd, view.input_tokens, view.output_tokens) == (12, 3, 4)
    assert view.intact
    assert view.proof.endswith("/ent_7")


def test_an_act_keeps_its_facts() -> None:
    view = view_of(Record([leaf(4, "audit.read", {"exchange": "exc_9"})]), clean)
    assert (view.kind, view.facts, view.leaves) == ("audit.read", {"exchange": "exc_9"}, [(4, 4)])


def test_what_is_gone_is_told_as_missing() -> None:
    gone = Leaf(5, "ent_5", b"\5" * 32, "", "", None, False)
    view = view_of(Record([gone]), clean)
    assert (view.kind, view.leaf_index, view.intact) == (MISSING, 5, False)


@pytest.mark.parametrize("said", [{"outcome": 7}, {"cost_micro_usd": "x"}, {"usage": "none"}])
def test_nonsense_in_an_altered_entry_stops_nobody(said: dict[str, object]) -> None:
    assert view_of(exchange(intact=False, **said), clean).kind == MISSING


def test_nonsense_in_an_entry_that_is_intact_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="int"):
        view_of(exchange(outcome=7), clean)
