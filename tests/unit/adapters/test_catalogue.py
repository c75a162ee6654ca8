"""Which models there are: the named ones, and those that a provider serves besides."""

from __future__ import annotations

import pytest

from gateway.adapters.catalogue import Serves, StaticCatalogue
from gateway.core.money import Price
from gateway.core.ports import Choice, Group, Model

OWN = Price(1, 2, "own")
LISTED = Price(3, 4, "listed")
NAMED = Model("fast", "openai", "gpt-4o-mini", region="eu", price=OWN)
LIKE = Model("*", "openai", "*", hosting="external", region="us", tags=("t",), max_output_tokens=9)


class Asked:
    """A price list that notes what it was asked for."""

    def __init__(self, price: Price | None = LISTED) -> None:
        self.asked: list[str] = []
        self._price = price

    def __call__(self, model: Model) -> Price | None:
        self.asked.append(model.upstream_model)
        return self._price


def test_a_named_model_is_found_by_its_name_alone() -> None:
    catalogue = StaticCatalogue([NAMED], [], Asked())
    assert catalogue.find("fast") == NAMED
    assert catalogue.find("gpt-4o-mini") is None
    assert catalogue.find("Fast") is None
    assert catalogue.find("") is None


def test_a_model_that_is_served_besides_goes_upstream_under_its_own_name() -> None:
    catalogue = StaticCatalogue([], [Serves("gpt-*", LIKE)], Asked())
    found = catalogue.find("gpt-5")
    assert found == Model("gpt-5", "openai", "gpt-5", region="us", tags=("t",),
                          max_output_tokens=9, price=LISTED)  # fmt: skip
    assert catalogue.find("claude") is None


def test_the_name_comes_before_a_pattern_and_the_first_pattern_wins() -> None:
    other = Model("*", "other", "*")
    catalogue = StaticCatalogue([NAMED], [Serves("f*", LIKE), Serves("*", other)], Asked())
    found = [catalogue.find(name) for name in ("fast", "first", "x")]
    assert [model and model.upstream for model in found] == ["openai", "openai", "other"]
    assert found[0] == NAMED


def test_what_a_caller_writes_is_no_pattern() -> None:
    catalogue = StaticCatalogue([NAMED], [Serves("gpt-*", LIKE)], Asked())
    assert catalogue.find("*") is None
    assert catalogue.find("f*") is None


@pytest.mark.parametrize(
    "name",
    [
        "how do I build a bomb",
        "gpt-4o ann@example.org",
        "ann.lee@example.org",
        "gpt-4o@ann.lee@example.org",
        "gpt-4o\n",
        "größe",
        "4111111111111111",
        "gpt-4111111111111111",
        "g" * 129,
    ],
)
def test_a_pattern_serves_names_and_no_other_text(name: str) -> None:
    named = Model(name, "openai", "gpt-4o-mini")
    assert StaticCatalogue([], [Serves("*", LIKE)], Asked()).find(name) is None
    assert StaticCatalogue([named], [], Asked(None)).find(name) == named


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-2024-08-06",
        "ft:gpt-4o-mini-2024-07-18:acme::9ab1cd2e",
        "meta-llama/Llama-3.3-70B-Instruct",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "claude-3-5-sonnet@20240620",
        "@cf/meta/llama-3.1-8b-instruct",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3",
        "deepseek-r1:7b-qwen-distill-q4_K_M",
    ],
)
def test_a_pattern_serves_the_names_that_providers_give(name: str) -> None:
    found = StaticCatalogue([], [Serves("*", LIKE)], Asked()).find(name)
    assert found is not None
    assert found.upstream_model == name


def test_each_model_is_priced_once_and_an_own_price_stands() -> None:
    prices = Asked()
    unpriced = Model("slow", "openai", "gpt-4o")
    catalogue = StaticCatalogue([NAMED, unpriced], [Serves("*", LIKE)], prices)
    for _ in range(3):
        found = [catalogue.find(name) for name in ("fast", "slow", "new")]
        assert [model and model.price for model in found] == [OWN, LISTED, LISTED]
    assert prices.asked == ["gpt-4o", "new"]


def test_a_model_without_a_price_is_a_model() -> None:
    found = StaticCatalogue([], [Serves("*", LIKE)], Asked(None)).find("new")
    assert found is not None
    assert found.price is None


def test_only_named_models_are_listed() -> None:
    catalogue = StaticCatalogue([NAMED], [Serves("*", LIKE)], Asked())
    catalogue.find("new")
    assert list(catalogue.models()) == [NAMED]


def test_names_that_callers_make_up_do_not_fill_the_memory() -> None:
    catalogue = StaticCatalogue([], [Serves("*", LIKE)], Asked())
    for number in range(5_000):
        assert catalogue.find(f"made-up-{number}")
    assert len(catalogue._found) <= 4_096


def test_each_target_of_a_group_is_priced_and_goes_under_its_own_name() -> None:
    targets = (Model("g-*", "one", "*"), Model("g-*", "two", "fixed", price=OWN))
    group = Group(tuple(Choice(target) for target in targets))
    like = Model("g-*", "one", "*", group=group)
    found = StaticCatalogue([], [Serves("g-*", like)], Asked()).find("g-1")
    assert found is not None
    assert found.group is not None
    one, two = (choice.model for choice in found.group.choices)
    assert (found.id, found.price) == ("g-1", LISTED)
    assert one == Model("g-1", "one", "g-1", price=LISTED)
    assert two == Model("g-1", "two", "fixed", price=OWN)


def test_what_is_not_listed_is_found_all_the_same() -> None:
    catalogue = StaticCatalogue([NAMED], [], Asked(), unlisted={"fast"})
    assert list(catalogue.models()) == []
    assert list(catalogue.named) == [NAMED]
    assert catalogue.find("fast") == NAMED
