"""What callers may rely on; a change here is a change of the contract."""

import subprocess
import sys

import pytest

import marey

COMMANDS = ["predict", "prepare", "check", "flow", "train", "test"]
COMMANDS += ["fuse", "report", "models", "bench", "import", "export", "watch", "serve", "doctor"]


def test_public_names_are_these() -> None:
    assert marey.__all__ == [
        "CheckpointError",
        "FrameFolder",
        "MareyError",
        "Prediction",
        "Predictor",
        "RefusedError",
        "Segment",
        "Stream",
        "UsageError",
        "VideoError",
        "VideoReader",
        "Views",
        "build_model",
        "bundled_models",
        "for_inference",
        "load_model",
        "open_video",
        "save_checkpoint",
    ]
    assert all(getattr(marey, name).__name__ == name for name in marey.__all__)


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'build_modle'"):
        _ = marey.build_modle


@pytest.mark.parametrize(
    "code",
    [
        "import marey",
        "import marey.video, marey.index",
        "from marey.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from marey.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        *(
            f"from marey.cli import main\ntry: main(['{command}', '--help'])\n"
            "except SystemExit: pass"
            for command in COMMANDS
        ),
    ],
)
def test_torch_is_loaded_only_where_a_network_runs(code: str) -> None:
    code += "\nimport sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
