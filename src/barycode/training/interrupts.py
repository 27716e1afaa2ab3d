"""Ctrl-C, or a cluster that wants its machine back, between two steps of training, where there is a state to
save.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from barycode.training.progress import tell

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether Ctrl-C has been pressed, or the process been told to end."""

    asked = False

    def stop(self, place: str) -> NoReturn:
        """Raise the KeyboardInterrupt that was asked for, once the state at `place` is saved."""
        tell(f"saved at {place}: the same command goes on from there")
        raise KeyboardInterrupt


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Within: the first Ctrl-C or SIGTERM only sets `asked`, for the loop to save and stop; the second stops
    at once.

    In threads other than the main one, which get no signals, nothing changes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def ask(*_: object) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
