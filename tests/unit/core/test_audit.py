"""What filters may say, and what can never be asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gateway.core.audit import COLUMNS, DIMENSIONS, TAGS, Filters
from gateway.core.roles import SEES_ALL, SEES_CONTENT, SEES_TEAM, Role

WHOLE = {
    "since": "2026-11-22T10:00:00Z",
    "app": ["a", "b"],
    "rule": ["pii.contact.mask"],
    "exclude": {"model": ["m"], "label": ["internal"]},
    "cost_from": 5,
    "text": "roses -thorns",
    "open": False,
    "hidden": True,
}


def test_filters_come_back_from_json_as_they_were() -> None:
    filters = msgspec.convert(WHOLE, Filters)
    assert filters.since == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert filters.wanted("app") == ("a", "b")
    assert filters.unwanted("model") == ("m",)
    assert filters.unwanted("app") == ()
    assert msgspec.json.decode(msgspec.json.encode(filters)) == WHOLE
    assert msgspec.json.decode(msgspec.json.encode(filters), type=Filters) == filters
    assert msgspec.to_builtins(Filters()) == {}


BAD: list[dict[str, Any]] = [
    {"since": "2026-11-22T10:00:00"},
    {"until": "yesterday"},
    {"apps": ["a"]},
    {"app": "a"},
    {"app": [1]},
    {"app": [""]},
    {"app": ["x" * 257]},
    {"app": ["\x00"]},
    {"app": ["a"] * 51},
    {"app": ["a"] * 30, "exclude": {"app": ["b"] * 30}},
    {"exclude": {"user": ["a"]}},
    {"exclude": {"app": [""]}},
    {"text": "x" * 1_025},
    {"user": "\x00"},
    {"value": "a\x00b"},
    {"cost_from": -1},
    {"cost_to": 2**53},
    {"cost_from": 1.5},
    {"open": "maybe"},
]


@pytest.mark.parametrize("told", BAD, ids=str)
def test_what_can_never_be_asked(told: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, Filters)


def test_every_dimension_is_a_member_and_is_one_thing() -> None:
    assert set(DIMENSIONS) < {field.name for field in msgspec.structs.fields(Filters)}
    assert not set(COLUMNS) & set(TAGS)


def test_what_each_role_sees() -> None:
    assert SEES_CONTENT <= SEES_ALL
    assert not SEES_TEAM & SEES_ALL
    assert Role.ADMIN not in SEES_TEAM | SEES_ALL
