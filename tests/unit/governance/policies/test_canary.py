"""A release is tried on the part that was said, and always on the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.exchange import Call, Exchange
from gateway.core.policies import Canary
from gateway.core.principal import Principal
from gateway.governance.policies.canary import is_tried_on
from tests.exchanges import CHAT, SOMEBODY


def from_whom(who: Principal = SOMEBODY, **attributes: str) -> Exchange:
    async def read() -> bytes:
        return b""

    told = {f"x-govgate-{name.replace('_', '-')}": text for name, text in attributes.items()}
    exchange = Exchange(CHAT, read, Call("key", told))
    exchange.principal = who
    return exchange


@pytest.mark.parametrize(
    ("canary", "tried"),
    [
        (Canary(), False),
        (Canary(percent=100), True),
        (Canary(teams=("support",)), True),
        (Canary(teams=("sales",)), False),
        (Canary(keys=("k1",)), True),
        (Canary(keys=("k2",)), False),
        (Canary(teams=("sales",), keys=("k1",)), True),
    ],
)
def test_teams_and_keys_are_named_and_the_rest_is_drawn(canary: Canary, tried: bool) -> None:
    assert is_tried_on(canary, "rel_1", from_whom()) is tried


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_about_as_many_are_drawn_as_was_said(percent: int) -> None:
    """4,000 users: five standard deviations are less than 4 percent."""
    drawn = sum(
        is_tried_on(Canary(percent), "rel_1", from_whom(user=f"user-{number}"))
        for number in range(4_000)
    )
    assert abs(drawn / 40 - percent) < 4


def test_each_release_is_drawn_anew() -> None:
    users = [from_whom(user=f"user-{number}") for number in range(200)]
    one, other = ([is_tried_on(Canary(50), id, user) for user in users] for id in ("a", "b"))
    assert one != other


@given(st.text(), st.text(), st.text(), st.integers(0, 100))
def test_whoever_falls_on_a_side_stays_there_and_a_larger_part_holds_the_smaller(
    release: str, app: str, user: str, percent: int
) -> None:
    who = replace(SOMEBODY, app=app)
    first = is_tried_on(Canary(percent), release, from_whom(who, user=user))
    again = from_whom(replace(who, key_id="another"), user=user, session_id="new") if user else None
    if again is not None:
        assert is_tried_on(Canary(percent), release, again) is first
    if first:
        assert is_tried_on(Canary(min(percent + 1, 100)), release, from_whom(who, user=user))


def test_a_user_that_is_verified_comes_before_one_that_is_told() -> None:
    who = replace(SOMEBODY, user="ann")
    sides = {is_tried_on(Canary(50), "r", from_whom(who, user=f"u{n}")) for n in range(50)}
    assert len(sides) == 1


def test_without_a_user_those_of_a_session_stay_together() -> None:
    one = {is_tried_on(Canary(50), "r", from_whom(session_id="s1")) for _ in range(10)}
    all_ = {is_tried_on(Canary(50), "r", from_whom(session_id=f"s{n}")) for n in range(50)}
    assert len(one) == 1
    assert len(all_) == 2
