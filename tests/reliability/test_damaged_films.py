"""Damaged videos, and files that are none, end once each in what a command tells."""

import importlib.util
import json
import random
from pathlib import Path
from types import ModuleType

import pytest
from broken_runs import Server, tree
from small_data import Data

from marey.index import read_index

pytestmark = pytest.mark.slow

KINDS = ("avi", "mp4", "flv")


@pytest.fixture(scope="module")
def damage() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "damage.py"
    spec = importlib.util.spec_from_file_location("damage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def videos(damage: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sound videos, each with every kind of damage, and of what is no video."""
    root = tmp_path_factory.mktemp("damaged")
    (root / "films").mkdir()
    (root / "plain").mkdir()
    for kind, path in damage.films(root / "plain"):
        if kind not in KINDS:
            continue
        data = path.read_bytes()
        (root / "films" / f"sound{path.suffix}").write_bytes(data)
        for way in damage.DAMAGE:
            hurt = way(data, random.Random(f"{kind} {way.__name__}"))
            (root / "films" / f"{way.__name__}{path.suffix}").write_bytes(hurt)
    for kind, data in damage.no_videos(random.Random(0)):
        (root / "films" / f"{kind}.avi").write_bytes(data)
    (root / "folder").mkdir()
    (root / "films").rename(root / "folder" / "left")
    (root / "index.csv").write_text(
        "path,label\n"
        + "".join(f"folder/left/{path.name},left\n" for path in (root / "folder/left").iterdir())
    )
    return root


def rows_of(said: str, key: str) -> list[dict[str, str]]:
    """Return the rows of the JSON document that a command printed among its messages."""
    lines = said.splitlines()
    begin = lines.index("{")
    document = json.loads("\n".join(lines[begin : lines.index("}", begin) + 1]))
    rows = document[key]
    assert isinstance(rows, list)
    return rows


def assert_each_once(rows: list[dict[str, str]], videos: Path) -> None:
    """Assert that each video has one verdict, and one that is not sound a reason."""
    there = sorted(path.name for path in (videos / "folder/left").iterdir())
    assert sorted(Path(row["video"]).name for row in rows) == there
    assert len(there) == len(KINDS) * 13 + 4
    for row in rows:
        name = Path(row["video"]).stem
        assert row["status"] in ("ok", "damaged", "unusable")
        assert row["status"] == "ok" or row["reason"], row
        assert row["status"] == "ok" or name != "sound", row
        assert row["status"] == "unusable" or name not in ("empty", "text", "html", "jpeg"), row
    # Most damage shows; how much is for `benchmarks/damage.py` to say.
    assert sum(row["status"] != "ok" for row in rows) > len(rows) // 2


def test_prepare_lists_every_file_and_reads_none(
    marey: Server, videos: Path, tmp_path: Path
) -> None:
    before = tree(videos / "folder")
    out = tmp_path / "index.csv"
    ended = marey.run("prepare", "folder", videos / "folder", "--out", out, "--json", at=tmp_path)
    assert ended.code == 0, ended.said
    assert len(read_index(out).entries) == len(before) - 1
    assert tree(videos / "folder") == before


def test_check_gives_each_a_verdict(marey: Server, videos: Path, tmp_path: Path) -> None:
    ended = marey.run("check", videos / "index.csv", "--workers=1", "--json", at=tmp_path)
    assert ended.code == 3, ended.said
    assert "Traceback" not in ended.said
    assert_each_once(rows_of(ended.said, "videos"), videos)


def test_flow_gives_each_a_verdict(marey: Server, videos: Path, tmp_path: Path) -> None:
    words = ("flow", videos / "index.csv", "--out=out", "--method=dis", "--workers=1", "--json")
    ended = marey.run(*words, "--for=test", at=tmp_path)
    assert ended.code == 3, ended.said
    assert "Traceback" not in ended.said
    rows = rows_of(ended.said, "results")
    assert_each_once(rows, videos)
    made = {path.name.removesuffix(".mkv") for path in tmp_path.rglob("*.mkv")}
    assert made == {Path(row["video"]).name for row in rows if row["status"] != "unusable"}


def test_predict_gives_each_a_verdict(
    marey: Server, data: Data, videos: Path, tmp_path: Path
) -> None:
    words = ("predict", videos / "folder", "--model", data.model, "--jsonl")
    ended = marey.run(*words, at=tmp_path)
    assert ended.code == 3, ended.said
    assert "Traceback" not in ended.said
    rows = [json.loads(line) for line in ended.said.splitlines() if line.startswith("{")]
    assert_each_once(rows, videos)
    assert tree(tmp_path) == {}
