"""The names of models, as providers give them. Any other text is somebody's own."""

from __future__ import annotations

import re

_NAME = re.compile(
    r"(?=.*[A-Za-z])(?!.*[0-9]{13})@?[\w.:/+~-]{1,128}(?:@(?:[0-9]{1,8}|[a-z]{1,16}))?", re.ASCII
)
"""Twelve digits are an AWS account; more may be a card."""


def is_model_name(text: str) -> bool:
    """Whether `text` looks like one, such as `@cf/meta/llama-3` or `claude-3-5-sonnet@20240620`."""
    return _NAME.fullmatch(text) is not None
