from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorstore.fusion import Hit, fuse, normalise, prefetch, rank

SCORES = st.dictionaries(st.integers(0, 20), st.floats(-1e6, 1e6), max_size=15)


def hit(number: int, score: float) -> Hit:
    return Hit(UUID(int=number), UUID(int=1), UUID(int=2), score)


def test_scores_are_stretched_from_worst_to_best() -> None:
    assert normalise({"a": 2.0, "b": 6.0, "c": 3.0}) == {"a": 0.0, "b": 1.0, "c": 0.25}


def test_equal_scores_are_all_best() -> None:
    assert normalise({"a": 0.4, "b": 0.4}) == {"a": 1.0, "b": 1.0}
    assert normalise({"a": -3.0}) == {"a": 1.0}
    assert normalise({}) == {}


def test_key_that_one_list_lacks_gets_nothing_from_it() -> None:
    fused = fuse({"both": 0.9, "dense": 0.8, "worst": 0.1}, {"both": 4.0, "sparse": 12.0}, 0.6)

    assert fused == pytest.approx({"both": 0.6, "dense": 0.6 * 0.875, "worst": 0.0, "sparse": 0.4})


def test_list_without_keys_has_no_say() -> None:
    assert fuse({"a": 0.3, "b": 0.2}, {}, 0.5) == {"a": 1.0, "b": 0.0}
    assert fuse({}, {"a": 3.0}, 0.5) == {"a": 1.0}
    assert fuse({}, {}, 0.5) == {}


@given(SCORES, SCORES, st.floats(0, 1))
def test_fused_scores_stay_between_nothing_and_one(
    dense: dict[int, float], sparse: dict[int, float], weight: float
) -> None:
    fused = fuse(dense, sparse, weight)

    assert fused.keys() == dense.keys() | sparse.keys()
    assert all(0 <= score <= 1 for score in fused.values())


@given(SCORES, SCORES)
def test_weight_of_one_keeps_the_order_of_meaning(dense: dict[int, float], sparse: dict[int, float]) -> None:
    fused = fuse(dense, sparse, 1.0)

    assert all(fused[one] <= fused[other] for one in dense for other in dense if dense[one] < dense[other])


def test_rank_is_best_first_and_breaks_ties_by_id() -> None:
    ranked = rank([hit(3, 0.9), hit(1, 0.9), hit(2, 0.1)], [hit(4, 7.0), hit(1, 7.0)], 0.5)

    assert [(one.chunk_id.int, one.score) for one in ranked] == [(1, 1.0), (3, 0.5), (4, 0.5), (2, 0.0)]


def test_few_matches_are_chosen_from_enough_hits() -> None:
    assert prefetch(1) == 200
    assert prefetch(150) == 300
