"""The benchmark of damaged videos, made small."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import pytest

from marey.video import Verdict

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def damage() -> Iterator[ModuleType]:
    path = Path(__file__).parents[2] / "benchmarks" / "damage.py"
    spec = importlib.util.spec_from_file_location("damage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    level = av.logging.get_level()
    av.logging.set_level(None)
    yield module
    av.logging.set_level(level)


def test_cuts_holes_and_lost_pages_of_any_container_are_noticed(damage: ModuleType) -> None:
    tally = damage.Tally()
    damage.mutate(tally, times=1, damage=(damage.cut, damage.many_zeros, damage.loss, damage.flips))
    assert tally.counts["files"] == 8 + 4 + 8 * 4
    assert tally.wrong == []
    assert tally.counts["changed"] >= 30
    assert len(tally.missed) <= 1, tally.missed


def test_a_miss_a_false_alarm_and_an_exception_are_told(
    damage: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "words.avi"
    path.write_bytes(b"words")
    tally = damage.Tally()
    tally.sound("words", path)
    assert "sound, but called unusable" in tally.wrong[0]
    sound = Verdict(status="ok", reason="", frames=3, declared=3)
    monkeypatch.setattr(damage, "check_video", lambda _: sound)
    tally = damage.Tally()
    tally.changed("words", path, [b"frames"])
    assert tally.missed == ["words"]
    assert not tally.told()
    monkeypatch.setattr(damage, "check_video", lambda _: 1 // 0)
    tally = damage.Tally()
    tally.changed("words", path, [b"frames"])
    assert "ZeroDivisionError" in tally.wrong[0]
