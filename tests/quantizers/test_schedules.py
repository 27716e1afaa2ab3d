import logging
from collections.abc import Callable

import pytest

from barycode.errors import InvalidInputError
from barycode.quantizers import ExponentialSchedule, GapControlledSchedule, LinearSchedule, Schedule

MAKERS: list[Callable[[], Schedule]] = [
    lambda: ExponentialSchedule(1.0, 1.1, stop=20.0),
    lambda: LinearSchedule(1.0, 5.0, 7),
    lambda: GapControlledSchedule(1.0, gain=0.5, time_scale=3.0),
]
GAPS = [2.0, 1.5, 1.7, 0.9, 1.2, 0.8, 1.0, 0.4]


def test_exponential():
    schedule = ExponentialSchedule(2.0, 3.0, stop=20.0)
    assert [schedule.step() for _ in range(4)] == [6, 18, 20, 20]
    assert [ExponentialSchedule(8.0, 0.5).step(), ExponentialSchedule(8.0, 0.5, stop=5.0).step()] == [4, 5]


def test_linear():
    schedule = LinearSchedule(1.0, 3.0, 4)
    assert [schedule.step() for _ in range(6)] == [1.5, 2, 2.5, 3, 3, 3]


def test_gap_controlled_follows_the_equation():
    schedule = GapControlledSchedule(1.0, gain=0.5, time_scale=3.0)
    sigma = 1.0
    for t, gap in enumerate(GAPS):
        sigma += 0.5 * (gap - 3.0 / (3.0 + t) * GAPS[0])
        assert schedule.step(gap) == pytest.approx(max(sigma, 1e-6))
    assert schedule.first_gap == GAPS[0]


def test_gap_controlled_hardens_a_gap_that_lags_and_relaxes_one_that_leads():
    lagging, leading = (GapControlledSchedule(1.0, gain=1.0, time_scale=2.0) for _ in range(2))
    for gap in (1.0, 1.0, 1.0):
        lagging.step(gap)
    for gap in (1.0, 0.0, 0.0):
        leading.step(gap)
    assert lagging.value > 1 > leading.value >= leading.minimum


@pytest.mark.parametrize("make", MAKERS)
def test_a_resumed_schedule_goes_on_as_it_would_have(make: Callable[[], Schedule]):
    straight, resumed = make(), make()
    whole = [straight.step(gap) for gap in GAPS]
    first = make()
    parts = [first.step(gap) for gap in GAPS[:3]]
    resumed.load_state_dict(first.state_dict())
    parts += [resumed.step(gap) for gap in GAPS[3:]]
    assert parts == whole


def test_a_state_of_another_schedule_is_a_typed_error():
    with pytest.raises(InvalidInputError, match="first_gap"):
        MAKERS[2]().load_state_dict(MAKERS[0]().state_dict())


def test_steps_are_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, "barycode.quantizers.soft.schedules"):
        LinearSchedule(1.0, 2.0, 1).step()
    assert "LinearSchedule step 1: 2" in caplog.text


def test_bad_settings_are_typed_errors():
    for make in (
        lambda: ExponentialSchedule(0.0, 2.0),
        lambda: ExponentialSchedule(1.0, -1.0),
        lambda: LinearSchedule(1.0, 2.0, 0),
        lambda: GapControlledSchedule(1.0, gain=0.0, time_scale=1.0),
        lambda: LinearSchedule(float("inf"), 2.0, 1),
    ):
        with pytest.raises(InvalidInputError, match=r"finite number > 0|`duration` must be a whole number"):
            make()
    for gap in (None, float("nan")):
        with pytest.raises(InvalidInputError, match="finite gap"):
            MAKERS[2]().step(gap)
