"""Which target is asked first: by order, weight, speed or price; and sessions stay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.routing.balance import ordered
from gateway.core.money import Price
from gateway.core.ports import Choice, Group, Model, Strategy

WEIGHTS = st.lists(st.integers(1, 5), min_size=2, max_size=4)
DRAWS = 3_000


def target(name: str, price: Price | None = None) -> Model:
    return Model("m", name, "x", price=price)


def group(weights: Mapping[str, int], **more: Any) -> Group:
    choices = tuple(Choice(target(name), weight) for name, weight in weights.items())
    return Group(choices, **{"strategy": Strategy.WEIGHTED, **more})


def names(of: Group, session: str | None = None, seed: int = 0, **latencies: float) -> list[str]:
    found = ordered(
        of,
        session,
        latency=lambda model: latencies[model.upstream],
        draw=random.Random(seed).random,
    )
    return [model.upstream for model in found]


def close(counts: Counter[str], weights: Mapping[str, int]) -> bool:
    """Within five standard deviations of a binomial distribution, for each."""
    total = sum(weights.values())
    for name, weight in weights.items():
        share = weight / total
        if abs(counts[name] - DRAWS * share) > 5 * (DRAWS * share * (1 - share)) ** 0.5:
            return False
    return True


@given(WEIGHTS, st.integers(0, 99))
def test_weights_hold_for_single_calls(weights: list[int], seed: int) -> None:
    weighed = {f"t{at}": weight for at, weight in enumerate(weights)}
    draw = random.Random(seed).random
    of = group(weighed)
    counts = Counter(
        ordered(of, None, latency=lambda _: 0, draw=draw)[0].upstream for _ in range(DRAWS)
    )
    assert close(counts, weighed)


@given(WEIGHTS, st.integers(0, 99))
def test_and_for_sessions(weights: list[int], salt: int) -> None:
    weighed = {f"t{at}": weight for at, weight in enumerate(weights)}
    of = group(weighed, sticky=True)
    counts = Counter(names(of, f"{salt}/{number}")[0] for number in range(DRAWS))
    assert close(counts, weighed)


@given(WEIGHTS, st.text(min_size=1), st.data())
def test_a_session_stays_where_it_is_whatever_else_goes(
    weights: list[int], session: str, data: st.DataObject
) -> None:
    weighed = {f"t{at}": weight for at, weight in enumerate(weights)}
    before = names(group(weighed, sticky=True), session, seed=1)
    assert names(group(weighed, sticky=True), session, seed=2) == before
    gone = data.draw(st.sampled_from(sorted(weighed)))
    left = {name: weight for name, weight in weighed.items() if name != gone}
    assert names(group(left, sticky=True), session) == [name for name in before if name != gone]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=5),
       st.sampled_from(Strategy), st.integers(0, 99))  # fmt: skip
def test_every_target_is_there_once_and_order_comes_first(
    shape: list[tuple[int, int]], strategy: Strategy, seed: int
) -> None:
    choices = tuple(
        Choice(target(f"t{at}"), weight, order) for at, (order, weight) in enumerate(shape)
    )
    found = names(Group(choices, strategy), seed=seed, **{f"t{at}": 0 for at in range(len(shape))})
    assert sorted(found) == sorted(choice.model.upstream for choice in choices)
    orders = {choice.model.upstream: choice.order for choice in choices}
    assert [orders[name] for name in found] == sorted(orders.values())


def test_ordered_targets_stand_as_they_are_written() -> None:
    assert names(group({"b": 1, "a": 9}, strategy=Strategy.ORDERED)) == ["b", "a"]


def test_the_fastest_comes_first_and_who_is_unknown_before_all() -> None:
    of = group({"a": 1, "b": 1, "c": 1}, strategy=Strategy.LATENCY)
    assert names(of, a=0.3, b=0.0, c=0.1) == ["b", "c", "a"]


def test_the_cheapest_comes_first_and_who_has_no_price_last() -> None:
    prices = {"dear": Price(9, 1, "v"), "none": None, "cheap": Price(1, 9, "v")}
    of = Group(tuple(Choice(target(*each)) for each in prices.items()), Strategy.COST)
    assert names(of) == ["cheap", "dear", "none"]


def test_without_a_session_a_sticky_group_draws() -> None:
    of = group({"a": 1, "b": 1}, sticky=True)
    assert len({names(of, None, seed)[0] for seed in range(50)}) == 2
