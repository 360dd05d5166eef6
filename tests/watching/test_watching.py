"""What is seen is looked at in time, or dropped and counted."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Network, feed, picture, source
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.data import resize_short_side
from marey.errors import MareyError
from marey.streaming import Stream
from marey.video import open_video
from marey.watching import Back, Lost, Recogniser, Seen, Watch, source_of
from marey.watching._pictures import SmallPictures

CLIP = Path(__file__).parents[2] / "src/marey/clips/golf.avi"


def test_the_stream_of_the_package_can_be_shown_frames() -> None:
    assert isinstance(Stream("off-lite0-jhmdb"), Recogniser)


def test_every_frame_of_a_slow_source_is_looked_at() -> None:
    network = Network()
    times = [0.0, 0.01, 0.02, 0.03]
    with Watch(network, source(lambda: feed(times, recorded=True), live=False)) as watch:
        seen = [event for event in watch.events() if event is not None]
    assert all(isinstance(event, Seen) for event in seen)
    assert network.pushed == [event.time for event in seen] == times
    summary = watch.summary()
    assert (summary.frames, summary.looked_at, summary.dropped) == (4, 4, 0)
    assert network.shapes == {(32, 43, 3)}


def test_a_slow_network_drops_the_oldest_frames_and_sees_the_newest() -> None:
    network = Network()
    watch = Watch(network, source(lambda: feed([0.001 * n for n in range(20)], recorded=True)))
    # All are there before the network has answered once.
    watch._capture.run()
    for _ in watch.events():
        pass
    assert network.pushed == pytest.approx([0.016, 0.017, 0.018, 0.019])
    summary = watch.summary()
    assert (summary.frames, summary.looked_at, summary.dropped) == (20, 4, 16)


def test_latency_runs_from_the_arrival_of_a_frame_to_its_answer() -> None:
    now = [50.0]
    network = Network()

    def busy() -> None:
        now[0] += 0.125

    network.busy = busy
    watched = source(lambda: feed([0.0, 0.0, 0.0], recorded=True))
    watch = Watch(network, watched, clock=lambda: now[0])
    watch._capture.run()
    latencies = [event.latency for event in watch.events() if isinstance(event, Seen)]
    assert latencies == [0.125, 0.25, 0.375]
    assert watch.recent_latencies([50.0, 99.0]) == [0.25, 0.375]
    summary = watch.summary()
    assert (summary.latency_p50, summary.latency_p99, summary.latency_max) == (0.25, 0.375, 0.375)
    assert summary.seconds == 0.375


def test_frames_that_are_not_wanted_are_not_made_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(SmallPictures, "of", lambda pictures, frame: made.append(frame))
    network = Network(wants=lambda time: time > 1)
    with Watch(network, source(lambda: feed([0.0, 0.01], recorded=True))) as watch:
        assert [event for event in watch.events() if event is not None] == []
    assert (network.pushed, network.skipped, made) == ([], [0, 0.01], [])
    assert watch.summary().dropped == 0


def test_after_a_loss_the_network_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marey.watching._capture.pause_before", lambda attempt, chance: 0.01)
    network = Network()

    def dying():
        return feed([0.0, 0.1], recorded=False, dies=True)

    watched = source(dying, dying, lambda: feed([0.0], recorded=True))
    with Watch(network, watched) as watch:
        events = [event for event in watch.events() if event is not None]
    kinds = [type(event) for event in events if not isinstance(event, Seen)]
    assert kinds == [Lost, Back, Lost, Back]
    assert network.forgot == [0, 2, 4]
    assert watch.summary().reconnects == 2


def test_times_of_a_live_source_are_those_of_the_clock_on_the_wall() -> None:
    live = source(lambda: feed([0.0], recorded=False), None)
    with Watch(Network(), live, give_up=0.0) as watch:
        events = watch.events()
        seen = next(event for event in events if isinstance(event, Seen))
        assert abs(seen.time - time.time()) < 5
        with pytest.raises(MareyError, match="gave up"):
            list(events)


@settings(max_examples=30, deadline=None)
@given(st.integers(16, 200), st.integers(16, 200), st.integers(16, 64))
def test_pictures_have_the_size_that_the_network_would_shrink_them_to(
    height: int, width: int, side: int
) -> None:
    frame = picture(150, height=height, width=width)
    small = SmallPictures(frame, side)
    whole = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    if side < min(height, width):
        whole = resize_short_side(whole, side)
        assert min(small.height, small.width) == side
    seen = small.of(frame)
    assert seen.shape == (small.height, small.width, 3) == (*whole.shape[-2:], 3)
    assert (seen == 150).all()


def test_pictures_are_those_that_scaling_afterwards_gives() -> None:
    import av

    with open_video(CLIP) as video, av.open(str(CLIP)) as container:
        frame = next(container.decode(video=0))
        pictures = SmallPictures(frame, 112)
        out = pictures.of(frame)
        again = pictures.of(frame)
        whole = torch.from_numpy(video[0]).movedim(-1, 0)[None]
    expected = resize_short_side(whole, 112)[0].movedim(0, -1).numpy().astype(int)
    difference = np.abs(out.astype(int) - expected)
    assert difference.mean() < 0.3
    assert np.percentile(difference, 99) <= 2
    assert again is not out
    assert (again == out).all()
    # Another frame differs by far more, so the bound says something.
    assert np.abs(expected - expected[::-1]).mean() > 10


def test_a_file_is_opened_and_played_to_its_end() -> None:
    network = Network(wants=lambda time: time < 0.5)
    with Watch(network, source_of(str(CLIP))) as watch:
        for _ in watch.events():
            pass
    assert watch.summary().frames == 40
    assert network.pushed[0] == 0
    assert np.diff(network.pushed) == pytest.approx(
        np.full(len(network.pushed) - 1, 1 / 25), abs=0.03
    )
