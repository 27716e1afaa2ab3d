"""A reader that goes away, Ctrl-C, and two writers of one name."""

import errno
import io
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from barycode.images import decompress
from faults.programs import MODEL, QUICK, run, start
from scenes import scene


@pytest.mark.parametrize("command", [
    ("info", "{file}"), ("decompress", "{file}", "-o", "-", "--model", MODEL), ("--help",),
    ("decompress", "{file}", "-o", "{new}", "--model", MODEL),
])  # fmt: skip
def test_a_reader_that_has_gone_ends_it_in_silence(compressed: Path, tmp_path: Path, command: tuple) -> None:
    names = {"file": compressed / "0.bary", "new": tmp_path / "p.png"}
    with start(*(str(word).format(**names) for word in command)) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        told = process.stderr.read()
    assert told == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_head_of_a_compressed_stream(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.effect_noise((256, 256), 90).save(stream, "PNG")  # more than a pipe holds
    with start("compress", "-", "-o", "-", "-q", "5", *QUICK) as process:
        assert process.stdin is not None
        process.stdin.write(stream.getvalue())
        process.stdin.close()
        assert process.stdout is not None
        assert process.stdout.read(3) == b"\xbaRY"
        process.stdout.close()
        assert process.stderr is not None
        told = process.stderr.read()
    assert b"Traceback" not in told
    assert b"rror" not in told


def test_interrupting_a_folder(pictures: Path, tmp_path: Path) -> None:
    """The last input is a pipe that never ends: the signal comes while the program waits for it."""
    out, pipe = tmp_path / "out", tmp_path / "endless.ppm"
    os.mkfifo(pipe)
    with start("compress", pictures, pipe, "-o", out, *QUICK) as process:
        writer = opened_by_the_reader(pipe, process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
        os.close(writer)
    assert process.returncode == 130
    lines = told.decode().splitlines()
    assert "5 of 6 files done." in lines
    assert lines[-1] == "barycode: interrupted"
    assert sorted(path.name for path in out.iterdir()) == [f"{i}.bary" for i in range(5)]
    for path in out.iterdir():
        assert decompress(path.read_bytes(), model=MODEL).size == (56, 48)


def opened_by_the_reader(pipe: Path, process: subprocess.Popen[bytes]) -> int:
    """The writing end of a named pipe, which can be opened from when `process` has opened the other."""
    while process.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # "no one has it open for reading"
                raise
            time.sleep(0.01)
    pytest.fail("The program ended before it opened the pipe.")


@pytest.mark.parametrize("how", [(), ("--force",)])
def test_two_writers_of_one_name(tmp_path: Path, how: tuple[str, ...]) -> None:
    """Both have found the name free and wait for their picture, when the first of them is let go."""
    stream = io.BytesIO()
    Image.fromarray(scene(200, 200)).save(stream, "PPM")
    data = stream.getvalue()
    target = tmp_path / "o.bary"
    writers = [start("compress", "-", "-o", target, *QUICK, *how) for _ in range(2)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(data[:-1])  # returns when most of it is read: a pipe holds 64 kB
        writer.stdin.flush()
    ends = []
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(data[-1:])
        writer.stdin.flush()
    for writer in writers:
        with writer:
            _, told = writer.communicate()
        ends.append((writer.returncode, told.decode()))
    codes = sorted(code for code, _ in ends)
    if how:
        assert codes == [0, 0]
    else:
        assert codes == [0, 1]
        (loser,) = [told for code, told in ends if code]
        assert loser.count("\n") == 1
        assert "o.bary exists already" in loser
    assert decompress(target.read_bytes(), model=MODEL).size == (200, 200)
    assert [path.name for path in tmp_path.iterdir()] == ["o.bary"]


def test_an_empty_standard_input(tmp_path: Path) -> None:
    code, printed, told = run("compress", "-", "-o", tmp_path / "o.bary", *QUICK)
    assert (code, printed) == (1, "")
    assert told.count("\n") == 1
    assert "standard input" in told
    assert list(tmp_path.iterdir()) == []
