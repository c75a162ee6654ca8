from __future__ import annotations

from typing import Any

import pytest

from gateway.adapters.providers.replay_script import Fault, Script, parse


@pytest.mark.parametrize(
    ("text", "told", "rest"),
    [
        ("Hello", {}, "Hello"),
        ("", {}, ""),
        ("Say @replay hang", {}, "Say @replay hang"),
        ('@replay say "a \\"b\\"\\n c"', {"say": 'a "b"\n c'}, ""),
        ('@replay refuse "no"\nplease', {"refuse": "no"}, "please"),
        ("@replay slow 0.05\r\n@replay chunk 3\r\nhi", {"slow": 0.05, "chunk": 3}, "hi"),
        ("@replay slow 0.05\n\n@replay hang", {"slow": 0.05}, "\n@replay hang"),
        ("@replay slow 1e9", {"slow": 60.0}, ""),
        ("@replay chunk -4", {"chunk": 1}, ""),
        ("@replay no-done", {"done": False}, ""),
        ("@replay status 503", {"status": 503}, ""),
        ("@replay status 429 retry-after 2.5", {"status": 429, "retry_after": 2.5}, ""),
        ("@replay die-after 3", {"fault": Fault("die", 3)}, ""),
        ("@replay hang", {"fault": Fault("hang", 0)}, ""),
        ("@replay malformed", {"fault": Fault("malformed", 0)}, ""),
        ("@replay error-after 1\n@replay die", {"fault": Fault("die", 0)}, ""),
        (
            '@replay tool f {"a": "b c"}\n@replay tool g {}',
            {"tools": (("f", '{"a": "b c"}'), ("g", "{}"))},
            "",
        ),
    ],
)
def test_directions(text: str, told: dict[str, Any], rest: str) -> None:
    assert parse(text) == (Script(**told), rest)


@pytest.mark.parametrize(
    "line",
    [
        "jump", "say", "say hello", "say 7", "refuse {}", "tool", "tool f", "tool f []", "chunk",
        "chunk two", "slow", "slow down", "status", "status 200", "status 503 later",
        "status 503 retry-after -1", "die-after", "die 3", "die-after -1", "die-after x",
        "no-done now", "hang-over 3",
    ],
)  # fmt: skip
def test_what_is_no_direction(line: str) -> None:
    with pytest.raises(ValueError, match="not a direction"):
        parse(f"@replay {line}")
