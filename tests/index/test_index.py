import csv
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import IndexFileError, UsageError
from marey.index import SPLITS, Entry, Index, hold_out, read_index, write_index

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(text: str | bytes, name: str = "videos.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# --- reading ---------------------------------------------------------------------------------


def test_classes_are_alphabetical_when_no_line_states_them(make: Make) -> None:
    index = read_index(make("path,label\nb.mp4,walk\na.mp4,run\n"))
    assert index.classes == ("run", "walk")
    assert index.labels == (1, 0)
    assert index.entries[0] == Entry("b.mp4", "walk")
    assert index.file(index.entries[0]) == index.root / "b.mp4"


def test_a_line_of_classes_states_their_order_and_quotes_as_csv_does(make: Make) -> None:
    index = read_index(make('# classes: walk, "sit, down",run\npath,label\na.mp4,run\n'))
    assert index.classes == ("walk", "sit, down", "run")
    assert index.label_number(index.entries[0]) == 2


def test_columns_may_come_in_any_order_and_be_empty(make: Make) -> None:
    index = read_index(make("end,label,path,start,split\n2.5,a,x.mp4,,train\n,a,y.mp4,1,\n"))
    assert index.entries == (
        Entry("x.mp4", "a", "train", end=2.5),
        Entry("y.mp4", "a", start=1.0),
    )


def test_a_spreadsheet_s_byte_order_mark_and_line_ends_are_no_matter(make: Make) -> None:
    text = b"\xef\xbb\xbf# classes: b,a\r\npath,label,split\r\nx.mp4,a,train\r\n\r\n"
    index = read_index(make(text))
    assert index.classes == ("b", "a")
    assert index.entries == (Entry("x.mp4", "a", "train"),)


def test_every_problem_is_told_at_once_with_its_line(make: Make) -> None:
    path = make(
        "# classes: walk,run\n"
        "path,label,split,start,end\n"
        "a.mp4,wlak,train,,\n"
        "b.mp4,walk,trian,,\n"
        ",walk,train,,\n"
        '"c\n.mp4",run,test,5,4\n'
        "d.mp4,run,test,x,\n"
        "e.mp4,run,test\n"
        "f.mp4,run,train,,\n"
        "./f.mp4,run,train,,\n"
        "f.mp4,run,test,,\n"
    )
    with pytest.raises(IndexFileError) as caught:
        read_index(path)
    assert str(caught.value).splitlines() == [
        f"{path}: 8 problems",
        "  line 3: label 'wlak' is not one of the classes; did you mean 'walk'?",
        "  line 4: unknown split 'trian'; did you mean 'train'?; there are train, val, test",
        "  line 5: empty path",
        "  line 6: start 5.0 is not before end 4.0",
        "  line 8: start 'x' is not a number of seconds",
        "  line 9: 3 cells below 5 names",
        "  line 11: './f.mp4' again (see line 10)",
        "  line 12: 'f.mp4' is in both train and test (see line 10)",
    ]


def test_a_long_tale_of_problems_is_cut_and_counted(make: Make) -> None:
    rows = "".join(f"{number}.mp4,walk,nowhere\n" for number in range(50))
    with pytest.raises(IndexFileError) as caught:
        read_index(make("path,label,split\n" + rows))
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[0].endswith("50 problems")
    assert lines[-1] == "  and 30 more like these"


def test_no_kind_of_problem_is_hidden_behind_many_of_another(make: Make) -> None:
    rows = "".join(f"it's {number}.mp4,walk,nowhere,,\n" for number in range(50))
    others = "z.mp4,walk,train,3,2\nz.mp4,walk,test,,\n,walk,train,,\n"
    with pytest.raises(IndexFileError) as caught:
        read_index(make("path,label,split,start,end\n" + rows + others))
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("53 problems")
    assert lines[21:] == [
        "  line 52: start 3.0 is not before end 2.0",
        "  line 54: empty path",
        "  line 53: 'z.mp4' is in both train and test (see line 52)",
        "  and 30 more like these",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no column 'path'"),
        ("path,label\n", "names no video"),
        ("path,labels\na,b\n", "unknown column 'labels'; did you mean 'label'?"),
        ("a.mp4,walk\nb.mp4,run\n", "no column 'path'"),
        ("path,label,label\na,b,c\n", "column 'label' 2 times"),
        ('path,label\n"a.mp4,walk\n', "after line 1: "),
        ("# classes: a,a\npath,label\nx,a\n", "an empty class, or one named twice"),
        ("# classes:\npath,label\nx,a\n", "an empty class, or one named twice"),
        ("# classes: a\n# classes: b\npath,label\nx,a\n", "line 2: a second line of classes"),
        ("path,label\n# classes: a,b,c\nx,a\n", "the classes belong above the header"),
        ("path,label,start,end\nx,a,nan,\n", "'nan' is not a number of seconds"),
        ("path,label,start,end\nx,a,-1,\n", "'-1' is not a number of seconds"),
        ("path,label,start,end\nx,a,,0\n", "start 0.0 is not before end 0.0"),
        ("path,label\na\0b,walk\n", "a zero byte in the path"),
        ("path,label\nx.mp4,a\n".encode("utf-16"), "not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_index_is_refused(make: Make, text: str | bytes, told: str) -> None:
    with pytest.raises(IndexFileError) as caught:
        read_index(make(text))
    assert told in str(caught.value)


def test_one_video_may_be_listed_for_several_stretches(make: Make) -> None:
    index = read_index(make("path,label,start,end\nx.mp4,a,0,2\nx.mp4,b,2,4\n"))
    assert [(entry.start, entry.end) for entry in index.entries] == [(0, 2), (2, 4)]


def test_no_file_and_a_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="marey prepare"):
        read_index(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="marey prepare folder"):
        read_index(tmp_path)


def test_other_classes_than_the_model_s_are_refused_with_the_first_five(make: Make) -> None:
    path = make("# classes: a,b,c,d,e,f,g\npath,label\nx,a\n")
    with pytest.raises(UsageError) as caught:
        read_index(path, classes=["g", "f", "e", "d", "c", "b"])
    lines = str(caught.value).splitlines()
    assert lines[1] == "  class 0: the index has 'a', the model 'g'"
    assert lines[4:] == [
        "  class 4: the index has 'e', the model 'c'",
        "  class 5: the index has 'f', the model 'b'",
        "  and 1 more",
    ]


def test_an_index_that_states_no_order_is_numbered_like_the_model(make: Make) -> None:
    path = make("path,label\nx,run\n")
    assert read_index(path, classes=["walk", "run"]).labels == (1,)
    with pytest.raises(UsageError, match="the model has no class 'run'; did you mean 'runs'"):
        read_index(path, classes=["runs", "walk"])


def test_thousands_of_videos_are_read_and_looked_for_in_few_seconds_of_work(tmp_path: Path) -> None:
    count = 13_320
    for number in range(101):
        (tmp_path / f"class {number}").mkdir()
    rows = [f"class {n % 101}/{n}.avi,class {n % 101},train" for n in range(count)]
    for row in rows[: count // 10]:
        (tmp_path / row.split(",")[0]).touch()
    (tmp_path / "videos.csv").write_text("path,label,split\n" + "\n".join(rows))
    start = time.process_time()
    index = read_index(tmp_path / "videos.csv")
    read = time.process_time() - start
    missing = index.missing()
    assert len(index.entries) == count
    assert len(missing) == count - count // 10
    # Of the processor, so that other work on the machine has no say.
    assert read < 5
    assert time.process_time() - start < 20


# --- choosing --------------------------------------------------------------------------------


def test_one_split_keeps_all_the_classes() -> None:
    index = Index(Path(), (Entry("a", "x", "train"), Entry("b", "y", "test")), ("x", "y"))
    assert index.splits == ("train", "test")
    assert index.only("test") == Index(Path(), (Entry("b", "y", "test"),), ("x", "y"))


def test_a_split_without_videos_is_refused_with_those_there_are() -> None:
    index = Index(Path(), (Entry("a", "x", "train"),), ("x",))
    with pytest.raises(UsageError, match=r"split 'val'; the index has train \(1\)"):
        index.only("val")
    with pytest.raises(UsageError, match="did you mean 'test'"):
        index.only("tset")
    with pytest.raises(UsageError, match="no splits"):
        Index(Path(), (Entry("a", "x"),), ("x",)).only("train")


def test_an_index_cannot_hold_a_label_that_is_no_class() -> None:
    with pytest.raises(IndexFileError, match="'walks' is not a class; did you mean 'walk'"):
        Index(Path(), (Entry("a", "walks"),), ("walk",))
    with pytest.raises(IndexFileError, match="'walk' is named 2 times"):
        Index(Path(), (), ("walk", "walk"))


# --- writing ---------------------------------------------------------------------------------

_texts = st.text(
    st.sampled_from("ab/.,;\"'#@& \n\r\t-=é\u0301\u2028\u200d\ufeff🤸")
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=12,
)
_seconds = st.none() | st.floats(0, 1e6)


@st.composite
def _contents(draw: st.DrawFn) -> tuple[list[Entry], list[str]]:
    classes = draw(st.lists(_texts, min_size=1, max_size=4, unique=True))
    names = st.one_of(_texts, st.just("# classes: a,b"), st.just("path"), st.just("-x"))
    paths = draw(st.lists(names, min_size=1, max_size=5, unique_by=lambda p: Path(p)))
    entries = []
    for path in paths:
        start, end = draw(_seconds), draw(_seconds)
        if end is not None and end <= (start or 0.0):
            end = None
        label, split = draw(st.sampled_from(classes)), draw(st.sampled_from([None, *SPLITS]))
        entries.append(Entry(path, label, split, draw(st.none() | _texts), start, end))
    return entries, classes


@settings(max_examples=150, deadline=None)
@given(_contents())
def test_any_index_comes_back_as_it_was_written(contents: tuple[list[Entry], list[str]]) -> None:
    entries, classes = contents
    index = Index(Path(), tuple(entries), tuple(classes))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "videos.csv"
        write_index(replace(index, root=Path(folder)), path)
        again = read_index(path)
        first = path.read_bytes()
        write_index(again, path)
        assert path.read_bytes() == first
    assert again.entries == index.entries
    assert again.classes == index.classes


def test_a_plain_index_is_a_plain_table(tmp_path: Path) -> None:
    entries = (Entry("a b.mp4", "run", "train"), Entry('say "hi", #1.mp4', "walk", "test"))
    write_index(Index(tmp_path, entries, ("run", "walk")), tmp_path / "videos.csv")
    with (tmp_path / "videos.csv").open(newline="") as file:
        assert list(csv.reader(file, strict=True)) == [
            ["path", "label", "split"],
            ["a b.mp4", "run", "train"],
            ['say "hi", #1.mp4', "walk", "test"],
        ]


def test_paths_follow_the_file_to_another_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.mp4").touch()
    (tmp_path / "y.mp4").touch()
    entries = (Entry("x.mp4", "a"), Entry("../y.mp4", "a"))
    write_index(Index(tmp_path / "data", entries, ("a",)), tmp_path / "lists" / "videos.csv")
    index = read_index(tmp_path / "lists" / "videos.csv")
    assert [entry.path for entry in index.entries] == ["../data/x.mp4", "../y.mp4"]
    assert index.missing() == []


def test_paths_through_links_still_lead_to_the_videos(tmp_path: Path) -> None:
    for folder in ("disk/deep/videos", "disk/deep/lists"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "disk/deep/videos/x.mp4").touch()
    (tmp_path / "disk/deep/y.mp4").touch()
    (tmp_path / "videos").symlink_to(tmp_path / "disk/deep/videos")
    (tmp_path / "lists").symlink_to(tmp_path / "disk/deep/lists")
    entries = (Entry("x.mp4", "a"), Entry("../y.mp4", "a"))
    write_index(Index(tmp_path / "videos", entries, ("a",)), tmp_path / "lists" / "videos.csv")
    assert read_index(tmp_path / "lists" / "videos.csv").missing() == []


def test_a_name_that_is_not_text_is_refused_rather_than_mangled(tmp_path: Path) -> None:
    index = Index(tmp_path, (Entry("caf\udce9.avi", "a"),), ("a",))
    with pytest.raises(IndexFileError, match=r"caf\\udce9\.avi.*rename"):
        write_index(index, tmp_path / "videos.csv")
    assert list(tmp_path.iterdir()) == []


# --- holding out -----------------------------------------------------------------------------


@st.composite
def _grouped(draw: st.DrawFn) -> list[Entry]:
    """Draw entries whose groups lie each within one class."""
    entries = []
    for label in "abcd"[: draw(st.integers(1, 4))]:
        for group in range(draw(st.integers(1, 6))):
            for clip in range(draw(st.integers(1, 4))):
                name = draw(st.sampled_from([None, f"{label}{group}"]))
                split = draw(st.sampled_from(["train", "train", "test", "val", None]))
                entries.append(Entry(f"{label}/{group}/{clip}", label, split, name))
    return entries


@settings(max_examples=150, deadline=None)
@given(_grouped(), st.floats(0.05, 0.9), st.integers(0, 9), st.randoms(use_true_random=False))
def test_holding_out_keeps_its_promises(
    entries: list[Entry], fraction: float, seed: int, random: Random
) -> None:
    index = Index(Path(), tuple(entries), ("a", "b", "c", "d"))
    ours = "train" if index.splits else None
    groups = defaultdict(set)
    for entry in index.entries:
        if entry.split == ours:
            groups[entry.label].add(entry.group or entry.path)
    if all(len(found) < 2 for found in groups.values()):
        with pytest.raises(UsageError):
            hold_out(index, fraction=fraction, seed=seed)
        return
    held = hold_out(index, fraction=fraction, seed=seed)
    pairs = list(zip(index.entries, held.entries, strict=True))

    # Only training videos move, and only their split changes.
    assert all(after == before for before, after in pairs if before.split != ours)
    assert all(
        replace(after, split=ours) == before for before, after in pairs if before.split == ours
    )
    sides = defaultdict(set)
    for before, after in pairs:
        if before.split == ours:
            sides[after.label, after.split].add(after.group or after.path)
    for label, found in groups.items():
        train, val = sides[label, "train"], sides[label, "val"]
        assert not train & val  # groups move whole
        assert train
        assert bool(val) == (len(found) > 1)

    shuffled = list(index.entries)
    random.shuffle(shuffled)
    other = hold_out(replace(index, entries=tuple(shuffled)), fraction=fraction, seed=seed)
    assert set(other.entries) == set(held.entries)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 0.5), st.integers(0, 99))
def test_the_part_held_out_is_as_large_as_asked_for(fraction: float, seed: int) -> None:
    entries = [
        Entry(f"{label}/{number}", label, "train", f"{label}{number // 3}")
        for label in ("a", "b")
        for number in range(90)
    ]
    held = hold_out(Index(Path(), tuple(entries), ("a", "b")), fraction=fraction, seed=seed)
    moved = Counter(entry.label for entry in held.entries if entry.split == "val")
    # Whole groups of three come within half a group of the number wanted.
    assert all(abs(moved[label] - 90 * fraction) <= 1.5 + 1e-9 for label in ("a", "b"))


def test_another_seed_holds_out_other_videos() -> None:
    entries = tuple(Entry(str(number), "a", "train") for number in range(50))
    index = Index(Path(), entries, ("a",))
    chosen = {hold_out(index, fraction=0.2, seed=seed).only("val").entries for seed in range(5)}
    assert len(chosen) == 5
    assert all(len(entries) == 10 for entries in chosen)


def test_a_recording_shared_by_classes_is_never_parted() -> None:
    entries = tuple(
        Entry(f"{film}/{label}", label, "train", film)
        for film in ("one", "two", "three", "four", "five")
        for label in ("sit", "stand")
    )
    index = Index(Path(), entries, ("sit", "stand"))
    for seed in range(10):
        held = hold_out(index, fraction=0.2, seed=seed)
        films = {split: {e.group for e in held.only(split).entries} for split in ("train", "val")}
        assert not films["train"] & films["val"]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction: float) -> None:
    index = Index(Path(), (Entry("x", "a", "train"), Entry("y", "a", "train")), ("a",))
    with pytest.raises(UsageError, match="between 0 and 1"):
        hold_out(index, fraction=fraction, seed=0)


def test_nothing_can_be_held_out_of_test_videos_or_a_single_recording() -> None:
    with pytest.raises(UsageError, match="no video is in split 'train'"):
        hold_out(Index(Path(), (Entry("x", "a", "test"),), ("a",)), fraction=0.5, seed=0)
    same = (Entry("x", "a", "train", "g"), Entry("y", "a", "train", "g"))
    with pytest.raises(UsageError, match="single group"):
        hold_out(Index(Path(), same, ("a",)), fraction=0.5, seed=0)
