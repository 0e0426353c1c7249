from collections.abc import AsyncIterator

import pytest_asyncio

from ingestion.parse import Parser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parser() -> AsyncIterator[Parser]:
    """One parser for all tests, as the service has one for all tenants."""
    parser = Parser()
    yield parser
    await parser.close()
