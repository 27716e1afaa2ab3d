"""Processes that are started again, on a store in which those before them left what they had."""

import threading
from datetime import timedelta

import pytest
import torch.distributed as dist

from barycode.training.rendezvous import unused_part

LONGEST = 20  # seconds


@pytest.fixture
def store() -> dist.Store:
    store = dist.HashStore()
    store.set_timeout(timedelta(seconds=LONGEST))
    return store


def start(
    store: dist.Store, ranks: list[int], world: int, found: dict[int, dist.Store]
) -> list[threading.Thread]:
    """A thread for each rank, which puts what it found under its rank."""

    def look(rank: int) -> None:
        found[rank] = unused_part(store, rank, world)

    threads = [threading.Thread(target=look, args=[rank], daemon=True) for rank in ranks]
    for thread in threads:
        thread.start()
    return threads


def meet(store: dist.Store, ranks: list[int]) -> dict[int, dist.Store]:
    found: dict[int, dist.Store] = {}
    for thread in start(store, ranks, len(ranks), found):
        thread.join(LONGEST)
    assert set(found) == set(ranks)
    return found


@pytest.mark.parametrize("order", [[0], [0, 1], [2, 1, 0], [1, 0, 3, 2]])
def test_all_ranks_find_one_part(order, store):
    found = meet(store, order)
    found[0].set("address", "here")
    assert all(part.get("address") == b"here" for part in found.values())


def test_nothing_of_an_earlier_start_is_in_it(store):
    earlier = meet(store, [0, 1])
    earlier[1].set("address", "there")
    for part in meet(store, [1, 0]).values():
        assert not part.check(["address"])


def test_ranks_that_died_while_they_asked_hold_nobody_up(store):
    """Rank 1 of three asked and died before rank 0 was there; then there are two machines less."""
    store.set("question/1", "of the one that died")  # a thread would live on, and take the answer
    found = meet(store, [0, 1, 2])
    found[0].set("address", "here")
    assert all(part.get("address") == b"here" for part in found.values())
    assert set(meet(store, [1, 0])) == {0, 1}
