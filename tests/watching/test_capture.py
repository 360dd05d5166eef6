"""Sources that die are opened again, with longer and longer pauses."""

import pytest
from fakes import Clock, feed, source
from hypothesis import given
from hypothesis import strategies as st

from marey.errors import MareyError, VideoError
from marey.watching import Back, Capture, Handover, Lost, Source, pause_before
from marey.watching._handover import Shot


def captured(
    source: Source, clock: Clock, *, give_up: float | None = None, loop: bool = False
) -> tuple[list[Shot], list[Lost | Back], Exception | None]:
    """Run a capture in this thread; return its frames, its news and its error."""
    handover = Handover(1000)
    capture = Capture(
        source,
        handover,
        give_up=give_up,
        loop=loop,
        clock=clock,
        chance=lambda: 0.0,
        wait=clock.wait,
    )
    capture.run()
    shots: list[Shot] = []
    news: list[Lost | Back] = []
    while (item := handover.take(0.0)) is not None:
        shots.append(item) if isinstance(item, Shot) else news.append(item)
    assert handover.over
    return shots, news, capture.error


def test_a_source_that_dies_three_times_comes_back_three_times() -> None:
    clock = Clock()

    def one_frame():
        return feed([0.0], recorded=False, dies=True)

    watched = source(one_frame, one_frame, one_frame, one_frame, None)
    shots, news, error = captured(watched, clock, give_up=100.0)
    assert [shot.connection for shot in shots] == [0, 1, 2, 3]
    assert news[:6] == [Lost("the wire was cut"), Back(1.0)] * 3
    assert news[6:] == [Lost("the wire was cut")]
    assert isinstance(error, MareyError)
    # The first pauses, and those of the last loss: doubled, up to half a minute, 100 s in all.
    assert clock.waits == [1, 1, 1, 1, 2, 4, 8, 16, 30, 30, 9]
    assert str(error) == "nobody answers; gave up after 100 seconds"


def test_frames_of_a_live_source_have_the_times_at_which_they_came() -> None:
    clock = Clock()

    def tick() -> None:
        clock.now += 0.5

    watched = source(lambda: feed([0.0, 0.04], recorded=False, tick=tick), None)
    shots, _, _ = captured(watched, clock, give_up=0.0)
    assert [(shot.time, shot.captured) for shot in shots] == [(1000.5, 1000.5), (1001, 1001)]


def test_an_address_whose_recording_ends_is_done() -> None:
    clock = Clock()
    shots, news, error = captured(source(lambda: feed([0.0, 0.5], recorded=True)), clock)
    assert [(shot.time, shot.captured) for shot in shots] == [(0, 1000), (0.5, 1000.5)]
    assert (news, error, clock.waits) == ([], None, [0.5])


def test_a_live_stream_that_ends_is_lost() -> None:
    watched = source(lambda: feed([0.0], recorded=False), None)
    _, news, error = captured(watched, Clock(), give_up=3.0)
    assert news == [Lost("fake: the stream ended")]
    assert "gave up after 3 seconds" in str(error)


def test_a_source_that_never_opens_is_told_once_and_given_up() -> None:
    shots, news, error = captured(source(None), Clock(), give_up=10.0)
    assert (shots, news) == ([], [Lost("nobody answers")])
    assert str(error) == "nobody answers; gave up after 10 seconds"


def test_a_file_is_played_again_and_each_time_is_a_film_of_its_own() -> None:
    def once():
        return feed([0.0, 0.25], recorded=True)

    shots, news, error = captured(source(once, once, None, live=False), Clock(), loop=True)
    assert [(shot.connection, shot.time) for shot in shots] == [
        (0, 0),
        (0, 0.25),
        (1, 0),
        (1, 0.25),
    ]
    assert news == []
    assert isinstance(error, VideoError)


@pytest.mark.parametrize("loop", [False, True])
def test_a_file_without_a_frame_is_an_error(loop: bool) -> None:
    watched = source(lambda: feed([], recorded=True), live=False)
    _, _, error = captured(watched, Clock(), loop=loop)
    assert str(error) == "fake: no frame decodes"


def test_frames_are_kept_apart_by_their_stamps_even_if_decoding_lags_a_little() -> None:
    clock = Clock()

    def tick() -> None:
        clock.now += 0.02

    watched = source(lambda: feed([0.0, 0.01, 0.02, 0.1], recorded=True, tick=tick), live=False)
    shots, _, _ = captured(watched, clock)
    due = [1000.02, 1000.03, 1000.04, 1000.12]
    assert [shot.captured for shot in shots] == pytest.approx(due)


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [pause_before(n, 0.0) for n in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert [pause_before(n, 1.0) for n in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_pauses_lie_between_half_a_second_and_half_a_minute(attempt: int, chance: float) -> None:
    assert 0.5 <= pause_before(attempt, chance) <= 30


def test_a_capture_that_is_stuck_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    import time

    hold, asked = threading.Event(), threading.Event()

    def stuck():
        asked.set()
        hold.wait(10)
        return feed([], recorded=True)

    capture = Capture(source(stuck), Handover(1))
    capture.start()
    asked.wait(5)
    begun = time.monotonic()
    capture.stop()
    assert time.monotonic() - begun < 1
    hold.set()
