import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_networks import OFF_TINY

from marey.errors import UsageError, VideoError
from marey.extraction import Extraction, extract
from marey.index import Index
from marey.models import build_model, load_imagenet, load_imagenet_for_flow, load_model
from marey.nn import Backbone
from marey.settings import Training
from marey.training._setup import build_network


@pytest.fixture(scope="module")
def dis(films: Index, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    extract(films, Extraction(method="dis"), folder, workers=1)
    return folder


def on_flow(short: Any, **changes: Any) -> Training:
    return short(modality="flow", frozen_stages=0, partial_bn=False, **changes)


def test_flow_on_the_disk_teaches_the_same_as_flow_computed_on_the_fly(
    runs: Any, short: Any, dis: Path, tmp_path: Path
) -> None:
    stored, _ = runs.to_the_end(on_flow(short, flow=dis), tmp_path / "stored")
    computed, _ = runs.to_the_end(on_flow(short, on_the_fly=True), tmp_path / "computed")
    one, other = load_model(stored.model), load_model(computed.model)
    assert one.sha256 == other.sha256
    assert one.preprocessing.flow == other.preprocessing.flow == "dis"


def test_off_learns_on_a_tsn_of_flow_from_kept_maps_too(
    runs: Any, short: Any, dis: Path, tmp_path: Path
) -> None:
    tsn, _ = runs.to_the_end(on_flow(short, flow=dis), tmp_path / "tsn")
    settings = short(
        model=OFF_TINY, modality="flow", flow=dis, init=tsn.model, snippets=3, cached_views=2
    )
    off, told = runs.to_the_end(settings, tmp_path / "off")
    assert load_model(off.model).modality == "flow"
    assert told.steps == 6
    assert any("kept the backbone's maps" in said for said in told.said)


def test_off_learns_from_stored_flow_what_it_learns_on_the_fly(
    runs: Any, short: Any, dis: Path, tmp_path: Path
) -> None:
    tsn, _ = runs.to_the_end(on_flow(short, flow=dis, epochs=1), tmp_path / "tsn")
    off = {"model": OFF_TINY, "init": tsn.model, "snippets": 3, "epochs": 1}
    stored, _ = runs.to_the_end(on_flow(short, flow=dis, **off), tmp_path / "stored")
    computed, _ = runs.to_the_end(on_flow(short, on_the_fly=True, **off), tmp_path / "computed")
    one, other = load_model(stored.model), load_model(computed.model)
    assert one.sha256 == other.sha256 != load_model(tsn.model).sha256
    assert set(stored.validation.heads) == {"tsn", "off7", "off14"}


def test_a_video_whose_flow_is_missing_is_named(
    runs: Any, short: Any, dis: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(dis, tmp_path / "flow"))
    for path in folder.rglob("left*.mkv"):
        path.unlink()
    with pytest.raises(VideoError, match=r"left\d\.avi: .* holds no flow of it"):
        runs.to_the_end(on_flow(short, flow=folder, epochs=1), tmp_path / "run")


def test_a_tsn_on_flow_may_begin_with_one_on_rgb(
    runs: Any, short: Any, dis: Path, tmp_path: Path
) -> None:
    rgb, _ = runs.to_the_end(short(), tmp_path / "rgb")
    runs.to_the_end(on_flow(short, flow=dis, init=rgb.model), tmp_path / "flow")


def test_a_missing_folder_of_flow_is_named(runs: Any, short: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder of flow"):
        runs.to_the_end(on_flow(short, flow=tmp_path / "nowhere"), tmp_path / "run")


def test_a_size_of_its_own_travels_with_the_network(runs: Any, short: Any, tmp_path: Path) -> None:
    outcome, _ = runs.to_the_end(short(size=80), tmp_path / "run")
    made = load_model(outcome.model).preprocessing
    assert made.size == 80
    assert made.short_side == 80  # in proportion: the tiny networks see frames whole


def test_off_sees_what_its_tsn_sees_unless_told(runs: Any, short: Any, tmp_path: Path) -> None:
    tsn, _ = runs.to_the_end(short(size=80), tmp_path / "tsn")
    settings = short(model=OFF_TINY, init=tsn.model, snippets=2)
    off, _ = runs.to_the_end(settings, tmp_path / "off")
    assert load_model(off.model).preprocessing.size == 80
    again, _ = runs.to_the_end(replace(settings, init=off.model, seed=1), tmp_path / "again")
    assert load_model(again.model).preprocessing.size == 80


def test_off_is_refused_flow_that_its_tsn_does_not_know(
    runs: Any, short: Any, films: Index, dis: Path, tmp_path: Path
) -> None:
    tsn, _ = runs.to_the_end(on_flow(short, flow=dis), tmp_path / "tsn")
    other = tmp_path / "farneback"
    extract(films, Extraction(method="farneback"), other, workers=1)
    settings = short(model=OFF_TINY, modality="flow", flow=other, init=tsn.model, snippets=2)
    with pytest.raises(UsageError, match="learnt from flow by dis, and the run's is by farneback"):
        runs.to_the_end(settings, tmp_path / "off")


@pytest.mark.parametrize(
    ("frozen_stages", "load"), [(-1, load_imagenet_for_flow), (0, load_imagenet)]
)
def test_flow_begins_as_colours_where_nothing_can_be_learnt_of_it_later(
    frozen_stages: int, load: Callable[[Backbone], None]
) -> None:
    model = "tsn_efficientnet_lite0"
    settings = Training(model=model, modality="flow", on_the_fly=True, frozen_stages=frozen_stages)
    begun = build_network(settings, ("run", "walk"))
    expected = build_model(model, num_classes=2, modality="flow")
    load(expected.backbone)
    assert torch.equal(begun.backbone.stem.conv.weight, expected.backbone.stem.conv.weight)
