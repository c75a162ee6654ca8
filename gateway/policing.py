"""The composition of what people do with policies, for routes and for commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from litestar.handlers import HTTPRouteHandler

from gateway.core.errors import Code, Denied
from gateway.core.principal import Principal
from gateway.governance.policies.desk import SYSTEM
from gateway.governance.policies.services import Services
from gateway.governed import Governing
from gateway.lifecycle import Lifecycle
from gateway.server.callers import Callers
from gateway.server.census import POSTURE, Posture
from gateway.server.policies import policy_routes


def policing_routes(
    lifecycle: Lifecycle, governing: Governing, callers: Callers
) -> Sequence[HTTPRouteHandler]:
    """The endpoints, none of which calls a model. What is done in this process is in force in
    it at once."""
    services = Services(
        register=lifecycle.register,
        drafts=lifecycle.drafts,
        releases=lifecycle.releases,
        rollouts=lifecycle.rollouts,
        ownership=lifecycle.ownership,
        stops=lifecycle.stops,
        report=governing.shadow.report,
        nudge=governing.follower.nudge,
    )

    async def who(headers: Mapping[str, str], action: str) -> Principal:
        """Whose a request is, if they are of the organisation that makes the policy of all."""
        principal = await callers.principal(headers, action)
        if principal.org != SYSTEM.org:
            told = f"Policies are made by keys of the organisation {SYSTEM.org!r}."
            raise Denied(Code.INSUFFICIENT_ROLE, told)
        return principal

    return policy_routes(who, services, {POSTURE: Posture.CONTROL})
