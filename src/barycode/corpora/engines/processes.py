"""Processes of this machine, each with one thread; one that dies is replaced, and the others go on."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from barycode.corpora.portions import Portion
from barycode.corpora.records import Record
from barycode.corpora.tally import reason
from barycode.corpora.work import Work
from barycode.errors import WorkerError

Task = tuple[int, Portion]
MOST_DEATHS = 100  # over one portion, before something else than its samples is to blame
READY = "ready"


def run_processes(work: Work, tasks: Sequence[Task], workers: int) -> Iterator[Record]:
    """Do the tasks; their records in the order in which they are done. Raises WorkerError."""
    waiting, deaths = deque(tasks), dict.fromkeys((number for number, _ in tasks), 0)
    busy: dict[Connection, tuple[_Worker, Task | None]] = {}
    try:
        for _ in range(min(workers, len(tasks))):
            worker = _Worker(work)
            busy[worker.connection] = worker, None
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, task = busy.pop(connection)
                answer = worker.answer()
                if answer is None:
                    worker.stop()
                    if task is None or deaths[task[0]] == MOST_DEATHS:
                        raise WorkerError(f"A worker died ({worker.end}) and it was no sample's fault.")
                    deaths[task[0]] += 1
                    waiting.appendleft(task)
                    worker = _Worker(work)
                    busy[worker.connection] = worker, None
                    continue
                if waiting:
                    task = waiting.popleft()
                    worker.connection.send(task)
                    busy[worker.connection] = worker, task
                else:
                    worker.stop()
                if isinstance(answer, Record):
                    yield answer
                elif answer != READY:
                    raise WorkerError(answer)
    finally:
        for worker, _ in busy.values():
            worker.stop()


class _Worker:
    """A process and the pipe to it."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _environment(OMP_NUM_THREADS="1"):  # a main module that loads torch does so before `_serve` runs
            self.process.start()
        theirs.close()  # so that its death is the end of the pipe
        self.connection.send(work)

    @property
    def end(self) -> str:
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def answer(self) -> Record | str | None:
        """READY, the record of a task, a sentence that says why the work cannot go on, None if it died."""
        try:
            received: Record | str = self.connection.recv()
        except (EOFError, OSError):
            return None
        return received

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """These variables for processes that are started meanwhile."""
    before = os.environ.copy()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends the others
    try:
        work: Work = connection.recv()
        connection.send(READY)
        while True:
            number, portion = connection.recv()
            try:
                answer: Record | str = work(number, portion)
            except Exception as error:
                answer = f"shard {number}: {reason(error)}"
            connection.send(answer)
    except (EOFError, OSError):
        return  # the main process is gone
