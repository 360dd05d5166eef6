"""Names that break shells, lists and paths go through every command and come back as they were."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from broken_runs import Server, tree
from small_data import CLASSES, TRAINING, film

from marey.evaluation import load_scores
from marey.index import Entry, Index, read_index, write_index

pytestmark = pytest.mark.slow

ODD = (
    "a b",
    'it\'s "a"',
    "line\nfeed",
    "\U0001f3c3",
    "n" * 251,
    "-o",
    "--out=x",
    "caf\u00e9",
    "cafe\u0301",
    "foo..",
    "#20_Rhythm",
    "%05d%s",
    "a,b;c",
    "[hq]_(best)_of;_R&B!",
    "$HOME `id` \\",
    "*?",
    "a:b",
)


HIDDEN = "..foo"
"""Not found in a folder, as what begins with a dot is hidden; but an index may name it."""

ALL = sorted((*ODD, HIDDEN))


@dataclass(frozen=True)
class Work:
    """Where odd films lie, and commands are run."""

    root: Path

    @property
    def films(self) -> Path:
        return self.root / "films, 100% #1"


@pytest.fixture(scope="module")
def work(marey: Server, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Films of odd names, and everything that is made of them, each command with exit code 0."""
    work = Work(tmp_path_factory.mktemp("odd"))
    for label, step in zip(CLASSES, (-3, 3), strict=True):
        for number in range(2):
            film(work.films / "train" / label / f"{number}.avi", step=step, seed=number)
    for number, name in enumerate(ODD):
        film(work.films / "test" / CLASSES[number % 2] / f"{name}.avi", step=3, seed=10 + number)
    film(work.films / "test" / "left" / f"{HIDDEN}.avi", step=3, seed=99)
    before = tree(work.films)
    index = work.root / "index.csv"
    assert marey.run("prepare", "folder", work.films, "--out=index.csv", at=work.root).code == 0
    found = read_index(index)
    assert names([entry.path for entry in found.entries]) == sorted(ODD)
    hidden = Entry(f"{work.films.name}/test/left/{HIDDEN}.avi", "left", "test")
    write_index(Index(work.root, (*found.entries, hidden), found.classes), index)
    for words in (
        ("prepare", "csv", "index.csv", "--out=again.csv"),
        ("flow", "index.csv", "--method=dis", "--out=flow", "--workers=1", "--json"),
        ("train", "index.csv", "--out=run", *TRAINING),
        ("test", "run/model.safetensors", "index.csv", "--out=s.npz", "--snippets=3", "--crops=1"),
        ("report", "s.npz", "--index=index.csv", "--out=report", "--bootstrap=40", "--worst=99"),
        (
            "predict",
            work.films,
            work.root / hidden.path,
            "--model=run/model.safetensors",
            "--jsonl",
        ),
    ):
        ended = marey.run(*words, at=work.root)
        assert ended.code == 0, ended.said
        (work.root / f"{words[0]}.said").write_text(ended.said, encoding="utf-8")
    assert tree(work.films) == before
    made = {path.name for path in work.root.iterdir() if path.suffix != ".said"} - {"index.csv"}
    assert made == {work.films.name, "again.csv", "flow", "run", "s.npz", "s.json", "report"}
    return work


def names(paths: object) -> list[str]:
    """Return the names of odd films among the paths, sorted."""
    assert isinstance(paths, list | tuple)
    return sorted(Path(path).stem for path in paths if "/test/" in path)


def test_an_index_has_them(work: Work) -> None:
    index = read_index(work.root / "again.csv")
    assert names([entry.path for entry in index.entries]) == ALL
    assert index.missing() == []


def test_their_flow_lies_in_its_folder(work: Work) -> None:
    said = (work.root / "flow.said").read_text(encoding="utf-8")
    rows = json.loads(said[said.index("{") :])["results"]
    assert names([row["video"] for row in rows]) == ALL
    assert all(row["status"] == "ok" for row in rows)
    flow = [path for path in (work.root / "flow").rglob("*") if path.suffix == ".mkv"]
    assert len(flow) == len(rows)


def test_scores_have_them(work: Work) -> None:
    assert names(load_scores(work.root / "s.npz").videos) == ALL


def test_a_report_has_them(work: Work) -> None:
    with (work.root / "report" / "worst.csv").open(encoding="utf-8", newline="") as file:
        worst = [row["path"] for row in csv.DictReader(file)]
    wrong = set(names(worst))
    assert wrong <= set(ALL)
    assert wrong


def test_predictions_have_them(work: Work) -> None:
    said = (work.root / "predict.said").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert names([line["video"] for line in lines]) == ALL
    assert all(line["status"] == "ok" for line in lines)


def test_a_name_that_looks_like_an_option_is_given_behind_two_hyphens(
    marey: Server, work: Work
) -> None:
    model = work.root / "run" / "model.safetensors"
    words = ("predict", "--model", model, "--jsonl", "--", "-o.avi")
    ended = marey.run(*words, at=work.films / "test" / CLASSES[ODD.index("-o") % 2])
    assert ended.code == 0, ended.said
    assert json.loads(ended.said)["video"] == "-o.avi"
