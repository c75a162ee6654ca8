"""The composition of what people do with policies over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler

from gateway.adapters.keyring import Keyring
from gateway.adapters.packs import read_folder
from gateway.adapters.store.questions import SqlQuestions
from gateway.adapters.store.request_texts import SqlRequestTexts
from gateway.core.dialect import Dialect
from gateway.core.errors import Code, Denied
from gateway.core.ports import Catalogue, Model
from gateway.core.principal import Principal
from gateway.governance.policies.desk import SYSTEM
from gateway.governance.policies.jobs import Jobs
from gateway.governance.policies.replays import Replays
from gateway.governance.policies.services import Services
from gateway.governance.policies.standings import Place, Standings
from gateway.governed import Governing
from gateway.inspectors.phrases import PhraseInspector
from gateway.inspectors.pii import FLOOR
from gateway.lifecycle import Lifecycle
from gateway.payloads import open_payloads
from gateway.replaying import open_texts, side_of
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.policies import policy_routes
from gateway.settings import Settings
from gateway.stages.decide import as_listed


@dataclass
class Policing:
    """Everything that people do with policies here, and what they ask of the past."""

    services: Services
    questions: SqlQuestions
    texts: SqlRequestTexts

    def routes(self, callers: Callers) -> Sequence[HTTPRouteHandler]:
        """The endpoints, none of which calls a model."""

        async def who(headers: Mapping[str, str], action: str) -> Principal:
            """Whose a request is, if they are of the organisation that makes the policy."""
            principal = await callers.principal(headers, action)
            if principal.org != SYSTEM.org:
                told = f"Policies are made by keys of the organisation {SYSTEM.org!r}."
                raise Denied(Code.INSUFFICIENT_ROLE, told)
            return principal

        return policy_routes(who, self.services, {POSTURE: Posture.CONTROL})

    async def stop(self) -> None:
        """End what runs, before the journal does; close the connections."""
        await self.services.jobs.stop()
        await self.questions.stop()
        await self.texts.stop()


def build_policing(
    settings: Settings,
    keyring: Keyring,
    lifecycle: Lifecycle,
    governing: Governing,
    catalogue: Catalogue,
    dialects: Mapping[str, Dialect],
) -> Policing:
    """Over a migrated database. Nothing runs yet. Raises `PackError`."""
    desk, drafts = lifecycle.desk, lifecycle.drafts
    questions = SqlQuestions(settings.database_url, keyring, objects=open_payloads(settings))
    shipped = [read_folder(settings.pack)]
    texts = open_texts(settings, keyring, dialects)
    replays = Replays(desk, drafts, questions, texts, side_of, PhraseInspector, shipped, FLOOR)

    def places(model: str) -> Sequence[Place]:
        found = catalogue.find(model)
        targets: Sequence[Model] = [] if found is None else as_listed(found, None)
        return [(each.hosting, each.region) for each in targets]

    services = Services(
        register=lifecycle.register,
        drafts=drafts,
        releases=lifecycle.releases,
        rollouts=lifecycle.rollouts,
        ownership=lifecycle.ownership,
        stops=lifecycle.stops,
        jobs=Jobs(desk, drafts, replays),
        standings=Standings(desk, replays, places),
        report=governing.shadow.report,
        nudge=governing.follower.nudge,
    )
    return Policing(services, questions, texts)
