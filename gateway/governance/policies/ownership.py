"""Git and the console side by side: each pack is changed in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff

from gateway.core.policies import Missing, Owner, PackFiles, Refused
from gateway.core.principal import Principal
from gateway.core.records import Kind
from gateway.governance.policies.desk import ADMINS, APPROVERS, AUTHORS, READERS, Desk
from gateway.governance.policies.drafts import Drafts


class Ownership:
    """Who owns which pack, and what one side needs of the other."""

    def __init__(self, desk: Desk, drafts: Drafts) -> None:
        self._desk = desk
        self._drafts = drafts

    async def switch(self, pack: str, owner: Owner, who: Principal) -> None:
        """Say that a pack is changed elsewhere from now on. On record first.

        Raises `Denied`, `Missing`, and `Refused` where it is so already.
        """
        self._desk.enter(who, ADMINS)
        before = (await self._desk.store.owners()).get(pack)
        if before is None:
            raise Missing(f"there is no pack {pack[:100]!r}")
        if before is owner:
            raise Refused(f"the pack {pack!r} is changed in {owner} already")
        facts = {"pack": pack, "before": before.value, "after": owner.value}
        await self._desk.note(who, Kind.POLICY_OWNERSHIP_CHANGED, facts)
        await self._desk.store.own(pack, owner)

    async def export(self, pack: str, who: Principal) -> PackFiles:
        """The files of a pack in force, in the order of their names. On record first.

        The same version gives the same bytes every time. Raises `Denied`, `Missing`.
        """
        self._desk.admit(who, AUTHORS | APPROVERS)
        digest = await self._in_force(pack)
        version = await self._desk.version(digest)
        await self._desk.note(who, Kind.POLICY_EXPORTED, {"pack": pack, "digest": digest})
        return dict(sorted(version.files.items()))

    async def drift(self, files: PackFiles, who: Principal) -> Sequence[str]:
        """The names of the files that are others than in force; none where all is the same.

        Raises `Denied`, `Missing` where no pack of that id is in force, `Unfit`.
        """
        self._desk.admit(who, READERS)
        pack = self._desk.packs.named(files)[0]
        known = (await self._desk.version(await self._in_force(pack))).files
        return [name for name in sorted({*known, *files}) if known.get(name) != files.get(name)]

    async def propose(self, draft_id: str, who: Principal) -> str:
        """A draft as a patch to the version that it was made of, in the form of `git diff`.

        For `git apply` inside the pack's folder. Raises `Denied`, `Missing`, and `Refused`
        where nothing differs.
        """
        self._desk.admit(who, AUTHORS)
        draft = await self._drafts.draft(draft_id)
        base = (await self._desk.version(draft.base)).files if draft.base else {}
        said = patch(base, draft.files)
        if not said:
            raise Refused("the draft changes nothing")
        return said

    async def _in_force(self, pack: str) -> str:
        standing = await self._desk.in_force()
        if standing is None or pack not in standing[1].packs:
            raise Missing(f"no pack {pack[:100]!r} is in force")
        return standing[1].packs[pack]


def patch(before: PackFiles, after: PackFiles) -> str:
    """What changes from files to others, as `git diff` says it. Empty where nothing does."""
    return "".join(
        _file_patch(name, before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _file_patch(name: str, before: str | None, after: str | None) -> str:
    head = f"diff --git a/{name} b/{name}\n"
    if before is None:
        head += "new file mode 100644\n"
    if after is None:
        head += "deleted file mode 100644\n"
    old = "/dev/null" if before is None else f"a/{name}"
    new = "/dev/null" if after is None else f"b/{name}"
    lines = unified_diff(_lines(before or ""), _lines(after or ""), old, new)
    return head + "".join(map(_ended, lines))


def _lines(text: str) -> list[str]:
    """Lines with their ends. A line ends at `\\n` alone, as it does for Git."""
    pieces = text.split("\n")
    return [f"{line}\n" for line in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
