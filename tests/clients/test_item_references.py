"""Items that are named by their ids, as clients do where responses are stored."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.clients.callers import MODEL, Caller, caller, make_key
from tests.clients.fleet import NODE, installed
from tests.houses import House

HERE = Path(__file__).parent
ANN = "ann.lee@example.org"
MASKED = "[[EMAIL_ADDRESS_1]]"


def asked(house: House) -> list[dict[str, Any]]:
    """What the upstream was asked since it was made to forget."""
    assert house.upstream is not None
    return [json.loads(seen["body"]) for seen in house.upstream.log()["requests"]]


def named(id: str) -> dict[str, Any]:
    return {"type": "item_reference", "id": id}


def message(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_the_vercel_ai_sdk_converses(fleet_house: House, fleet_key: str) -> None:
    installed(NODE)
    assert fleet_house.upstream is not None
    fleet_house.upstream.forget()
    where = {"BASE_URL": fleet_house.base_url, "API_KEY": fleet_key, "MODEL": MODEL, "ANN": ANN}
    done = subprocess.run(
        [NODE, str(HERE / "turns.mjs")], cwd=HERE, env={"PATH": os.environ["PATH"], **where},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [f"You said: hello {ANN}", "You said: and?", "You said: bye"]
    *_, third = requests = asked(fleet_house)
    assert len(requests) == 3
    first_said, second_said = third["input"][1], third["input"][3]
    assert first_said["content"][0]["text"] == f"You said: hello {MASKED}"
    assert second_said["content"][0]["text"] == "You said: and?"
    assert "item_reference" not in json.dumps(requests)
    assert ANN not in json.dumps(requests)


@pytest.fixture
def client(fleet_house: House, fleet_key: str) -> Any:
    assert fleet_house.upstream is not None
    fleet_house.upstream.forget()
    with caller(fleet_house, fleet_key) as made:
        yield made


def test_an_item_is_named_and_governed(fleet_house: House, client: Caller) -> None:
    told = client.responses.create(model=MODEL, input=f"hello {ANN}")
    asked_before = client.responses.input_items.list(told.id).data[0]
    again: Any = [named(str(asked_before.id)), named(str(told.output[0].id)), message("more")]
    assert client.responses.create(model=MODEL, input=again).output_text == "You said: more"
    sent = asked(fleet_house)[-1]["input"]
    assert sent[0]["content"][0]["text"] == f"hello {MASKED}"
    assert sent[1]["content"][0]["text"] == f"You said: hello {MASKED}"


def test_an_item_goes_with_its_response_and_is_its_apps_alone(
    fleet_house: House, client: Caller
) -> None:
    told = client.responses.create(model=MODEL, input="hello")
    names: Any = [message("x"), named(str(told.output[0].id))]
    count = len(asked(fleet_house))
    other = make_key(fleet_house, app="other")[0]
    with caller(fleet_house, other) as stranger, pytest.raises(openai.NotFoundError) as refused:
        stranger.responses.create(model=MODEL, input=names)
    assert refused.value.param == "input[1].id"
    client.responses.delete(told.id)
    with pytest.raises(openai.NotFoundError, match="Item with id 'msg_"):
        client.responses.create(model=MODEL, input=names)
    assert len(asked(fleet_house)) == count
