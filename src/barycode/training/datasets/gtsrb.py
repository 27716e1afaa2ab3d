"""German traffic signs (GTSRB) in their public layout."""

import csv
from pathlib import Path
from typing import Literal

from barycode.errors import MissingDataError
from barycode.training.datasets.files import image_folder, picture_files
from barycode.training.datasets.picture_set import PictureSet


def gtsrb(folder: Path, split: Literal["train", "test"]) -> PictureSet:
    """GTSRB's Final_Training/Images/<class>/, or Final_Test/Images/ with the classes of GT-final_test.csv.

    Raises MissingDataError where one of these is missing.
    """
    if split == "train":
        return image_folder(folder / "Final_Training" / "Images")
    table = next(iter(sorted(folder.rglob("GT-final_test.csv"))), None)
    if table is None:
        raise MissingDataError(
            f"{folder} has no GT-final_test.csv, which names the classes of GTSRB's test pictures."
        )
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    pictures = folder / "Final_Test" / "Images"
    return picture_files([pictures / row["Filename"] for row in rows], [int(row["ClassId"]) for row in rows])
