"""`openai` as it is told of a gateway: by its base URL, or as an endpoint of Azure's."""

from __future__ import annotations

import openai


def client_of(base_url: str, key: str, vendor: str) -> openai.AsyncOpenAI:
    """`vendor` is `openai`, or `azure` for the client that has deployments and API versions."""
    if vendor == "azure":
        root = base_url.removesuffix("/v1")
        return openai.AsyncAzureOpenAI(azure_endpoint=root, api_version="2024-10-21", api_key=key)
    return openai.AsyncOpenAI(base_url=base_url, api_key=key)
