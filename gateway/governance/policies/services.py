"""Everything that people do with policies, in one hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.core.shadows import Report
from gateway.governance.policies.drafts import Drafts
from gateway.governance.policies.jobs import Jobs
from gateway.governance.policies.ownership import Ownership
from gateway.governance.policies.register import Register
from gateway.governance.policies.releases import Releases
from gateway.governance.policies.rollout import Rollouts
from gateway.governance.policies.standings import Standings
from gateway.governance.policies.stops import Stops


@dataclass(frozen=True, slots=True)
class Services:
    """`report` tells what is known of a shadow; `nudge` has this process look at once at what
    is to be in force."""

    register: Register
    drafts: Drafts
    releases: Releases
    rollouts: Rollouts
    ownership: Ownership
    stops: Stops
    jobs: Jobs
    standings: Standings
    report: Callable[[str], Awaitable[Report]]
    nudge: Callable[[], None]
