"""Fuzzing guided by coverage: atheris watches which lines of Barycode an input reaches, and keeps new ones."""

import random
import sys
import time

import atheris

with atheris.instrument_imports(include=["barycode"]):
    import targets  # noqa: F401

from run import HERE, ROW, TARGETS, Tally, append, execute, row, seeds


def guided(name: str, executions: int, seed: int) -> None:
    """Run one target; atheris ends the process. Its corpus is kept between runs, beside the log."""
    target, state = TARGETS[name], {"tally": Tally(), "start": time.monotonic()}
    corpus = HERE / "cache" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(data)

    def flush() -> None:
        tally = state["tally"]
        tally.seconds = time.monotonic() - state["start"]
        if tally.executions:
            append(row(name, "coverage", seed, tally))
        state.update(tally=Tally(), start=time.monotonic())

    def one(data: bytes) -> None:
        execute(name, target, data, state["tally"])
        if state["tally"].executions >= ROW:
            flush()

    def mutate(data: bytes, limit: int, number: int) -> bytes:
        rng = random.Random(number)
        if rng.randrange(4) == 0:
            return atheris.Mutate(data, limit)
        return target.mutate(data, rng)[:limit]

    options = [
        f"-runs={executions}",
        f"-seed={seed + 1}",
        "-max_len=16384",
        "-timeout=60",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options], one, custom_mutator=mutate)
    import atexit

    atexit.register(flush)
    atheris.Fuzz()
