"""Where a Qdrant server is and what opens it: a URL and a key, split so that neither secret gets into a message."""

from collections.abc import Mapping
from typing import Any

import httpx

from vectorstore.index import VectorStoreError

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address:
    """A server's address; a name and password in the URL become basic authentication.

    A URL without a port means the scheme's own, as everywhere else; Qdrant itself listens on 6333. VectorStoreError
    if it is no http or https URL, or has a query.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL:
            raise VectorStoreError("The Qdrant server's URL cannot be read.") from None
        if parts.scheme not in _DEFAULT_PORTS or not parts.host or parts.query or parts.fragment:
            raise VectorStoreError(
                "The Qdrant server's URL has to be like https://host:6333, or with a path at the end."
            )
        self._parts = parts
        self._api_key = api_key

    def __str__(self) -> str:
        netloc = self._parts.netloc.decode()
        return netloc if self.names_port else f"{netloc}:{_DEFAULT_PORTS[self._parts.scheme]}"

    def __repr__(self) -> str:
        return f"Address({self})"

    @property
    def url(self) -> str:
        """The URL without name, password and closing slash."""
        return str(self._parts.copy_with(username=None, password=None)).rstrip("/")

    @property
    def names_port(self) -> bool:
        """Whether the URL tells another port than the scheme's own."""
        return self._parts.port is not None

    @property
    def has_key(self) -> bool:
        """Whether requests carry an API key."""
        return self._api_key is not None

    def http_options(self, transport: httpx.AsyncBaseTransport) -> Mapping[str, Any]:
        """The arguments of an httpx.AsyncClient for this server; no proxy or password comes from the environment."""
        # Sent as a header by us: qdrant_client's own argument warns on standard error about every plain http URL.
        headers = {} if self._api_key is None else {"api-key": self._api_key}
        username, password = self._parts.username, self._parts.password
        auth = httpx.BasicAuth(username, password) if username or password else None
        return {"transport": transport, "headers": headers, "auth": auth, "trust_env": False}
