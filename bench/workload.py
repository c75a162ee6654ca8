"""What is asked and what is answered: a prompt of 1 KB, an answer of 0.6 KB.

The prompt holds an e-mail address and a telephone number. The answer speaks of both by the
placeholders that a masking gateway puts in their place, so a gateway that restores has work,
and one that does not passes the placeholders on. Every prompt differs by its number: an
answer kept for a known prompt helps nobody here.
"""

from __future__ import annotations

import json
import re

MODEL = "bench-model"
EMAIL = "maria.keller@example.org"
PHONE = "+44 20 7946 0018"
EMAIL_PLACEHOLDER = "[[EMAIL_ADDRESS_1]]"
PHONE_PLACEHOLDER = "[[PHONE_NUMBER_1]]"

_NUMBER = "000000"

_SYSTEM = (
    "You answer the support desk of a small shop for garden furniture. Be brief and polite. "
    "Say what happens next and when. If the customer gave contact details, repeat them so that "
    "a slip is noticed. Do not promise a refund; a colleague decides on those. Deliveries take "
    "three to five working days, and a broken part is sent again without a new order. Assembly "
    "takes two people and half an hour; the leaflet in the box shows each step."
)
_USER = (
    f"Ticket {_NUMBER}. Hello, the bench arrived on Tuesday and one of the four legs is "
    "cracked along the grain, so it wobbles when two people sit on it. The screws were all in "
    f"the box. Please write to me at {EMAIL} or call {PHONE} in the "
    "afternoon, whichever is easier for you. I have kept the packaging in case it has to go "
    "back, and I can send photographs of the leg and of the label on the carton if that helps."
)
_ANSWER = (
    "Thank you for telling us, and sorry about the leg. A new one leaves our store tomorrow "
    f"and should be with you within five working days. We will write to {EMAIL_PLACEHOLDER} "
    f"as soon as it is on its way, and call {PHONE_PLACEHOLDER} if anything is unclear."
)

_PIECES = (
    "Thank you", " for telling", " us. We", " will write", " to [[EMAIL", "_ADDRESS", "_1]]",
    " as soon", " as it is", " on its", " way, and", " call", " [[PHONE_", "NUMBER_1", "]]",
    " if any", "thing is", " unclear", ".", " ",
)  # fmt: skip
"""The text of a stream, one piece an event, placeholders cut where it hurts."""

_FINGERPRINT = re.compile(rb'"system_fingerprint":\s*"fp_(\d+)"')


class Requests:
    """Whole HTTP/1.1 requests for one endpoint, each with a prompt of its own."""

    def __init__(self, port: int, headers: dict[str, str], *, stream: bool) -> None:
        body = prompt(stream=stream)
        head = [
            "POST /v1/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{port}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        whole = "\r\n".join(head).encode() + b"\r\n\r\n" + body
        self._before, self._after = whole.split(_NUMBER.encode())

    def number(self, number: int) -> bytes:
        """The request whose prompt carries `number`, below a million."""
        return b"%b%06d%b" % (self._before, number % 1_000_000, self._after)


def prompt(*, stream: bool) -> bytes:
    """The body of a request, about 1 KB."""
    body: dict[str, object] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _USER},
        ],
        "max_tokens": 400,
    }
    if stream:
        body["stream"] = True
    return _json(body)


def answer() -> bytes:
    """The body of a whole answer, about 0.6 KB."""
    return _json(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": MODEL,
            "system_fingerprint": "fp_0",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": _ANSWER, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _USAGE,
        }
    )


_USAGE = {"prompt_tokens": 230, "completion_tokens": 70, "total_tokens": 300}


class Stream:
    """The events of a streamed answer: `events` of them, the last of which ends it.

    Each is a template that takes the moment it is sent, in nanoseconds of the machine's
    monotonic clock, which every process here shares. It travels as `system_fingerprint`, so
    whoever reads the event knows how long it was on its way. Ten events, and every twenty
    more, end outside a placeholder.
    """

    def __init__(self, events: int) -> None:
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": _PIECES[i % len(_PIECES)]} for i in range(events - 2)]
        self._events = [_event([_choice(delta, None)]) for delta in deltas]
        self._events.append(_event([_choice({}, "stop")]))
        self._usage = _event([], usage=_USAGE)

    def __len__(self) -> int:
        return len(self._events)

    def event(self, index: int, now: int, *, usage: bool) -> bytes:
        """Event `index`, sent at `now`; the last brings usage, if asked, and `[DONE]`."""
        data = self._events[index] % now
        if index < len(self._events) - 1:
            return data
        return data + (self._usage % now if usage else b"") + b"data: [DONE]\n\n"


def sent_at(event: bytes) -> int | None:
    """The moment an event was sent, in nanoseconds; None where it does not say so."""
    found = _FINGERPRINT.search(event)
    return int(found[1]) if found else None


def said(event: bytes) -> str:
    """The text that one event of a stream adds to the answer."""
    choices = json.loads(event.removeprefix(b"data:")).get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


def restored(text: str) -> bool:
    """Whether an answer shows what a placeholder stands for, and no placeholder."""
    return EMAIL in text and "[[" not in text


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(choices: list[dict[str, object]], usage: dict[str, int] | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": MODEL,
        "system_fingerprint": "fp_%d",
        "choices": choices,
    }
    if usage is not None:
        chunk["usage"] = usage
    return b"data: " + _json(chunk) + b"\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
