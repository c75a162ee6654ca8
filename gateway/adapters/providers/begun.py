"""An answer that is handed on once it has begun."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.core.answer import Event, Events
from gateway.core.errors import Code, UpstreamError


async def begun(name: str, events: AsyncIterator[Event]) -> Events:
    """The events of the provider `name`, once the first of them is here.

    What fails before it is raised here, where another attempt can still be made. Raises
    `UpstreamError` also when there is no event at all.
    """
    first = await anext(events, None)
    if first is None:
        raise UpstreamError(Code.UPSTREAM_ERROR, f"The provider {name} sent an empty answer.")
    return _resumed(first, events)


async def _resumed(first: Event, rest: AsyncIterator[Event]) -> Events:
    yield first
    async for event in rest:
        yield event
