import numpy as np
import pytest

from marey.report._bootstrap import Interval, difference_interval, interval, resample


def resampled(right: list[int], *, groups: list[int] | None = None, seed: int = 0, times=2000):
    videos = len(right)
    return resample(
        np.array([right], dtype=bool),
        np.ones((1, videos), dtype=bool),
        np.arange(videos) % 2,
        np.array(groups if groups is not None else range(videos)),
        times=times,
        seed=seed,
    ).top1[:, 0]


def test_accuracies_of_resamples_spread_as_a_binomial_does() -> None:
    values = resampled([1] * 60 + [0] * 40)
    assert values.mean() == pytest.approx(0.6, abs=0.005)
    assert values.std() == pytest.approx(np.sqrt(0.6 * 0.4 / 100), rel=0.06)


def test_the_interval_holds_the_middle_of_the_resamples() -> None:
    values = np.arange(1001) / 1000
    assert interval(values, groups=9) == Interval(0.025, 0.975)


def test_clips_of_one_recording_make_the_interval_wider() -> None:
    right = [1] * 60 + [0] * 40
    alone = resampled(right)
    together = resampled(right, groups=[video // 10 for video in range(100)])
    # Ten recordings that are right or wrong as a whole spread like ten videos.
    assert together.std() == pytest.approx(np.sqrt(0.6 * 0.4 / 10), rel=0.06)
    assert together.std() > 2.5 * alone.std()


def test_a_seed_gives_the_same_draws_and_another_gives_others() -> None:
    right = [1, 0, 1, 1, 0]
    assert (resampled(right) == resampled(right)).all()
    assert (resampled(right) != resampled(right, seed=1)).any()


def test_where_all_is_right_the_exact_bound_stands_in() -> None:
    values = resampled([1] * 20)
    bounds = interval(values, groups=20)
    assert bounds is not None
    assert bounds.low**20 == pytest.approx(0.025)  # As likely as that to get 20 of 20.
    assert bounds.high == 1
    wrong = interval(resampled([0] * 20), groups=20)
    assert wrong is not None
    assert (1 - wrong.high) ** 20 == pytest.approx(0.025)
    assert wrong.low == 0


def test_one_recording_gives_no_interval() -> None:
    values = resampled([1, 0, 1], groups=[0, 0, 0])
    assert interval(values, groups=1) is None
    assert difference_interval(values, groups=1) is None


def test_streams_are_compared_on_the_same_draws_and_on_videos_that_both_have() -> None:
    main = [1, 1, 0, 0, 1, 0]
    other = [1, 1, 0, 0, 0, 1]
    seen = [1, 1, 1, 1, 0, 0]
    resamples = resample(
        np.array([other, main], dtype=bool),
        np.array([seen, [1] * 6], dtype=bool),
        np.zeros(6, dtype=np.int64),
        np.arange(6),
        times=300,
        seed=0,
    )
    ahead = resamples.ahead[:, 0]
    assert (ahead[np.isfinite(ahead)] == 0).all()  # They agree on what both have.
    assert np.nanmean(resamples.top1[:, 0]) == pytest.approx(0.5, abs=0.05)
    assert difference_interval(ahead, groups=4) == Interval(0.0, 0.0)


def test_the_mean_of_classes_counts_each_class_alike() -> None:
    # Class 0 is right in all of 90 videos, class 1 in none of 10.
    resamples = resample(
        np.array([[1] * 90 + [0] * 10], dtype=bool),
        np.ones((1, 100), dtype=bool),
        np.array([0] * 90 + [1] * 10),
        np.arange(100),
        times=200,
        seed=0,
    )
    assert np.median(resamples.mean_class) == 0.5
    assert np.median(resamples.top1) == pytest.approx(0.9, abs=0.02)
