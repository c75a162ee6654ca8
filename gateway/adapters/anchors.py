"""Puts checkpoints into every anchor that lacks them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from urllib.parse import quote, urlsplit

import structlog

from gateway.core.anchors import GROUP, Anchor
from gateway.core.notes import checkpoint_of
from gateway.core.objects import Objects

_log = structlog.get_logger(__name__)


class ObjectAnchor:
    """Implements `Anchor`: an object for each checkpoint, which is never replaced.

    `place` is the URL that the objects are under. Whether an object can be deleted is for the
    bucket to say: object lock.
    """

    def __init__(self, objects: Objects, place: str) -> None:
        self._objects = objects
        self._place = place.rstrip("/")

    async def keep(self, checkpoint: str) -> str:
        """Keep it under the log's name and its size. Raises `ObjectsError`; `ObjectDiffers`
        where another checkpoint of the same size stands: then the log has two histories."""
        told = checkpoint_of(checkpoint)
        name = f"{quote(told.origin)}/{told.size:016}.checkpoint"
        await self._objects.add(name, checkpoint.encode())
        return f"{self._place}/{name}"


class Anchors:
    """The anchors, each under its name. `timeout` is the longest that any may take, in seconds."""

    def __init__(self, places: Mapping[str, Anchor], timeout: float = 45.0) -> None:
        self._places = places
        self._timeout = timeout
        self._problems: dict[str, str] = {}

    @property
    def names(self) -> Collection[str]:
        return self._places.keys()

    @property
    def problems(self) -> Mapping[str, str]:
        """Why those that did not keep the last checkpoint did not, by name."""
        return self._problems

    async def keep(self, checkpoint: str, names: Collection[str]) -> dict[str, str]:
        """Put a checkpoint into those of these names; where it is, by the names that keep it.

        What keeps one from it is logged, noted in `problems`, and harms no other.
        """
        asked = list(names)
        told = await asyncio.gather(*(self._kept(name, checkpoint) for name in asked))
        return {name: place for name, place in zip(asked, told, strict=True) if place is not None}

    async def _kept(self, name: str, checkpoint: str) -> str | None:
        try:
            async with asyncio.timeout(self._timeout):
                reference = await self._places[name].keep(checkpoint)
        except Exception as error:  # noqa: BLE001 - plugins raise what they like
            problem = f"{type(error).__name__}: {error}"
            if self._problems.get(name) != problem:
                _log.error("checkpoint_not_anchored", anchor=name, problem=problem)
            self._problems[name] = problem
            return None
        self._problems.pop(name, None)
        return reference


def plugged(url: str) -> Anchor:
    """The anchor at `url` of whoever registered its scheme as an entry point.

    Raises `ValueError`, which does not tell the URL's secrets.
    """
    scheme = urlsplit(url).scheme
    found = list(entry_points(group=GROUP, name=scheme))
    if len(found) != 1:
        raise ValueError(
            f"{len(found)} installed packages put checkpoints at {scheme or 'no scheme'}:; there "
            f"must be one, in the group {GROUP} of entry points"
        )
    anchor: Anchor = found[0].load()(url)
    return anchor


def public_name(url: str) -> str:
    """`url` as it may be shown and stored: without a user, a password, a query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
