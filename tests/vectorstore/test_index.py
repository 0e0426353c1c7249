"""The contract of VectorIndex: every store passes these tests."""

import asyncio
import math
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from vectorstore.index import ChunkVectors, Match, SparseVector, VectorIndex, VectorStoreError

EAST, NORTH, UP = (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)
NO_WORDS = SparseVector((), ())
TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)


def words(*tokens: int) -> SparseVector:
    return SparseVector(tuple(sorted(tokens)), (1.0,) * len(tokens))


def chunk(dense: Sequence[float] = EAST, sparse: SparseVector = NO_WORDS, chunk_id: UUID | None = None) -> ChunkVectors:
    length = math.hypot(*dense)
    return ChunkVectors(chunk_id or uuid4(), [number / length for number in dense], sparse)


def fan(count: int) -> list[ChunkVectors]:
    """Chunks ever further from EAST."""
    return [chunk((math.cos(i / count), math.sin(i / count), 0, 0)) for i in range(count)]


def ids(matches: Sequence[Match]) -> list[UUID]:
    return [match.chunk_id for match in matches]


async def test_tenant_without_chunks_has_none(index: VectorIndex) -> None:
    await index.drop_other_versions(TENANT, uuid4(), uuid4())
    await index.delete(TENANT, uuid4())
    await index.drop(TENANT)

    assert await index.count(TENANT) == 0
    assert await index.count(TENANT, uuid4()) == 0
    assert await index.search(TENANT, EAST, words(1), 5) == []


async def test_match_names_chunk_document_and_version(index: VectorIndex) -> None:
    document, version, stored = uuid4(), uuid4(), chunk(EAST, words(7))

    await index.replace(TENANT, document, version, [stored])
    [match] = await index.search(TENANT, EAST, words(7), 5)

    assert (match.chunk_id, match.document_id, match.version_id) == (stored.chunk_id, document, version)
    assert match.score == 1.0
    assert match.cosine == pytest.approx(1.0, abs=1e-6)


async def test_nearest_comes_first_with_its_cosine(index: VectorIndex) -> None:
    chunks = fan(10)
    await index.replace(TENANT, uuid4(), uuid4(), chunks[::-1])

    matches = await index.search(TENANT, EAST, NO_WORDS, 4)

    assert ids(matches) == [stored.chunk_id for stored in chunks[:4]]
    assert [match.cosine for match in matches] == pytest.approx([math.cos(i / 10) for i in range(4)], abs=1e-6)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert matches[0].score == 1.0


async def test_word_alone_finds_a_chunk_and_its_cosine(index: VectorIndex) -> None:
    near = [chunk((1, i / 1000, 0, 0)) for i in range(300)]
    far = chunk((1, 2, 0, 0), words(42))
    await index.replace(TENANT, uuid4(), uuid4(), [*near, far])

    matches = await index.search(TENANT, EAST, words(42), 3)

    found = next(match for match in matches if match.chunk_id == far.chunk_id)
    assert found.cosine == pytest.approx(1 / math.sqrt(5), abs=1e-6)
    assert found.score == pytest.approx(0.5)


async def test_weight_of_a_search_decides_between_meaning_and_word(index: VectorIndex) -> None:
    near, named = chunk(EAST), chunk(NORTH, words(42))
    await index.replace(TENANT, uuid4(), uuid4(), [near, named])

    by_meaning = await index.search(TENANT, EAST, words(42), 2, dense_weight=0.9)
    by_word = await index.search(TENANT, EAST, words(42), 2, dense_weight=0.1)

    assert ids(by_meaning) == [near.chunk_id, named.chunk_id]
    assert [match.score for match in by_meaning] == pytest.approx([0.9, 0.1])
    assert ids(by_word) == [named.chunk_id, near.chunk_id]


async def test_rare_word_weighs_more_than_a_common_one(index: VectorIndex) -> None:
    common = [chunk(EAST, words(1)) for _ in range(20)]
    rare = chunk(EAST, words(2))
    await index.replace(TENANT, uuid4(), uuid4(), [*common, rare])

    matches = await index.search(TENANT, EAST, words(1, 2), 3)

    assert matches[0].chunk_id == rare.chunk_id


async def test_meaning_and_word_together_beat_either(index: VectorIndex) -> None:
    meaning, word, both = chunk((1, 0.1, 0, 0)), chunk(UP, words(5)), chunk((1, 0.2, 0, 0), words(5))
    await index.replace(TENANT, uuid4(), uuid4(), [meaning, word, both])

    matches = await index.search(TENANT, EAST, words(5), 3)

    assert matches[0].chunk_id == both.chunk_id
    assert all(0 <= match.score <= 1 for match in matches)


async def test_equal_scores_come_in_the_order_of_ids(index: VectorIndex) -> None:
    twins = [chunk(EAST, words(3)) for _ in range(8)]
    await index.replace(TENANT, uuid4(), uuid4(), twins)

    for _ in range(3):
        matches = await index.search(TENANT, EAST, words(3), 8)
        assert ids(matches) == sorted(twin.chunk_id for twin in twins)


async def test_words_alone_decide_without_a_vector(index: VectorIndex) -> None:
    rare, common, other = chunk(NORTH, words(1, 2)), chunk(EAST, words(1)), chunk(EAST, words(3))
    await index.replace(TENANT, uuid4(), uuid4(), [rare, common, other])

    matches = await index.search(TENANT, None, words(1, 2), 3)

    assert ids(matches) == [rare.chunk_id, common.chunk_id]
    assert [match.cosine for match in matches] == [0.0, 0.0]
    assert await index.search(TENANT, None, NO_WORDS, 3) == []
    assert await index.search(OTHER_TENANT, None, words(1), 3) == []


async def test_collections_of_another_name_stand_beside_with_vectors_of_another_length(index: VectorIndex) -> None:
    document, version, old = uuid4(), uuid4(), chunk(EAST, words(1))
    new = ChunkVectors(old.chunk_id, (1.0, 0.0), words(1))
    beside = index.of("2-feed", 2)
    assert index.of("2-feed", 2) is beside

    await index.replace(TENANT, document, version, [old])
    assert await beside.usable(TENANT)
    assert await beside.search(TENANT, (1.0, 0.0), words(1), 5) == []
    await beside.replace(TENANT, document, version, [new])

    assert ids(await index.search(TENANT, EAST, words(1), 5)) == [old.chunk_id]
    assert ids(await beside.search(TENANT, (1.0, 0.0), words(1), 5)) == [old.chunk_id]
    with pytest.raises(VectorStoreError):
        await beside.search(TENANT, EAST, words(1), 5)
    await beside.rewrite(TENANT)
    await index.replace(OTHER_TENANT, document, version, [chunk()])
    assert await index.names(TENANT) == await beside.names(TENANT) == ["", "2-feed"]
    await index.drop(TENANT)
    assert await index.names(TENANT) == ["2-feed"]
    assert (await index.count(TENANT), await beside.count(TENANT)) == (0, 1)
    await beside.drop(TENANT)
    assert await beside.count(TENANT) == 0


@pytest.mark.parametrize("limit", [0, 1, 7, 200])
async def test_limit(index: VectorIndex, limit: int) -> None:
    await index.replace(TENANT, uuid4(), uuid4(), fan(150))

    assert len(await index.search(TENANT, EAST, words(1), limit)) == min(limit, 150)


async def test_search_within_some_documents(index: VectorIndex) -> None:
    one, two, three = uuid4(), uuid4(), uuid4()
    for document in (one, two, three):
        await index.replace(TENANT, document, uuid4(), [chunk(EAST, words(1)), chunk(NORTH, words(1))])

    matches = await index.search(TENANT, EAST, words(1), 10, [one, three, uuid4()])

    assert {match.document_id for match in matches} == {one, three}
    assert len(matches) == 4
    assert await index.search(TENANT, EAST, words(1), 10, []) == []


@pytest.mark.parametrize("most", [6, 12, 100])
async def test_a_search_within_many_documents_finds_what_one_that_names_them_all_does(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("vectorstore.among.prefetch", lambda _limit: most)
    documents = [uuid4() for _ in range(40)]
    for number, document in enumerate(documents):
        # No two have the same score.
        near, far = (1.0, number / 50, 0.0, 0.0), (number / 100, 1.0, 0.0, 0.0)
        said = SparseVector((1, 2), (1.0, 1.0 + number * 7 % 40))
        await index.replace(TENANT, document, uuid4(), [chunk(near, words(1)), chunk(far, said)])
    # Nearly all, the nearest, some of them, and the farthest.
    for among in (documents[:38], documents[:12], documents[5::4], documents[28:]):
        wanted = await index.search(TENANT, EAST, words(2), 6, among)
        with monkeypatch.context() as patch:
            patch.setattr("vectorstore.among.MOST_NAMED", 5)
            found = await index.search(TENANT, EAST, words(2), 6, among)
        assert len(found) == 6
        assert ids(found) == ids(wanted)
        assert [match.score for match in found] == pytest.approx([match.score for match in wanted])


async def test_same_version_again_has_only_its_new_chunks(index: VectorIndex) -> None:
    document, version, kept = uuid4(), uuid4(), chunk(EAST)

    await index.replace(TENANT, document, version, [kept, *fan(99)])
    await index.replace(TENANT, document, version, [kept])
    await index.replace(TENANT, document, version, [kept])

    assert await index.count(TENANT, document) == 1
    assert ids(await index.search(TENANT, EAST, NO_WORDS, 10)) == [kept.chunk_id]


async def test_empty_version(index: VectorIndex) -> None:
    document, version = uuid4(), uuid4()

    await index.replace(TENANT, document, version, [])
    assert await index.count(TENANT) == 0

    await index.replace(TENANT, document, version, fan(3))
    await index.replace(TENANT, document, version, [])
    assert await index.count(TENANT) == 0


async def test_new_version_stands_beside_the_old_until_it_is_dropped(index: VectorIndex) -> None:
    document, old, new, neighbour = uuid4(), uuid4(), uuid4(), uuid4()
    await index.replace(TENANT, document, old, fan(3))
    await index.replace(TENANT, neighbour, uuid4(), fan(2))

    await index.replace(TENANT, document, new, fan(4))
    assert await index.count(TENANT, document) == 7

    await index.drop_other_versions(TENANT, document, new)
    assert await index.count(TENANT, document) == 4
    assert await index.count(TENANT, neighbour) == 2
    matches = await index.search(TENANT, EAST, NO_WORDS, 20, [document])
    assert {match.version_id for match in matches} == {new}


async def test_deleted_document_is_gone_and_its_neighbour_is_not(index: VectorIndex) -> None:
    document, neighbour = uuid4(), uuid4()
    await index.replace(TENANT, document, uuid4(), fan(3))
    await index.replace(TENANT, document, uuid4(), fan(3))
    await index.replace(TENANT, neighbour, uuid4(), fan(2))

    await index.delete(TENANT, document)

    assert await index.count(TENANT, document) == 0
    assert await index.count(TENANT) == 2
    assert {match.document_id for match in await index.search(TENANT, EAST, NO_WORDS, 20)} == {neighbour}


async def test_tenants_do_not_see_each_other(index: VectorIndex) -> None:
    document, version, shared = uuid4(), uuid4(), uuid4()
    await index.replace(TENANT, document, version, [chunk(EAST, words(1), shared)])
    await index.replace(OTHER_TENANT, document, version, [chunk(NORTH, words(2), shared), chunk(UP)])

    [match] = await index.search(TENANT, NORTH, words(2), 10)
    assert match.cosine == pytest.approx(0, abs=1e-6)

    await index.delete(TENANT, document)
    assert await index.count(OTHER_TENANT) == 2

    await index.drop(OTHER_TENANT)
    assert await index.count(OTHER_TENANT) == 0


async def test_dropped_tenant_can_start_again(index: VectorIndex) -> None:
    await index.replace(TENANT, uuid4(), uuid4(), fan(3))
    await index.drop(TENANT)
    await index.drop(TENANT)

    await index.replace(TENANT, uuid4(), uuid4(), fan(2))

    assert await index.count(TENANT) == 2


async def test_large_document_is_stored_whole(index: VectorIndex) -> None:
    document = uuid4()

    await index.replace(TENANT, document, uuid4(), fan(1000))

    assert await index.count(TENANT, document) == 1000


async def test_many_tasks_at_once(index: VectorIndex) -> None:
    document, versions, doomed = uuid4(), [uuid4() for _ in range(4)], [uuid4() for _ in range(4)]
    sets = {version: fan(150) for version in versions}
    for each in doomed:
        await index.replace(TENANT, each, uuid4(), fan(5))

    await asyncio.gather(
        *(index.replace(TENANT, document, version, sets[version]) for version in versions * 2),
        *(index.delete(TENANT, each) for each in doomed),
        *(index.replace(OTHER_TENANT, uuid4(), uuid4(), fan(70)) for _ in range(3)),
        *(index.search(TENANT, EAST, words(1), 10) for _ in range(20)),
    )

    assert await index.count(TENANT) == await index.count(TENANT, document) == 600
    assert await index.count(OTHER_TENANT) == 210


async def test_rivals_for_one_version_leave_one_whole_set(index: VectorIndex) -> None:
    document, version = uuid4(), uuid4()
    rivals = [fan(130), fan(200), fan(90)]

    await asyncio.gather(*(index.replace(TENANT, document, version, rival) for rival in rivals))

    found = set(ids(await index.search(TENANT, EAST, NO_WORDS, 500)))
    assert found in [{stored.chunk_id for stored in rival} for rival in rivals]


async def test_chunk_given_twice_is_an_error(index: VectorIndex) -> None:
    twice = chunk()

    with pytest.raises(VectorStoreError, match="1 of 2 chunks"):
        await index.replace(TENANT, uuid4(), uuid4(), [twice, twice])


@pytest.mark.parametrize("wrong", [[1.0, 0.0], [math.nan, 0.0, 0.0, 0.0], [math.inf, 0.0, 0.0, 0.0]])
async def test_unusable_vector_is_refused_before_anything_is_stored(index: VectorIndex, wrong: list[float]) -> None:
    with pytest.raises(VectorStoreError):
        await index.replace(TENANT, uuid4(), uuid4(), [*fan(100), ChunkVectors(uuid4(), wrong, NO_WORDS)])
    with pytest.raises(VectorStoreError):
        await index.search(TENANT, wrong, NO_WORDS, 3)

    assert await index.count(TENANT) == 0


async def test_store_in_order_says_so(index: VectorIndex) -> None:
    await index.replace(TENANT, uuid4(), uuid4(), fan(2))

    await index.ping()
    assert await index.check() is None
    assert await index.usable(TENANT)
    assert await index.usable(OTHER_TENANT)


async def test_closed_store_says_so(index: VectorIndex) -> None:
    await index.replace(TENANT, uuid4(), uuid4(), fan(3))
    await index.close()
    await index.close()

    with pytest.raises(VectorStoreError, match="closed"):
        await index.count(TENANT)
    with pytest.raises(VectorStoreError, match="closed"):
        await index.ping()
    with pytest.raises(VectorStoreError, match="closed"):
        await index.usable(TENANT)
    assert "closed" in (await index.check() or "")
