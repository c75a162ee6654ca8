"""The lanes of a response: each part has a group of its own, which tells where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.answer import EVERY
from gateway.dialects import responses_lanes
from gateway.dialects.responses_lanes import MOST, PART_INDEX, lane, loose, place, repeated

FAMILIES = st.sampled_from([*PART_INDEX, "function_call_arguments", "custom_tool_call_input"])
INDICES = st.integers(0, MOST - 1)
BYTES = "aGkK" * 20


@given(FAMILIES, INDICES, INDICES)
def test_a_group_tells_where_its_text_stands(family: str, index: int, part: int) -> None:
    assert place(lane(family, index, part).group) == (index, part)


@given(*[st.tuples(FAMILIES, INDICES, INDICES)] * 2)
def test_no_two_parts_share_a_group(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    assert (lane(*one).group == lane(*other).group) == (one == other)


@given(FAMILIES, INDICES, INDICES, st.integers(-1, MOST - 1), st.integers(0, 9))
def test_what_is_not_streamed_ends_with_nothing_else(
    family: str, index: int, part: int, item: int, number: int
) -> None:
    groups = {lane(family, index, part).group, loose(item, number).group, EVERY}
    assert len(groups) == 3


PATHS = st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True) | st.integers(0, 9))


@given(PATHS, st.text())
def test_a_piece_is_said_again_where_it_stood(path: list[str | int], text: str) -> None:
    steps = [responses_lanes.step(name, 3) for name in path]
    said = responses_lanes.said_at("/".join(steps), text)
    for name in path:
        said = said[name]
    assert said == text


@pytest.mark.parametrize("name", ["", "a b", "a/b", "1", "ann@example.org", "a" * 65])
def test_a_name_that_may_be_somebodys_text_is_numbered(name: str) -> None:
    assert responses_lanes.step(name, 3) == "#3"


def test_a_piece_of_a_delta_that_should_be_json_is_none() -> None:
    assert lane("function_call_arguments", 0).json
    assert not lane("function_call_arguments", 0, 0, "/text").json


def test_what_repeats_the_request_is_nobodys_answer() -> None:
    assert repeated("metadata", 2).repeats
    assert str(repeated("metadata", 2)).endswith("metadata#2")
    assert not loose(0, 2).repeats


@pytest.mark.parametrize(
    ("key", "value", "plain", "skipped"),
    [
        ("id", "msg_0a1b", False, True),
        ("call_id", "call_1", False, True),
        ("name", "send", False, True),
        ("name", "send a bomb", False, False),
        ("id", "4111111111111111", False, False),
        ("id", "zoe@example.org", False, False),
        ("name", "bomb", True, False),
        ("text", "bomb", False, False),
        ("url", "https://x.test/bomb", False, False),
        ("image_url", "data:image/png;base64,aGk=", False, True),
        ("encrypted_content", BYTES, True, True),
        ("encrypted_content", "a bomb", False, False),
        ("partial_image_b64", BYTES, False, True),
        ("partial_image_b64", "a bomb", False, False),
        ("url", "data:text/plain,bomb", False, False),
        ("obfuscation", "aB3x", False, True),
        ("obfuscation", "a bomb", False, False),
        ("result", "aGk=", False, False),
    ],
)
def test_names_and_ids_are_no_text(key: str, value: str, plain: bool, skipped: bool) -> None:
    assert responses_lanes.unspoken({}, key, value, plain=plain) is skipped


def test_the_bytes_of_an_image_are_no_text() -> None:
    holder = {"type": "image_generation_call", "result": BYTES}
    assert responses_lanes.unspoken(holder, "result", BYTES, plain=False)
    assert not responses_lanes.unspoken(holder, "result", "a bomb", plain=False)
