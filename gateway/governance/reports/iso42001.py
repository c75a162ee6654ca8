"""ISO/IEC 42001, control A.6.2.8: event logs of AI systems."""

from __future__ import annotations

from gateway.core.reports import Facts, Framework, Judgement, Requirement, Verdict
from gateway.governance.reports.judging import NO_CALLS, kept, recorded, traced, whole


def _covered(facts: Facts) -> Judgement:
    apps = facts.names("apps")
    if not apps:
        return NO_CALLS
    return Judgement(
        Verdict.PARTLY,
        f"{len(apps)} applications called through the gateway. Calls that go around it, and "
        "systems that nobody connected, are not on record.",
    )


ISO_42001 = Framework(
    "iso42001",
    "ISO/IEC 42001, A.6.2.8: evidence of the ledger",
    ["The demands are in our own words; the standard's text decides."],
    [
        Requirement(
            "A.6.2.8 (events)",
            "Events are logged while an AI system is in use.",
            ("calls", "calls_ended", "kinds"),
            recorded,
        ),
        Requirement(
            "A.6.2.8 (systems)",
            "It is known for which systems logging is on.",
            ("apps",),
            _covered,
        ),
        Requirement(
            "A.6.2.8 (contents)",
            "A log says what was asked of which model, and what was decided.",
            ("calls_sent", "sent_with_model", "sent_with_revision"),
            traced,
        ),
        Requirement(
            "A.6.2.8 (integrity)",
            "A log can be shown to be whole.",
            ("log_size", "waiting", "signed", "cosigned", "anchored"),
            whole,
        ),
        Requirement(
            "A.6.2.8 (retention)",
            "Logs are kept for as long as they are needed; here, six months.",
            ("oldest", "pruned_entries", "youngest_pruned_days"),
            kept,
        ),
    ],
)
