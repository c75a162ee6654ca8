"""What translations of a chat request share."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.adapters.providers import carrying
from gateway.core.errors import Malformed


@given(st.text(min_size=1, max_size=30).filter(lambda name: name not in (".", "..")))
def test_a_name_is_one_segment_of_a_path_all_the_way_to_the_wire(name: str) -> None:
    """What is signed is what leaves: httpx and the transport's own URLs change nothing."""
    url = httpx.URL(f"https://host.example/model/{carrying.segment(name)}/converse")
    sent = URL(str(url), encoded=True)
    assert sent.raw_path.encode() == url.raw_path
    assert url.raw_path.count(b"/") == 3
    assert url.path == f"/model/{name}/converse"
    assert (url.host, url.query, url.fragment) == ("host.example", b"", "")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_leave_its_place(name: str) -> None:
    with pytest.raises(Malformed) as caught:
        carrying.segment(name)
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,aGk=",
        "data:IMAGE/PNG;base64,aGk=",
        "data:image/png;name=a.png;charset=utf-8;base64,aGk=",
    ],
)
def test_a_data_url(url: str) -> None:
    assert carrying.inline(url, "x") == ("image/png", "aGk=")


@pytest.mark.parametrize(
    "url", ["", "https://x", "data:,hi", "data:text/plain,hi", "data:;base64,aGk=", None, 7]
)
def test_any_other_url_is_refused(url: object) -> None:
    with pytest.raises(Malformed) as caught:
        carrying.inline(url, "x")
    assert caught.value.param == "x"


@given(st.text(max_size=20))
def test_a_signature_hides_no_clear_text(text: str) -> None:
    try:
        assert carrying.signature(text, "x") == text
    except Malformed:
        return
    assert not set(text) - set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_=-"
    )
