"""Lists of videos, as they are published and as ours are kept."""

from pathlib import Path

from marey.index import (
    prepare_csv,
    prepare_hmdb51,
    prepare_jhmdb,
    prepare_tsn_list,
    prepare_ucf101,
    read_index,
    write_index,
)

BETWEEN = b"\n====\n"
"""Stands between the files of one input."""

_VIDEOS = ("run/a_run_f_cm_np1_fr_med_0.avi", "run/v_Run_g01_c01.avi", "jump/b #2[1].avi")


def parts(data: bytes, count: int) -> list[bytes]:
    """Return the files of an input; those that it lacks are empty."""
    found = data.split(BETWEEN, count - 1)
    return found + [b""] * (count - len(found))


def videos_in(folder: Path) -> Path:
    """Return a folder with the names of some videos."""
    root = folder / "videos"
    for name in _VIDEOS:
        path = root / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def index(data: bytes, folder: Path) -> None:
    """Read an index; written and read again it is the same."""
    path = folder / "index.csv"
    path.write_bytes(data)
    once = read_index(path)
    write_index(once, path)
    again = read_index(path)
    assert again.fingerprint == once.fingerprint


def table(data: bytes, folder: Path) -> None:
    """Prepare a CSV table."""
    path = folder / "table.csv"
    path.write_bytes(data)
    prepare_csv(path, root=videos_in(folder))


def tsn_list(data: bytes, folder: Path) -> None:
    """Prepare a list of TSN or mmaction, with class names or, where these are empty, without."""
    listed, named = parts(data, 2)
    path, classes = folder / "list.txt", folder / "classes.txt"
    path.write_bytes(listed)
    classes.write_bytes(named)
    prepare_tsn_list(path, root=videos_in(folder), classes=classes if named else None)


def ucf101(data: bytes, folder: Path) -> None:
    """Prepare UCF101 by lists: of classes, for training and for testing."""
    lists = folder / "ucf101"
    lists.mkdir(exist_ok=True)
    names = ("classInd.txt", "trainlist01.txt", "testlist01.txt")
    for name, part in zip(names, parts(data, 3), strict=True):
        (lists / name).write_bytes(part)
    prepare_ucf101(videos_in(folder), lists=lists)


def hmdb51(data: bytes, folder: Path) -> None:
    """Prepare HMDB51, and J-HMDB, whose lists look the same."""
    lists = folder / "hmdb51"
    lists.mkdir(exist_ok=True)
    for label, part in zip(("run", "jump"), parts(data, 2), strict=True):
        (lists / f"{label}_test_split1.txt").write_bytes(part)
    root = videos_in(folder)
    prepare_hmdb51(root, lists=lists)
    prepare_jhmdb(root, lists=lists)
