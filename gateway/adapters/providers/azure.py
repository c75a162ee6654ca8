"""Azure OpenAI: OpenAI's API under the paths, the key and the versions of Azure.

Source: Microsoft's "Azure OpenAI in Microsoft Foundry Models REST API reference" (data plane
inference) and "API version lifecycle" (the v1 API, which has Responses).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
from pydantic import SecretStr

from gateway.adapters.providers import carrying
from gateway.adapters.providers.calls import checked_base
from gateway.adapters.providers.openai import PATHS, RESPONSES, OpenAIProvider
from gateway.core.ports import Model

_DEPLOYED = frozenset(PATHS) - {RESPONSES, "moderations.create"}
"""Actions that go to a deployment."""
_VERSION = re.compile(r"[0-9A-Za-z.-]{1,64}")


class AzureProvider(OpenAIProvider):
    """A provider that speaks Azure OpenAI's wire format.

    `base_url` is the resource's, such as `https://shop.openai.azure.com`. A model's upstream
    name is that of its deployment. `api_version` is dated, such as `2024-10-21`; Responses,
    which are asked of the v1 API, need none.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: SecretStr | None,
        transport: httpx.AsyncBaseTransport,
        *,
        api_version: str,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = 64 << 20,
        max_event: int = 1 << 20,
    ) -> None:
        """Raises `ValueError` for a base URL that is not plain http or https, or no version."""
        if not api_version or not _VERSION.fullmatch(api_version):
            raise ValueError(f"not an API version: {api_version!r}")
        super().__init__(
            name, base_url, None, transport,
            headers=headers, max_bytes=max_bytes, max_event=max_event,
        )  # fmt: skip
        self._base = checked_base(base_url)
        self._version = api_version
        if api_key is not None:
            self._headers["api-key"] = api_key.get_secret_value()

    def _responses(self) -> httpx.URL:
        return httpx.URL(f"{self._base}/openai/v1{PATHS[RESPONSES]}")

    def _url(self, action: str, model: Model) -> httpx.URL | None:
        if action == RESPONSES:
            return self._responses()
        if action not in _DEPLOYED:
            return None
        deployment = f"{self._base}/openai/deployments/{carrying.segment(model.upstream_model)}"
        return httpx.URL(f"{deployment}{PATHS[action]}?api-version={self._version}")
