"""`jobx ingest` by its own code: files and folders into a tenant's knowledge, alone and beside a running Jobx."""

import asyncio
import shutil
from base64 import b64encode
from uuid import uuid4

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import cli
from app.errors import NotFound
from app.ingest import BadLabels, NothingToIngest, ingest
from tests.conftest import MASTER_KEY
from tests.embedding_cache import CACHE

FILES = {
    "returns.md": b"# Returns\n\nYou can return any item within 30 days.\n",
    "deep/hours.txt": b"The shop opens at nine.",
    "deep/prices.csv": b"item,price\nlamp,20\nbulb,3\n",
    ".hidden/secret.txt": b"not to be read",
    "photo.xyz": b"\x00\x01",
}


@pytest.fixture
def folder(tmp_path):
    for name, data in FILES.items():
        path = tmp_path / "knowledge" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "knowledge"


@pytest.fixture
def given(settings, address, tmp_path):
    return settings.model_copy(
        update={
            "database_url": SecretStr(address.url),
            "master_key": SecretStr(b64encode(MASTER_KEY.key).decode()),
            "data_dir": tmp_path / "alone",
            "model_dir": CACHE,
        }
    )


async def _ingest(given, tenant_id, *paths, labels=()):
    said, shown = [], []
    failures = await asyncio.wait_for(
        asyncio.to_thread(ingest, given, tenant_id, paths, said.append, shown.append, labels), 120
    )
    return failures, said, shown


async def test_a_folder_is_read_with_its_progress(tenant, given, folder):
    failures, said, shown = await _ingest(given, tenant.id, folder)
    assert failures == []
    assert said == ["Left out, as their formats cannot be read: 1."]
    assert (shown[-1].documents_done, shown[-1].documents, shown[-1].chunks_done) == (3, 3, 3)
    titles = {document["title"] for document in (await tenant.http.get("/v1/documents")).json()["documents"]}
    assert titles == {"Returns", "hours", "prices"}


async def test_a_second_run_reads_only_what_changed(tenant, given, folder):
    await _ingest(given, tenant.id, folder)
    before = (await tenant.http.get("/v1/documents")).json()["documents"]
    (folder / "deep" / "hours.txt").write_bytes(b"The shop opens at eleven.")
    failures, _, shown = await _ingest(given, tenant.id, folder)
    assert failures == []
    assert (shown[0].documents, shown[0].documents_done) == (3, 2)
    after = (await tenant.http.get("/v1/documents")).json()["documents"]
    assert {document["id"] for document in before} == {document["id"] for document in after}


async def test_what_is_read_is_labelled_and_keeps_its_labels(tenant, given, folder):
    await _ingest(given, tenant.id, folder / "deep", labels=["Shop", "new"])
    # The same bytes: without labels they keep theirs, with others they are given those.
    await _ingest(given, tenant.id, folder / "deep")
    await _ingest(given, tenant.id, folder / "deep" / "hours.txt", labels=["hours"])
    documents = (await tenant.http.get("/v1/documents")).json()["documents"]
    assert {one["title"]: one["labels"] for one in documents} == {"prices": ["Shop", "new"], "hours": ["hours"]}
    for wrong in ([" "], ["x" * 51], ["x"] * 21):
        with pytest.raises(BadLabels):
            await _ingest(given, tenant.id, folder, labels=wrong)


async def test_what_cannot_be_read_is_named_with_its_reason(tenant, given, tmp_path):
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7 garbage")
    [failure], _, _ = await _ingest(given, tenant.id, path)
    assert failure.title == "broken.pdf"
    assert "damaged" in failure.reason


async def test_an_archives_files_are_waited_for_too(tenant, given, tmp_path, folder):
    packed = shutil.make_archive(str(tmp_path / "all"), "zip", folder / "deep")
    failures, _, shown = await _ingest(given, tenant.id, tmp_path / packed)
    assert failures == []
    assert shown[-1].documents == 3
    documents = (await tenant.http.get("/v1/documents")).json()["documents"]
    assert all(document["status"] == "ready" for document in documents)


async def test_beside_a_running_jobx_the_reading_is_left_to_it(tenant, given, folder, run_jobs, tmp_path):
    # The runtime of the test owns the store in this folder.
    beside = given.model_copy(update={"data_dir": tmp_path})
    ingesting = asyncio.create_task(_ingest(beside, tenant.id, folder / "returns.md"))
    while not ingesting.done():
        await asyncio.sleep(0.2)
        await run_jobs()
    failures, said, _ = await ingesting
    assert (failures, said) == ([], ["The running Jobx reads them."])
    (passage,) = await tenant.search("return an item")
    assert "30 days" in passage["text"]


async def test_an_unknown_tenant_and_an_empty_folder_are_told(tenant, given, folder, tmp_path):
    with pytest.raises(NotFound):
        await _ingest(given, uuid4(), folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToIngest):
        await _ingest(given, tenant.id, tmp_path / "empty")


def test_the_command_wants_a_tenant_and_paths_that_exist(tmp_path):
    runner = CliRunner()
    assert runner.invoke(cli, ["ingest", str(tmp_path)]).exit_code == 2
    assert runner.invoke(cli, ["ingest", "--tenant", str(uuid4()), str(tmp_path / "nothing")]).exit_code == 2
