"""Which sample a worker has in hand: one that kills its workers is left out, and the others are not."""

import json
from pathlib import Path

MOST_DEATHS = 3


class Journal:
    """Deaths of workers by the place of the sample that they had in hand, over all attempts at a portion."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.deaths = _deaths(path)

    def begin(self, place: int) -> bool:
        """Take the sample at this place in hand; False if too many have died of it."""
        if self.deaths.get(str(place), 0) >= MOST_DEATHS:
            return False
        self.path.write_text(json.dumps({"place": place, "deaths": self.deaths}))
        return True


def _deaths(path: Path) -> dict[str, int]:
    """With one more for the sample in hand, since whoever had it has not come to the end."""
    try:
        state = json.loads(path.read_text())
        deaths: dict[str, int] = state["deaths"]
        place = str(state["place"])
        return {**deaths, place: deaths.get(place, 0) + 1}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # no attempt before, or one that died while it wrote this
