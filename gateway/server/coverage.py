"""What is governed where: read off the routes and the lenses, not written by hand.

A lens that leaves a method as `Lens` has it says that its endpoint has none of it. What a lens
may take back again is asked of it, with a request that wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core.dialect import Dialect
from gateway.core.errors import GatewayError
from gateway.dialects.lens import Lens
from gateway.server.census import Posture, Route

ACTION = "coverage.read"
APPLIES = "applies"

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["endpoints"],
    "properties": {
        "endpoints": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "methods", "posture"],
                "properties": {
                    "path": {"type": "string"},
                    "methods": {"type": "array", "items": {"type": "string"}},
                    "posture": {"enum": [str(posture) for posture in Posture]},
                    "action": {"type": "string"},
                    "dialect": {"type": "string"},
                    "accepts": {"type": "array", "items": {"type": "string"}},
                    "streamed": {"type": "boolean"},
                    "request": {"type": "object"},
                    "answer": {"type": "object"},
                    "checks": {"type": "object"},
                },
            },
        }
    },
}
"""What `GET /api/v1/coverage` answers, as a JSON Schema."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "pseudonymise": (),
    "mask": (),
    "screen": ("runs",),
    "validate": ("runs",),
    "label": (),
    "disclose": ("runs",),
    "cap_tokens": ("limit_output",),
    "restrict_tools": ("restrict_tools",),
    "review_tools": ("tool_calls",),
    "reroute": (),
    "compress": (),
    "no_store": (),
    "cache": ("not takes_media",),
    "respond_with": ("decline",),
}
"""What each duty needs a lens to have. Every request has text, so what acts on it is not here."""

_WANTING: Mapping[str, Any] = {
    "model": "m",
    "messages": [],
    "max_tokens": 2,
    "stream": True,
    "stream_format": "sse",
}
"""A request for a stream, and for more output than a limit of one."""

_LACKS = {
    "runs": "its answer holds no text",
    "limit_output": "its output has no limit to set",
    "restrict_tools": "it takes no tools",
    "tool_calls": "its answer calls no tools",
    "not takes_media": "its answer may be other than JSON",
    "decline": "its answer cannot say no",
}


def coverage(routes: Iterable[Route], duties: Sequence[str]) -> dict[str, Any]:
    """What `GET /api/v1/coverage` answers. `duties` are those that a policy may name here.

    Raises `LookupError` for a duty of which nobody has said what it needs.
    """
    return {"endpoints": [_endpoint(route, duties) for route in routes]}


def _endpoint(route: Route, duties: Sequence[str]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "path": route.path,
        "methods": list(route.methods),
        "posture": str(route.posture),
    }
    if route.posture is Posture.GOVERNED and route.dialect is not None:
        about |= _governed(route.dialect, duties)
    return about


def _governed(dialect: Dialect, duties: Sequence[str]) -> dict[str, Any]:
    return {
        "action": dialect.action,
        "dialect": type(dialect).__name__,
        "accepts": sorted(dialect.accepts),
        "streamed": _has(dialect, "streams"),
        "request": {
            "text": True,
            "unreadable_parts": _has(dialect, "opaque"),
            "tools": _has(dialect, "tools"),
        },
        "answer": {
            "text": _has(dialect, "runs"),
            "tool_calls": _has(dialect, "tool_calls"),
            "media": _has(dialect, "takes_media"),
            "usage": _has(dialect, "usage"),
        },
        "checks": {duty: _check(dialect, duty) for duty in duties},
    }


def _check(dialect: Dialect, duty: str) -> str:
    """`applies`, or why it cannot."""
    for need in _NEEDS[duty]:
        wanted, name = not need.startswith("not "), need.removeprefix("not ")
        if _has(dialect, name) is not wanted:
            return _LACKS[need]
    return APPLIES


def _has(dialect: Dialect, method: str) -> bool:
    """Whether the lens says something of its own here."""
    if getattr(type(dialect), method) is getattr(Lens, method):
        return False
    match method:
        case "streams":
            return dialect.streams(dict(_WANTING))
        case "limit_output":
            return _limits(dialect)
        case "runs" | "tool_calls" | "decline":
            return dialect.choices(dict(_WANTING)) > 0
        case _:
            return True


def _limits(dialect: Dialect) -> bool:
    """Whether a limit is written; a lens that has nowhere to write one refuses."""
    request = dict(_WANTING)
    try:
        dialect.limit_output(request, 1)
    except GatewayError:
        return False
    return request != _WANTING


def page(endpoints: Sequence[Mapping[str, Any]]) -> str:
    """`docs/reference/coverage.md`: the same, to read."""
    governed = [each for each in endpoints if each["posture"] == Posture.GOVERNED]
    others = [each for each in endpoints if each["posture"] != Posture.GOVERNED]
    checks = list(governed[0]["checks"]) if governed else []
    return "\n".join(
        [
            _HEAD,
            *_table(["endpoint", "action", "streamed", "request", "answer"], map(_row, governed)),
            _CHECKS,
            *_table(["endpoint", *(f"`{name}`" for name in checks)], map(_checked, governed)),
            _OTHERS,
            *_table(["endpoint", "posture"], ([_name(e), e["posture"]] for e in others)),
            "",
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _name(endpoint: Mapping[str, Any]) -> str:
    return f"`{', '.join(endpoint['methods'])} {endpoint['path']}`"


def _row(endpoint: Mapping[str, Any]) -> list[str]:
    asked = [name.replace("_", " ") for name, has in endpoint["request"].items() if has]
    said = [name.replace("_", " ") for name, has in endpoint["answer"].items() if has]
    streamed = "yes" if endpoint["streamed"] else "no"
    action = f"`{endpoint['action']}`"
    return [_name(endpoint), action, streamed, ", ".join(asked), ", ".join(said) or "–"]


def _checked(endpoint: Mapping[str, Any]) -> list[str]:
    words = ["yes" if word == APPLIES else f"– {word}" for word in endpoint["checks"].values()]
    return [_name(endpoint), *words]


_HEAD = """# Coverage

Every endpoint there is, and what is governed there. This page is generated from the routes and
from the lenses that read their requests and answers (`.ci/coverage` writes it; a test compares);
`GET /api/v1/coverage` gives the same of a running gateway, as JSON, to any key whose scopes cover
`coverage.read`. A path that is not here is refused with `unknown_url`, never passed on.

## Governed

Every request here is an exchange: identity, record, inspection, policy, duties, budget. What is
not text (an image, a recording, a file, a URL) is reported to the policy as an unreadable part.
*Usage*: the provider says what was used, so the cost is exact; else the most it can be is taken.
"""

_CHECKS = """
## Duties

Which duties of a policy can act at which endpoint; a dash says why one has nothing to act on.
"""

_OTHERS = """
## Not governed

These call no model. *Control* needs a key; *health* is open, and says nothing about anybody.
"""
