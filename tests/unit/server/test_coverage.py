"""What is governed where: told as the lenses are, and as the documentation says."""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

import gateway.obligations
from gateway.adapters.store.migrate import migrate
from gateway.core.errors import Code, Denied
from gateway.core.principal import Principal
from gateway.dialects.chat import Chat
from gateway.dialects.lens import Lens
from gateway.server.census import Posture, Route, census
from gateway.server.coverage import APPLIES, coverage, page
from gateway.settings import Settings
from gateway.wiring import build, duties
from tests.unit.server.test_app import KEY, House

ROOT = Path(__file__).parents[3]


class Vectors(Lens):
    action = "vectors.create"


def told(lens: object, *duties: str) -> dict[str, dict[str, str]]:
    route = Route("/v1/x", ("POST",), Posture.GOVERNED, lens)  # type: ignore[arg-type]
    endpoints: list[dict[str, dict[str, str]]] = coverage([route], duties)["endpoints"]
    return endpoints[0]


def test_a_lens_that_has_everything() -> None:
    about = told(Chat(), "mask", "screen", "cap_tokens", "restrict_tools", "label", "cache")
    assert about["streamed"] is True
    assert about["request"] == {"text": True, "unreadable_parts": True, "tools": True}
    assert about["answer"] == {"text": True, "tool_calls": True, "media": False, "usage": True}
    assert set(about["checks"].values()) == {APPLIES}


def test_a_lens_that_has_nothing_says_why() -> None:
    about = told(Vectors(), "mask", "screen", "cap_tokens", "restrict_tools", "cache")
    assert about["streamed"] is False
    assert about["answer"] == {"text": False, "tool_calls": False, "media": False, "usage": False}
    assert about["checks"] == {
        "mask": APPLIES,
        "screen": "its answer holds no text",
        "cap_tokens": "its output has no limit to set",
        "restrict_tools": "it takes no tools",
        "cache": APPLIES,
    }


class Counting(Chat):
    """Has all of it from its parent, and takes it back."""

    def streams(self, request: dict[str, Any]) -> bool:
        return False

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        raise Denied(Code.MODEL_NOT_PRICED, "no")

    def choices(self, request: dict[str, Any]) -> int:
        return 0


def test_what_a_lens_takes_back_is_not_claimed() -> None:
    about = told(Counting(), "screen", "cap_tokens", "restrict_tools")
    assert about["streamed"] is False
    assert (about["answer"]["text"], about["answer"]["tool_calls"]) == (False, False)
    assert about["checks"] == {
        "screen": "its answer holds no text",
        "cap_tokens": "its output has no limit to set",
        "restrict_tools": APPLIES,
    }


def test_a_duty_that_nobody_thought_about_is_no_guess() -> None:
    with pytest.raises(LookupError):
        told(Chat(), "dance")


def test_of_every_duty_it_is_said_what_it_needs() -> None:
    modules = {module.name for module in iter_modules(gateway.obligations.__path__)}
    assert set(told(Chat(), *duties())["checks"]) == set(duties()) >= modules & set(duties())


async def test_it_is_told_to_a_key_that_may_read_it() -> None:
    house = House()
    assert (await house.ask("GET", "/api/v1/coverage")).status == 401
    wire = await house.ask("GET", "/api/v1/coverage", headers=KEY)
    assert wire.status == 200
    rows = {row["path"]: row for row in wire.json["endpoints"]}
    assert rows["/v1/chat/completions"]["checks"] == {"mask": APPLIES, "cap_tokens": APPLIES}
    assert rows["/livez"] == {"path": "/livez", "methods": ["GET"], "posture": "health"}
    house.keys.principals["k"] = Principal("acme", "t", "a", "k1", scopes=("chat.*",))
    assert (await house.ask("GET", "/api/v1/coverage", headers=KEY)).status == 403


def test_the_documentation_says_the_same(tmp_path: Path) -> None:
    """When it does not: `.ci/coverage` writes it anew."""
    settings = Settings(data_dir=tmp_path)
    migrate(settings.database_url)
    endpoints = coverage(census(build(settings).app), duties())["endpoints"]
    assert (ROOT / "docs/reference/coverage.md").read_text() == page(endpoints)
