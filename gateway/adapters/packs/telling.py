"""Problems as people, programs and GitHub read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.adapters.packs.problems import Problem

_PAGE = "docs/reference/policy-problems.md"


def as_text(problems: Sequence[Problem]) -> str:
    """Code and place, what is wrong, why that matters and what to do: a paragraph for each."""
    return "\n\n".join(map(_paragraph, problems))


def _paragraph(problem: Problem) -> str:
    head = f"{problem.code}  {_place(problem)}"
    if problem.where:
        head += f"  {problem.where}"
    if problem.warning:
        head += "  (advice)"
    said = f"  {problem.rule}: " if problem.rule else "  "
    lines = [head, f"{said}{_sentence(problem.what)}{_meant(problem)}"]
    lines += [f"  {text}" for text in (problem.why, problem.fix) if text]
    return "\n".join(lines)


def _place(problem: Problem) -> str:
    if not problem.line:
        return problem.file
    column = f":{problem.column}" if problem.column else ""
    return f"{problem.file}:{problem.line}{column}"


def _sentence(text: str) -> str:
    """`text` with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _meant(problem: Problem) -> str:
    if not problem.similar:
        return ""
    names = " or ".join(f'"{name}"' for name in problem.similar)
    return f" Did you mean {names}?"


def as_json(problems: Sequence[Problem]) -> str:
    """A JSON list of objects; `severity` is `error` or `warning`."""
    return orjson.dumps([_object(one) for one in problems], option=orjson.OPT_INDENT_2).decode()


def _object(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "severity": "warning" if problem.warning else "error",
        "file": problem.file,
        "line": problem.line or None,
        "column": problem.column or None,
        "where": problem.where,
        "rule": problem.rule,
        "what": problem.what,
        "why": problem.why,
        "fix": problem.fix,
        "similar": list(problem.similar),
        "docs": f"{_PAGE}#{problem.code.lower()}",
    }


def as_github(problems: Sequence[Problem], folder: str = "") -> str:
    """GitHub's workflow commands, one a line, which it shows beside the lines of a change.

    `folder` is where the pack stands in the repository.

    Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    return "\n".join(_command(problem, folder.strip("/")) for problem in problems)


def _command(problem: Problem, folder: str) -> str:
    path = f"{folder}/{problem.file}" if folder else problem.file
    parts = {"file": path, "line": problem.line, "col": problem.column, "title": problem.code}
    given = ",".join(f"{name}={_property(str(value))}" for name, value in parts.items() if value)
    rule = f"{problem.rule}: " if problem.rule else ""
    said = f"{rule}{_sentence(problem.what)}{_meant(problem)} {problem.why} {problem.fix}"
    return f"::{'warning' if problem.warning else 'error'} {given}::{_message(said.strip())}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
