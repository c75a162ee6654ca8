"""The EU's AI Act, Regulation (EU) 2024/1689: what the ledger shows for its logging duties."""

from __future__ import annotations

from gateway.core.reports import Facts, Framework, Judgement, Requirement, Verdict
from gateway.governance.reports.judging import NO_CALLS, kept, recorded, traced, unrecorded


def _overseen(facts: Facts) -> Judgement:
    asked = facts.count("effects", "review")
    return unrecorded(
        "The ledger has no entries of people's reviews: who looked, how long it took, what they "
        f"changed. The policy asked for a person in {asked} calls."
    )


def _watched(facts: Facts) -> Judgement:
    if not facts.count("calls"):
        return NO_CALLS
    return Judgement(
        Verdict.PARTLY,
        "Refusals and failures are counted. That a use was suspended, or that anybody was told, "
        "is not on record as such.",
    )


def _labelled(facts: Facts) -> Judgement:
    completed = facts.count("outcomes", "completed")
    if not completed:
        return Judgement(Verdict.NOT_APPLICABLE, "No answer was completed in this time.")
    labelled = facts.count("calls_labelled")
    if not labelled:
        return unrecorded("No answer carried a label. No rule asked for one, or none took effect.")
    if labelled < completed:
        return Judgement(
            Verdict.PARTLY,
            f"{labelled} calls were labelled, {completed} were completed. Which of them need a "
            "label the record does not say.",
        )
    return Judgement(Verdict.MET)


AI_ACT = Framework(
    "ai-act",
    "EU AI Act (Regulation (EU) 2024/1689): evidence of the ledger",
    [
        "Whether a system is high-risk, and who is its provider or deployer, is not on record: "
        "rows of Articles 12, 14, 19 and 26 apply only where it is.",
        "Duties for high-risk systems: from 2 December 2027 (Annex III) and 2 August 2028 "
        "(Annex I) as the Digital Omnibus has it, by the Council's vote of 29 June 2026. The "
        "text in the Official Journal was not seen: check it.",
    ],
    [
        Requirement(
            "Art. 12(1)",
            "Events are recorded automatically for as long as the system is in use.",
            ("calls", "calls_ended", "kinds"),
            recorded,
        ),
        Requirement(
            "Art. 12(2)",
            "What is recorded lets one trace how the system worked: model, policy, outcome.",
            ("calls_sent", "sent_with_model", "sent_with_revision", "outcomes"),
            traced,
        ),
        Requirement(
            "Art. 14, 26(2)",
            "People oversee the system, and what they decide is known.",
            ("effects",),
            _overseen,
        ),
        Requirement(
            "Art. 19(1), 26(6)",
            "Logs are kept for six months at least, under the control of whoever must keep them.",
            ("oldest", "pruned_entries", "youngest_pruned_days"),
            kept,
        ),
        Requirement(
            "Art. 26(5)",
            "The system is watched in use, and suspended where it is a risk.",
            ("calls", "outcomes", "codes"),
            _watched,
        ),
        Requirement(
            "Art. 50",
            "People know that they deal with a machine, and what it made is marked.",
            ("outcomes", "calls_labelled", "labels"),
            _labelled,
        ),
    ],
)
