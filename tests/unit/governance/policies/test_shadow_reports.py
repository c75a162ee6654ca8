"""What every gateway counted of a shadow, for whoever may read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.errors import Denied
from gateway.core.policies import Missing
from gateway.core.roles import Role
from gateway.core.shadows import Kind, Tally
from gateway.governance.policies.shadow_reports import ShadowReports
from tests.fakes.packs import files, rule
from tests.fakes.tallies import FakeTallies
from tests.policymaking import ANN, BOB, House, somebody

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHANGED = files(rules={"house.mask": rule(min_score=0.1)})


async def test_it_adds_up_what_every_gateway_kept() -> None:
    house = await House.open()
    release = await house.handed_in(CHANGED)
    told = FakeTallies(
        Tally(release.id, "n1", NOON, {Kind.SAME: 3}, 1),
        Tally(release.id, "n2", NOON, {Kind.NEWLY_DENIED: 1}, 2),
        Tally("rel_other", "n1", NOON, {Kind.SAME: 9}),
    )
    reports = ShadowReports(house.desk, told)
    report = await reports.report(release.id, ANN)
    assert (report.rate, report.dropped, report.since) == (0.25, 3, NOON)
    with pytest.raises(Missing, match="no release is asked beside"):
        await reports.report(None, ANN)
    await house.rollouts.shadow(release.id, BOB)
    assert await reports.report(None, ANN) == report
    await house.rollouts.shadow(None, BOB)
    assert await reports.report(release.id, ANN) == report


async def test_what_is_not_there_and_who_may_not_look() -> None:
    house = House()
    reports = ShadowReports(house.desk, FakeTallies())
    for id in (None, "rel_9"):
        with pytest.raises(Missing):
            await reports.report(id, ANN)
        with pytest.raises(Denied):
            await reports.report(id, somebody("key_dev", Role.DEVELOPER))
