"""What a tenant and an operator do with Jobx, once each: the journeys whose sockets `proof.egress` watches."""

import json
from pathlib import Path

import httpx

from app.simulators.telegram import text_update
from proof.surroundings import Surroundings
from tests.e2e.processes import QUESTION, RETURNS, Process, Shop, Site, make_shop, until
from tests.ingestion.files import pdf, small_docx


def servers(site: Site, around: Surroundings, *, full: bool) -> None:
    """What a tenant does, and the operator's commands, on `jobx serve` and `jobx worker`; all of it if `full`."""
    shop = make_shop(site, around.telegram)
    web, worker = site.start("serve"), site.start("worker")
    for process in (web, worker):
        process.ready()
    documents = _knowledge(shop, web, around.page, full=full)
    shop.connect(web)
    hook = shop.call(web, "POST", "/v1/webhooks", json={"url": around.hook}).raise_for_status().json()["id"]
    _conversation(shop, web)
    _told(shop, web, hook)
    if full:
        _preview(shop, web)
    _operate(site, shop, full=full)
    shop.call(web, "DELETE", f"/v1/documents/{documents[0]}").raise_for_status()
    gone = shop.call(web, "DELETE", f"/v1/connections/{shop.connection}", params={"days": 0}).raise_for_status().json()
    until(lambda: shop.call(web, "GET", f"/v1/erasures/{gone['id']}").json()["state"] == "done")
    site.idle()
    for process in (web, worker):
        process.end()


def embedded(site: Site) -> None:
    """`jobx up` with its sample shop, on embedded stores, and a question asked by the command for it."""
    # It would be the address of the webhook that `jobx simulate` calls.
    del site.settings["JOBX_PUBLIC_URL"]
    up = site.start("up")
    up.ready()
    said = site.run("simulate", "telegram", QUESTION)
    assert said.returncode == 0, said.stderr
    first_run = json.loads((Path(site.settings["JOBX_DATA_DIR"]) / "first-run.json").read_text())
    done = site.run("reindex", first_run["tenant_id"], seconds=120)
    assert done.returncode == 0, done.stderr
    up.end()


def _knowledge(shop: Shop, web: Process, page: str, *, full: bool) -> list[str]:
    documents = [shop.upload(web, "Returns", RETURNS)]
    files = {"prices.pdf": pdf("A scarf is £20."), "shipping.docx": small_docx()} if full else {}
    for name, data in files.items():
        answer = shop.call(web, "POST", "/v1/documents", files={"file": (name, data)})
        documents.append(str(answer.raise_for_status().json()["id"]))
    documents.append(str(shop.call(web, "POST", "/v1/documents", json={"url": page}).raise_for_status().json()["id"]))
    for document in documents:
        until(lambda one=document: shop.status(web, one) not in ("pending", "running"))
        assert shop.status(web, document) == "ready", shop.call(web, "GET", f"/v1/documents/{document}").text
    assert shop.search(web, "How long is a scarf?")
    return documents


def _conversation(shop: Shop, web: Process) -> None:
    """A message that the model answers, a takeover, and a message that a person has to answer."""
    assert shop.write(web, 1).status_code == 200
    shop.answered([1])
    assert "30 days" in shop.texts(1)[0]
    (conversation,) = shop.call(web, "GET", "/v1/conversations").json()["conversations"]
    paused = {"agent_paused": True}
    shop.call(web, "PATCH", f"/v1/conversations/{conversation['id']}", json=paused).raise_for_status()
    path, headers, _ = shop.webhook(1)
    update = text_update(1, QUESTION, update_id=2, message_id=2)
    assert httpx.post(f"{web.url}{path}", headers=headers, json=update, timeout=30, trust_env=False).status_code == 200
    shop.site.idle()
    assert len(shop.texts(1)) == 1


def _told(shop: Shop, web: Process, hook: str) -> None:
    """What was said was posted to the tenant's own program."""
    path = f"/v1/webhooks/{hook}/deliveries"
    until(lambda: {post["state"] for post in shop.call(web, "GET", path).json()["deliveries"]} == {"delivered"})


def _preview(shop: Shop, web: Process) -> None:
    answer = shop.call(web, "POST", f"/v1/agents/{shop.agent}/reply", json={"message": QUESTION})
    assert answer.raise_for_status().json()["outcome"] == "replied", answer.text


def _operate(site: Site, shop: Shop, *, full: bool) -> None:
    commands = [("keys", "rotate", "--re-encrypt", shop.id), ("keys", "status"), ("reindex", shop.id)]
    for command in commands if full else commands[:1]:
        done = site.run(*command, seconds=120)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    site.idle()
