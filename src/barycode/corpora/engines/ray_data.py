"""Ray Data: the same work on every machine of a cluster; Ray places it, and does again what died."""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from barycode.corpora.portions import Portion
from barycode.corpora.records import Record
from barycode.corpora.tally import reason
from barycode.corpora.work import Work
from barycode.errors import MissingDataError, WorkerError

Task = tuple[int, Portion]
MOST_BLOCKS = 10_000  # beyond them, a Ray task takes several portions
LOCAL_STORE = 2**27  # bytes; what travels are names and records


@contextmanager
def ray_cluster(address: str | None, workers: int | None) -> Iterator[int]:
    """Within: connected to a cluster, its CPUs; without an address to one of `workers` on this machine.

    The folders of a corpus must be at the same paths on all its machines. Raises WorkerError where there is
    no cluster, or none starts.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
        if address is None:
            options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": LOCAL_STORE}
        try:
            ray.init(address=address or "local", **options)
        except Exception as error:  # Ray raises that very class, too
            missing = f"There is no Ray cluster at {address}" if address else "Ray did not start"
            raise WorkerError(f"{missing} ({reason(error)}).") from error
    try:
        yield int(ray.cluster_resources().get("CPU", 1))
    finally:
        if ours:
            ray.shutdown()


def run_on_ray(work: Work, tasks: Sequence[Task], workers: int | None = None) -> Iterator[Record]:
    """Do the tasks on the cluster, one CPU each, at most `workers` at a time; records as they are done.

    Raises WorkerError for work that cannot go on.
    """
    ray = _ray()
    rows = [{"number": number, "portion": json.dumps(portion.to_json())} for number, portion in tasks]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's, about itself
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        blocks = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS))
        done = blocks.map(
            partial(_do, work=work), compute=ray.data.TaskPoolStrategy(size=workers), num_cpus=1
        )
        for row in done.iter_rows():
            if row["error"]:
                raise WorkerError(row["error"])
            yield Record.from_json(json.loads(row["record"]))


def _do(row: dict[str, Any], work: Work) -> dict[str, Any]:
    portion = Portion.from_json(json.loads(row["portion"]))
    try:
        return {"record": json.dumps(work(row["number"], portion).to_json()), "error": ""}
    except Exception as error:
        return {"record": "", "error": f"shard {row['number']}: {reason(error)}"}


def _ray() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
    except ModuleNotFoundError as error:
        raise MissingDataError("--engine ray needs Ray: pip install 'barycode[corpora]'.") from error
    return ray
