"""In which order the targets of a group are asked.

Weights hold for single calls and for sessions alike: each target draws a number, from chance
or from a hash of the session and the target, and weighs it. The order of the draws is that of
weighted sampling without replacement (Efraimidis and Spirakis, 2006); with the hash it is
weighted rendezvous hashing, so that a target that comes or goes moves no session but its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

from gateway.core.ports import Choice, Group, Model, Strategy

_READ_FOR_ONE_SAID = 3
"""How many tokens are read for one that is said, when prices are compared."""


def ordered(
    group: Group,
    session: str | None,
    *,
    latency: Callable[[Model], float],
    draw: Callable[[], float],
) -> Sequence[Model]:
    """The targets of `group`, best first: by `order`, then by the group's strategy.

    `latency` is a target's first-byte time in seconds; `draw` a number in [0, 1).
    """

    def rank(choice: Choice) -> float:
        match group.strategy:
            case Strategy.ORDERED:
                return 0.0  # as they stand: sorting keeps that
            case Strategy.WEIGHTED:
                drawn = _hashed(session, choice.model) if group.sticky and session else draw()
                return -math.log(1.0 - drawn) / choice.weight
            case Strategy.LATENCY:
                return latency(choice.model)
            case Strategy.COST:
                return _cost(choice.model)

    ranked = sorted(group.choices, key=lambda choice: (choice.order, rank(choice)))
    return [choice.model for choice in ranked]


def _hashed(session: str | None, model: Model) -> float:
    """A number in [0, 1) that a session and a target have in common."""
    parts = [session or "", model.upstream, model.upstream_model]
    text = b"".join(f"{len(part)}:{part}".encode() for part in parts)
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


def _cost(model: Model) -> float:
    """What a target costs compared with others; one without a price comes last."""
    if model.price is None:
        return math.inf
    return float(_READ_FOR_ONE_SAID * model.price.input + model.price.output)
