"""A TikTok account in the proof of erasure: connected by its owner's consent, written to by customers, let go."""

import secrets
from uuid import UUID

import httpx

from app.simulators.tiktok import Business, TikTokSimulator
from proof.planting import Canaries
from proof.site import Site

_APP_ID, _APP_SECRET = "proof-app", "proof-app-secret"


def simulated() -> TikTokSimulator:
    """TikTok with one business account, whose names are not repeated elsewhere."""
    word = secrets.token_hex(8)
    return TikTokSimulator(
        _APP_ID, _APP_SECRET, Business(f"biz-{word}==", f"canary-user-{word}", f"canary-shop-{word}")
    )


def variables(url: str) -> dict[str, str]:
    """What points a Jobx at it."""
    return {
        "JOBX_TIKTOK__APP_ID": _APP_ID,
        "JOBX_TIKTOK__APP_SECRET": _APP_SECRET,
        "JOBX_TIKTOK__API_BASE": f"{url}/open_api/v1.3",
        "JOBX_TIKTOK__AUTH_BASE": url,
    }


async def connect(site: Site, agent: UUID) -> UUID:
    """The owner agrees; the connection that this makes."""
    consent = (await site.http.post("/v1/consents", json={"channel": "tiktok", "agent_id": str(agent)})).json()
    back = httpx.URL((await site.browser.get(consent["url"])).headers["location"])
    await site.http.get(f"{back.path}?{back.query.decode()}")
    [made] = (await site.http.get(f"/v1/consents/{consent['id']}")).json()["connection_ids"]
    return UUID(made)


async def write(site: Site, canary: Canaries, count: int) -> list[str]:
    """A customer writes, with media, a share and a sticker among it; returns everything that must be nowhere after."""
    customer, talk = canary("customer"), canary("talk")
    for number in range(count):
        text, message_id = canary("said"), canary(f"message-{number}")
        await _post(site, *site.tiktok.message(customer, talk, text, message_id))
    base = {"from_user": {"id": customer}, "from": canary("name"), "conversation_id": talk}
    for content in (
        {"type": "image", "image": {"media_id": canary("media")}},
        {"type": "share_post", "share_post": {"embed_url": f"https://example.com/{canary('address')}"}},
        {"type": "sticker", "sticker": {"url": f"https://example.com/{canary('sticker')}"}},
    ):
        await _post(site, *site.tiktok.webhook("im_receive_msg", base | {"message_id": canary("seen")} | content))
    tokens = [*site.tiktok.access_tokens, *site.tiktok.refresh_tokens]
    business = site.tiktok.business
    return [*canary.made, *tokens, business.id, business.username, business.display_name]


async def _post(site: Site, headers: dict[str, str], body: bytes) -> None:
    answer = await site.http.post("/webhooks/tiktok", content=body, headers=headers)
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"a webhook of TikTok was not taken: {answer.status_code}")
