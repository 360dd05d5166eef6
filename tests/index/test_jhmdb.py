from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from marey.index import hold_out, prepare_jhmdb, read_index, write_index

REAL = Path(__file__).parents[3] / "shared" / "data" / "jhmdb"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"needs J-HMDB in {REAL}")


def jhmdb(root: Path, folder: str) -> Path:
    (root / "splits").mkdir(parents=True)
    for label in ("catch", "shoot_ball"):
        (root / folder / label).mkdir(parents=True)
        names = [f"Game_{n}_{label}_f_cm_np1_fr_med_{n}.avi" for n in range(4)]
        for name in names:
            (root / folder / label / name).touch()
        lines = [f"{name} {1 + number % 2}\n" for number, name in enumerate(names)]
        (root / "splits" / f"{label}_test_split1.txt").write_text("".join(lines))
        (root / "splits" / f"._{label}_test_split1.txt").write_bytes(b"\0\5\x16\7")
        (root / folder / label / f"._{names[0]}").touch()
    (root / ".DS_Store").touch()
    return root


@pytest.mark.parametrize("folder", ["videos", "ReCompress_Videos", "."])
def test_the_official_split_becomes_an_index(tmp_path: Path, folder: str) -> None:
    prepared = prepare_jhmdb(jhmdb(tmp_path, folder))
    splits = Counter((entry.label, entry.split) for entry in prepared.index.entries)
    assert set(splits.values()) == {2}
    assert prepared.index.classes == ("catch", "shoot_ball")
    assert prepared.index.entries[0].group == "Game_0"
    assert prepared.index.missing() == []
    assert (prepared.missing, prepared.extra) == ((), ())


def test_the_frames_published_beside_the_videos_are_left_alone(tmp_path: Path) -> None:
    root = jhmdb(tmp_path, "ReCompress_Videos")
    frames = root / "Rename_Images" / "catch" / "Game_0_catch_f_cm_np1_fr_med_0"
    frames.mkdir(parents=True)
    (frames / "img_00001.jpg").touch()
    prepared = prepare_jhmdb(root)
    assert all(e.path.startswith("ReCompress_Videos/") for e in prepared.index.entries)
    assert prepared.extra == ()


@real
@pytest.mark.parametrize(("split", "train", "test"), [(1, 660, 268), (2, 658, 270), (3, 663, 265)])
def test_the_real_data_set_has_its_published_numbers(
    tmp_path: Path, split: int, train: int, test: int
) -> None:
    before = _fingerprint(REAL)
    prepared = prepare_jhmdb(REAL, split=split)
    write_index(prepared.index, tmp_path / "jhmdb.csv")
    index = read_index(tmp_path / "jhmdb.csv")
    assert Counter(entry.split for entry in index.entries) == {"train": train, "test": test}
    assert len(index.classes) == 21
    assert index.missing() == []
    assert (prepared.missing, prepared.extra) == ((), ())
    assert _fingerprint(REAL) == before


@real
def test_every_real_name_tells_its_recording() -> None:
    index = prepare_jhmdb(REAL).index
    clips = Counter(entry.label for entry in index.entries)
    recordings = Counter(label for label, _ in {(e.label, e.group) for e in index.entries})
    assert all(entry.group for entry in index.entries)
    assert sum(recordings.values()) < len(index.entries) / 2
    assert all(2 <= recordings[label] < clips[label] for label in index.classes)


@real
def test_real_videos_can_be_held_out_in_every_class() -> None:
    index = hold_out(prepare_jhmdb(REAL).index, fraction=0.15, seed=0)
    held = index.only("val")
    assert {entry.label for entry in held.entries} == set(index.classes)
    assert 0.1 < len(held.entries) / 660 < 0.2
    kept = {entry.group for entry in index.only("train").entries}
    assert not kept & {entry.group for entry in held.entries}


def _fingerprint(root: Path) -> str:
    """Return a digest of every name, size and time of change below the folder."""
    digest = sha256()
    for path in sorted(root.rglob("*")):
        status = path.stat()
        digest.update(f"{path!s} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
