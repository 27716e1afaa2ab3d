"""kill -9: whatever has its name is whole, and the same command again finishes and cleans up."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from barycode.images import decompress
from faults.programs import FAULTY, MODEL, QUICK, hidden, run, start


@pytest.mark.parametrize(("moment", "count", "done"), [("before", 2, 1), ("after", 2, 2), ("after", 5, 5)])
def test_in_the_middle_of_a_folder(
    pictures: Path, tmp_path: Path, moment: str, count: int, done: int
) -> None:
    """Or right after its last file, where the next run has nothing left to write."""
    out = tmp_path / "out"
    command = ("compress", pictures, "-o", out, *QUICK)
    assert run(moment, count, *command, program=FAULTY)[0] == -9
    whole = {path: path.read_bytes() for path in out.glob("*.bary")}
    assert len(whole) == done
    assert len(hidden(out)) == 1
    code, printed, told = run(*command, "--skip-existing")
    assert code == 0, told
    assert f"{5 - done} of 5 files done, {done} were there already" in printed
    assert sorted(path.name for path in out.iterdir()) == [f"{seed}.bary" for seed in range(5)]
    for path in out.iterdir():
        assert path.read_bytes() == whole.get(path, path.read_bytes())
        assert decompress(path.read_bytes(), model=MODEL).size == (56, 48)


@pytest.mark.parametrize(("moment", "done"), [("decoding", 1), ("before", 1)])
def test_in_the_middle_of_a_decode(compressed: Path, tmp_path: Path, moment: str, done: int) -> None:
    out = tmp_path / "out"
    command = ("decompress", compressed, "-o", out, "--model", MODEL)
    assert run(moment, 2, *command, program=FAULTY)[0] == -9
    assert len(list(out.glob("*.png"))) == done
    code, _, told = run(*command, "--skip-existing")
    assert code == 0, told
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png", "2.png"]
    for path in out.iterdir():
        with Image.open(path) as image:
            image.load()


@pytest.mark.parametrize(("moment", "count"), [("after", 1), ("after", 2), ("before", 3), ("after", 3)])
def test_in_the_middle_of_a_model_folder(tmp_path: Path, moment: str, count: int) -> None:
    """Of two small files and the weights; the same command goes on, and so does its way back."""
    folder = tmp_path / "tiny"
    (folder / "text").mkdir(parents=True)
    small = ("config.json", "text/vocab.txt")
    for name in small:
        (folder / name).write_text("{}")
    weights = {"w": torch.randn(64, 64, generator=torch.Generator().manual_seed(0))}
    save_file(weights, folder / "model.safetensors")
    there = ("compress", folder, "--lossless", "-o", tmp_path / "packed")
    back = ("decompress", tmp_path / "packed", "-o", tmp_path / "again")
    for command, last in ((there, "model.bary"), (back, "model.safetensors")):
        assert run(moment, count, *command, program=FAULTY)[0] == -9
        finished = (moment, count) == ("after", 3)
        assert (command[-1] / last).is_file() == finished
        assert len(hidden(command[-1])) == 1
        code, _, told = run(*command, *(["--skip-existing"] if finished else []))
        assert code == 0, told
        there = [path.relative_to(command[-1]) for path in command[-1].rglob("*") if path.is_file()]
        assert sorted(map(str, there)) == sorted([last, *small])
    assert torch.equal(load_file(tmp_path / "again" / "model.safetensors")["w"], weights["w"])


def test_a_folder_of_somebody_else_is_not_an_unfinished_one(tmp_path: Path) -> None:
    folder, other = tmp_path / "tiny", tmp_path / "tiny-bary"
    for place, text in ((folder, "{}"), (other, "mine")):
        place.mkdir()
        (place / "config.json").write_text(text)
    save_file({"w": torch.zeros(3)}, folder / "model.safetensors")
    code, _, told = run("compress", folder)
    assert code == 1
    assert "exists already" in told
    assert (other / "config.json").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs names of open files")
def test_nothing_is_left_of_standard_input(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    data = (pictures / "0.ppm").read_bytes() * 20  # more than a pipe holds: some of it has been read
    own = {"TMPDIR": str(tmp_path / "temporary")}
    with start("compress", "-", "-o", tmp_path / "o.bary", *QUICK, environment=own) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.kill()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "o.bary").exists()
