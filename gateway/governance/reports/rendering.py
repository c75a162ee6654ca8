"""A report as Markdown, JSON or a page of HTML that needs nothing besides."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from gateway.core.reports import Report, Value

_STYLE = (
    "body{font:15px/1.45 sans-serif;margin:2em auto;max-width:75em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #999;padding:.4em;"
    "text-align:left;vertical-align:top}pre{background:#eee;overflow:auto;padding:.6em}"
)
_ACTIVE = re.compile(r"([\\`*_\[\]<>|#&!~])")
"""What Markdown or a browser that shows it would act upon."""
_HEADS = ("requirement", "what it asks", "figures", "verdict", "what is lacking")


def as_json(report: Report) -> str:
    """The report as JSON, ending with a line break."""
    told: dict[str, Any] = {
        "report": report.name,
        "title": report.title,
        "org": report.org,
        "since": _time(report.since),
        "until": _time(report.until),
        "made_at": _time(report.made_at),
        "notes": list(report.notes),
        "rows": [
            {
                "requirement": row.ref,
                "demand": row.demand,
                "figures": {name: _plain(value) for name, value in row.figures.items()},
                "verdict": str(row.verdict),
                "gap": row.gap,
            }
            for row in report.rows
        ],
        "queries": dict(report.queries),
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def as_markdown(report: Report) -> str:
    """The report as Markdown. What callers named is escaped."""
    lines = [f"# {report.title}", "", _about(report, _marked), ""]
    lines += [f"- {note}" for note in report.notes]
    lines += ["", f"| {' | '.join(_HEADS)} |", "|---|---|---|---|---|"]
    for row in report.rows:
        figures = "<br>".join(
            f"`{name}`: {_marked(_said(value))}" for name, value in row.figures.items()
        )
        cells = (row.ref, row.demand, figures, f"**{row.verdict}**", row.gap)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Queries", ""]
    for name, query in report.queries.items():
        lines += [f"`{name}`", "", "```sql", query, "```", ""]
    return "\n".join(lines)


def as_html(report: Report) -> str:
    """The report as a page without scripts, links or pictures. Everything is escaped."""
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    rows = []
    for row in report.rows:
        figures = "<br>".join(
            f"<code>{escape(name)}</code>: {escape(_said(value))}"
            for name, value in row.figures.items()
        )
        told = (escape(row.ref), escape(row.demand), figures, escape(row.verdict), escape(row.gap))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in told) + "</tr>")
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    queries = "".join(
        f"<h3><code>{escape(name)}</code></h3><pre>{escape(query)}</pre>"
        for name, query in report.queries.items()
    )
    title = escape(report.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{_about(report, escape)}</p><ul>{notes}</ul>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<h2>Queries</h2>{queries}</body></html>\n"
    )


RENDERED = {"md": as_markdown, "json": as_json, "html": as_html}


def _about(report: Report, spelled: Any) -> str:
    return (
        f"Organisation {spelled(report.org)}, calls from {_time(report.since)} and before "
        f"{_time(report.until)}. Made at {_time(report.made_at)}."
    )


def _said(value: Value) -> str:
    match value:
        case None:
            return "none"
        case datetime():
            return _time(value)
        case Mapping():
            return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
        case _:
            return str(value)


def _plain(value: Value) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    return dict(value) if isinstance(value, Mapping) else value


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _marked(text: str) -> str:
    """`text` as Markdown shows it, on one line."""
    return _ACTIVE.sub(r"\\\1", " ".join(text.split()))
