"""Drafts: packs that people change, try and hand in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.ids import new_id
from gateway.core.policies import (
    Conflict,
    Draft,
    Missing,
    OwnedElsewhere,
    Owner,
    PackFiles,
    Refused,
)
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.core.rulesets import Json, Unfit
from gateway.governance.policies.cases import Questions, case_file, place
from gateway.governance.policies.desk import APPROVERS, AUTHORS, Desk, said
from gateway.governance.policies.diff import Diff, compare
from gateway.governance.policies.testing import TestRun, run_tables

LARGEST = 5 << 20
"""Bytes of all the files of a pack."""
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*){0,4}")


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a draft; where nothing is, what it would change."""

    problems: Sequence[Json] = ()
    diff: Diff = field(default_factory=Diff)


class Drafts:
    """What authors do before they hand a draft in. Each step is on record."""

    def __init__(self, desk: Desk, questions: Questions) -> None:
        self._desk = desk
        self._questions = questions

    async def begin(
        self,
        pack: str,
        who: Principal,
        *,
        files: PackFiles | None = None,
        proposing: bool = False,
        note: str = "",
    ) -> Draft:
        """A draft of a pack: of the version in force, or of `files` for a new pack.

        `proposing` is for a pack that is changed in Git: its draft can become a patch, and
        nothing else. Raises `Denied`, `OwnedElsewhere`, `Refused`, `Unavailable`.
        """
        me = self._desk.enter(who, AUTHORS)
        await self._check_owner(pack, proposing)
        base = await self._base(pack)
        if base is None and files is None:
            raise Missing(f"no pack {pack[:100]!r} is in force: give the files of a new one")
        if base is not None and files is None:
            files = (await self._desk.version(base)).files
        draft = Draft(
            new_id("drf"), pack, base, files or {}, me.key_id, 1, self._desk.now(),
            said(note, "a note", needed=False), (me,),
        )  # fmt: skip
        return await self._save(draft, who)

    async def save(
        self, id: str, edition: int, files: PackFiles, who: Principal, note: str | None = None
    ) -> Draft:
        """Whole files in place of those of `edition`. Raises `Conflict` where that is not the
        newest, and what `begin` raises."""
        me = self._desk.enter(who, AUTHORS)
        draft = await self.draft(id, edition)
        hands = draft.hands if me in draft.hands else (*draft.hands, me)
        same = self._desk.packs.digest(files) == self._desk.packs.digest(draft.files)
        return await self._save(
            replace(
                draft,
                files=files,
                author=me.key_id,
                edition=edition + 1,
                updated_at=self._desk.now(),
                note=draft.note if note is None else said(note, "a note", needed=False),
                hands=hands,
                replay=draft.replay if same else None,
            ),
            who,
        )

    async def change(self, id: str, edition: int, changes: Sequence[Json], who: Principal) -> Draft:
        """Changes as data: the files are the same but for those. Raises `Unfit` for changes
        that cannot be made, and what `save` raises."""
        self._desk.enter(who, AUTHORS)
        draft = await self.draft(id, edition)
        files = await asyncio.to_thread(self._desk.packs.edit, draft.files, changes)
        return await self.save(id, edition, files, who)

    async def add_test(
        self,
        id: str,
        edition: int,
        exchange_id: str,
        name: str,
        who: Principal,
        expect: Mapping[str, Any] | None = None,
    ) -> Draft:
        """An exchange as a test: its findings are frozen, nothing that was said is kept.

        Without `expect`, what was decided is expected again. That it is read is on record
        first. Raises `Missing` for an exchange without a question, and what `save` raises.
        """
        self._desk.enter(who, AUTHORS)
        draft = await self.draft(id, edition)
        file, name = place(exchange_id), said(name, "a name for the test")
        facts = {"exchange_id": exchange_id, "parts": ["decision", "question"]}
        await self._desk.note(who, Kind.AUDIT_READ, facts, reason=f"A test of the draft {id}.")
        recorded = await self._questions.recorded(who.org, exchange_id)
        if recorded is None:
            raise Missing(f"of {exchange_id} no question to the policy can be read")
        files = {**draft.files, file: case_file(exchange_id, name, recorded, expect)}
        return await self.save(id, edition, files, who)

    async def validate(self, id: str, who: Principal) -> Checked:
        """Whether it loads and goes together with the other packs in force. On record."""
        self._desk.enter(who, AUTHORS)
        draft = await self.draft(id)
        checked = await self._checked(draft)
        facts = {**self._facts(draft), "problems": len(checked.problems)}
        await self._desk.note(who, Kind.POLICY_VALIDATED, facts)
        return checked

    async def compared(self, id: str, who: Principal) -> Checked:
        """What `validate` says, without a record of it."""
        self._desk.admit(who, AUTHORS | APPROVERS)
        return await self._checked(await self.draft(id))

    async def test(self, id: str, who: Principal) -> TestRun:
        """Run its test tables, and those of the packs that it would be in force with.

        On record. Raises `Unfit`, `Unavailable`.
        """
        self._desk.enter(who, AUTHORS)
        draft = await self.draft(id)
        run = await run_tables(self._desk.packs, await self._beside(draft))
        await self._desk.note(who, Kind.POLICY_TESTS_RUN, {**self._facts(draft), **run.facts()})
        return run

    async def replayed(
        self, id: str, edition: int, summary: Mapping[str, Any], who: Principal
    ) -> Draft:
        """Keep what a replay of this edition said, as evidence. On record, as it is then
        shown to whoever approves; `summary` is JSON without anybody's text."""
        self._desk.enter(who, AUTHORS)
        draft = await self.draft(id, edition)
        counts = {k: v for k, v in summary.items() if type(v) is int and k.isascii()}
        await self._desk.note(who, Kind.POLICY_REPLAY_RUN, {**self._facts(draft), **counts})
        kept = replace(draft, edition=edition + 1, updated_at=self._desk.now(), replay=summary)
        await self._desk.store.save_draft(kept)
        return kept

    async def reopen(self, release_id: str, who: Principal) -> Draft:
        """A draft of what a release changed, on top of what is in force now.

        For a release that was rejected, or is not on top of it any more. Files that only one
        side changed are taken from that side. Raises `Refused` where both changed one.
        """
        me = self._desk.enter(who, AUTHORS)
        release = await self._desk.release(release_id)
        was = await self._desk.release(release.base) if release.base else None
        before = was.packs if was else {}
        changed = [pack for pack, digest in release.packs.items() if before.get(pack) != digest]
        if len(changed) != 1:
            raise Refused(f"{release_id} changed {len(changed)} packs; begin a draft of each")
        (pack,) = changed
        await self._check_owner(pack, proposing=False)
        base = await self._base(pack)
        files = _merged(
            *[
                (await self._desk.version(digest)).files if digest else {}
                for digest in (before.get(pack), base, release.packs[pack])
            ]
        )
        hands = tuple(dict.fromkeys((*release.people, me)))
        draft = Draft(
            new_id("drf"), pack, base, files, me.key_id, 1, self._desk.now(), release.note, hands
        )
        return await self._save(draft, who)

    async def drop(self, id: str, who: Principal) -> None:
        """Forget a draft. What was saved of it stays on record, by digest."""
        self._desk.enter(who, AUTHORS)
        await self.draft(id)
        await self._desk.store.drop_draft(id)

    async def draft(self, id: str, edition: int | None = None) -> Draft:
        """A draft. Raises `Missing`, and `Conflict` where `edition` is not its newest."""
        draft = await self._desk.store.draft(id)
        if draft is None:
            raise Missing(f"there is no draft {id[:100]!r}")
        if edition is not None and draft.edition != edition:
            raise Conflict(
                f"somebody saved edition {draft.edition} of this draft; yours is made from "
                f"{edition}. Look at theirs, and save again"
            )
        return draft

    async def _save(self, draft: Draft, who: Principal) -> Draft:
        """Put it on record and keep it. The record names its digest; the note is a part."""
        check_files(draft.files)
        await self._desk.note(who, Kind.POLICY_DRAFT_SAVED, self._facts(draft), note=draft.note)
        await self._desk.store.save_draft(draft)
        return draft

    def _facts(self, draft: Draft) -> dict[str, Any]:
        return {
            "draft": draft.id,
            "edition": draft.edition,
            "pack": draft.pack,
            "base": draft.base,
            "digest": self._desk.packs.digest(draft.files),
        }

    async def _base(self, pack: str) -> str | None:
        """The digest of the version of a pack that is in force."""
        standing = await self._desk.in_force()
        return standing[1].packs.get(pack) if standing else None

    async def _beside(self, draft: Draft) -> dict[str, PackFiles]:
        """The files of the draft and of the other packs in force, by pack."""
        standing = await self._desk.in_force()
        others = dict(standing[1].packs) if standing else {}
        others.pop(draft.pack, None)
        return {**await self._desk.files(others), draft.pack: draft.files}

    async def _checked(self, draft: Draft) -> Checked:
        standing = await self._desk.in_force()
        try:
            if self._desk.packs.named(draft.files)[0] != draft.pack:
                return Checked([{"what": f"pack.yaml says another id than {draft.pack}"}])
            after = await self._desk.compose(await self._beside(draft))
        except Unfit as error:
            return Checked(error.problems)
        before = await self._desk.files(standing[1].packs) if standing else {}
        return Checked(diff=compare(await self._desk.compose_in_force(before), after))

    async def _check_owner(self, pack: str, proposing: bool) -> None:
        owner = (await self._desk.store.owners()).get(pack)
        if owner is Owner.GIT and not proposing:
            raise OwnedElsewhere(await owned_by_git(self._desk, pack))


async def owned_by_git(desk: Desk, pack: str) -> str:
    """Where a pack is changed, in words."""
    newest = next(iter(await desk.store.versions(pack)), None)
    where = f" ({newest.source})" if newest and newest.source else ""
    return (
        f"the pack {pack!r} is changed in Git{where}: change it there and publish it, or make a "
        "draft that proposes a change, which gives a patch"
    )


def check_files(files: PackFiles) -> None:
    """Raises `ValueError` for files that no folder could hold, or that are too large."""
    for path in files:
        if not _PATH.fullmatch(path):
            raise ValueError(
                f"{path[:100]!r} is no path inside a pack: letters, digits and ._- with / between"
            )
    if sum(len(text.encode()) for text in files.values()) > LARGEST:
        raise ValueError(f"the files of a pack have {LARGEST >> 20} MB at most")


def _merged(base: PackFiles, ours: PackFiles, theirs: PackFiles) -> PackFiles:
    """The files of `ours` with what `theirs` changed since `base`. Raises `Refused`."""
    merged: dict[str, str] = {}
    both: list[str] = []
    for path in sorted({*base, *ours, *theirs}):
        was, here, there = base.get(path), ours.get(path), theirs.get(path)
        if here != there and was not in (here, there):
            both.append(path)
        taken = there if here == was else here
        if taken is not None:
            merged[path] = taken
    if both:
        raise Refused(
            f"both sides changed {', '.join(both)} since: begin a draft of what is in force, and "
            "make the change again there"
        )
    return merged
