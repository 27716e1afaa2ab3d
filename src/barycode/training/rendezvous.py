"""Where the processes of one start find each other.

torchrun keeps one store for as long as it lives, so that processes it starts again find in it the addresses
of those that died. They cannot tell themselves apart by TORCHELASTIC_RESTART_COUNT either: each machine
counts its own failures, and a machine that left and came back is no failure to the others.
"""

import os
import time
from uuid import uuid4

import torch
import torch.distributed as dist

PAUSE = 0.01  # seconds between two looks at who asks


def join(device: torch.device) -> None:
    """Join the process group of all that torchrun started together with this process."""
    store, rank, world = next(dist.rendezvous("env://"))
    backend = dist.get_default_backend_for_device(device)
    dist.init_process_group(backend, store=unused_part(store, rank, world), rank=rank, world_size=world)


def shares_a_store() -> bool:
    """Whether torchrun, if it started this process, keeps its store over restarts."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def unused_part(store: dist.Store, rank: int, world: int) -> dist.Store:
    """The same part of the store on all ranks, in which no earlier start of theirs left anything.

    Every other rank asks rank 0 under a name that nobody had before, and rank 0 answers whatever is asked
    until all have had an answer: questions of an earlier start too, whose answers nobody reads.
    """
    name = uuid4().hex
    if rank:
        store.set(f"question/{rank}", name)
        part = store.get(f"answer/{name}").decode()  # once it is there
        store.set(f"{part}/{rank}", "answered")
        return dist.PrefixStore(part, store)
    waiting = set(range(1, world))
    while waiting:
        for other in [rank for rank in waiting if store.check([f"question/{rank}"])]:
            store.set(f"answer/{store.get(f'question/{other}').decode()}", name)
        waiting = {rank for rank in waiting if not store.check([f"{name}/{rank}"])}
        time.sleep(PAUSE)
    return dist.PrefixStore(name, store)
