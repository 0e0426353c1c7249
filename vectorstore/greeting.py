"""The first words with a Qdrant server, over plain HTTP: a process that only watches it need not load its client."""

import asyncio
import re
from contextlib import suppress
from typing import Any

import httpx

from vectorstore.address import Address
from vectorstore.index import VectorStoreError, VectorStoreUnavailable
from vectorstore.refusals import NotQdrantError, UnauthorisedError, refusal

# Batched queries and the IDF modifier came with 1.10, indexes of UUIDs with 1.11.
OLDEST = (1, 11)


class Greeting:
    """Asks the server at an address, within `seconds` per request, whether it will do."""

    def __init__(self, address: Address, transport: httpx.AsyncBaseTransport, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._http = httpx.AsyncClient(base_url=address.url, timeout=seconds, **address.http_options(transport))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ping(self, name: str) -> None:
        """VectorStoreError unless the server answers and takes the key; no collection `name` has to exist."""
        await self._get(f"/collections/{name}/exists")

    async def check(self, name: str) -> None:
        """VectorStoreError unless this is a server of a usable version that takes the key; see `ping`."""
        try:
            await self._check_version()
        except (KeyError, TypeError, AttributeError):  # other JSON than Qdrant's
            raise NotQdrantError from None
        await self.ping(name)

    async def _check_version(self) -> None:
        found = re.match(r"(\d+)\.(\d+)", str((await self._get("/"))["version"]))
        if found is None:
            raise NotQdrantError
        if (int(found[1]), int(found[2])) < OLDEST:
            raise VectorStoreError(
                f"The Qdrant server at {self._address} is version {found[0]}; "
                f"Jobx needs {OLDEST[0]}.{OLDEST[1]} or newer."
            )

    async def _get(self, path: str) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._http.get(path)
        except (httpx.TimeoutException, TimeoutError):
            raise self._unavailable("no answer in time") from None
        except httpx.TransportError:
            raise self._unavailable("no connection") from None
        if answer.is_success:
            with suppress(ValueError):
                return answer.json()
            raise NotQdrantError
        problem = refusal(answer.status_code, answer.headers, answer.content)
        if isinstance(problem, UnauthorisedError) and not self._address.has_key:
            raise UnauthorisedError("The Qdrant server asks for an API key; set JOBX_QDRANT_API_KEY.")
        raise problem if isinstance(problem, VectorStoreError) else self._unavailable(f"error {answer.status_code}")

    def _unavailable(self, why: str) -> VectorStoreUnavailable:
        hint = "" if self._address.names_port else " Its URL names no port; Qdrant listens on 6333."
        return VectorStoreUnavailable(f"The Qdrant server at {self._address} is not answering ({why}).{hint}")
