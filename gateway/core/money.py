"""Money in whole micro-USD, and what models cost. Never floats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NewType

Money = NewType("Money", int)
"""Micro-USD: 1_000_000 is one dollar."""

ZERO = Money(0)
_MICRO = Decimal(1_000_000)
_LARGEST = 11
"""Digits of dollars after the first: more than fits the database is a slip."""


def usd(amount: str | Decimal) -> Money:
    """`amount` dollars as `Money`, rounded up. Raises `ValueError` for what is no number."""
    try:
        value = Decimal(amount)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"not an amount of dollars: {amount!r}") from error
    if not value.is_finite() or value.adjusted() > _LARGEST:
        raise ValueError(f"not an amount of dollars: {amount!r}")
    return Money(math.ceil(Fraction(value) * 1_000_000))  # exact, whatever the digits


def dollars(amount: Money) -> str:
    """`amount` as decimal dollars without an exponent: 1_500_000 is "1.50"."""
    text = f"{Decimal(amount) / _MICRO:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents:<02}"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in micro-USD per million tokens, at its dearest tier."""

    input: int
    output: int
    version: str

    def cost(self, input_tokens: int, output_tokens: int) -> Money:
        """The price of these tokens, rounded up to a whole micro-USD."""
        return Money(-(-(input_tokens * self.input + output_tokens * self.output) // 1_000_000))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens used. `exact` when the provider reported them, else an upper bound."""

    input_tokens: int
    output_tokens: int
    exact: bool

    def after(self, earlier: Usage | None) -> Usage:
        """This count, which came later in the same answer than `earlier`.

        Counts only grow; some providers say what was read once, at the beginning. A count
        that never learned what was read is not exact.
        """
        if earlier is None:
            return Usage(
                self.input_tokens, self.output_tokens, self.exact and self.input_tokens > 0
            )
        read = max(self.input_tokens, earlier.input_tokens)
        said = max(self.output_tokens, earlier.output_tokens)
        return Usage(read, said, self.exact and read > 0)
