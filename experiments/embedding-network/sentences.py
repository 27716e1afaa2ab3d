"""Real sentences that every Python has: the language reference, as `help()` shows it."""

import re
from pydoc_data.topics import topics

_SENTENCE = re.compile(r"[A-Z][a-z]+ [a-z ,'()-]+[.]")


def sentences(count: int) -> list[str]:
    """The first `count` plain English sentences of 40 to 160 characters."""
    text = " ".join(re.sub(r"\s+", " ", topic) for topic in topics.values())
    found = (part for part in re.split(r"(?<=[.!?]) ", text) if 40 < len(part) < 160)
    return [part for part in dict.fromkeys(found) if _SENTENCE.fullmatch(part)][:count]
