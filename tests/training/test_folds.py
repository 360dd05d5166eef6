"""Clips are held out in turn, recordings whole and every class on both sides."""

import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import UsageError
from marey.index import Entry, Index
from marey.training._folds import fold_numbers, recording_of, without_fold

ROOT = Path("clips")


def index_of(clips: dict[str, list[int]]) -> Index:
    """Return an index of classes, given how many clips each of their recordings has."""
    entries = [
        Entry(f"{label}/{recording}-{clip}.mp4", label, group=f"{label}/{recording}")
        for label, recordings in clips.items()
        for recording, count in enumerate(recordings)
        for clip in range(count)
    ]
    return Index(ROOT, tuple(entries), tuple(sorted(clips)))


many_clips = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.integers(1, 4), min_size=2, max_size=9),
    min_size=2,
    max_size=4,
)


@settings(deadline=None)
@given(many_clips, st.floats(0.1, 0.9), st.integers(0, 3))
def test_recordings_stay_whole_and_every_class_can_be_learnt_without_any_fold(
    counts: dict[str, list[int]], share: float, seed: int
) -> None:
    clips = index_of(counts)
    folds = fold_numbers(clips, share=share, seed=seed)
    assert set(folds) == set(range(max(folds) + 1))  # No fold is empty.
    assert max(folds) >= 1
    where = defaultdict(set)
    for entry, fold in zip(clips.entries, folds, strict=True):
        where[recording_of(entry)].add(fold)
    assert all(len(numbers) == 1 for numbers in where.values())
    held = Counter[str]()
    for number in range(max(folds) + 1):
        learn, held_out = without_fold(clips, folds, number)
        assert {entry.label for entry in learn.entries} == set(clips.classes)
        held.update(entry.path for entry in held_out.entries)
        assert not {e.path for e in learn.entries} & {e.path for e in held_out.entries}
    assert held == Counter({entry.path: 1 for entry in clips.entries})


@settings(deadline=None)
@given(many_clips, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_clips(
    counts: dict[str, list[int]], order: random.Random
) -> None:
    clips = index_of(counts)
    entries = list(clips.entries)
    order.shuffle(entries)
    shuffled = Index(ROOT, tuple(entries), clips.classes)
    ours = dict(zip(clips.entries, fold_numbers(clips, share=0.25, seed=0), strict=True))
    theirs = dict(zip(entries, fold_numbers(shuffled, share=0.25, seed=0), strict=True))
    assert ours == theirs


def test_twenty_clips_of_two_classes_are_held_out_five_and_five() -> None:
    clips = index_of({"a": [1] * 20, "b": [1] * 20})
    folds = fold_numbers(clips, share=0.25, seed=0)
    counts = Counter(zip(folds, (entry.label for entry in clips.entries), strict=True))
    assert set(counts.values()) == {5}
    assert len(counts) == 8


def test_another_seed_deals_other_folds() -> None:
    clips = index_of({"a": [1] * 20, "b": [1] * 20})
    assert fold_numbers(clips, share=0.25, seed=0) != fold_numbers(clips, share=0.25, seed=1)


def test_a_clip_without_a_recording_is_one_by_itself() -> None:
    entries = tuple(Entry(f"{label}/{n}.mp4", label) for label in "ab" for n in range(2))
    folds = fold_numbers(Index(ROOT, entries, ("a", "b")), share=0.5, seed=0)
    assert sorted(folds) == [0, 0, 1, 1]
    assert folds[0] != folds[1]


def test_a_single_class_is_refused() -> None:
    with pytest.raises(UsageError, match="a single class, 'a'"):
        fold_numbers(index_of({"a": [1, 1]}), share=0.25, seed=0)


@pytest.mark.parametrize("recordings", [[], [1], [3]], ids=["none", "one", "one of three clips"])
def test_a_class_of_one_recording_is_refused_with_how_many_it_takes(recordings: list[int]) -> None:
    clips = index_of({"few": recordings, "many": [1] * 5})
    with pytest.raises(UsageError, match="too few clips of 'few': a class needs two or more"):
        fold_numbers(clips, share=0.25, seed=0)
