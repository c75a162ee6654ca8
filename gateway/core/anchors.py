"""Anchors: checkpoints of the log, put where whoever writes the records cannot change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

GROUP = "govgate.anchors"
"""Entry points: the name is the scheme of a URL, the object an `AnchorFactory`."""


class Anchor(Protocol):
    """A place that keeps checkpoints."""

    async def keep(self, checkpoint: str) -> str:
        """Keep a signed note, and tell where it is: a short text that an auditor can follow.

        Returns once it is kept for good. It may be asked again for a note that it has, by this
        process or by another, and must then tell the same. Raises any exception when it is not
        kept; it is then asked again.
        """


AnchorFactory: TypeAlias = Callable[[str], Anchor]
"""Makes the anchor at a URL. Raises `ValueError`, without the URL's secrets, when it is none."""
