import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from marey.errors import UsageError
from marey.settings import Optimisation, Training


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.0),
        ("lr", math.nan),
        ("lr", math.inf),
        ("clip_norm", 0.0),
        ("clip_norm", math.nan),
        ("flow_reduction", -1.0),
        ("weight_decay", -1e-4),
        ("cycles", 0),
        ("warmup", 0.6),
        ("warmup", math.nan),
    ],
)
def test_optimisation_out_of_range_is_refused_by_its_full_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^optim\.{name} must .* got {value}"):
        Optimisation(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch", 0),
        ("at_once", 0),
        ("validate_every", 0),
        ("threads", 0),
        ("workers", -1),
        ("seed", -1),
        ("hold_out_seed", -1),
        ("views_seed", -1),
        ("cached_views", -1),
        ("frozen_stages", -2),
        ("pace", 1),
        ("save_minutes", -1.0),
        ("save_minutes", math.nan),
        ("dropout", 1.0),
        ("label_smoothing", -0.1),
        ("hold_out", 0.0),
        ("hold_out", 1.0),
    ],
)
def test_training_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name} must .* got {value}"):
        Training(**{name: value})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cached_views": 2}, "set frozen_stages to -1"),
        ({"model": "off_efficientnet_lite0"}, "with --init"),
        ({"model": "off_efficientnet_lite0", "init": Path("x"), "snippets": 1}, "from 1 snippets"),
        ({"snippets": 0}, "from 0 snippets"),
        ({"sampling": "caffe", "snippets": 9, "pace": 8}, "at most"),
        ({"modality": "flow"}, "got neither"),
        ({"modality": "flow", "flow": Path("f"), "on_the_fly": True}, "not both"),
        ({"flow": Path("f")}, "this run is for rgb"),
        ({"modality": "rgbdiff", "on_the_fly": True}, "this run is for rgbdiff"),
        ({"size": 100}, "multiple of 16 from 64 on, got 100"),
        ({"size": 48}, "multiple of 16 from 64 on, got 48"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Training(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"cached_views": 2, "frozen_stages": -1},
        {"cached_views": 2, "model": "off_efficientnet_lite0", "init": Path("x")},
        {"sampling": "caffe", "snippets": 8, "pace": 8},
        {"threads": None},
        {"modality": "flow", "flow": Path("f")},
        {"modality": "flow", "on_the_fly": True},
        {"size": 112},
        {"workers": 0, "save_minutes": 0.0},
    ],
)
def test_what_goes_together_is_accepted(settings: dict[str, Any]) -> None:
    Training(**settings)


def test_snippets_are_those_of_the_papers_unless_given() -> None:
    off = {"model": "off_bn_inception", "init": Path("x")}
    assert Training().snippets_per_video == 3
    assert Training(snippets=5).snippets_per_video == 5
    assert Training(**off).snippets_per_video == 7
    assert not Training().is_off
    assert Training(**off).is_off


def test_published_settings_are_the_defaults() -> None:
    assert Training().batch == 128
    assert Training().pace == 25
    assert Training().dropout == 0.8
    assert Training().optim == Optimisation(
        optimiser="sgd", lr=0.02, weight_decay=5e-4, clip_norm=20.0, flow_reduction=5.0
    )


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Training().seed = 1  # type: ignore[misc]


def test_reading_settings_loads_no_torch() -> None:
    code = "import sys, marey.settings; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
