"""Fills a framework with figures."""

from __future__ import annotations

from datetime import datetime

from gateway.core.reports import Facts, Figures, Framework, Report, Row, Span
from gateway.governance.reports.ai_act import AI_ACT
from gateway.governance.reports.gdpr import GDPR_REGISTER
from gateway.governance.reports.iso42001 import ISO_42001
from gateway.governance.reports.soc2 import SOC_2

FRAMEWORKS = {each.name: each for each in (AI_ACT, ISO_42001, SOC_2, GDPR_REGISTER)}

ALWAYS = (
    "This report states what the ledger shows, and what it does not show. It does not say that "
    "anybody complies with anything: that is for people to judge, who also know what is not on "
    "record here.",
    "`met` means that the figures show all that this row asks of the record; `partly` that they "
    "show some of it; `gap` that they show nothing of it, or show that it is missing.",
)


async def filled(framework: Framework, figures: Figures, span: Span, now: datetime) -> Report:
    """The report. Raises `Unavailable`."""
    names = sorted({name for each in framework.requirements for name in each.figures})
    found = await figures.gather(span, names)
    facts = Facts(found, span)
    rows = []
    for each in framework.requirements:
        judged = each.judge(facts)
        shown = {name: found[name].value for name in each.figures}
        rows.append(Row(each.ref, each.demand, shown, judged.verdict, judged.gap))
    return Report(
        name=framework.name,
        title=framework.title,
        org=span.org,
        since=span.since,
        until=span.until,
        made_at=now,
        notes=[*ALWAYS, *framework.notes],
        rows=rows,
        queries={name: found[name].query for name in names},
    )
