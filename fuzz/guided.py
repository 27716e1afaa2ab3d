"""Fuzzing guided by coverage: `python fuzz/guided.py --target multisets --executions 20000`.

Atheris watches which lines of Barycode an input reaches, and mutates those further that reach new ones: by
the target's own mutation, three times in four, so that checksums stay right.
"""

import argparse
import random
import sys
import time

import atheris

with atheris.instrument_imports(include=["barycode"]):
    import run

from targets import TARGETS


class Campaign:
    """One target's executions, in rows of the log."""

    def __init__(self, name: str, executions: int, seed: int) -> None:
        self._name, self._left, self._seed = name, executions, seed
        self._tally, self._start = run.Tally(), time.monotonic()

    def one(self, data: bytes) -> None:
        """Execute an input; atheris ends the process after the last, so rows are written on the way."""
        run.execute(self._name, TARGETS[self._name], data, self._tally)
        self._left -= 1
        if self._tally.executions >= run.ROW or self._left == 0:
            self._tally.seconds = time.monotonic() - self._start
            run.append(run.row(self._name, "coverage", self._seed, self._tally))
            self._tally, self._start = run.Tally(), time.monotonic()

    def mutate(self, data: bytes, limit: int, number: int) -> bytes:
        """The next input from one that was kept."""
        rng = random.Random(number)
        if rng.randrange(4) == 0:
            return bytes(atheris.Mutate(data, limit))
        return TARGETS[self._name].mutate(data, rng)[:limit]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--executions", type=int, default=run.ROW)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    run.prepare()
    corpus = run.HERE / "cache" / chosen.target  # kept between runs
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(run.seeds(chosen.target)):
        (corpus / f"seed-{number}").write_bytes(data)
    campaign = Campaign(chosen.target, chosen.executions, chosen.seed)
    options = [f"-runs={chosen.executions}", f"-seed={chosen.seed}", "-max_len=16384", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], str(corpus), *options], campaign.one, custom_mutator=campaign.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
