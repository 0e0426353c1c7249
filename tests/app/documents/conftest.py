from ipaddress import ip_network

import pytest

from app.assembly import page_fetcher


@pytest.fixture
def pages(runtime):
    """Lets the runtime read pages from loopback."""
    settings = runtime.settings.model_copy(
        update={"fetch_allow": (ip_network("127.0.0.0/8"),), "max_page_bytes": 20_000}
    )
    runtime.fetcher = page_fetcher(settings)
