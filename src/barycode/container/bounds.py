"""What a file may cost: no more than a stated multiple of its own size, and of what it decodes to.

`docs/format.md` states the multiples. A decoder asks both questions before it works or allocates: whether
the caller's `limit` allows what comes out, and whether the file is large enough to stand for it.
"""

from barycode.errors import LimitError

MAX_PIXELS = 2**28  # of a picture, of those that are read to be compressed too


def require_within(limit: int | None, needed: int, what: str) -> None:
    """Raise LimitError where `what` decodes to more than `limit` bytes; None allows everything."""
    if limit is not None and needed > limit:
        raise LimitError(
            f"{what} decodes to {needed:,} bytes, more than the limit of {limit:,}: raise the limit "
            "(limit=, --limit) if you trust where it comes from."
        )


def least_bytes(amount: int, per_byte: int) -> int:
    """How many bytes stand at least for `amount` numbers, where a byte stands for `per_byte` at most."""
    return -(-amount // per_byte)
