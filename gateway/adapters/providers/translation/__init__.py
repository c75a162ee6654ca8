"""Calls of one API that are served by a provider that speaks another.

A lens loses nothing; a translation can. So it carries what both sides have, drops what changes
nothing about the answer, and refuses the rest by name. The table of what is which stands in
`docs/reference/translation.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import orjson

from gateway.adapters.providers.before_sending import before_sending
from gateway.core.errors import UpstreamError
from gateway.core.exchange import Exchange


class Translation(Protocol):
    """One exchange between a caller and a provider of another API. It serves one attempt.

    What reads an answer raises `ValueError` for one that cannot be carried; its words go on
    from "The provider …".
    """

    def request(self) -> dict[str, Any]:
        """The caller's request as the provider is asked. Raises `Malformed`, naming the field."""

    def whole(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The provider's whole answer as the caller's API says it."""

    def events(self, event: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """What an event of the provider's stream is in the caller's; often nothing or one."""

    def end(self) -> Iterable[dict[str, Any]]:
        """What is left to say when the provider's stream is over."""

    def error(self, error: UpstreamError) -> None:
        """Put the provider's error object into the words of the caller's API."""


def asked(exchange: Exchange, translation: Translation) -> bytes:
    """The body to send. Raises `Malformed`; nothing was sent then, so nothing was used."""
    with before_sending(exchange):
        return orjson.dumps(translation.request())


@contextmanager
def told(translation: Translation | None) -> Iterator[None]:
    """An `UpstreamError` that is raised inside speaks as the caller's API does."""
    try:
        yield
    except UpstreamError as error:
        if translation is not None:
            translation.error(error)
        raise
