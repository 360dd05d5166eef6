"""Films are seen moment by moment, wherever a run was interrupted."""

import math
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_films import FUSION, SIZE

from marey.data import normalise
from marey.errors import UsageError, VideoError
from marey.evaluation import fuse_heads
from marey.models import OFF
from marey.streaming import NONE, Segmenter, _film
from marey.streaming._film import moments
from marey.streaming._ledger import Rows
from marey.video import open_video, write_video

FPS, FRAMES = 25.0, 90


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise that changes its colours twice."""
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    frames[30:60, ..., 0] //= 4
    frames[60:, ..., 2] //= 8
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    write_video(path, frames, fps=FPS)
    return path


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What was added to the file of rows."""
    added: list[np.ndarray] = []
    add = Rows.add

    def spy(self: Rows, row: np.ndarray) -> None:
        added.append(row)
        add(self, row)

    monkeypatch.setattr(Rows, "add", spy)
    return added


def test_a_moment_is_seen_with_the_window_around_it(
    telling_network: OFF, kept, film: Path, rows: list[np.ndarray]
) -> None:
    reach, distance = 12, 3
    Segmenter(kept(telling_network), window=1.0)(film)
    with open_video(film) as reader:
        frames = reader.frames_at(range(FRAMES))
    pictures = torch.from_numpy(frames).movedim(-1, 1)
    clip = normalise(pictures, telling_network.preprocessing, modality="rgb")[None]
    with torch.inference_mode():
        single = telling_network(clip)["tsn"][0].numpy()
        pairs: dict[str, dict[int, np.ndarray]] = {"off7": {}, "off14": {}}
        for head, found in pairs.items():
            for first in range(distance):
                logits = telling_network(clip[:, first::distance])[head][0].numpy()
                found.update(
                    {first + (number + 1) * distance: row for number, row in enumerate(logits)}
                )
    assert len(rows) == FRAMES
    for moment, row in enumerate(rows):
        near = range(max(moment - reach, 0), min(moment + reach + 1, FRAMES))
        heads = {"tsn": single[near.start : near.stop].mean(axis=0)} | {
            head: np.mean([found[end] for end in near if end in found], axis=0)
            for head, found in pairs.items()
        }
        fused = fuse_heads(heads, {head: FUSION[head] for head in heads})
        raised = np.exp(fused - fused.max())
        assert row == pytest.approx(raised / raised.sum(), abs=1e-5)


def test_segments_cover_the_film_in_order(telling_network: OFF, kept, film: Path) -> None:
    told: list[tuple[int, int]] = []
    found = Segmenter(kept(telling_network), window=0.6, hold=0.2, unsure=0.4)(
        film, each=lambda done, of: told.append((done, of))
    )
    assert (found.status, found.frames, found.seconds) == ("ok", FRAMES, FRAMES / FPS)
    assert found.segments[0].start == 0
    assert found.segments[-1].end == pytest.approx(FRAMES / FPS)
    for before, after in pairwise(found.segments):
        assert before.end == after.start
        assert before.label != after.label
    assert sum(found.probabilities) == pytest.approx(1, abs=1e-5)
    assert told[-1] == (len(told), len(told))


def test_when_nothing_is_probable_enough_the_answer_is_none(
    telling_network: OFF, kept, film: Path
) -> None:
    found = Segmenter(kept(telling_network), window=1.0, unsure=0.999999)(film)
    assert [segment.label for segment in found.segments] == [NONE]


class StoppedError(Exception):
    """As if somebody had pressed Ctrl-C."""


@pytest.mark.parametrize("stop", [1, 17, 40, 89])
def test_an_interrupted_film_goes_on_to_the_same_numbers(
    telling_network: OFF, kept, film: Path, rows: list[np.ndarray], tmp_path: Path, stop: int
) -> None:
    path = kept(telling_network)
    unbroken = Segmenter(path, window=1.0)(film)
    expected = list(rows)
    rows.clear()

    def interrupt(done: int, of: int) -> None:
        if done == stop:
            raise StoppedError

    folder = tmp_path / "unfinished"
    with pytest.raises(StoppedError):
        Segmenter(path, window=1.0, unfinished=folder)(film, each=interrupt)
    (file,) = folder.iterdir()
    with file.open("ab") as torn:
        torn.write(b"abc")
    rows.clear()
    resumed = Segmenter(path, window=1.0, unfinished=folder)(film)
    assert resumed == unbroken
    done = stop // _film._BATCH * _film._BATCH
    assert len(rows) == FRAMES - done
    for row, other in zip(rows, expected[done:], strict=True):
        np.testing.assert_array_equal(row, other)
    assert list(folder.iterdir()) == []


def test_another_question_does_not_take_up_the_answers(
    telling_network: OFF, kept, film: Path, tmp_path: Path
) -> None:
    def interrupt(done: int, of: int) -> None:
        raise StoppedError

    for window in (1.0, 0.8):
        with pytest.raises(StoppedError):
            Segmenter(kept(telling_network), window=window, unfinished=tmp_path / "u")(
                film, each=interrupt
            )
    assert len(list((tmp_path / "u").iterdir())) == 2


def test_what_is_no_film_is_an_answer(telling_network: OFF, kept, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no film")
    found = Segmenter(kept(telling_network))(tmp_path / "film.mp4")
    assert found.status == "unusable"
    assert found.segments == ()
    write_video(tmp_path / "one.mkv", np.zeros((1, SIZE, SIZE, 3), np.uint8), fps=25.0)
    (segment,) = Segmenter(kept(telling_network))(tmp_path / "one.mkv").segments
    assert (segment.start, segment.end) == (0, 1 / 25)


@pytest.mark.parametrize(
    "words", [{"window": 0.0}, {"hold": math.nan}, {"unsure": 1.0}, {"unsure": 0.0}]
)
def test_what_makes_no_sense_is_refused(telling_network: OFF, kept, words) -> None:
    with pytest.raises(UsageError):
        Segmenter(kept(telling_network), **words)


@given(
    frames=st.integers(1, 500),
    fps=st.floats(1, 120),
    window=st.floats(0.1, 10),
    span=st.sampled_from([1, 6]),
)
def test_moments_rise_and_lie_within_the_film(
    frames: int, fps: float, window: float, span: int
) -> None:
    if frames < span:
        with pytest.raises(VideoError, match="at least"):
            moments(frames, fps=fps, window=window, span=span)
        return
    places = moments(frames, fps=fps, window=window, span=span)
    assert places[0] == 0
    assert places[-1] + span <= frames
    assert all(a < b for a, b in pairwise(places))
    step = max(window / 25 * fps, 1)
    assert frames - span - places[-1] < step + 1
    assert len(places) == pytest.approx((frames - span) / step, abs=1.01)


@given(data=st.data())
def test_rows_come_back_as_they_were_added(tmp_path_factory, data) -> None:
    count, width = data.draw(st.integers(0, 20)), data.draw(st.integers(1, 4))
    rng = np.random.default_rng(count)
    values = rng.random((count, width), dtype=np.float32)
    path = data.draw(st.sampled_from([None, tmp_path_factory.mktemp("rows") / "r"]))
    at_once = data.draw(st.integers(1, 5))
    with pytest.MonkeyPatch.context() as patch, Rows(path, width=width) as rows:
        patch.setattr("marey.streaming._ledger._AT_ONCE", at_once)
        for row in values:
            rows.add(row)
        rows.flush()
        assert len(rows) == count
        np.testing.assert_array_equal(np.array(list(rows)).reshape(count, width), values)
        rows.cut(count // 2)
        rows.add(np.ones(width, np.float32))
        assert len(rows) == count // 2 + 1
        assert list(rows)[-1].tolist() == [1] * width


def test_segments_of_a_film_of_varying_rate_end_when_it_does(
    telling_network: OFF, kept, tmp_path: Path
) -> None:
    path = tmp_path / "phone.mkv"
    frames = np.full((20, 96, 128, 3), 90, np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            # After the tenth, frames come at half the rate.
            frame.pts, frame.time_base = number + max(number - 10, 0), Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    found = Segmenter(kept(telling_network), window=0.6, unsure=0.4)(path)
    assert found.segments[-1].end == pytest.approx(found.seconds)
    assert found.seconds == pytest.approx(28 / 25 + 0.06, abs=0.03)


@pytest.mark.parametrize("named", [True, False])
def test_rows_that_do_not_fit_on_the_disk_are_told_with_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    full = Path("/dev/full")
    (tmp_path / "rows").symlink_to(full)
    monkeypatch.setattr("marey.streaming._ledger.TemporaryFile", lambda: full.open("r+b"))
    where = tmp_path / "rows" if named else Path(gettempdir())
    rows = Rows(where if named else None, width=1)
    rows.add(np.ones(1, np.float32))
    for write in (
        rows.flush,
        rows.__len__,
        partial(rows.cut, 0),
        partial(rows.__exit__, *[None] * 3),
    ):
        with pytest.raises(OSError, match="it needs more than the") as caught:
            write()
        assert caught.value.filename == str(where)
