"""What images and audio share: output without a bound is refused, events have their types."""

from __future__ import annotations

import pytest

from gateway.core.answer import Event
from gateway.core.errors import Code, Denied
from gateway.core.money import Usage
from gateway.dialects.images import ImageEdits, Images
from gateway.dialects.media import MediaLens
from gateway.dialects.speech import Speech
from gateway.dialects.transcriptions import Transcriptions, Translations

LENSES = [Images(), ImageEdits(), Speech(), Transcriptions(), Translations()]


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.action)
def test_a_limit_that_cannot_be_kept_is_refused(lens: MediaLens) -> None:
    with pytest.raises(Denied, match="cannot be limited") as refused:
        lens.limit_output({}, 100)
    assert refused.value.code is Code.MODEL_NOT_PRICED
    assert lens.action in refused.value.message


def test_an_event_is_framed_under_its_type() -> None:
    lens = Speech()
    event = Event({"type": "speech.audio.done"}, raw=b'{"type": "speech.audio.done"}')
    assert lens.frame(event) == (
        b'event: speech.audio.done\ndata: {"type": "speech.audio.done"}\n\n'
    )
    assert lens.frame(Event({"type": "x\ndata: y"})).startswith(b"data: ")
    assert lens.frame(Event({})) == b"data: {}\n\n"
    assert lens.end() == b""
    assert lens.frame_error({"error": {}}, finished=True) == b'event: error\ndata: {"error":{}}\n\n'


def test_usage_is_counted_where_it_is_in_tokens() -> None:
    lens = Transcriptions()
    told = {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}
    assert lens.usage(Event({"usage": told}, whole=True)) == Usage(14, 5, exact=True)
    assert lens.usage(Event({"usage": {"type": "duration", "seconds": 3}}, whole=True)) is None
    assert lens.usage(Event({}, whole=True)) is None
