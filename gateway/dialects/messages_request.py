"""A request of the Messages API: every place where text stands, and the tools in it.

Thinking is text like any other: it is governed, and its signature stays as it is. A value that
was put back into an answer's thinking is masked to the same placeholder when the conversation
comes again, and the signature holds. Where a rule changes what the model itself had thought,
the provider refuses the block with its own words: to drop it silently would change the
conversation, and inside a round of tool calls the provider refuses that too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from gateway.core.errors import Malformed
from gateway.core.findings import Finding
from gateway.core.names import named
from gateway.core.passages import Slot, slots_of
from gateway.dialects import openai_shape
from gateway.dialects.json_values import JsonSlot
from gateway.dialects.messages_texts import TOOL_WORDS, is_plain, sealed, words_of
from gateway.dialects.places import Grammar, is_number, nested, once
from gateway.dialects.schemas import schema
from gateway.dialects.vocabulary import VOCABULARY

LEAST_THINKING = 1_024
"""The smallest `thinking.budget_tokens` that the API takes."""

_KNOWN = VOCABULARY | frozenset(
    {
        *("system", "metadata", "stop_sequences", "tools", "tool_choice", "output_config"),
        *("output_format", "mcp_servers", "thinking", "container", "service_tier"),
        *("context_management", "inference_geo", "cache_control", "thread", "compaction"),
    }
)
"""Members whose names may stand in a place; others are the caller's text."""
_FREE = Grammar(sealed=sealed)
_API = Grammar(VOCABULARY, is_word=is_plain, sealed=sealed)
_TOOL = _API._replace(
    words=TOOL_WORDS,
    apart={"input_schema": schema, "schema": schema, "input_examples": nested},
)
_GRAMMARS = {name: _TOOL for name in ("tool_choice", "output_config", "output_format")}
"""By member of a request. `metadata` and what is not known are the caller's own."""
_READABLE = frozenset(
    {
        *("text", "thinking", "tool_use", "tool_result", "search_result", "server_tool_use"),
        *("mcp_tool_use", "mcp_tool_listing", "tool_reference", "tool_addition", "tool_removal"),
        *("compaction", "fallback", "document", "redacted_thinking"),
    }
)
_SERVER_TOOLS = {"web_search": "url", "web_fetch": "url", "mcp_toolset": "url"} | {
    "code_execution": "part",
    "advisor": "part",
}
"""What the provider's own tools bring before the model that nobody here can read."""


# Where text stands


def slots(request: dict[str, Any]) -> Iterator[Slot]:
    """Every text that the model or its provider will read: system, messages, then the rest.

    Also the texts of members that are not known here: who reads them is not known either.
    """
    return once(named(request, "", "user", _slots(request), _KNOWN))


def _slots(request: dict[str, Any]) -> Iterator[Slot]:
    yield from _content_slots(request, "system", "/system", "system")
    for index, message in enumerate(request["messages"]):
        yield from _message_slots(message, f"/messages/{index}")
    if request.get("tools"):
        yield from nested(request, "tools", "/tools", "system", _TOOL)
    for index, name in enumerate(request):
        told = name in ("system", "messages", "tools", "model")
        if not told and not is_number(request, name):
            yield from _member_slots(request, name, index, "", "user")


def _member_slots(
    holder: dict[str, Any], name: str, place: int, where: str, role: str
) -> list[Slot]:
    """The texts of a member that is not read in a way of its own."""
    if name not in _KNOWN:
        return nested(holder, name, f"{where}/#{place}", role, _FREE)
    grammar = _FREE if name == "metadata" else _GRAMMARS.get(name, _API)
    return nested(holder, name, f"{where}/{name}", role, grammar)


def _message_slots(message: dict[str, Any], where: str) -> Iterable[Slot]:
    role = message["role"]

    def each() -> Iterator[Slot]:
        yield from _content_slots(message, "content", f"{where}/content", role)
        for place, name in enumerate(message):
            if name not in ("role", "content"):
                yield from _member_slots(message, name, place, where, role)

    return named(message, where, role, each(), _KNOWN)


def _content_slots(holder: dict[str, Any], key: str, where: str, role: str) -> Iterator[Slot]:
    content = holder.get(key)
    if isinstance(content, str):
        yield Slot(holder, key, where, role)
    for index, block in enumerate(content if isinstance(content, list) else ()):
        result = block["type"].endswith("tool_result")
        yield from _block_slots(block, f"{where}/{index}", "tool" if result else role)


def _block_slots(block: dict[str, Any], where: str, role: str) -> Iterable[Slot]:
    """The texts of a content block. A call's `input` is JSON: its names are text too."""
    return named(block, where, role, _within(block, where, role), VOCABULARY)


def _within(block: dict[str, Any], where: str, role: str) -> Iterator[Slot]:
    grammar = _API._replace(words=words_of(block))
    for place, name in enumerate(block):
        known = name in VOCABULARY
        inside = f"{where}/{name}" if known else f"{where}/#{place}"
        if name in ("text", "thinking") and isinstance(block[name], str):
            yield Slot(block, name, inside, role)
        elif name == "input" and isinstance(block[name], dict):
            yield from slots_of(JsonSlot(block, name, inside, role), json=True)
        elif sealed(block, name):
            continue
        elif not known:
            yield from nested(block, name, inside, role, _FREE)
        else:
            yield from nested(block, name, inside, role, grammar, word=name in grammar.words)


# What cannot be read here


def users(request: dict[str, Any]) -> list[Slot]:
    """Where a request names whom it is for: `metadata.user_id`; also as OpenAI's APIs do, since
    some who speak this one read that. Raises `Malformed` for what is no text."""
    about = request.get("metadata") or {}
    told = about.get("user_id") is not None
    named = [openai_shape.user(about, "user_id", "metadata.user_id")] if told else []
    return [*named, *openai_shape.users(request)]


def opaque(request: dict[str, Any]) -> Iterator[Finding]:
    """A finding for each part that only the model or its provider can read.

    Besides images and files these are sealed thinking, what the provider's own tools fetch,
    and state that the provider holds: a thread, a container.
    """
    for key, holder, where in _contents(request):
        content = holder.get(key)
        for index, block in enumerate(content if isinstance(content, list) else ()):
            for label in _unread(block):
                yield Finding("opaque", label, f"{where}/{index}", 0, 0, 1.0)
    for index, tool in enumerate(request.get("tools") or ()):
        brought = _brought(tool)
        if brought is not None:
            yield Finding("opaque", brought, f"/tools/{index}", 0, 0, 1.0)
    for index in range(len(request.get("mcp_servers") or ())):
        yield Finding("opaque", "url", f"/mcp_servers/{index}", 0, 0, 1.0)
    for name in ("container", "thread"):
        if request.get(name) and request[name] != {"type": "create"}:
            yield Finding("opaque", "part", f"/{name}", 0, 0, 1.0)


def _contents(request: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    yield "system", request, "/system"
    for index, message in enumerate(request["messages"]):
        yield "content", message, f"/messages/{index}/content"


def _unread(block: dict[str, Any]) -> Iterator[str]:
    """The labels of what cannot be read in a block, or in the blocks that it holds."""
    kind = block["type"]
    if kind not in _READABLE and kind not in _FILES and not kind.endswith("tool_result"):
        yield "part"
    yield from _unread_in(block)


_FILES = {"image": "image", "container_upload": "file", "redacted_thinking": "reasoning"}


def _unread_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _unread_in(item)
    elif isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and kind in _FILES:
            yield _FILES[kind]
        elif kind == "document":
            yield from _unread_document(value.get("source"))
        for name, item in value.items():
            if name != "input":
                yield from _unread_in(item)


def _unread_document(source: Any) -> Iterator[str]:
    kind = source.get("type") if isinstance(source, dict) else None
    if kind not in ("text", "content"):
        yield "url" if kind == "url" else "file"


def _brought(tool: dict[str, Any]) -> str | None:
    """The label of what a tool brings before the model, where the provider itself runs it."""
    kind = tool.get("type") or ""
    return next((label for name, label in _SERVER_TOOLS.items() if kind.startswith(name)), None)


def repeatable(request: dict[str, Any]) -> bool:
    """Whether the provider keeps nothing of the request that a later one could name."""
    runs_code = any(_brought(tool) == "part" for tool in request.get("tools") or ())
    return not (request.get("thread") or request.get("container") or runs_code)


# Tools


def tool_names(request: dict[str, Any]) -> list[str]:
    """The names of the tools offered; a server's tools go by the server's name."""
    servers = [str(server.get("name")) for server in request.get("mcp_servers") or ()]
    named = [_tool_name(tool) for tool in request.get("tools") or ()]
    return named + [server for server in servers if server not in named]


def _tool_name(tool: dict[str, Any]) -> str:
    return str(tool.get("name") or tool.get("mcp_server_name") or tool.get("type"))


def restrict_tools(request: dict[str, Any], allowed: Collection[str]) -> None:
    """Take the tools out that are not in `allowed`.

    Raises `Malformed` when the request insists on one of them.
    """
    choice = request.get("tool_choice") or {}
    if choice.get("type") == "tool" and str(choice.get("name")) not in allowed:
        raise Malformed(f"The policy does not allow {choice.get('name')!r}.", param="tool_choice")
    for name in ("tools", "mcp_servers"):
        if request.get(name):
            kept = [tool for tool in request[name] if _tool_name(tool) in allowed]
            request[name] = kept
            if not kept:
                del request[name]
    if not request.get("tools") and not request.get("mcp_servers"):
        request.pop("tool_choice", None)


# How much


def limit_output(request: dict[str, Any], most: int) -> None:
    """Write `most` as `max_tokens`, and thinking's part of it below it.

    Raises `Malformed` where thinking asks for more than there may be.
    """
    limit = min(most, request.get("max_tokens", most))
    thinking = request.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    if budget is not None and limit < request.get("max_tokens", limit) and budget >= limit:
        if limit <= LEAST_THINKING:
            raise Malformed(
                f"The answer may have {limit} tokens, too few for thinking.",
                param="thinking.budget_tokens",
            )
        request["thinking"] = {**thinking, "budget_tokens": limit - 1}
    request["max_tokens"] = limit
