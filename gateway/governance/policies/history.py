"""What was in force under a revision: versions of packs are kept, so it can be composed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from gateway.core.policies import Missing
from gateway.core.rulesets import Rules, Unfit
from gateway.governance.policies.desk import Desk

_LOOKED = 1_000
"""The newest releases that are looked through."""
_KEPT = 16
"""Revisions that are remembered."""


class History:
    """Finds rules by the revision that records carry."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: OrderedDict[str, Rules | None] = OrderedDict()

    async def rules(self, revision: str) -> Rules | None:
        """The rules that decided under a revision; None where they are not known any more.

        Where the library that interprets packs has changed since, what it would say of them today
        is not told by `Rules.revision`. Raises `Unavailable`.
        """
        if revision not in self._known:
            self._known[revision] = await self._composed(revision)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[revision]

    async def sentences(self, revision: str, locale: str = "en") -> Mapping[str, str]:
        """What each rule of a revision said, by its id; empty where that is not known any more.

        Raises `Unavailable`.
        """
        rules = await self.rules(revision)
        return {} if rules is None else rules.sentences.get(locale, {})

    async def _composed(self, revision: str) -> Rules | None:
        for release in await self._desk.store.releases(_LOOKED):
            if release.revision == revision:
                try:
                    return await self._desk.compose(await self._desk.files(release.packs))
                except (Missing, Unfit):
                    return None
        return None
