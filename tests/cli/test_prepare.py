import json
from pathlib import Path

import pytest

from marey.cli import main
from marey.index import read_index


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def hmdb(tmp_path: Path) -> Path:
    root = tmp_path / "hmdb51"
    (root / "splits").mkdir(parents=True)
    for label in ("clap", "wave"):
        (root / label).mkdir()
        names = [f"#{n} [a];(b)_{label}_u_nm_np1_fr_goo_{n}.avi" for n in range(3)]
        for name in names:
            (root / label / name).touch()
        lines = [f"{name} {number} \r\n" for number, name in enumerate(names)]
        (root / "splits" / f"{label}_test_split1.txt").write_bytes("".join(lines).encode())
    return root


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    code = caught.value.code
    assert isinstance(code, int)
    return code


def tree(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*"))


def test_the_index_is_written_here_and_its_path_alone_goes_to_stdout(
    here: Path, hmdb: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(hmdb)
    assert run("prepare", "hmdb51", hmdb) == 0
    out, err = capsys.readouterr()
    assert out == "hmdb51-split1.csv\n"
    assert "2 classes; videos: 2 train, 2 test" in err
    assert "hmdb51 has 51 classes, these lists name 2" in err
    index = read_index(here / "hmdb51-split1.csv")
    assert index.entries[0].path == "../hmdb51/clap/#1 [a];(b)_clap_u_nm_np1_fr_goo_1.avi"
    assert index.missing() == []
    assert tree(hmdb) == before


def test_the_same_command_again_gives_the_same_bytes(here: Path, hmdb: Path) -> None:
    assert run("prepare", "hmdb51", hmdb) == 0
    first = (here / "hmdb51-split1.csv").read_bytes()
    assert run("prepare", "hmdb51", hmdb) == 0
    assert (here / "hmdb51-split1.csv").read_bytes() == first
    assert [path.name for path in here.iterdir()] == ["hmdb51-split1.csv"]


def test_all_missing_videos_are_named_and_the_rest_is_indexed(
    here: Path, hmdb: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        next(hmdb.glob(f"clap/*_goo_{number}.avi")).unlink()
    (hmdb / "wave" / "new\x1b[31m.avi").touch()
    assert run("prepare", "hmdb51", hmdb, "--quiet") == 3
    out, err = capsys.readouterr()
    assert out == "hmdb51-split1.csv\n"
    assert err.splitlines() == [
        "missing: clap/#1 [a];(b)_clap_u_nm_np1_fr_goo_1.avi",
        "missing: clap/#2 [a];(b)_clap_u_nm_np1_fr_goo_2.avi",
        "2 listed videos are missing",
    ]
    index = read_index(here / "hmdb51-split1.csv")
    assert len(index.entries) == 2
    assert index.classes == ("clap", "wave")  # the class stays, though it has no video


def test_extra_videos_are_a_note_that_cannot_upset_the_terminal(
    here: Path, hmdb: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (hmdb / "wave" / "new\x1b[31m.avi").touch()
    assert run("prepare", "hmdb51", hmdb) == 0
    assert "note: in no list, left out: wave/new\\x1b[31m.avi\n" in capsys.readouterr().err


def test_a_summary_as_json_and_a_dry_run_that_writes_nothing(
    here: Path, hmdb: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next(hmdb.glob("clap/*_goo_1.avi")).unlink()
    assert run("prepare", "hmdb51", hmdb, "--json", "--dry-run", "--out", "x/y.csv") == 3
    assert json.loads(capsys.readouterr().out) == {
        "index": "x/y.csv",
        "written": False,
        "videos": {"test": 2, "train": 1},
        "classes": ["clap", "wave"],
        "missing": ["clap/#1 [a];(b)_clap_u_nm_np1_fr_goo_1.avi"],
        "extra": [],
    }
    assert list(here.iterdir()) == []


def test_other_data_sets_are_called_after_their_folder(here: Path, tmp_path: Path) -> None:
    for path in ("my films/walk/a.mp4", "my films/run/-b, c.mp4"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert run("prepare", "folder", tmp_path / "my films") == 0
    assert read_index(here / "my films.csv").missing() == []
    (tmp_path / "train.txt").write_text("walk/a.mp4 9 0\nrun/-b, c.mp4 9 1\n")
    words = ["--lists", tmp_path / "train.txt", "--out", "tsn.csv"]
    assert run("prepare", "tsn-list", tmp_path / "my films", *words) == 0
    assert read_index(here / "tsn.csv").missing() == []
    (tmp_path / "my films" / "table.csv").write_text("path,label\nwalk/a.mp4,walk\n")
    assert run("prepare", "csv", tmp_path / "my films" / "table.csv") == 0
    assert read_index(here / "table.csv").entries[0].path == "../my films/walk/a.mp4"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ucf10", "."], "'ucf10' is not a data set; did you mean 'ucf101'?; there are ucf101, "),
        (["hmdb51", "nowhere"], "nowhere: no such folder"),
        (["folder", "."], "this folder is empty"),
        (["csv", "."], "is a folder: give the list instead"),
        (["tsn-list", "none.txt"], "none.txt: no such list"),
        (["folder", ".", "--lists", "x"], "a folder needs no --lists"),
        (["ucf101", ".", "--classes", "x"], "--classes belongs to tsn-list"),
        (["csv", ".", "--test-list", "x"], "--test-list belongs to tsn-list"),
    ],
)
def test_mistakes_end_in_one_line_that_says_what_to_do(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert run("prepare", *words) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_no_index_is_never_written_over(
    here: Path, hmdb: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "hmdb51-split1.csv").write_text("my notes\n")
    assert run("prepare", "hmdb51", hmdb) == 2
    assert "is there already and is no index" in capsys.readouterr().err
    assert (here / "hmdb51-split1.csv").read_text() == "my notes\n"


def test_an_input_is_never_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.mp4").touch()
    (here / "table.csv").write_text("path,label\na.mp4,walk\n")
    assert run("prepare", "csv", "table.csv") == 2
    assert "is an input; name another file with --out" in capsys.readouterr().err
