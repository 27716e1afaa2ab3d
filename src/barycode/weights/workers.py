"""Parts on all cores: results in the order of the jobs, whatever the number of processes.

What a job gives depends on the job alone, so a file has the same bytes for any number of workers.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from barycode.errors import InvalidInputError
from barycode.processors import usable_processors

WAITING = 2  # jobs a worker that may be ahead of the results
WORTH = 8  # jobs for which a process is worth its start

Result = TypeVar("Result")


class Workers:
    """Runs functions of modules in `count` processes; with one, in this process and without any other.

    Processes are started when they are needed, and anew each (spawn): a program that asks for several has to
    be importable, with its work under `if __name__ == "__main__":`.
    """

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise InvalidInputError(f"{count} workers cannot do anything: ask for 1 or more.")
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def ordered(self, function: Callable[..., Result], jobs: Iterable[tuple]) -> Iterator[Result]:
        """The results of `function(*job)` in order; few jobs are taken before their time."""
        if self.count == 1:
            for job in jobs:
                yield function(*job)
            return
        waiting: deque[Future[Result]] = deque()
        for job in jobs:
            waiting.append(self._started().submit(function, *job))
            if len(waiting) >= WAITING * self.count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.count, context, initializer=_one_thread)
        return self._pool


IN_PROCESS = Workers()


def worthwhile(jobs: int) -> int:
    """How many workers so many jobs are worth."""
    return max(min(usable_processors(), jobs // WORTH), 1)


def _one_thread() -> None:
    torch.set_num_threads(1)
