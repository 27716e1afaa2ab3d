"""How far a long call has come, for whoever waits for it: `with listening(tell): compress(image)`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Step = TypeVar("Step")
Tell = Callable[[str, int, int], None]  # what is being done, how many steps of it are done, and of how many

_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


@contextmanager
def listening(tell: Tell) -> Iterator[None]:
    """Within, in this thread: `tell` is called before the first and after each of the steps of long calls."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


def watched(what: str, steps: Sequence[Step]) -> Iterator[Step]:
    """The steps of a long call, to be gone through in order."""
    tell = _tell.get()
    for done, step in enumerate(steps):
        if tell:
            tell(what, done, len(steps))
        yield step
    if tell:
        tell(what, len(steps), len(steps))
