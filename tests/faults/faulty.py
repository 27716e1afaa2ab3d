"""`barycode` with a fault: `python faulty.py MOMENT COUNT ARGUMENT ...` is killed, as by kill -9, while it
writes its COUNT-th file: "before" or "after" that takes its name, or "decoding" the picture of it.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

PLACES = {
    "before": ("barycode.container.atomic", "_take_name"),
    "after": ("barycode.container.atomic", "_take_name"),
    "decoding": ("barycode.images.codec", "decode_tile"),
}


def main(moment: str, count: int) -> None:
    module, name = PLACES[moment]
    place = importlib.import_module(module)
    whole: Callable[..., Any] = getattr(place, name)
    calls = 0

    def fatal(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and moment != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*arguments)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, fatal)
    from barycode.cli.main import run

    run()


if __name__ == "__main__":
    moment, count = sys.argv[1:3]
    sys.argv[:3] = ["barycode"]
    main(moment, int(count))
