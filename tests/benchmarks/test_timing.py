from barycode.benchmarks.timing import quartiles, ratios, take_turns


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
