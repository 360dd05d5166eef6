import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import default_collate

from marey.backends import _maps
from marey.backends._openvino import Request, compiled
from marey.data import Key, Videos, floats_of
from marey.errors import CheckpointError
from marey.index import Index
from marey.models import load_tensors
from marey.settings import Training
from marey.training._maps_cache import (
    MapsDataset,
    cache_maps,
    looking_at_kept_maps,
    maps_of,
)
from marey.training._setup import build_network, clips_of, divide
from marey.training._validation import looking_at_videos

Short = Callable[..., Training]
CPU = torch.device("cpu")


def files_in(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


class Cache:
    """A network, and its kept maps of the films."""

    def __init__(self, settings: Training, films: Index, folder: Path) -> None:
        self.settings = settings
        self.learn, self.held_out = divide(films, settings)
        self.model = build_network(settings, films.classes).eval()
        self.clips = clips_of(self.learn, self.model, settings)
        self.folder = folder

    def make(self) -> MapsDataset:
        said: list[str] = []
        folder = cache_maps(self.model, self.clips, self.settings, self.folder, report=said.append)
        self.said = said
        return MapsDataset(self.clips, folder, self.settings.cached_views)


@pytest.fixture(params=["tsn", "off_tiny", "off_tiny_pooled", "off_tiny_ordered"])
def settings(request: pytest.FixtureRequest, short: Short, runs: Any, tmp_path: Path) -> Training:
    if request.param == "tsn":
        return short(cached_views=2, snippets=3)
    tsn, _ = runs.to_the_end(short(epochs=1), tmp_path / "tsn")
    return short(model=request.param, init=tsn.model, snippets=3, cached_views=2, frozen_stages=0)


def test_heads_answer_kept_maps_as_the_clips_that_they_are_of(
    settings: Training, films: Index, tmp_path: Path
) -> None:
    cache = Cache(settings, films, tmp_path / "cache")
    kept = cache.make()
    assert len(kept) == len(cache.clips) == 6
    # The third pass uses the first view again.
    for asked, view in ((0, 0), (1, 1), (2, 0)):
        sample, clip = kept[Key(asked, 4)], cache.clips[Key(view, 4)]
        assert (sample.label, sample.number) == (clip.label, 4)
        assert isinstance(sample.clip, dict)
        batch = {name: tensor[None] for name, tensor in sample.clip.items()}
        maps, snippets = maps_of(batch, CPU)
        assert snippets == 3
        with torch.inference_mode():
            answers = cache.model.heads(maps, snippets=snippets)
            shown = floats_of(
                default_collate([clip]), cache.model.preprocessing, modality="rgb", device=CPU
            )
            expected = cache.model(shown)
        for head, logits in expected.items():
            scale = float(logits.abs().max()) + 1e-3
            assert_close(answers[head] / scale, logits / scale, rtol=0.0, atol=5e-3)


def test_views_of_a_video_differ(short: Short, films: Index, tmp_path: Path) -> None:
    kept = Cache(short(cached_views=2), films, tmp_path / "cache").make()
    first, second = kept[Key(0, 0)].clip, kept[Key(1, 0)].clip
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert not torch.equal(first["features"], second["features"])


def test_what_is_kept_is_not_made_again(settings: Training, films: Index, tmp_path: Path) -> None:
    cache = Cache(settings, films, tmp_path / "cache")
    cache.make()
    assert cache.said == ["kept the backbone's maps of 12 of 12 views"]
    files = files_in(cache.folder)
    assert len(files) == 12
    cache.make()
    assert cache.said == []
    assert files_in(cache.folder) == files


def test_networks_that_read_the_same_share_what_is_kept(
    short: Short, runs: Any, films: Index, tmp_path: Path
) -> None:
    tsn, _ = runs.to_the_end(short(epochs=1), tmp_path / "tsn")
    settings = short(
        model="off_tiny_pooled", init=tsn.model, snippets=3, cached_views=2, frozen_stages=0
    )
    Cache(settings, films, tmp_path / "cache").make()
    ordered = Cache(replace(settings, model="off_tiny_ordered"), films, tmp_path / "cache")
    ordered.make()
    assert ordered.said == []


def test_an_interrupted_cache_is_completed_with_the_same_bytes(
    settings: Training, films: Index, tmp_path: Path
) -> None:
    cache = Cache(settings, films, tmp_path / "cache")
    cache.make()
    bytes_before = {path: path.read_bytes() for path in files_in(cache.folder)}
    for path in sorted(bytes_before)[3:8]:
        path.unlink()
    cache.make()
    assert cache.said == ["kept the backbone's maps of 5 of 5 views"]
    assert {path: path.read_bytes() for path in files_in(cache.folder)} == bytes_before


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"seed": 5}, True),
        ({"epochs": 9, "batch": 3, "dropout": 0.1}, True),
        ({"views_seed": 5}, False),
        ({"snippets": 2}, False),
        ({"sampling": "paced"}, False),
    ],
)
def test_runs_share_views_unless_they_draw_others(
    short: Short, films: Index, tmp_path: Path, change: dict[str, Any], shared: bool
) -> None:
    # The backbone is of one seed here, as that of ImageNet is of none.
    cache = Cache(short(cached_views=1), films, tmp_path / "cache")
    cache.make()
    other = Cache(short(**{"cached_views": 1, **change}), films, tmp_path / "cache")
    other.model.load_state_dict(cache.model.state_dict())
    other.make()
    assert (other.said == []) == shared


def test_another_backbone_has_maps_of_its_own(short: Short, films: Index, tmp_path: Path) -> None:
    cache = Cache(short(cached_views=1), films, tmp_path / "cache")
    cache.make()
    with torch.no_grad():
        next(cache.model.backbone.parameters()).mul_(1.5)
    cache.make()
    assert len(cache.said) == 1


def test_fewer_views_and_other_videos_use_what_is_there(
    short: Short, films: Index, tmp_path: Path
) -> None:
    Cache(short(cached_views=2), films, tmp_path / "cache").make()
    fewer = Index(films.root, films.entries[2:], films.classes)
    cache = Cache(short(cached_views=1), fewer, tmp_path / "cache")
    known = {entry.path for entry in divide(films, cache.settings)[0].entries}
    cache.make()
    new = len({entry.path for entry in cache.learn.entries} - known)
    assert cache.said == ([f"kept the backbone's maps of {new} of {new} views"] if new else [])


def test_another_video_of_the_same_name_has_maps_of_its_own(
    short: Short, films: Index, tmp_path: Path
) -> None:
    Cache(short(cached_views=1), films, tmp_path / "cache").make()
    shutil.copytree(films.root, tmp_path / "others")
    others = Index(tmp_path / "others", films.entries, films.classes)
    cache = Cache(short(cached_views=1), others, tmp_path / "cache")
    cache.make()
    count = len(cache.learn.entries)
    assert cache.said == [f"kept the backbone's maps of {count} of {count} views"]


def test_damaged_maps_are_named_with_what_to_do(short: Short, films: Index, tmp_path: Path) -> None:
    cache = Cache(short(cached_views=1), films, tmp_path / "cache")
    kept = cache.make()
    for path in files_in(cache.folder):
        path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"[0-9a-f]\.safetensors is damaged; delete it"):
        kept[Key(0, 0)]


def test_validation_on_kept_maps_says_what_validation_on_videos_says(
    settings: Training, films: Index, tmp_path: Path
) -> None:
    cache = Cache(settings, films, tmp_path / "cache")
    kept = looking_at_kept_maps(cache.model, cache.held_out, cache.folder, Videos())
    seen = looking_at_videos(cache.model, cache.held_out, Videos())
    for entry in cache.held_out.entries:
        answers, expected = kept(entry), seen(entry)
        assert answers.keys() == expected.keys()
        for head, logits in expected.items():
            scale = np.abs(logits).max() + 1e-3
            np.testing.assert_allclose(answers[head] / scale, logits / scale, atol=5e-3)
    files = files_in(cache.folder)
    assert len(files) == len(cache.held_out.entries)
    kept(cache.held_out.entries[0])
    assert files_in(cache.folder) == files


def test_kept_maps_are_made_by_the_runtime_that_is_quickest_and_are_the_same(
    runs: Any, short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(*given: Any) -> Request:
        made.append("once")
        return compiled(*given)

    monkeypatch.setattr(_maps, "compiled", counted)
    monkeypatch.setattr(_maps, "_translated", {})
    settings = short(frozen_stages=-1, cached_views=2, epochs=1)
    kept = []
    for backend in ("openvino", "torch"):
        monkeypatch.setenv("MAREY_BACKEND", backend)
        out = tmp_path / backend
        runs.to_the_end(settings, out)
        kept.append(
            {file.relative_to(out): load_tensors(file)[0] for file in files_in(out / "cache")}
        )
    assert made == ["once"]  # For what is learnt from and what is held out, and never by PyTorch.
    ours, theirs = kept
    assert ours
    assert set(ours) == set(theirs)
    for name, tensors in ours.items():
        assert_close(tensors["features"], theirs[name]["features"], rtol=1e-2, atol=1e-2)
