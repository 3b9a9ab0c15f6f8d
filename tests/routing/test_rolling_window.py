"""The window of the latest slices of time."""

from routing.rolling_window import RollingWindow


class Count:
    def __init__(self) -> None:
        self.value = 0


def counted(window: RollingWindow[Count], *times: float) -> list[int]:
    for now in times:
        window.current(now).value += 1
    return [each.value for each in window.slices()]


def test_what_falls_into_one_slice_is_counted_together():
    assert counted(RollingWindow(20.0, Count), 0.0, 1.0, 1.9, 2.0) == [3, 1]


def test_the_oldest_of_ten_slices_is_forgotten_whole():
    window = RollingWindow(20.0, Count)

    assert counted(window, 0.0, 1.9, 19.9) == [2, 1]
    assert counted(window, 20.0) == [1, 1]


def test_slices_without_counts_take_a_place_in_time_and_none_in_memory():
    assert counted(RollingWindow(10.0, Count), 0.0, 5.0, 14.9) == [1, 1]
