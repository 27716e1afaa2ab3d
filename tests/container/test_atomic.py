import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from barycode.container import atomic, write_atomic
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


def race(target: Path, writers: int) -> list[int]:
    """The numbers of those that were told that they wrote."""
    together, won = threading.Barrier(writers), []

    def write(number: int) -> None:
        together.wait()
        with contextlib.suppress(InvalidInputError):
            write_atomic(target, bytes([number]) * 1000)
            won.append(number)

    threads = [threading.Thread(target=write, args=[i]) for i in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    for number in range(100):
        won = race(tmp_path / str(number), 4)
        assert len(won) == 1
        assert (tmp_path / str(number)).read_bytes() == bytes(won) * 1000


def test_of_two_writers_one_wins_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    write_atomic(tmp_path / "a", b"first")
    monkeypatch.setattr(atomic, "checked_target", lambda path, force: path)  # both looked before either wrote
    with pytest.raises(InvalidInputError, match="exists already"):
        write_atomic(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_links_are_followed_and_links_to_nothing_refused(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("deep/real")
    with pytest.raises(InvalidInputError, match="exists already"):
        write_atomic(tmp_path / "link", b"new")
    write_atomic(tmp_path / "link", b"new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "deep/real").read_bytes() == b"new"
    (tmp_path / "dangling").symlink_to("nowhere")
    for force in (False, True):
        with pytest.raises(InvalidInputError, match="a link to nothing"):
            write_atomic(tmp_path / "dangling", b"new", force=force)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("asked", "umask", "mode"), [
    (0o666, 0o022, 0o644), (0o666, 0o077, 0o600), (0o600, 0o022, 0o600),
    (0o640, 0o002, 0o640), (0o444, 0o022, 0o444), (0o755, 0o022, 0o644),
])  # fmt: skip
def test_a_new_file_has_the_mode_that_the_umask_leaves(
    tmp_path: Path, asked: int, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "a", b"", mode=asked)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "private").touch(0o600)
    write_atomic(tmp_path / "private", b"new", force=True)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_pipes_and_devices_are_written_into(tmp_path: Path) -> None:
    write_atomic("/dev/null", b"away")
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_atomic(tmp_path / "pipe", iter([b"a", b"b"]))
    reader.join()
    assert read == [b"ab"]


KILLED = """
import os, signal, sys
from barycode.container import write_atomic

def chunks():
    yield b"half"
    print("writing", flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
    yield b" whole"

write_atomic(sys.argv[1], chunks())
"""


def start(target: Path, how: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(target), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_leftovers_of_the_dead_are_removed_and_the_living_are_left_alone(tmp_path: Path) -> None:
    with start(tmp_path / "dead", "kill") as dead:
        assert dead.wait() == -9
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".barycode-")]) == 1
    with start(tmp_path / "alive", "wait") as alive:
        assert alive.stdout is not None
        assert alive.stdout.readline() == b"writing\n"
        (tmp_path / ".barycode-of-mine").touch()
        write_atomic(tmp_path / "next", b"")
        assert sum(path.name.startswith(".barycode-") for path in tmp_path.iterdir()) == 2
        alive.communicate()
        assert alive.returncode == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"next", "alive", ".barycode-of-mine"}
    assert (tmp_path / "alive").read_bytes() == b"half whole"
