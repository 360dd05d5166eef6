import importlib
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from marey import diagnosis
from marey.diagnosis import Finding, diagnose


def found(name: str) -> Finding:
    (finding,) = [finding for finding in diagnose() if finding.name == name]
    return finding


def test_what_is_needed_works_here_and_comes_first() -> None:
    findings = diagnose()
    needed = [finding for finding in findings if finding.needed]
    assert needed == findings[: len(needed)]
    assert [finding.name for finding in needed if not finding.works] == []
    recognised = next(finding for finding in needed if finding.name == "recognition")
    assert recognised.detail.startswith("a bundled clip is golf, ")


@pytest.fixture
def _nothing_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_recognition", lambda: "")


@pytest.mark.usefixtures("_nothing_is_recognised")
class TestOneThingIsWrong:
    def test_a_network_whose_bytes_changed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        name, path = next(iter(diagnosis.bundled_models().items()))
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        (tmp_path / path.name).write_bytes(data)
        monkeypatch.setattr(diagnosis, "bundled_models", lambda: {name: tmp_path / path.name})
        finding = found("bundled networks")
        assert not finding.works
        assert path.name in finding.detail

    def test_a_package_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def without(name: str) -> Any:
            if name == "openvino":
                raise ImportError(name)
            return importlib.import_module(name)

        monkeypatch.setattr(diagnosis, "import_module", without)
        finding = found("OpenVINO")
        assert (finding.works, finding.needed) == (False, False)
        assert "pip install 'marey[openvino]'" in finding.detail

    def test_a_cache_that_cannot_be_written_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
        finding = found("cache")
        assert (finding.works, finding.needed) == (False, False)
        assert "/proc cannot be written to" in finding.detail
        assert "XDG_CACHE_HOME" in finding.detail

    def test_little_shared_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Usage(NamedTuple):
            total: int
            free: int

        usual = shutil.disk_usage

        def usage(path: Path) -> Any:
            return Usage(64 << 20, 64 << 20) if str(path) == "/dev/shm" else usual(path)

        monkeypatch.setattr(diagnosis.shutil, "disk_usage", usage)
        finding = found("shared memory")
        assert not finding.works
        assert "/dev/shm has 67 MB" in finding.detail
        assert "--workers 0" in finding.detail

    def test_a_decoder_that_is_absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(diagnosis, "codecs_available", {"h264", "libx264"})
        assert "FFmpeg lacks hevc, vp8" in found("decoders").detail
        assert found("annotated videos").works
