"""Which rules apply to an application and a model, for whoever may read what stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from gateway.core.principal import Principal
from gateway.governance.policies.desk import READERS, Desk
from gateway.governance.policies.effective import effective, who_asks
from gateway.governance.policies.replays import Replays

Place: TypeAlias = tuple[str | None, str | None]
"""Where a model runs: hosting and region."""
Places: TypeAlias = Callable[[str], Sequence[Place]]
"""Where the models run that serve a name; none where it is not known."""


@dataclass(frozen=True, slots=True)
class Asks:
    """Who asks what. `hosting` and `region` stand in place of what the catalogue says."""

    app: str
    model: str
    team: str | None = None
    tags: Sequence[str] = ()
    hosting: str | None = None
    region: str | None = None
    locale: str = "en"


class At(msgspec.Struct, frozen=True):
    """What stands where the model runs at one place: each rule, whether it `applies`, and
    `why`."""

    hosting: str | None
    region: str | None
    rules: Sequence[Mapping[str, Any]]


class Effective(msgspec.Struct, frozen=True):
    """The rules for one who asks one model, for each place where it may run."""

    app: str
    team: str | None
    tags: Sequence[str]
    model: str
    targets: Sequence[At]


class Standings:
    """Answers by the policy that decides now."""

    def __init__(self, desk: Desk, replays: Replays, places: Places) -> None:
        self._desk = desk
        self._replays = replays
        self._places = places

    async def effective(self, asks: Asks, who: Principal) -> Effective:
        """Every rule, and whether it applies. Raises `Denied`, `Unfit`, `Unavailable`."""
        self._desk.admit(who, READERS)
        rules = await self._desk.compose(await self._replays.base())
        known = self._places(asks.model) or [(None, None)]
        wanted = [(asks.hosting or here, asks.region or there) for here, there in known]
        time = self._desk.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        targets = []
        for hosting, region in dict.fromkeys(wanted):
            question = who_asks(
                asks.app, asks.model, time, team=asks.team, tags=asks.tags,
                hosting=hosting, region=region,
            )  # fmt: skip
            standing = effective(rules, question, asks.locale)
            targets.append(At(hosting, region, [one.told() for one in standing]))
        return Effective(asks.app, asks.team, asks.tags, asks.model, targets)
