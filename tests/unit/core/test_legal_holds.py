"""A hold covers that of which each of its members holds; without one, everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.legal_holds import Matter, Scope, covers

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MATTER = Matter("exc_1", NOON, "support", "shop", b"ann", frozenset({b"v1", b"v2"}))
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        ({}, True),
        ({"team": "support"}, True),
        ({"team": "sales"}, False),
        ({"app": "shop"}, True),
        ({"app": "x"}, False),
        ({"subject": b"ann"}, True),
        ({"subject": b"bob"}, False),
        ({"values": (b"v9", b"v2")}, True),
        ({"values": (b"v9",)}, False),
        ({"exchanges": ("exc_0", "exc_1")}, True),
        ({"exchanges": ("exc_0",)}, False),
        ({"since": NOON}, True),
        ({"since": NOON + HOUR}, False),
        ({"until": NOON}, False),
        ({"until": NOON + HOUR}, True),
        ({"team": "support", "app": "x"}, False),
        ({"team": "support", "app": "shop", "since": NOON - HOUR}, True),
    ],
)
def test_each_member_must_hold(given: dict[str, Any], covered: bool) -> None:
    assert covers(Scope(**given), MATTER) is covered


scopes = st.builds(
    Scope,
    st.none() | st.text(),
    st.none() | st.text(),
    st.none() | st.binary(min_size=1),
    st.lists(st.binary(min_size=1)).map(tuple),
    st.lists(st.text()).map(tuple),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(scopes)
def test_a_scope_is_read_back_as_it_was(scope: Scope) -> None:
    assert Scope.from_json(scope.as_json()) == scope
