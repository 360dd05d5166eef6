"""The pairs that testing reads, alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flow_films import DIS, again, index_of, ledger

from marey.data import StoredFlow, part_of, read_snippets, segment_centres
from marey.errors import VideoError
from marey.evaluation import Views, score_index, snippets_of
from marey.extraction import extract
from marey.flow import FlowReader, open_flow
from marey.index import Entry
from marey.models import build_model

pytest.importorskip("cv2", reason="OpenCV is not installed")

STRETCHES = (
    Entry("long.avi", "walk", start=2.0, end=4.0),
    Entry("long.avi", "walk", start=9.0),
    Entry("a.avi", "walk"),
)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("entries", [("long.avi", "a.avi"), STRETCHES], ids=["whole", "stretches"])
def test_for_testing_exactly_the_pairs_that_25_snippets_read_are_there(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: tuple[Any, ...]
) -> None:
    index = index_of(films, *entries)
    rows = extract(index, replace(DIS, pairs="test"), tmp_path, workers=1)
    read: dict[str, set[int]] = {row.video: set() for row in rows}
    real = FlowReader.frames_at

    def frames_at(self: FlowReader, indices: Any) -> Any:
        read[self.path.name.removesuffix(".mkv")].update(indices)
        return real(self, indices)

    monkeypatch.setattr(FlowReader, "frames_at", frames_at)
    network = build_model("tsn_efficientnet_lite0", num_classes=2, modality="flow")
    source = StoredFlow(tmp_path)
    for entry in index.entries:
        with source.open(index, entry) as whole:
            snippets_of(
                part_of(whole, start=entry.start, end=entry.end),
                views=Views(),
                preprocessing=network.preprocessing,
                modality="flow",
            )
    for row in rows:
        with open_flow(tmp_path, row.video) as flow:
            assert isinstance(flow, FlowReader)
            assert set(flow.pairs) == read[row.video]
            assert row.pairs == flow.written == len(read[row.video])
            assert len(flow) == (149 if row.video == "long.avi" else 3)
    assert rows[0].pairs < 130


@pytest.mark.usefixtures("here")
def test_scores_with_the_pairs_of_testing_are_those_with_all(films: Path, tmp_path: Path) -> None:
    index = index_of(films, "long.avi", *STRETCHES)
    torch.manual_seed(0)
    network = build_model("tsn_efficientnet_lite0", num_classes=1, modality="flow").eval()
    torch.nn.init.normal_(network.head.weight)
    network.preprocessing = replace(network.preprocessing, size=64, short_side=64)
    heads = []
    for pairs in ("all", "test"):
        folder = tmp_path / pairs
        extract(index, replace(DIS, pairs=pairs), folder, workers=1)
        scores, failures = score_index(
            network,
            index,
            views=Views(crops=1),
            meta={},
            unfinished=tmp_path / f"{pairs}.unfinished",
            source=StoredFlow(folder),
        )
        assert failures == []
        heads.append(scores.heads["tsn"])
    assert len(np.unique(heads[0], axis=0)) == 4
    np.testing.assert_array_equal(heads[0], heads[1])
    assert sum(row["bytes"] for row in ledger(tmp_path / "test")) < sum(
        row["bytes"] for row in ledger(tmp_path / "all")
    )


@pytest.mark.usefixtures("here")
def test_a_pair_that_testing_does_not_read_is_missed_with_what_to_do(
    films: Path, tmp_path: Path
) -> None:
    extract(index_of(films, "long.avi"), replace(DIS, pairs="test"), tmp_path, workers=1)
    with open_flow(tmp_path, "long.avi") as flow, pytest.raises(VideoError, match="make all of it"):
        flow.frames_at(range(149))


@pytest.mark.usefixtures("here")
def test_new_stretches_of_a_video_are_computed_though_it_has_flow(
    films: Path, tmp_path: Path
) -> None:
    extraction = replace(DIS, pairs="test")
    extract(index_of(films, *STRETCHES), extraction, tmp_path, workers=1)
    more = (*STRETCHES, Entry("long.avi", "walk", start=5.0, end=6.0))
    assert again(index_of(films, *more), extraction, tmp_path).made == ["long.avi"]
    assert again(index_of(films, *more), extraction, tmp_path).made == []
    with open_flow(tmp_path, "long.avi") as flow:
        part = part_of(flow, start=5.0, end=6.0)
        read_snippets(part, segment_centres(len(part), segments=25, span=5), span=5)


@pytest.mark.usefixtures("here")
def test_a_stretch_behind_the_end_does_not_spoil_the_others(films: Path, tmp_path: Path) -> None:
    late = Entry("long.avi", "walk", start=60.0)
    extraction = replace(DIS, pairs="test")
    (row,) = extract(index_of(films, late, STRETCHES[0]), extraction, tmp_path / "a", workers=1)
    assert (row.status, row.pairs) == ("ok", 20)
    (row,) = extract(index_of(films, late), extraction, tmp_path / "b", workers=1)
    assert row.status == "unusable"
    assert "nothing between 60.0 s and None s" in row.reason
