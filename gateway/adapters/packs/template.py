"""A new pack: what it begins with."""

from __future__ import annotations

from gateway.adapters.packs.changes import EditError
from gateway.adapters.packs.documents import parse
from gateway.adapters.packs.schema import validator
from gateway.adapters.packs.writing import lines
from gateway.core.policies import PackFiles

_EXCEPTIONS = """\
# Time-boxed ways around a rule, each with a reason and the person who approved it:
#
# - id: shop-bot.phones
#   rule: pii.contact.mask
#   when: {apps: [shop-bot]}
#   until: "2027-01-31T00:00:00Z"
#   why: The courier needs the number; ticket SEC-112.
#   approved_by: privacy-office@example.org
[]
"""
_README = """\
# {title}

What this pack does, and what it does not do, in words for those who approve it.

Look at it with `govgate policy check`, run its tests with `govgate policy test`, and read its
rules in plain words with `govgate policy sentences`.
"""


def new_pack(id: str, title: str, owner: str | None = None) -> PackFiles:
    """The files of a pack without rules. Raises `EditError` for an id that is none."""
    manifest = {"id": id, "version": "0.1.0", "title": title, "owner": owner, "policy_api": 1}
    told = {name: value for name, value in manifest.items() if value is not None}
    text = "\n".join(lines(told, 0)) + "\n"
    [document] = parse(text, "pack.yaml")
    if document.value != told or not validator("manifest").is_valid(told):
        raise EditError(
            f"{id!r} cannot be the id of a pack, or the title is empty: use small letters and "
            "digits, with . _ or - between them"
        )
    return {
        "pack.yaml": text,
        "exceptions.yaml": _EXCEPTIONS,
        "README.md": _README.format(title=title),
    }
