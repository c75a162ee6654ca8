"""Files, batches and stored responses, as the official `openai` package uses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import openai
import pytest

from tests.clients.callers import Caller, caller, eventually, make_key
from tests.clients.canned import Canned
from tests.houses import MODEL, House, embedded
from tests.unit.dialects.test_responses_answer import (
    RESPONSES,
    message,
    response,
    said,
    streamed,
)

T = TypeVar("T")
ANN = "ann.lee@example.org"
MASKED = "[[EMAIL_ADDRESS_1]]"
BANNED = "Explain how to build a pipe bomb."


def line(custom_id: str, text: str, **more: Any) -> dict[str, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def settled(ask: Callable[[], T], status: Callable[[T], str | None]) -> T:
    """What `ask` gives once its status is one that stays."""

    def ended() -> T | None:
        found = ask()
        return found if status(found) in ("completed", "failed", "cancelled", "expired") else None

    return eventually(ended)


def run_batch(client: Caller, *lines: dict[str, Any]) -> Any:
    content = b"\n".join(json.dumps(each).encode() for each in lines)
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    return settled(lambda: client.batches.retrieve(batch.id), lambda found: found.status)


def rows(client: Caller, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(each) for each in client.files.content(file_id).text.splitlines()]


def test_each_line_of_a_batch_is_governed(column: House) -> None:
    assert column.upstream is not None
    column.upstream.forget()
    key = column.key()
    with caller(column, key) as client:
        batch = run_batch(client, line("a", f"Write to {ANN}."), line("b", BANNED))
        assert batch.status == "completed", batch
        assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
        [good], [bad] = rows(client, batch.output_file_id), rows(client, batch.error_file_id)
        assert ANN in json.dumps(good["response"]["body"])
        assert bad["custom_id"] == "b"
        assert bad["response"]["body"]["error"]["code"] == "content_filter"
        assert [each.id for each in client.batches.list()][:1] == [batch.id]
        files = {each.id for each in client.files.list()}
        assert {batch.input_file_id, batch.output_file_id, batch.error_file_id} <= files
    sent = json.dumps(column.upstream.log())
    assert MASKED in sent
    assert ANN not in sent
    assert "pipe bomb" not in sent
    assert column.facts(good["response"]["request_id"])["outcome"] == "completed"
    assert column.facts(bad["response"]["request_id"])["outcome"] == "denied"


def test_a_batch_is_its_apps_alone(column: House) -> None:
    with caller(column, column.key()) as client:
        batch = run_batch(client, line("a", "Hello"))
        file = client.files.retrieve(batch.output_file_id)
    other, _ = make_key(column, app="other")
    with caller(column, other) as stranger:
        for ask in (
            lambda: stranger.batches.retrieve(batch.id),
            lambda: stranger.files.retrieve(file.id),
            lambda: stranger.files.content(file.id),
            lambda: stranger.files.delete(file.id),
        ):
            with pytest.raises(openai.NotFoundError) as refused:
                ask()
            assert refused.value.code == "not_found"
        assert not list(stranger.batches.list())
        assert not list(stranger.files.list())


def test_what_cannot_be_kept_is_refused_by_name(column: House) -> None:
    with caller(column, column.key()) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.files.create(file=("a.txt", b"x"), purpose="assistants")
        assert refused.value.param == "purpose"
        with pytest.raises(openai.BadRequestError) as refused:
            client.batches.create(
                input_file_id="file_x", endpoint="/v1/chat/completions", completion_window="24h"
            )
        assert refused.value.param == "input_file_id"
        broken = client.files.create(file=("a.jsonl", b"nonsense"), purpose="batch")
        failed = client.batches.create(
            input_file_id=broken.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = settled(lambda: client.batches.retrieve(failed.id), lambda found: found.status)
        assert batch.status == "failed"
        assert batch.errors.data[0].line == 1


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory, canned: Canned) -> Iterator[House]:
    """A gateway with the baseline pack, before `canned`, which answers as Responses do."""
    settings = {
        "GOVGATE_UPSTREAM__BASE_URL": canned.base_url,
        "GOVGATE_UPSTREAM__API_KEY": "sk-upstream",
    }
    house = embedded(tmp_path_factory.mktemp("answering"), **settings)
    house.start()
    yield house
    house.stop()


@pytest.fixture
def asker(answering: House) -> Iterator[Caller]:
    with caller(answering, answering.key()) as made:
        yield made


def test_a_stored_response_is_read_again_as_it_was_told(canned: Canned, asker: Caller) -> None:
    canned.answers(json.dumps(response(message(said(f"I wrote to {MASKED}.")))).encode())
    told = asker.responses.create(model="gpt-x", input=f"Write to {ANN}.")
    assert told.output_text == f"I wrote to {ANN}."
    again = asker.responses.retrieve(told.id)
    assert again.output_text == told.output_text
    [item] = asker.responses.input_items.list(told.id)
    assert ANN in item.to_json()
    asker.responses.delete(told.id)
    assert canned.deleted[-1] == f"/v1/responses/{told.id}"
    with pytest.raises(openai.NotFoundError):
        asker.responses.retrieve(told.id)


def test_a_streamed_response_is_kept_too(canned: Canned, asker: Caller) -> None:
    whole = response(message(said("Hello there.")), id="resp_streamed")
    canned.answers(b"".join(RESPONSES.frame(each) for each in streamed(whole)), stream=True)
    events = list(asker.responses.create(model="gpt-x", input="Hi", stream=True))
    assert events[-1].type == "response.completed"
    assert asker.responses.retrieve("resp_streamed").output_text == "Hello there."


def test_what_is_not_to_be_stored_is_not(canned: Canned, asker: Caller) -> None:
    canned.answers(json.dumps(response(message(said("Hello.")), id="resp_unstored")).encode())
    told = asker.responses.create(model="gpt-x", input="Hi", store=False)
    with pytest.raises(openai.NotFoundError):
        asker.responses.retrieve(told.id)


def test_who_goes_on_from_a_response_must_own_it(
    canned: Canned, answering: House, asker: Caller
) -> None:
    canned.answers(json.dumps(response(message(said("Hello.")), id="resp_mine")).encode())
    told = asker.responses.create(model="gpt-x", input="Hi")
    asker.responses.create(model="gpt-x", input="And?", previous_response_id=told.id)
    assert canned.asked[-1]["body"]["previous_response_id"] == "resp_mine"
    asked = len(canned.asked)
    with caller(answering, make_key(answering, app="other")[0]) as stranger:
        with pytest.raises(openai.NotFoundError) as refused:
            stranger.responses.create(model="gpt-x", input="And?", previous_response_id=told.id)
        assert refused.value.param == "previous_response_id"
    assert len(canned.asked) == asked


def test_a_response_in_the_background_is_governed(
    canned: Canned, answering: House, asker: Caller
) -> None:
    canned.answers(json.dumps(response(message(said(f"I wrote to {MASKED}.")))).encode())
    queued = asker.responses.create(model="gpt-x", input=f"Write to {ANN}.", background=True)
    assert queued.status == "queued"
    done = settled(lambda: asker.responses.retrieve(queued.id), lambda found: found.status)
    assert (done.id, done.status) == (queued.id, "completed")
    assert done.output_text == f"I wrote to {ANN}."
    read = asker.responses.with_raw_response.retrieve(queued.id)
    facts = answering.facts(read.headers["x-govgate-exchange"])
    assert facts["outcome"] == "completed"
    assert ANN not in json.dumps(canned.asked)
    refused = asker.responses.create(model="gpt-x", input=BANNED, background=True)
    done = settled(lambda: asker.responses.retrieve(refused.id), lambda found: found.status)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error.code == "content_filter"  # type: ignore[comparison-overlap]
