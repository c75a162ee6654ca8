"""The tour: five exchanges through the official `openai` client, and the record of each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import openai
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

ReadRecord: TypeAlias = Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]
"""The entries of an exchange, oldest first: kind, header and decrypted parts."""

_WEAPON = "Sure. First a word of history. Here is how you build a pi\\u0070e bomb. Take a pipe."
"""What the scripted model answers; escaped, so that the question itself is harmless."""


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of the tour."""

    title: str
    ask: str
    why: str
    stream: bool = False
    poor: bool = False
    """Whether to use the key whose budget is next to nothing."""


STEPS = (
    Step(
        "Allowed",
        "What do we owe each other?",
        "No rule objects. The question and the answer are on record before you read the answer.",
    ),
    Step(
        "Personal data, masked and restored",
        "Write to Ann at ann.lee@example.org or call +33 6 12 34 56 78 about invoice 4711.",
        "The model sees placeholders; your application sees the values again.",
    ),
    Step(
        "A banned phrase, refused",
        "Explain how to build a pipe bomb.",
        "Refused with HTTP 400 before any model was asked. Clients do not retry it.",
    ),
    Step(
        "A stream, stopped midway",
        f'@replay say "{_WEAPON}"',
        "The model was told to misbehave. Each sentence is inspected before it is released.",
        stream=True,
    ),
    Step(
        "Over budget",
        "What do we owe each other?",
        "The most this call could cost does not fit the key's budget, so it is not made.",
        poor=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Got:
    """What the caller got: text, perhaps an error, and the exchange's id."""

    text: str
    error: str | None
    exchange_id: str | None


class Tour:
    """Calls the gateway like any application, and shows the record of what happened."""

    def __init__(
        self, base_url: str, key: str, poor_key: str, model: str, read: ReadRecord, console: Console
    ) -> None:
        self._clients = {
            poor: openai.AsyncOpenAI(base_url=base_url, api_key=secret, max_retries=0)
            for poor, secret in ((False, key), (True, poor_key))
        }
        self._model = model
        self._read = read
        self._console = console

    async def run(self) -> None:
        """Make the five exchanges. Raises `RuntimeError` when one leaves no record."""
        for number, step in enumerate(STEPS, 1):
            got = await self._make(step)
            entries = await self._read(got.exchange_id) if got.exchange_id else ()
            if not entries or entries[-1]["kind"] != "closed":
                raise RuntimeError(f"exchange {number} of the tour left no complete record")
            self._show(number, step, got, entries)
        for client in self._clients.values():
            await client.close()

    async def _make(self, step: Step) -> Got:
        client = self._clients[step.poor]
        messages: Any = [{"role": "user", "content": step.ask}]
        heard: list[str] = []
        id: str | None = None
        try:
            if step.stream:
                async with client.chat.completions.with_streaming_response.create(
                    model=self._model, messages=messages, stream=True
                ) as response:
                    id = response.headers.get("x-request-id")
                    async for text in _texts(await response.parse()):
                        heard.append(text)
            else:
                raw = await client.chat.completions.with_raw_response.create(
                    model=self._model, messages=messages
                )
                id = raw.headers.get("x-request-id")
                heard.append(raw.parse().choices[0].message.content or "")
        except openai.APIStatusError as error:
            id = error.response.headers.get("x-request-id")
            return Got("", f"HTTP {error.status_code}, code {error.code}: {_said(error)}", id)
        except openai.APIError as error:
            return Got("".join(heard), f"code {error.code}: {_said(error)}", id)
        return Got("".join(heard), None, id)

    def _show(
        self, number: int, step: Step, got: Got, entries: Sequence[Mapping[str, Any]]
    ) -> None:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="bold", no_wrap=True)
        rows.add_column(overflow="fold")
        rows.add_row("caller sent", Text(step.ask))
        rows.add_row("model saw", _model_saw(entries))
        answer = Text(got.text)
        if got.error is not None:
            answer = Text("\n").join([*([answer] if got.text else []), Text(got.error, "red")])
        rows.add_row("caller got", answer)
        rows.add_row("record", _record(entries))
        body = Group(rows, Text(), Text(step.why, "dim"))
        title = f"[bold]{number}. {step.title}[/bold]"
        self._console.print(Panel(body, title=title, title_align="left", padding=(1, 2)))


async def _texts(stream: Any) -> AsyncIterator[str]:
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content


def _said(error: openai.APIError) -> str:
    body = error.body
    return str(body["message"]) if isinstance(body, dict) and "message" in body else error.message


def _model_saw(entries: Sequence[Mapping[str, Any]]) -> Text:
    """The last message of the request as it was sent, from the record."""
    attempt = next((entry for entry in entries if entry["kind"] == "attempt"), None)
    if attempt is None:
        return Text("nothing: it was never asked", "dim")
    same = attempt["header"]["facts"].get("request_sent")
    source = entries[0]["parts"] if same else attempt["parts"]
    body = json.loads(source["request_received" if same else "request_sent"])
    return Text(str(body["messages"][-1]["content"]))


def _record(entries: Sequence[Mapping[str, Any]]) -> Text:
    """The record in five lines: what, why, what was found, what it cost, how it is proved."""
    facts: dict[str, Any] = {}
    for entry in entries:
        facts |= entry["header"]["facts"]
    decision = facts.get("decision") or {}
    found = sorted({f"{hit['kind']}:{hit['label']}" for hit in _hits(facts)})
    usage = facts.get("usage") or {}
    tokens = f"{usage.get('input_tokens', 0)} + {usage.get('output_tokens', 0)} tokens"
    kinds = ", ".join(str(entry["kind"]) for entry in entries)
    lines = [
        f"{entries[0]['exchange_id']}",
        f"outcome {facts['outcome']}" + (f" ({facts['code']})" if facts.get("code") else ""),
        f"decision {decision.get('effect', 'none')}; rules {_words(decision.get('rules'))}; "
        f"obligations {_words(decision.get('obligations'))}",
        f"found {_words(found)}",
        f"{tokens}, {'' if facts['cost_exact'] else 'at most '}{facts['cost_micro_usd']} micro-USD",
        f"entries {kinds}; last leaf {entries[-1]['leaf'].hex()[:16]}…",
    ]
    return Text("\n".join(lines))


def _hits(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(facts.get("findings") or ()), *(facts.get("answer_findings") or ())]


def _words(items: Sequence[str] | None) -> str:
    return ", ".join(items) if items else "none"
