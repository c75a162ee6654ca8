"""Being told no by an answer: a house whose rules want that, and how each dialect's is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import copytree
from typing import Any

from gateway.core.declined import Manner
from gateway.settings import baseline_pack
from tests.houses import House, embedded

WORDS = "Not here: ask ann."
_RULE = """\
id: told.{how}
title: Some applications are told no in a way of their own
kind: response
mode: enforce
when: {{tags: [told-{how}]}}
params: {params}
message:
  en: The caller is told so.
"""


def tag(how: Manner) -> str:
    """The tag of the applications that are told so."""
    return f"told-{how}"


def house_before(folder: Path, base_url: str) -> House:
    """A gateway before an upstream at `base_url`, not started: the baseline, and a rule for each
    way of saying no."""
    pack = folder / "pack"
    copytree(baseline_pack(), pack)
    rules = []
    for how in Manner:
        words = {} if how is Manner.CONTENT_FILTER else {"message": WORDS}
        rules.append(_RULE.format(how=how, params={"how": str(how), **words}))
    (pack / "rules" / "told.yaml").write_text("---\n".join(rules))
    settings = {
        "GOVGATE_POLICY__PACK": str(pack),
        "GOVGATE_UPSTREAM__BASE_URL": base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
    }
    return embedded(folder, **settings)


def text_of(name: str, answer: Mapping[str, Any]) -> str:
    """What an answer says in plain text."""
    match name:
        case "chat":
            return answer["choices"][0]["message"].get("content") or ""
        case "completions":
            return str(answer["choices"][0]["text"])
        case "messages":
            return "".join(block.get("text", "") for block in answer["content"])
    parts = [part for item in answer["output"] for part in item.get("content", ())]
    return "".join(part.get("text", "") for part in parts)


def refusal_of(name: str, answer: Mapping[str, Any]) -> str | None:
    """The words of a refusal, where the dialect has a place for them."""
    match name:
        case "chat":
            return answer["choices"][0]["message"].get("refusal")
        case "completions":
            return None
        case "messages":
            return (answer.get("stop_details") or {}).get("explanation")
    parts = [part for item in answer["output"] for part in item.get("content", ())]
    return "".join(part.get("refusal", "") for part in parts) or None


def ending_of(name: str, answer: Mapping[str, Any]) -> str:
    match name:
        case "chat" | "completions":
            return str(answer["choices"][0]["finish_reason"])
        case "messages":
            return str(answer["stop_reason"])
    return str((answer.get("incomplete_details") or {}).get("reason") or answer["status"])


FILTERED = {"messages": "refusal"}
FINISHED = {"messages": "end_turn", "responses": "completed"}


def expected(name: str, how: Manner, before: str) -> tuple[str, str | None, str]:
    """The text, the refusal and the ending of an answer that said `before`."""
    if name == "completions" and how is Manner.REFUSAL:
        how = Manner.MESSAGE
    finished = FINISHED.get(name, "stop")
    if how is Manner.CONTENT_FILTER:
        return before, None, FILTERED.get(name, "content_filter")
    if how is Manner.REFUSAL:
        return before, WORDS, "refusal" if name == "messages" else finished
    return (f"{before}\n\n{WORDS}" if before else WORDS), None, finished
