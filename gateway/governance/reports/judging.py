"""Rules that several frameworks share."""

from __future__ import annotations

from gateway.core.reports import Facts, Judgement, Verdict

SIX_MONTHS = 184
"""Days: no six months in a row have more."""

NO_CALLS = Judgement(Verdict.GAP, "No call was recorded in this time.")


def recorded(facts: Facts) -> Judgement:
    """Whether every call has its beginning and its end on record."""
    calls, ended = facts.count("calls"), facts.count("calls_ended")
    if not calls:
        return NO_CALLS
    if ended == calls:
        return Judgement(Verdict.MET)
    return Judgement(
        Verdict.PARTLY,
        f"{calls - ended} of {calls} calls have no end on record: they still run, or their end "
        "is written when their gateway is found to be dead.",
    )


def traced(facts: Facts) -> Judgement:
    """Whether what went to a model names that model and the policy that let it pass."""
    sent = facts.count("calls_sent")
    if not sent:
        return Judgement(Verdict.NOT_APPLICABLE, "No call reached a model in this time.")
    lacks = {
        "the model that served it": sent - facts.count("sent_with_model"),
        "the policy's revision": sent - facts.count("sent_with_revision"),
    }
    missing = [f"{count} of {sent} lack {what}" for what, count in lacks.items() if count]
    if not missing:
        return Judgement(Verdict.MET)
    none = min(facts.count("sent_with_model"), facts.count("sent_with_revision")) == 0
    verdict = Verdict.GAP if none else Verdict.PARTLY
    return Judgement(verdict, f"Of the calls that reached a model, {'; '.join(missing)}.")


def kept(facts: Facts) -> Judgement:
    """Whether records have stood for six months, and none of their payloads went earlier."""
    oldest, earliest = facts.days("oldest"), facts.days("youngest_pruned_days")
    if oldest is None:
        return Judgement(Verdict.GAP, "Nothing is on record.")
    if earliest is not None and earliest < SIX_MONTHS:
        return Judgement(
            Verdict.GAP,
            f"Payloads were deleted when they were {earliest} days old; six months are up to "
            f"{SIX_MONTHS}. Their headers are still there.",
        )
    if oldest < SIX_MONTHS:
        return Judgement(
            Verdict.PARTLY,
            f"The oldest record is {oldest} days old, so that six months cannot be shown yet. "
            "None was deleted earlier.",
        )
    return Judgement(Verdict.MET)


def whole(facts: Facts) -> Judgement:
    """Whether the log is signed to its end, and somebody else holds what was signed."""
    entries, signed = facts.count("log_size"), facts.count("signed")
    if not entries or not signed:
        return Judgement(Verdict.GAP, "Nothing in the log is signed.")
    lacks = []
    if signed < entries:
        lacks.append(f"{entries - signed} entries of the log are not signed for")
    if facts.count("waiting"):
        lacks.append(f"{facts.count('waiting')} entries are not in the log yet")
    if not facts.count("cosigned") and not facts.count("anchored"):
        lacks.append(
            "no checkpoint is held elsewhere: whoever has the database and the log's key could "
            "write another history"
        )
    if not lacks:
        return Judgement(Verdict.MET)
    text = "; ".join(lacks)
    return Judgement(Verdict.PARTLY, f"{text[0].upper()}{text[1:]}.")


def unrecorded(gap: str) -> Judgement:
    """What the ledger has no entries of."""
    return Judgement(Verdict.GAP, gap)
