"""What looks like the name of a model; the catalogue's tests tell more of both."""

from __future__ import annotations

import pytest

from gateway.core.model_name import is_model_name


@pytest.mark.parametrize("name", ["m", "gpt-4o", "org/m:free", "@cf/m", "m@001", "m@latest", "1m"])
def test_names_of_models(name: str) -> None:
    assert is_model_name(name)


@pytest.mark.parametrize("text", ["", "1", "a b", "a\n", "a@b.c", "@", "a@@b", "x" * 129, "é"])
def test_other_texts(text: str) -> None:
    assert not is_model_name(text)
