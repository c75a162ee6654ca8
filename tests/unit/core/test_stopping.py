"""A stop concerns whom it names, in every way that a name can be written; and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.policies import Stop, Stopped
from gateway.core.stopping import Stops
from tests.exchanges import SOMEBODY

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def stop(what: Stopped, name: str, id: str = "stp_1") -> Stop:
    return Stop(id, what, name, "because", "ann", NOW)


def test_without_a_stop_nothing_is_stopped() -> None:
    stops = Stops()
    assert not stops
    assert not stops.tools
    assert stops.caller(SOMEBODY) is stops.model(["m"]) is stops.tool(["t"]) is None


@pytest.mark.parametrize(
    ("what", "name", "stopped"),
    [
        (Stopped.EVERYTHING, "*", True),
        (Stopped.APP, "shop-bot", True),
        (Stopped.APP, "shop-*", True),
        (Stopped.APP, "shop", False),
        (Stopped.APP, "Shop-Bot", False),
        (Stopped.KEY, "k1", True),
        (Stopped.KEY, "k", False),
        (Stopped.MODEL, "shop-bot", False),
        (Stopped.TOOL, "k1", False),
    ],
)
def test_a_caller_is_stopped_by_app_key_or_with_everything(
    what: Stopped, name: str, stopped: bool
) -> None:
    found = Stops([stop(what, name)]).caller(SOMEBODY)
    assert (found is not None) is stopped


@pytest.mark.parametrize("what", [Stopped.MODEL, Stopped.TOOL])
def test_models_and_tools_are_stopped_in_any_case(what: Stopped) -> None:
    stops = Stops([stop(what, "GPT-4o*")])
    ask = stops.model if what is Stopped.MODEL else stops.tool
    assert ask(["other", "gpt-4O-mini"]) is not None
    assert ask(["gpt-4"]) is None


def test_the_stop_that_is_found_is_told() -> None:
    one, other = stop(Stopped.TOOL, "send", "stp_1"), stop(Stopped.TOOL, "pay", "stp_2")
    stops = Stops([one, other, stop(Stopped.APP, "x", "stp_3")])
    assert stops.tools
    assert len(stops) == 3
    assert stops.tool(["pay"]) is other


def test_the_same_stops_are_equal() -> None:
    one = stop(Stopped.APP, "x")
    assert Stops([one]) == Stops([replace(one)])
    assert Stops([one]) != Stops([replace(one, id="stp_2")])


@given(st.text("ab*.", max_size=8), st.text("ab.", max_size=8))
def test_a_star_is_any_run_of_characters_and_nothing_else_is_special(
    pattern: str, name: str
) -> None:
    found = Stops([stop(Stopped.TOOL, pattern)]).tool([name])
    assert (found is not None) is fnmatchcase(name, pattern)
