"""Money: whole micro-USD, never less than was said."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import Money, Price, Usage, dollars, usd

AMOUNTS = st.integers(-(10**15), 10**15)
TOKENS = st.integers(0, 10**9)
RATES = st.integers(0, 10**9)


@given(AMOUNTS)
def test_dollars_and_back(amount: int) -> None:
    text = dollars(Money(amount))
    assert usd(text) == amount
    assert "e" not in text.lower()
    assert len(text.partition(".")[2]) >= 2


@given(st.integers(-(10**22), 10**22).map(lambda units: Decimal(units).scaleb(-13)))
def test_an_amount_is_rounded_up_by_less_than_one(amount: Decimal) -> None:
    exact = Fraction(amount) * 1_000_000
    assert exact <= usd(amount) < exact + 1


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (1, "0.000001"), (10, "0.00001"), (1_500_000, "1.50"), (-5_000_000, "-5.00"),
     (1_234_560_000_000, "1234560.00"), (100_000, "0.10")],
)  # fmt: skip
def test_dollars_are_plain_decimals(amount: int, text: str) -> None:
    assert dollars(Money(amount)) == text


@pytest.mark.parametrize("text", ["", "five", "NaN", "sNaN", "Infinity", "-inf", "1,5", "0x10"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of dollars"):
        usd(text)


@given(TOKENS, TOKENS, RATES, RATES)
def test_a_cost_is_rounded_up_to_the_next_micro_dollar(
    read: int, said: int, input_rate: int, output_rate: int
) -> None:
    exact = Fraction(read * input_rate + said * output_rate, 1_000_000)
    cost = Price(input_rate, output_rate, "v").cost(read, said)
    assert exact <= cost < exact + 1


@given(TOKENS, TOKENS, TOKENS, RATES, RATES)
def test_more_tokens_never_cost_less(
    read: int, said: int, more: int, input_rate: int, output_rate: int
) -> None:
    price = Price(input_rate, output_rate, "v")
    assert price.cost(read, said) <= price.cost(read + more, said)
    assert price.cost(read, said) <= price.cost(read, said + more)


def test_a_later_count_keeps_what_was_said_of_the_request() -> None:
    begun = Usage(12, 1, exact=False)
    assert Usage(0, 7, exact=True).after(begun) == Usage(12, 7, exact=True)
    assert Usage(12, 9, exact=True).after(Usage(12, 7, exact=True)) == Usage(12, 9, exact=True)
    assert Usage(3, 4, exact=True).after(None) == Usage(3, 4, exact=True)


def test_a_count_that_never_learned_what_was_read_is_not_exact() -> None:
    assert not Usage(0, 7, exact=True).after(None).exact
    assert not Usage(0, 7, exact=True).after(Usage(0, 1, exact=False)).exact
