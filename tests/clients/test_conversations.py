"""Conversations, as the official `openai` package uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.clients.callers import MODEL, REFUSED, Caller, caller, eventually, make_key
from tests.houses import House

ANN = "ann.lee@example.org"
MASKED = "[[EMAIL_ADDRESS_1]]"


@pytest.fixture
def client(fleet_house: House, fleet_key: str) -> Iterator[Caller]:
    assert fleet_house.upstream is not None
    fleet_house.upstream.forget()
    with caller(fleet_house, fleet_key) as made:
        yield made


def asked(house: House) -> list[dict[str, Any]]:
    """What the upstream was asked since it was made to forget."""
    assert house.upstream is not None
    return [json.loads(seen["body"]) for seen in house.upstream.log()["requests"]]


def texts(client: Caller, id: str) -> list[Any]:
    """Who said what, the oldest first."""
    items = client.conversations.items.list(id, order="asc")
    return [(item.role, item.content[0].text) for item in items]  # type: ignore[union-attr]


def test_turns_go_on_and_each_is_governed(fleet_house: House, client: Caller) -> None:
    first: Any = {"role": "user", "content": f"I am {ANN}."}
    conversation = client.conversations.create(items=[first], metadata={"topic": "x"})
    told = client.responses.create(model=MODEL, input="hello", conversation=conversation.id)
    assert told.output_text == "You said: hello"
    events = list(
        client.responses.create(
            model=MODEL, input=f"bye {ANN}", conversation={"id": conversation.id}, stream=True
        )
    )
    assert events[-1].type == "response.completed"
    sent = asked(fleet_house)
    assert [len(each["input"]) for each in sent] == [2, 4]
    assert sent[1]["input"][0]["content"] == f"I am {MASKED}."
    assert sent[1]["input"][3]["content"] == f"bye {MASKED}"
    assert not [each for each in sent if "conversation" in each]
    assert ANN not in json.dumps(sent)
    assert texts(client, conversation.id) == [
        ("user", f"I am {ANN}."),
        ("user", "hello"),
        ("assistant", "You said: hello"),
        ("user", f"bye {ANN}"),
        ("assistant", f"You said: bye {ANN}"),
    ]


def test_a_turn_in_the_background_is_added_when_it_is_done(client: Caller) -> None:
    conversation = client.conversations.create()
    queued = client.responses.create(
        model=MODEL, input="hello", conversation=conversation.id, background=True
    )
    eventually(lambda: client.responses.retrieve(queued.id).status == "completed")
    said = [("user", "hello"), ("assistant", "You said: hello")]
    assert texts(client, conversation.id) == said


def test_what_is_refused_is_no_turn(client: Caller) -> None:
    conversation = client.conversations.create()
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=MODEL, input=REFUSED, conversation=conversation.id)
    assert texts(client, conversation.id) == []


def test_the_same_request_again_is_one_turn(fleet_house: House, client: Caller) -> None:
    conversation = client.conversations.create()
    for _ in range(2):
        client.responses.create(
            model=MODEL,
            input="hello",
            conversation=conversation.id,
            extra_headers={"idempotency-key": conversation.id},
        )
    assert len(asked(fleet_house)) == 1
    assert len(texts(client, conversation.id)) == 2


def test_it_is_read_changed_and_deleted(client: Caller) -> None:
    hi: Any = {"role": "user", "content": "hi"}
    conversation = client.conversations.create(metadata={"topic": "x"})
    assert client.conversations.retrieve(conversation.id) == conversation
    changed = client.conversations.update(conversation.id, metadata={"topic": "y"})
    assert changed.metadata == {"topic": "y"}
    added = client.conversations.items.create(conversation.id, items=[hi, hi, hi])
    newest = client.conversations.items.list(conversation.id, limit=2)
    ids = [str(item.id) for item in newest]  # the client turns the pages
    assert ids == [str(item.id) for item in reversed(added.data)]
    read = client.conversations.items.retrieve(ids[0], conversation_id=conversation.id)
    assert read == added.data[-1]
    client.conversations.items.delete(ids[0], conversation_id=conversation.id)
    assert len(texts(client, conversation.id)) == 2
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_it_is_its_apps_alone(fleet_house: House, client: Caller) -> None:
    conversation = client.conversations.create()
    with caller(fleet_house, make_key(fleet_house, app="other")[0]) as stranger:
        with pytest.raises(openai.NotFoundError):
            stranger.conversations.retrieve(conversation.id)
        with pytest.raises(openai.NotFoundError) as refused:
            stranger.responses.create(model=MODEL, input="hi", conversation=conversation.id)
        assert refused.value.param == "conversation"
    assert asked(fleet_house) == []


def test_what_no_request_may_hold_is_refused_when_it_is_added(client: Caller) -> None:
    wrong: Any = {"role": "user", "content": [{"type": "input_text"}]}
    with pytest.raises(openai.BadRequestError) as refused:
        client.conversations.create(items=[wrong])
    assert refused.value.param == "items[0].content[0].text"
    conversation = client.conversations.create()
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(
            model=MODEL, input="hi", conversation=conversation.id, previous_response_id="resp_1"
        )
    assert refused.value.param == "conversation"
