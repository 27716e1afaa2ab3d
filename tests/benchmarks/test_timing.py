import sys

import pytest

from barycode.benchmarks.timing import process_cost, quartiles, ratios, take_turns


def test_methods_take_turns_and_the_first_round_does_not_count():
    calls = []
    times = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}


def test_ratios_are_taken_round_by_round():
    over = ratios({"own": [1.0, 2.0, 4.0], "other": [2.0, 4.0, 8.0]}, "own")
    assert over == {"other": [2.0, 2.0, 2.0]}


def test_quartiles():
    assert quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == [3.0, 1.5, 4.5]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are started in POSIX's way")
def test_a_process_costs_its_own_memory_and_not_that_of_its_parent(tmp_path):
    ballast = bytearray(b"1") * 2**27
    small = process_cost(["-S", "-c", "import os; open('here', 'w').write(os.getcwd())"], tmp_path)
    large = process_cost(["-S", "-c", "b = bytearray(b'1') * 2**26"])
    assert small.peak_bytes < 40e6
    assert len(ballast) > large.peak_bytes > 2**26
    assert (tmp_path / "here").read_text() == str(tmp_path)
    assert process_cost(["-c", "raise SystemExit(3)"]).status
    assert not small.status
