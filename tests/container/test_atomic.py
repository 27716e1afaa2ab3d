from collections.abc import Iterator
from pathlib import Path

import pytest

from barycode.container import write_atomic
from barycode.errors import InvalidInputError


def test_bytes_and_chunks(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"whole")
    write_atomic(str(tmp_path / "b"), iter([b"in ", b"chunks"]))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"whole", "b": b"in chunks"}


def test_no_overwriting_without_force(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(InvalidInputError, match="--force"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    write_atomic(target, b"new", force=True)
    assert target.read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def failing() -> Iterator[bytes]:
        yield b"some"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(target, failing(), force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert target.read_bytes() == b"old"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a"

    def chunks() -> Iterator[bytes]:
        target.write_bytes(b"somebody else's")
        yield b"ours"

    with pytest.raises(InvalidInputError, match="exists already"):
        write_atomic(target, chunks())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert target.read_bytes() == b"somebody else's"


def test_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_atomic(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        write_atomic(tmp_path, b"", force=True)
    with pytest.raises(InvalidInputError, match="does not exist"):
        write_atomic(tmp_path / "missing" / "a", b"")
