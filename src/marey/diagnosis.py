"""What works on this computer, found out by doing it."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import av
import torch
from av.codec import codecs_available

from marey.cache import cache_folder
from marey.errors import MareyError
from marey.models import bundled_models, load_model
from marey.predictor import Predictor
from marey.video import open_video

_CLIP = "golf.avi"
_ACTION = "golf"
# What people's cameras, phones and data sets write, by the names of FFmpeg.
_DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "mpeg4", "msmpeg4", "mjpeg")
_ENCODER = "libx264"
_ROOMY_SHARED_MEMORY = 256_000_000  # bytes
# What is installed apart: what it is for, the packages, the extra that brings them.
_EXTRAS = (
    ("OpenVINO", "the quickest networks on a CPU", ("openvino", "onnxscript"), "openvino"),
    ("ONNX", "`--backend onnx`, `marey export`", ("onnx", "onnxruntime", "onnxscript"), "onnx"),
    ("OpenCV", "flow by dis, farneback and tvl1-opencv", ("cv2",), "opencv"),
    ("service", "`marey serve`", ("starlette", "uvicorn", "prometheus_client"), "serve"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Whether one thing works."""

    name: str
    works: bool
    needed: bool
    """Whether nothing can be done without it."""

    detail: str
    """What was found; of what does not work, why, and what to do."""


def diagnose() -> list[Finding]:
    """Try everything and return what was found, what is needed first."""
    needed = {
        "Python": _python,
        "torch": _torch,
        "bundled networks": _networks,
        "decoding": _decoding,
        "recognition": _recognition,
        "temporary files": lambda: _room(Path(tempfile.gettempdir()), "TMPDIR"),
    }
    optional = {
        "GPU": _gpu,
        "decoders": _decoders,
        "annotated videos": _encoder,
        "cache": lambda: _room(cache_folder(), "XDG_CACHE_HOME"),
        "shared memory": _shared_memory,
        **{name: _packages(use, packages, extra) for name, use, packages, extra in _EXTRAS},
        "cameras": _cameras,
    }
    return [
        _found(name, check, needed=checks is needed)
        for checks in (needed, optional)
        for name, check in checks.items()
    ]


class _MissingError(Exception):
    """Something does not work; the message says why, and what to do."""


def _found(name: str, check: Callable[[], str], *, needed: bool) -> Finding:
    try:
        return Finding(name=name, works=True, needed=needed, detail=check())
    except (_MissingError, MareyError, OSError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return Finding(name=name, works=False, needed=needed, detail=reason)


def _python() -> str:
    where = f"{platform.system()} {platform.machine()}"
    return f"{platform.python_version()} on {where}, {os.cpu_count()} processors"


def _torch() -> str:
    answer = torch.ones(4, 4) @ torch.ones(4, 4)
    if float(answer.sum()) != 64:
        raise _MissingError(f"torch {torch.__version__} computes wrong; install it again")
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{torch.__version__}, {instructions}, {torch.get_num_threads()} threads"


def _networks() -> str:
    """Load each, which checks its bytes against their hash."""
    names = [name for name, path in bundled_models().items() if load_model(path)]
    if not names:
        raise _MissingError("the package has none; install it again")
    return ", ".join(names)


def _decoding() -> str:
    with open_video(_clip()) as video:
        frames = len(video)
    ffmpeg = ".".join(map(str, av.ffmpeg_version_info.split("-")[:1]))
    return f"{frames} frames of a bundled clip; PyAV {av.__version__}, FFmpeg {ffmpeg}"


def _recognition() -> str:
    """Recognise a bundled clip by PyTorch, which is always there."""
    prediction = Predictor(next(iter(bundled_models())), device="cpu", backend="torch")(_clip())
    label, probability = prediction.labels[0], prediction.probabilities[0]
    if label != _ACTION:
        raise _MissingError(f"a bundled clip of {_ACTION} was taken for {label}; install it again")
    return f"a bundled clip is {label}, {probability:.0%}"


def _gpu() -> str:
    if not torch.cuda.is_available():
        raise _MissingError("none that torch can use; everything runs on the CPU")
    memory = torch.cuda.get_device_properties(0).total_memory
    return f"{torch.cuda.get_device_name(0)}, {_size(memory)}; CUDA {torch.version.cuda}"


def _decoders() -> str:
    absent = [name for name in _DECODERS if name not in codecs_available]
    if absent:
        raise _MissingError(f"FFmpeg lacks {', '.join(absent)}; install PyAV from its own wheel")
    return ", ".join(name.removeprefix("lib") for name in _DECODERS)


def _encoder() -> str:
    if _ENCODER not in codecs_available:
        raise _MissingError(f"FFmpeg lacks {_ENCODER}; install PyAV from its own wheel")
    return f"written by {_ENCODER}"


def _room(folder: Path, variable: str) -> str:
    """Write a file, in the folder or where it would be made."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"marey")
    except OSError as error:
        raise _MissingError(
            f"{folder} cannot be written to ({error.strerror}); name another with {variable}"
        ) from error
    return f"{folder}, {_size(shutil.disk_usage(folder).free)} free"


def _shared_memory() -> str:
    place = Path("/dev/shm")  # noqa: S108 - asked for its size alone
    if not place.exists():
        return "no limit of its own"
    room = shutil.disk_usage(place).total
    if room < _ROOMY_SHARED_MEMORY:
        raise _MissingError(
            f"{place} has {_size(room)}: processes that decode for training may not start; give "
            "the container more (--shm-size), or train with --workers 0"
        )
    return _size(room)


def _packages(use: str, names: tuple[str, ...], extra: str) -> Callable[[], str]:
    """Return the check of what an extra brings."""

    def check() -> str:
        try:
            modules = [import_module(name) for name in names]
        except ImportError as error:
            raise _MissingError(f"not installed: {use}; pip install 'marey[{extra}]'") from error
        return f"{_version(modules[0].__name__)}: {use}"

    return check


def _version(module: str) -> str:
    package = {"cv2": "opencv-contrib-python-headless"}.get(module, module)
    try:
        return version(package)
    except PackageNotFoundError:  # Another package of OpenCV.
        return "installed"


def _cameras() -> str:
    found = sorted(Path("/dev").glob("video*"))
    if not found:
        raise _MissingError("none under /dev; `marey watch` takes files and addresses, too")
    closed = [str(path) for path in found if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        raise _MissingError(f"{', '.join(closed)} may not be opened; join the group video")
    return ", ".join(map(str, found))


def _clip() -> Path:
    return Path(str(files("marey") / "clips" / _CLIP))


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
