"""The register of processing activities, GDPR Art. 30, as far as the ledger can fill it."""

from __future__ import annotations

from gateway.core.reports import Facts, Framework, Judgement, Requirement, Verdict
from gateway.governance.reports.judging import NO_CALLS, unrecorded


def _controller(facts: Facts) -> Judgement:
    return unrecorded(
        "Names and contacts of the controller and of its data protection officer are not in the "
        "ledger: write them in."
    )


def _purposes(facts: Facts) -> Judgement:
    if not facts.count("calls"):
        return NO_CALLS
    behind, silent = facts.count("index_behind"), facts.count("purpose_unsaid")
    lacks = [f"{silent} calls name no purpose"] if silent else []
    if behind:
        lacks.append(f"{behind} entries are not in the index that purposes are counted in")
    if not facts.names("purposes"):
        return unrecorded("No call names a purpose (`x-govgate-purpose`).")
    return Judgement(Verdict.PARTLY, f"{'; '.join(lacks)}.") if lacks else Judgement(Verdict.MET)


def _categories(facts: Facts) -> Judgement:
    if not facts.count("calls"):
        return NO_CALLS
    unseen = facts.count("calls_uninspected")
    also = f" In {unseen} calls an inspector could not be asked." if unseen else ""
    return Judgement(
        Verdict.PARTLY,
        "Only what inspectors find is counted, of each entry the first hundred; whose data it is "
        f"they do not know.{also}",
    )


def _recipients(facts: Facts) -> Judgement:
    if not facts.count("calls_sent"):
        return Judgement(Verdict.NOT_APPLICABLE, "No call was sent to a provider in this time.")
    return Judgement(
        Verdict.PARTLY,
        "Providers are known by the names of the routes file. Their legal names, and recipients "
        "inside the organisation, are not on record.",
    )


def _transfers(facts: Facts) -> Judgement:
    if not facts.count("calls_sent"):
        return Judgement(Verdict.NOT_APPLICABLE, "No call was sent to a provider in this time.")
    if not facts.names("regions"):
        return unrecorded(
            "No provider that was asked has a `region`: say it in the routes file, or as "
            "GOVGATE_UPSTREAM__REGION."
        )
    unsaid, sent = facts.count("sent_without_region"), facts.count("calls_sent")
    lacks = f"{unsaid} of {sent} calls went to a target without a region. " if unsaid else ""
    return Judgement(
        Verdict.PARTLY,
        f"{lacks}Regions are named as the operator named them. Which are third countries, and "
        "the safeguards of a transfer, are not on record.",
    )


def _limits(facts: Facts) -> Judgement:
    oldest = facts.days("oldest")
    if oldest is None:
        return unrecorded("Nothing is on record.")
    if facts.count("pruned_entries"):
        return Judgement(
            Verdict.PARTLY,
            "Payloads were deleted in due time. What the time limits are is not in the ledger.",
        )
    return unrecorded(
        f"The oldest record is {oldest} days old, and no payload was ever deleted in due time. "
        "What the time limits are is not in the ledger."
    )


def _measures(facts: Facts) -> Judgement:
    if not facts.count("parts"):
        return Judgement(Verdict.NOT_APPLICABLE, "No payload is stored.")
    return Judgement(
        Verdict.PARTLY,
        "Payloads rest encrypted. Other technical and organisational measures are not on record.",
    )


def _erasures(facts: Facts) -> Judgement:
    done = facts.count("kinds", "key.destroyed")
    refused = facts.count("kinds", "erasure.refused")
    if not done and not refused:
        return Judgement(
            Verdict.NOT_APPLICABLE, "No erasure is on record. Requests are not, until carried out."
        )
    return Judgement(
        Verdict.PARTLY,
        f"{done} erasures and {refused} refusals are on record. When each was asked for is not.",
    )


GDPR_REGISTER = Framework(
    "gdpr-register",
    "GDPR Art. 30 (Regulation (EU) 2016/679): register of processing, from the ledger",
    ["Payloads are counted as they are now, not within the time of the report."],
    [
        Requirement("Art. 30(1)(a)", "Who is the controller.", (), _controller),
        Requirement(
            "Art. 30(1)(b)",
            "The purposes of the processing, and here the applications that do it.",
            ("calls", "apps", "purposes", "purpose_unsaid", "index_behind"),
            _purposes,
        ),
        Requirement(
            "Art. 30(1)(c)",
            "The categories of personal data and of the persons that it is about.",
            ("calls", "findings", "calls_uninspected"),
            _categories,
        ),
        Requirement(
            "Art. 30(1)(d)",
            "The categories of recipients.",
            ("calls_sent", "providers"),
            _recipients,
        ),
        Requirement(
            "Art. 30(1)(e)",
            "Transfers to third countries.",
            ("calls_sent", "providers", "regions", "sent_without_region"),
            _transfers,
        ),
        Requirement(
            "Art. 30(1)(f)",
            "The time limits for erasure.",
            ("oldest", "pruned_entries", "youngest_pruned_days", "holds"),
            _limits,
        ),
        Requirement(
            "Art. 30(1)(g)",
            "The technical and organisational measures (Art. 32).",
            ("parts",),
            _measures,
        ),
        Requirement(
            "Art. 17",
            "Erasures that were asked for are carried out, or refused for a reason.",
            ("kinds", "keys_destroyed"),
            _erasures,
        ),
    ],
)
