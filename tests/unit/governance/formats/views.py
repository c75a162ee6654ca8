"""Views of records, with any text in them, for tests."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.governance.formats.view import EXCHANGE, View

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBER = st.integers(0, 2**53 - 1)
FINDING = st.fixed_dictionaries({"label": TEXT, "start": st.integers(0, 99)})
TIME = "2026-11-22T10:00:00.250Z"


def a_view(**told: object) -> View:
    """A whole view, with `told` in it."""
    place: dict[str, object] = {
        "kind": EXCHANGE, "leaf_index": 7, "leaves": [(2, 3), (7, 7)], "leaf_hash": "ab" * 32,
        "entry_id": "ent_1", "exchange_id": "exc_1", "intact": True, "proof": "/p", "ts": TIME,
        "ended_at": TIME,
    }  # fmt: skip
    return View(**(place | told))  # type: ignore[arg-type]


VIEWS = st.builds(
    a_view,
    team=TEXT, app=TEXT, key_id=TEXT, model=TEXT, provider=TEXT, served_model=TEXT, code=TEXT,
    decision_id=TEXT, org=TEXT, action=TEXT, rules=st.lists(TEXT, max_size=3),
    labels=st.lists(TEXT, max_size=3), findings=st.lists(FINDING, max_size=2),
    cost_micro_usd=NUMBER, input_tokens=st.integers(0, 2**40),
    output_tokens=st.integers(0, 2**40), intact=st.booleans(),
    outcome=st.sampled_from(["completed", "denied", "lost", None]),
)  # fmt: skip
