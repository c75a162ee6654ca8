"""A report claims only what the figures show, and says what they do not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.store.figure_queries import COUNTS, NAMED, TIMES
from gateway.core.reports import Figure, Report, Span, Value, Verdict
from gateway.governance.reports.filling import FRAMEWORKS, filled

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SPAN = Span("acme", NOW - timedelta(days=400), NOW)
GOOD: dict[str, Value] = {
    "calls": 10,
    "calls_ended": 10,
    "calls_sent": 8,
    "sent_with_model": 8,
    "sent_with_revision": 8,
    "calls_labelled": 7,
    "kinds": {"opened": 10, "closed": 10, "attempt": 8},
    "outcomes": {"completed": 7, "denied": 2, "failed": 1},
    "effects": {"allow": 8, "deny": 1, "review": 1},
    "revisions": {"r1": 10},
    "apps": {"t/a": 10},
    "providers": {"openai": 8},
    "regions": {"eu": 8},
    "purposes": {"help": 10},
    "oldest": NOW - timedelta(days=200),
    "log_size": 28,
    "signed": 28,
    "cosigned": 28,
    "parts": {"A256GCM": 8, "DEF+A256GCM": 2},
    "keys_valid": 2,
}


class Counted:
    """Figures that were told."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values

    async def gather(self, span: Span, names: Sequence[str]) -> Mapping[str, Figure]:
        return {name: Figure(self._value(name), f"SELECT {name}") for name in names}

    def _value(self, name: str) -> Value:
        if name in NAMED:
            return self.values.get(name, {})
        assert name in {*COUNTS, *TIMES}
        return self.values.get(name)


async def report(name: str, **changed: Any) -> Report:
    return await filled(FRAMEWORKS[name], Counted(GOOD | changed), SPAN, NOW)


async def row(name: str, ref: str, **changed: Any) -> tuple[Verdict, str]:
    """The verdict on one requirement, and the gap."""
    rows = {each.ref: each for each in (await report(name, **changed)).rows}
    return rows[ref].verdict, rows[ref].gap


MET, PARTLY, GAP, NOT = Verdict.MET, Verdict.PARTLY, Verdict.GAP, Verdict.NOT_APPLICABLE
JUDGED: list[tuple[str, str, dict[str, Any], Verdict, str]] = [
    ("ai-act", "Art. 12(1)", {}, MET, ""),
    ("ai-act", "Art. 12(1)", {"calls_ended": 9}, PARTLY, "1 of 10 calls"),
    ("ai-act", "Art. 12(1)", {"calls": 0}, GAP, "No call"),
    ("ai-act", "Art. 12(2)", {}, MET, ""),
    ("ai-act", "Art. 12(2)", {"sent_with_revision": 6}, PARTLY, "2 of 8 lack the policy"),
    ("ai-act", "Art. 12(2)", {"sent_with_model": 0}, GAP, "8 of 8 lack the model"),
    ("ai-act", "Art. 12(2)", {"calls_sent": 0}, NOT, "No call reached"),
    ("ai-act", "Art. 14, 26(2)", {}, GAP, "a person in 1 calls"),
    ("ai-act", "Art. 19(1), 26(6)", {}, MET, ""),
    ("ai-act", "Art. 19(1), 26(6)", {"oldest": NOW - timedelta(days=183)}, PARTLY, "183 days"),
    ("ai-act", "Art. 19(1), 26(6)", {"youngest_pruned_days": 90}, GAP, "90 days"),
    ("ai-act", "Art. 19(1), 26(6)", {"youngest_pruned_days": 0}, GAP, "were 0 days"),
    ("ai-act", "Art. 19(1), 26(6)", {"youngest_pruned_days": 184}, MET, ""),
    ("ai-act", "Art. 19(1), 26(6)", {"oldest": None}, GAP, "Nothing"),
    ("ai-act", "Art. 26(5)", {}, PARTLY, "suspended"),
    ("ai-act", "Art. 26(5)", {"calls": 0}, GAP, "No call"),
    ("ai-act", "Art. 50", {}, MET, ""),
    ("ai-act", "Art. 50", {"calls_labelled": 3}, PARTLY, "3 calls were labelled, 7"),
    ("ai-act", "Art. 50", {"calls_labelled": 0}, GAP, "No answer carried"),
    ("ai-act", "Art. 50", {"outcomes": {"denied": 1}}, NOT, "No answer was completed"),
    ("iso42001", "A.6.2.8 (systems)", {}, PARTLY, "1 applications"),
    ("iso42001", "A.6.2.8 (systems)", {"apps": {}}, GAP, "No call"),
    ("iso42001", "A.6.2.8 (integrity)", {}, MET, ""),
    ("iso42001", "A.6.2.8 (integrity)", {"cosigned": None, "anchored": 3}, MET, ""),
    ("iso42001", "A.6.2.8 (integrity)", {"cosigned": None}, PARTLY, "held elsewhere"),
    ("iso42001", "A.6.2.8 (integrity)", {"signed": 20, "waiting": 4}, PARTLY, "8 entries of the"),
    ("iso42001", "A.6.2.8 (integrity)", {"signed": None}, GAP, "Nothing in the log"),
    ("soc2", "CC6 (access)", {}, MET, ""),
    ("soc2", "CC6 (access)", {"keys_without_end": 1}, PARTLY, "1 valid API keys"),
    ("soc2", "CC6 (access)", {"keys_valid": 0}, GAP, "no valid API key"),
    ("soc2", "CC6 (readings)", {"kinds": {"audit.read": 3}}, PARTLY, "3 readings"),
    ("soc2", "CC6 (encryption)", {}, MET, ""),
    ("soc2", "CC6 (encryption)", {"parts": {"none": 2}}, GAP, "2 payloads"),
    ("soc2", "CC6 (encryption)", {"parts": {}}, NOT, "No payload"),
    ("soc2", "CC7 (anomalies)", {"outcomes": {"lost": 2}}, PARTLY, "2 calls were lost"),
    ("soc2", "CC8 (changes)", {}, PARTLY, "1 revisions"),
    ("soc2", "CC8 (changes)", {"revisions": {}}, GAP, "No decision"),
    ("gdpr-register", "Art. 30(1)(a)", {}, GAP, "write them in"),
    ("gdpr-register", "Art. 30(1)(b)", {}, MET, ""),
    ("gdpr-register", "Art. 30(1)(b)", {"purpose_unsaid": 4}, PARTLY, "4 calls name no"),
    ("gdpr-register", "Art. 30(1)(b)", {"index_behind": 2}, PARTLY, "2 entries"),
    ("gdpr-register", "Art. 30(1)(b)", {"purposes": {}}, GAP, "x-govgate-purpose"),
    ("gdpr-register", "Art. 30(1)(c)", {"calls_uninspected": 5}, PARTLY, "In 5 calls"),
    ("gdpr-register", "Art. 30(1)(d)", {"calls_sent": 0}, NOT, "No call was sent"),
    ("gdpr-register", "Art. 30(1)(e)", {}, PARTLY, "third countries"),
    ("gdpr-register", "Art. 30(1)(e)", {"sent_without_region": 3}, PARTLY, "3 of 8 calls"),
    ("gdpr-register", "Art. 30(1)(e)", {"regions": {}}, GAP, "has a `region`"),
    ("gdpr-register", "Art. 30(1)(e)", {"calls_sent": 0}, NOT, "No call was sent"),
    ("gdpr-register", "Art. 30(1)(f)", {}, GAP, "200 days"),
    ("gdpr-register", "Art. 30(1)(f)", {"pruned_entries": 2}, PARTLY, "time limits"),
    ("gdpr-register", "Art. 30(1)(g)", {}, PARTLY, "encrypted"),
    ("gdpr-register", "Art. 17", {}, NOT, "No erasure"),
    ("gdpr-register", "Art. 17", {"kinds": {"key.destroyed": 2}}, PARTLY, "2 erasures"),
]


@pytest.mark.parametrize(("name", "ref", "changed", "verdict", "gap"), JUDGED)
async def test_what_is_there_decides(
    name: str, ref: str, changed: dict[str, Any], verdict: Verdict, gap: str
) -> None:
    judged, said = await row(name, ref, **changed)
    assert judged is verdict
    assert gap in said
    assert bool(said) is (verdict is not MET)


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_an_empty_ledger_meets_nothing(name: str) -> None:
    rows = (await filled(FRAMEWORKS[name], Counted({}), SPAN, NOW)).rows
    assert [each.ref for each in rows if each.verdict is MET] == []
    assert all(each.gap for each in rows)


@pytest.mark.parametrize("name", FRAMEWORKS)
@given(values=st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(0, 20)))
async def test_a_verdict_below_met_says_what_is_lacking(
    name: str, values: dict[str, Value]
) -> None:
    made = await filled(FRAMEWORKS[name], Counted(values), SPAN, NOW)
    assert all(bool(each.gap) is (each.verdict is not MET) for each in made.rows)


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_every_figure_comes_with_its_query(name: str) -> None:
    made = await report(name)
    shown = {figure for each in made.rows for figure in each.figures}
    assert dict(made.queries) == {figure: f"SELECT {figure}" for figure in shown}


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_no_report_says_that_anybody_complies(name: str) -> None:
    made = await report(name)
    said = " ".join([made.title, *(f"{each.demand} {each.gap}" for each in made.rows)]).lower()
    assert not [word for word in ("compliant", "complies", "compliance") if word in said]
    assert "does not say that anybody complies" in " ".join(made.notes)
