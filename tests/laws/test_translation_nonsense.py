"""Nonsense on either side of a translation is refused or an error, and never a fault of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.providers.translation import (
    Translation,
    chat_to_messages,
    messages_to_chat,
)
from gateway.adapters.providers.translation.chat_to_messages import ChatToMessages
from gateway.adapters.providers.translation.messages_to_chat import MessagesToChat
from gateway.core.errors import Malformed
from tests.unit.adapters.providers.two_apis import CHAT, CLAUDE, GPT, MESSAGES

NAMES = """
type index content_block delta message content text thinking partial_json input id name usage
stop_reason stop_details choices tool_calls function arguments finish_reason role refusal url
image_url file file_data source data media_type title tool_use_id tool_call_id is_error citations
reasoning_content prompt_tokens completion_tokens input_tokens output_tokens
"""
TERMS = """
message_start content_block_start content_block_delta content_block_stop message_delta any {} [] x
message_stop text thinking tool_use tool_result image document text_delta thinking_delta base64
input_json_delta end_turn refusal stop user assistant tool system function image_url file url
application/pdf enabled json_schema
"""
NAME = st.sampled_from(NAMES.split())
TERM = st.sampled_from(TERMS.split())
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.floats(allow_nan=False) | TERM
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=5)
)
OBJECTS = st.dictionaries(NAME, JSON, max_size=6)
STARTS = [
    {"type": "message_start", "message": {"id": "m"}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
]


def read(translation: Translation, events: list[dict[str, Any]]) -> None:
    """Read a stream to its end, or to what cannot be carried."""
    with suppress(ValueError):
        for event in events:
            list(translation.events(event))
        list(translation.end())


@given(st.lists(OBJECTS, max_size=4))
def test_nonsense_in_an_answer_cannot_be_carried(events: list[dict[str, Any]]) -> None:
    read(ChatToMessages({}, CLAUDE, 9), events)
    read(ChatToMessages({}, CLAUDE, 9), STARTS + events)
    read(MessagesToChat({}, GPT), events)
    for event in events:
        with suppress(ValueError):
            ChatToMessages({}, CLAUDE, 9).whole(event)
        with suppress(ValueError):
            MessagesToChat({}, GPT).whole(event)


MEMBERS = sorted({*chat_to_messages.CARRIED, *chat_to_messages.NEUTRAL, *messages_to_chat.CARRIED})
TURNS = st.lists(OBJECTS | st.fixed_dictionaries({"role": TERM, "content": JSON}), max_size=3)


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4), TURNS)
def test_nonsense_in_a_request_is_malformed(
    more: dict[str, Any], turns: list[dict[str, Any]]
) -> None:
    body = {**more, "model": "ours", "messages": turns, "max_tokens": 9}
    with suppress(Malformed):
        ChatToMessages(CHAT.check(body), CLAUDE, 9).request()
    with suppress(Malformed):
        MessagesToChat(MESSAGES.check(body), GPT).request()
