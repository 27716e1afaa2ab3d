from barycode.progress import listening, watched


def test_steps_are_told_before_the_first_and_after_each():
    told = []
    with listening(lambda *what: told.append(what)):
        for step in watched("coding", "abc"):
            told += step
    assert told == [
        ("coding", 0, 3), "a", ("coding", 1, 3), "b", ("coding", 2, 3), "c", ("coding", 3, 3),
    ]  # fmt: skip


def test_nobody_has_to_listen():
    told = []
    with listening(lambda *what: told.append(what)):
        pass
    assert list(watched("coding", [1, 2])) == [1, 2]
    assert told == []
