"""Embeddings by Gemini: the request as `batchEmbedContents` reads it, and its answer.

Source: OpenAI's API reference, "Embeddings"; Google's Gemini API reference, "Embeddings".
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

from gateway.adapters.providers import carrying
from gateway.adapters.providers.chunks import OUT_OF_SHAPE, count, object_of, objects
from gateway.adapters.providers.translation.carried import only, refused
from gateway.core.errors import Malformed

_NAMES = ("model", "input", "encoding_format", "dimensions", "user")


def embed_request(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The body of `batchEmbedContents`; `model` is its resource name, such as `models/x`.

    `user` is dropped. Raises `Malformed` for input that is not text, and other members.
    """
    only(body, _NAMES, "")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise refused("encoding_format")
    given = body.get("input")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs:
        raise Malformed("'input' must be a string or a non-empty array.", param="input")
    more: dict[str, Any] = {}
    if body.get("dimensions") is not None:
        more["outputDimensionality"] = body["dimensions"]
    requests = []
    for index, said in enumerate(inputs):
        if not isinstance(said, str):
            raise carrying.cannot(f"input[{index}]", "it must be text, not tokens")
        requests.append({"model": model, "content": {"parts": [{"text": said}]}, **more})
    return {"requests": requests}


def embed_answer(answer: Mapping[str, Any], body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The answer in OpenAI's shape. Raises `ValueError` for one that is not in shape.

    `usage` is there only where Gemini counted: a number made up would be billed.
    """
    given = body.get("input")
    embedded = objects(answer.get("embeddings"))
    if len(embedded) != (1 if isinstance(given, str) else len(given or ())):
        raise ValueError(OUT_OF_SHAPE)
    packed = body.get("encoding_format") == "base64"
    vectors = [_vector(item.get("values")) for item in embedded]
    listed: list[dict[str, Any]] = [
        {"object": "embedding", "index": index, "embedding": _packed(v) if packed else v}
        for index, v in enumerate(vectors)
    ]
    said: dict[str, Any] = {"object": "list", "data": listed, "model": model}
    counts = object_of(answer.get("usageMetadata"))
    if counts.get("promptTokenCount") is not None:
        read = count(counts["promptTokenCount"])
        said["usage"] = {"prompt_tokens": read, "total_tokens": read}
    return said


def _vector(values: Any) -> list[float]:
    if not isinstance(values, list) or not values:
        raise ValueError(OUT_OF_SHAPE)
    if not all(type(value) in (int, float) for value in values):
        raise ValueError(OUT_OF_SHAPE)
    return values


def _packed(vector: list[float]) -> str:
    """The numbers as OpenAI packs them: 32-bit floats, little-endian, in base64."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError as error:
        raise ValueError(OUT_OF_SHAPE) from error
