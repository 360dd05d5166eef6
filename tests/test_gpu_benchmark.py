"""The benchmark for a GPU works where there is none, and counts rightly."""

import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_every_network_is_timed_in_every_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--device", "cpu", "--quick", "--backbone", "efficientnet_lite0"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    said = capsys.readouterr().out
    assert said.startswith("CPU, torch")
    rows = dict(re.findall(r"^\| (`.*?) \| (.*) \|$", said, flags=re.MULTILINE))
    ways = ("32 bits, one by one", "as `marey test`", "the same, from bytes")
    names = [f"`{kind}_efficientnet_lite0`, {way}" for kind in ("tsn", "off") for way in ways]
    names += [
        "`tsn_efficientnet_lite0`, 2 videos x 3 snippets",
        "`off_efficientnet_lite0`, 2 videos x 7 snippets",
    ]
    assert list(rows) == names
    for columns in rows.values():
        numbers = [float(column.strip("%").replace(",", "")) for column in columns.split(" | ")]
        assert len(numbers) == 5
        assert min(numbers) > 0


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert caught.value.code == 2
    assert "torch sees no GPU" in capsys.readouterr().err


def bench(parts: dict[str, Any], **figures: float) -> Any:
    made = parts["Bench"](
        device=torch.device("cpu"), seconds=0.0, snippets=2, size=224, frame=(256, 340), batches=()
    )
    return replace(made, **figures)


def test_a_frame_asks_for_the_operations_that_are_known(parts: dict[str, Any]) -> None:
    here = bench(parts, flops=1.0)
    model = here.network("tsn_bn_inception").eval()
    macs, seconds = parts["asked_for"](here, model, (3, 2, 3, 224, 224))
    assert macs / 6 == pytest.approx(2.03e9, rel=2e-3)
    # With memory of no delay the limit is that of the operations alone, two a multiply-add.
    assert seconds == pytest.approx(2 * macs)


def test_what_is_learnt_is_counted_three_times_and_what_is_frozen_once(
    parts: dict[str, Any],
) -> None:
    here = bench(parts, flops=1.0)
    shape = (1, 7, 3, 64, 64)
    model = here.network("off_efficientnet_lite0")
    answering, _ = parts["asked_for"](here, model.eval(), shape)
    frozen, _ = parts["asked_for"](here, model.tsn.eval(), shape)
    model.freeze_backbone()
    learning, seconds = parts["asked_for"](here, model.train(), shape)
    assert learning == frozen + 3 * (answering - frozen)
    assert seconds == pytest.approx(2 * learning)


def test_where_arithmetic_is_free_the_limit_is_what_layers_read_and_write(
    parts: dict[str, Any],
) -> None:
    here = bench(parts, bandwidth=1.0)
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.Linear(5, 7)).eval()
    macs, seconds = parts["asked_for"](here, model, (1, 2, 4, 5))
    assert macs == 3 * 2 * 4 * 5 + 3 * 4 * 5 * 7
    # 32-bit floats: 40 in, 6 of the kernel, 60 out; 60 in, 35 of the matrix, 84 out.
    assert seconds == pytest.approx(4 * (40 + 6 + 60 + 60 + 35 + 84))
