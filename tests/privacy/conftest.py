import pytest

RETURNS = "You can return any item within 30 days of delivery. Returning by post costs £2.95 per parcel."
QUESTION = "How many days do I have to return an item?"


@pytest.fixture
async def shop(tenant, run_jobs):
    tenant.document = (await tenant.add_text("Returns", RETURNS))["id"]
    await run_jobs()
    tenant.agent = await tenant.add_agent()
    tenant.connection = await tenant.connect(tenant.agent)
    return tenant
