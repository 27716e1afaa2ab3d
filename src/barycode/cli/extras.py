"""Commands that need an optional extra say so in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from barycode.errors import MissingDataError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a missing package of an extra into a MissingDataError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("barycode"):
            raise
        raise MissingDataError(f"this command needs {error.name}: pip install 'barycode[{name}]'") from error
