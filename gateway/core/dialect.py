"""A dialect is a lens: it says where the text is, lets it be rewritten in place, and folds.

Everything it does not name passes through untouched, both ways.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.core.answer import Event, Lane, Run
from gateway.core.calls import Piece
from gateway.core.declined import Declined
from gateway.core.errors import GatewayError
from gateway.core.findings import Finding
from gateway.core.money import Usage
from gateway.core.passages import Slot


class Reference(NamedTuple):
    """An item that stands elsewhere, and is named by its id in a request.

    What it names belongs at `holder[place]`; `param` says for people where the id stands.
    """

    holder: list[Any]
    place: int
    id: str
    param: str


def read_again(dialect: Dialect, request: Mapping[str, Any]) -> dict[str, Any]:
    """A request into which something was put, as if its caller had sent it all: no two places
    share a value, and everything is held to the limits of a request. Raises `Malformed`."""
    kind, body = dialect.encode(request)
    return dialect.check(dialect.parse(body, kind))


class Dialect(Protocol):
    """The shape of one endpoint's requests, answers and errors."""

    action: str
    """The policy's name for a call, such as `chat.completions.create`."""

    asks: str
    """The member of a request that holds what is asked: `messages`, `input`, `prompt`."""

    accepts: Collection[str]
    """The media types of bodies that it reads."""

    forwards: Mapping[str, re.Pattern[str]]
    """Request headers, lower case, that a provider of the same API gets as they came, and what
    each must look like: they are words of the API, no place for text."""

    # The request
    def parse(self, body: bytes, content_type: str) -> object:
        """The value that a body on the wire stands for. Raises `Malformed`."""

    def encode(self, request: Mapping[str, Any]) -> tuple[str, bytes]:
        """A request as it goes on the wire: its content type and its body."""

    def check(self, body: object) -> dict[str, Any]:
        """`body`, when it is a request of this dialect. Raises `Malformed`."""

    def streams(self, request: dict[str, Any]) -> bool:
        """Whether the caller asks for a stream."""

    def slots(self, request: dict[str, Any]) -> Sequence[Slot]:
        """Every text that the model or the provider will read, in document order."""

    def users(self, request: dict[str, Any]) -> Sequence[Slot]:
        """Where the request names whom it is for, to the provider: `user`, `safety_identifier`.

        Raises `Malformed` for one that is no text.
        """

    def continues(self, request: dict[str, Any]) -> bool:
        """Whether the provider holds turns of the conversation that the request leaves out."""

    def references(self, request: dict[str, Any]) -> Sequence[Reference]:
        """The items that the request names by their ids, instead of saying them."""

    def opaque(self, request: dict[str, Any]) -> Sequence[Finding]:
        """A finding for each part that cannot be read here: image, audio, file, URL."""

    def tools(self, request: dict[str, Any]) -> Sequence[str]:
        """The names of the tools offered to the model."""

    def restrict_tools(self, request: dict[str, Any], allowed: Collection[str]) -> None:
        """Take the tools that are not in `allowed` out of the request."""

    def called(self, value: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """The names of the tools that a request, an answer or an event says were called, each
        with the place of its call: pieces of one call have the same."""

    def modalities(self, request: dict[str, Any]) -> Sequence[str]:
        """What is asked for in the answer: text, audio, image."""

    def answers_json(self, request: dict[str, Any]) -> bool:
        """Whether the text of the answer is to be JSON (structured output)."""

    def output_limit(self, request: dict[str, Any]) -> int | None:
        """The most output tokens of one choice, None when the caller set no limit."""

    def limit_output(self, request: dict[str, Any], most: int) -> None:
        """Write `most` as the output limit of one choice, in tokens."""

    def choices(self, request: dict[str, Any]) -> int:
        """How many answers are asked for."""

    def repeatable(self, request: dict[str, Any]) -> bool:
        """Whether the answer to the same request may be given again: it leaves nothing behind
        that a later request could name, and repeats nothing of who asked."""

    def count_usage(self, request: dict[str, Any]) -> bool:
        """Ask for usage in a stream. True when the caller had not asked, so it is hidden."""

    # The answer
    def well_formed(self, answer: dict[str, Any]) -> bool:
        """Whether a whole answer, or an event of a stream, is such that it can be read here."""

    def broken(self, answer: dict[str, Any]) -> bool:
        """Whether an error stands where an answer, or an event of a stream, should."""

    def takes_media(self, request: Mapping[str, Any], media: str) -> bool:
        """Whether the whole answer may be of this content type, which is not JSON."""

    def complete(self, request: Mapping[str, Any], ended: Collection[int], last: Event) -> bool:
        """Whether a stream that stops after `last` had said all it had to.

        `ended` are the groups of lanes that have ended, as `ended` gave them.
        """

    def runs(self, event: Event) -> Iterable[Run]:
        """The text of an event, in order."""

    def echoes(self, event: Event) -> Iterable[Run]:
        """Text that an event of a stream says again, each the whole of its lane's text.

        It becomes what was shown of the lane; where nothing was said before, it is its text.
        """

    def ended(self, event: Event) -> Collection[int]:
        """The groups of lanes that end with this event; `EVERY` for all of them."""

    def calls(self, event: Event) -> Iterable[Piece]:
        """What the event says of the calls of tools, in order: their names and arguments."""

    def calls_ended(self, event: Event) -> Collection[int]:
        """The groups of calls to which nothing is added after this event; `EVERY` for all."""

    def beside_calls(self, event: Event) -> Iterable[Event]:
        """What an event of a stream says besides its calls, where it can say both."""

    def say(self, lane: Lane, text: str, like: Event | None) -> Event:
        """An event that says `text` on `lane`; ids are taken from `like`."""

    def unspell(self, event: Event) -> bool:
        """Drop what spells the text out (logprobs); True when there was any."""

    def says_text(self, event: Event) -> bool:
        """Whether any run of the event holds text."""

    def unend(self, event: Event) -> None:
        """Take the ending out of an event whose answer does not end as it said."""

    def hollow(self, event: Event) -> bool:
        """Whether nothing is left in the event that a caller would miss."""

    def usage(self, event: Event) -> Usage | None:
        """The provider's count, where the event carries one."""

    def only_usage(self, event: Event) -> bool:
        """Whether the event is there for its usage alone."""

    def hide_usage(self, event: Event) -> bool:
        """Take usage out of an event that says more; True when there was any."""

    def tool_calls(self, answer: dict[str, Any]) -> Sequence[str]:
        """The names of the tools that a whole answer calls."""

    def fold(self, events: Sequence[Event]) -> dict[str, Any]:
        """The whole answer that the events amount to."""

    def unfold(self, answer: dict[str, Any], request: dict[str, Any]) -> Sequence[Event]:
        """A whole answer as the events of a stream, as `request` asked for it."""

    # Saying no
    def decline(self, asked: Mapping[str, Any], no: Declined) -> dict[str, Any] | None:
        """The whole answer to the request as it came that says no; None where none can."""

    def break_off(
        self, asked: Mapping[str, Any], no: Declined, said: Sequence[Event]
    ) -> Sequence[Event]:
        """The events that end a stream which has `said` so much, and say no; none where it cannot
        end well, since the caller might take half a tool call for a whole one."""

    # On the wire
    def number(self, event: Event, index: int) -> None:
        """Give an event of a stream its number, where the dialect counts them from zero."""

    def error(self, error: GatewayError, about: dict[str, Any]) -> dict[str, Any]:
        """The body of an HTTP error; `about` is the `governance` member, empty to omit."""

    def frame(self, event: Event) -> bytes:
        """An event of a stream, framed for the wire."""

    def frame_error(self, body: dict[str, Any], *, finished: bool) -> bytes:
        """An error inside a stream; `finished` when the gateway itself ended the answer."""

    def end(self) -> bytes:
        """What ends a stream on the wire."""
