"""docs/models.md: cards of the shipped models, from their files and the rows beside this script.

python experiments/kodak/cards.py          # writes the page
python experiments/kodak/cards.py --check  # says whether it is as the models are
"""

from pathlib import Path
from typing import Annotated

import typer
from run import HERE, MODELS, SETS

from barycode.cli.program import run_script
from barycode.errors import InvalidInputError
from barycode.experiments.model_cards import Measured, model_cards

PAGE = HERE.parents[1] / "docs/models.md"


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if it is out of date.")] = False,
) -> None:
    """Write the cards of the shipped models."""
    measured = Measured(HERE / "rows", {key: title for key, (title, _) in SETS.items()})
    text = model_cards(MODELS, measured, HERE / "training/data.toml")
    if not check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        raise InvalidInputError(
            f"{Path(PAGE.name)} is not as the models are: run `python {Path(__file__).name}`."
        )


if __name__ == "__main__":
    run_script(main)
