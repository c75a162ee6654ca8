"""Drafts over HTTP: begun, changed, tried, handed in. Each edition has an entity tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from gateway.core.errors import Code
from gateway.core.rulesets import Json, Tested
from gateway.governance.policies.diff import Change
from gateway.governance.policies.drafts import Checked
from gateway.governance.policies.register import DraftLine, DraftTold, ReleaseTold, told
from gateway.governance.policies.services import Services
from gateway.governance.policies.testing import TestRun
from gateway.server.described import TEXT, Param, says
from gateway.server.policy_calls import (
    BASE,
    READ,
    WRITE,
    Asked,
    Told,
    Who,
    Wish,
    answer,
    done,
    edition,
    of_draft,
    wish,
)

_STALE = Code.PRECONDITION_FAILED
_MATCH = {"if-match": Param(TEXT, "The edition that this is about: its `etag`.", required=True)}


class Begin(Wish, frozen=True):
    """A draft of what is in force, or of `files`. `proposing` is for a pack of Git: the draft
    becomes a patch."""

    pack: str
    files: Mapping[str, str] | None = None
    proposing: bool = False
    note: str = ""


class Save(Wish, frozen=True):
    """Whole files in place of those that are there."""

    files: Mapping[str, str]
    note: str | None = None


class Changes(Wish, frozen=True):
    """Changes as data, made one after the other; each names its kind in `change`."""

    changes: Sequence[dict[str, Any]]


class Case(Wish, frozen=True):
    """An exchange as a test. Without `expect`, what was decided is expected again."""

    exchange_id: str
    name: str
    expect: dict[str, Any] | None = None


class Note(Wish, frozen=True):
    note: str = ""


class DraftList(msgspec.Struct, frozen=True):
    drafts: Sequence[DraftLine]


class CheckedTold(msgspec.Struct, frozen=True):
    """What is wrong; where nothing is, what changes."""

    problems: Sequence[Json]
    changes: Sequence[Change]
    widening: bool


class TestsTold(msgspec.Struct, frozen=True):
    """`together` are the cases that end otherwise with all packs in force."""

    passed: bool
    cases: Sequence[Tested]
    together: Sequence[Tested]


class Dropped(msgspec.Struct, frozen=True):
    id: str
    deleted: bool


def draft_routes(
    who: Who, services: Services, opt: Mapping[str, Any]
) -> Sequence[HTTPRouteHandler]:
    """The handlers, each with the route options `opt`."""
    return [
        *_many(who, services, dict(opt)),
        *_one(who, services, dict(opt)),
        *_tried(who, services, dict(opt)),
        *_handed_in(who, services, dict(opt)),
    ]


def _many(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    @get(f"{BASE}/drafts", opt=opt | says(DraftList))
    async def listed(request: Asked) -> Told:
        """The drafts that are open."""
        me = await who(request.headers, READ)
        return answer(DraftList(await done(services.register.drafts(me))))

    @post(f"{BASE}/drafts", opt=opt | says(DraftTold, takes=Begin, status=201))
    async def begin(request: Asked) -> Told:
        """Begin a draft."""
        me, asked = await who(request.headers, WRITE), await wish(request, Begin)
        made = await done(
            services.drafts.begin(
                asked.pack, me, files=asked.files, proposing=asked.proposing, note=asked.note
            )
        )
        return of_draft(told(made), 201)

    return [listed, begin]


def _one(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/drafts/{{id:str}}"

    @get(place, opt=opt | says(DraftTold))
    async def read(request: Asked, id: FromPath[str]) -> Told:
        """A draft, with its files."""
        me = await who(request.headers, READ)
        return of_draft(await done(services.register.draft(id, me)))

    @put(place, opt=opt | says(DraftTold, takes=Save, headers=_MATCH))
    async def save(request: Asked, id: FromPath[str]) -> Told:
        """Save its files."""
        me, asked = await who(request.headers, WRITE), await wish(request, Save)
        work = services.drafts.save(id, edition(request), asked.files, me, asked.note)
        return of_draft(told(await done(work, conflict=_STALE)))

    @patch(place, opt=opt | says(DraftTold, takes=Changes, headers=_MATCH))
    async def change(request: Asked, id: FromPath[str]) -> Told:
        """Change it by data; the rest of its files stays as it is."""
        me, asked = await who(request.headers, WRITE), await wish(request, Changes)
        work = services.drafts.change(id, edition(request), asked.changes, me)
        return of_draft(told(await done(work, conflict=_STALE)))

    @delete(place, opt=opt | says(Dropped), status_code=200)
    async def drop(request: Asked, id: FromPath[str]) -> Told:
        """Forget it."""
        me = await who(request.headers, WRITE)
        await done(services.drafts.drop(id, me))
        return answer(Dropped(id, deleted=True))

    return [read, save, change, drop]


def _tried(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/drafts/{{id:str}}"

    @post(f"{place}/validate", opt=opt | says(CheckedTold))
    async def validate(request: Asked, id: FromPath[str]) -> Told:
        """Say everything that is wrong with it, or what it changes. On record."""
        me = await who(request.headers, WRITE)
        return answer(_checked(await done(services.drafts.validate(id, me))))

    @get(f"{place}/diff", opt=opt | says(CheckedTold))
    async def diff(request: Asked, id: FromPath[str]) -> Told:
        """What it changes, in sentences."""
        me = await who(request.headers, READ)
        return answer(_checked(await done(services.drafts.compared(id, me))))

    @post(f"{place}/tests", opt=opt | says(TestsTold))
    async def tests(request: Asked, id: FromPath[str]) -> Told:
        """Run its tests, and those of the packs that it would be in force with. On record."""
        me = await who(request.headers, WRITE)
        return answer(_tested(await done(services.drafts.test(id, me))))

    @post(f"{place}/cases", opt=opt | says(DraftTold, takes=Case, headers=_MATCH, status=201))
    async def add_case(request: Asked, id: FromPath[str]) -> Told:
        """Add an exchange that happened as a test: what was found, and nothing that was said."""
        me, asked = await who(request.headers, WRITE), await wish(request, Case)
        work = services.drafts.add_test(
            id, edition(request), asked.exchange_id, asked.name, me, asked.expect
        )
        return of_draft(told(await done(work, conflict=_STALE)), 201)

    return [validate, diff, tests, add_case]


def _handed_in(who: Who, services: Services, opt: dict[str, Any]) -> Sequence[HTTPRouteHandler]:
    place = f"{BASE}/drafts/{{id:str}}"

    @post(f"{place}/submit", opt=opt | says(ReleaseTold, takes=Note, headers=_MATCH, status=201))
    async def submit(request: Asked, id: FromPath[str]) -> Told:
        """Hand it in: it becomes a release, which others judge."""
        me, asked = await who(request.headers, WRITE), await wish(request, Note)
        work = services.releases.submit(id, edition(request), me, asked.note)
        release = await done(work, conflict=_STALE)
        return answer(await done(services.register.release(release.id, me)), 201)

    return [submit]


def _checked(checked: Checked) -> CheckedTold:
    return CheckedTold(checked.problems, checked.diff.changes, checked.diff.widening)


def _tested(run: TestRun) -> TestsTold:
    return TestsTold(run.passed, run.cases, run.together)
