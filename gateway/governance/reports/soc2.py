"""SOC 2, common criteria CC6, CC7 and CC8."""

from __future__ import annotations

from gateway.core.reports import Facts, Framework, Judgement, Requirement, Verdict
from gateway.governance.reports.judging import unrecorded, whole


def _access(facts: Facts) -> Judgement:
    if not facts.count("keys_valid"):
        return unrecorded("There is no valid API key, so that nobody's access can be shown.")
    endless = facts.count("keys_without_end")
    if endless:
        return Judgement(
            Verdict.PARTLY, f"{endless} valid API keys have no end. Who holds a key is not known."
        )
    return Judgement(Verdict.MET)


def _readings(facts: Facts) -> Judgement:
    return Judgement(
        Verdict.PARTLY,
        f"{facts.count('kinds', 'audit.read')} readings of contents and "
        f"{facts.count('kinds', 'audit.export')} exports are on record, each before it was done. "
        "Whether somebody looks through them is not.",
    )


def _encrypted(facts: Facts) -> Judgement:
    if not facts.count("parts"):
        return Judgement(Verdict.NOT_APPLICABLE, "No payload is stored.")
    plain = [name for name in facts.names("parts") if not name.endswith("A256GCM")]
    if plain:
        count = sum(facts.count("parts", name) for name in plain)
        return unrecorded(f"{count} payloads are stored under an algorithm that is not known.")
    return Judgement(Verdict.MET)


def _anomalies(facts: Facts) -> Judgement:
    troubled = {
        "calls were lost with their gateway": facts.count("outcomes", "lost"),
        "calls failed": facts.count("outcomes", "failed"),
        "calls passed while an inspector could not be asked": facts.count("calls_uninspected"),
    }
    said = "; ".join(f"{count} {what}" for what, count in troubled.items())
    return Judgement(
        Verdict.PARTLY, f"{said}. What was done about it, and that anybody was told, is not known."
    )


def _changes(facts: Facts) -> Judgement:
    revisions = facts.names("revisions")
    if not revisions:
        return unrecorded("No decision names a revision of a policy in this time.")
    return Judgement(
        Verdict.PARTLY,
        f"{len(revisions)} revisions of the policy were in force, and each call names its own. "
        "Who made and who approved them is not on record.",
    )


SOC_2 = Framework(
    "soc2",
    "SOC 2, CC6, CC7 and CC8: evidence of the ledger",
    [
        "The demands are in our own words; the criteria's text decides.",
        "Keys and payloads are counted as they are now, not within the time of the report.",
    ],
    [
        Requirement(
            "CC6 (access)",
            "Only who may has access, for as long as they may.",
            ("keys_valid", "keys_without_end", "keys_revoked"),
            _access,
        ),
        Requirement(
            "CC6 (readings)",
            "Who reads what is confidential is known.",
            ("kinds",),
            _readings,
        ),
        Requirement(
            "CC6 (encryption)",
            "What is confidential rests encrypted.",
            ("parts",),
            _encrypted,
        ),
        Requirement(
            "CC7 (anomalies)",
            "What goes wrong is noticed, and dealt with.",
            ("outcomes", "codes", "calls_uninspected"),
            _anomalies,
        ),
        Requirement(
            "CC7 (integrity)",
            "Records cannot be changed without its being noticed.",
            ("log_size", "waiting", "signed", "cosigned", "anchored"),
            whole,
        ),
        Requirement(
            "CC8 (changes)",
            "Changes are known, approved and made as they were approved.",
            ("revisions",),
            _changes,
        ),
    ],
)
