"""What fused scores tell of their streams."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from marey.evaluation import (
    ScoreFile,
    fuse_streams,
    given_weights,
    join,
    load_scores,
    save_scores,
    spread_remark,
)

VIEWS = {"snippets": 25, "crops": 10, "over_crops": "max"}


def scored(file: str, *heads: str, **meta: Any) -> ScoreFile:
    """Scores of four videos."""
    rng = np.random.default_rng(0)
    return ScoreFile(
        path=Path(file),
        videos=("1", "2", "3", "4"),
        labels=np.array([0, 1, 2, 0]),
        classes=("run", "sit", "walk"),
        heads={head: rng.normal(size=(4, 3)).astype(np.float32) for head in heads},
        meta={"model": "off", "split": "test", "views": VIEWS, **meta} if meta else {},
        ours=bool(meta),
    )


def test_fused_scores_tell_where_each_stream_came_from(tmp_path: Path) -> None:
    rgb = scored("a.npz", "tsn", "off7", modality="rgb", weights_sha256="a1")
    flow = scored("b.npz", "off7", modality="flow", weights_sha256="b1")
    published = scored("c.npz", "rgbdiff", "other")
    joined = join([rgb, flow, published])
    fused = fuse_streams(joined, given_weights(joined, [1.0, 2.0, 3.0, 0.5, 0.0]))
    save_scores(fused, tmp_path / "fused.npz")
    meta = load_scores(tmp_path / "fused.npz").meta
    assert meta == fused.meta
    assert meta["modality"] == "rgb+flow+rgbdiff"
    assert (meta["split"], meta["views"], meta["weights_from"]) == ("test", VIEWS, "given")
    names = [row["name"] for row in meta["streams"]]
    assert names == ["a/tsn", "a/off7", "b/off7", "c/rgbdiff", "c/other"]
    told = {"file": "b.npz", "head": "off7", "model": "off", "modality": "flow"}
    assert meta["streams"][2] == told | {"name": "b/off7", "weights_sha256": "b1", "weight": 3.0}
    assert [row["modality"] for row in meta["streams"][3:]] == ["rgbdiff", None]


def test_scores_of_very_different_width_are_remarked_on() -> None:
    plain = scored("a.npz", "tsn", "off7")
    assert spread_remark(join([plain])) == ""
    wide = replace(plain, heads={"tsn": plain.heads["tsn"], "off7": plain.heads["tsn"] * 20})
    assert spread_remark(join([wide])).startswith(
        "the scores of a/off7 are spread 20 times wider than those of a/tsn, so they nearly decide"
    )
    silent = replace(plain, heads={"tsn": plain.heads["tsn"], "off7": plain.heads["tsn"] * 0})
    assert "inf times wider than those of a/off7" in spread_remark(join([silent]))
