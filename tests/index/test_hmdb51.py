from collections.abc import Mapping
from pathlib import Path

import pytest

from marey.errors import IndexFileError, UsageError
from marey.index import Entry, prepare_hmdb51, read_index, write_index

ODD = (
    "#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi",
    "[hq]_(best)_of;_R&B!_clap_f_cm_np2_le_med_1.avi",
    "[hq]_(best)_of;_R&B!_clap_f_cm_np2_le_bad_12.avi",
    "'tis + 50%=half, ~$5^2@home_clap_h_nm_np1_ba_goo_3.avi",
    "-clap_clap_l_nm_np3_ri_goo_0.avi",
    "clap 🤸 caf\u00e9 cafe\u0301_clap_u_nm_np1_fr_goo_0.avi",
    '..\n"x"_clap_u_nm_np1_fr_goo_0.avi',
    "a" * (255 - 27) + "_clap_u_nm_np1_fr_goo_0.avi",
)
FLAGS = {
    "clap": {name: "12"[number % 2] for number, name in enumerate(ODD) if "\n" not in name},
    "brush_hair": {
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi": "1",
        "April_09_brush_hair_u_nm_np1_ba_goo_1.avi": "1",
        "May brush_hair_f_nm_np1_ba_goo_1.avi": "2",
        "June_brush_hair_u_nm_np1_ba_goo_2.avi": "0",
    },
}


def hmdb(
    root: Path,
    *,
    flags: Mapping[str, Mapping[str, str]] = FLAGS,
    below: str = "hmdb51_org",
    lists: str = "testTrainMulti_7030_splits",
    line: str = "{name} {flag} \r\n",
) -> Path:
    (root / lists).mkdir(parents=True)
    for label, videos in flags.items():
        (root / below / label).mkdir(parents=True)
        for name in videos:
            (root / below / label / name).touch()
        lines = [line.format(name=name, flag=flag) for name, flag in videos.items()]
        path = root / lists / f"{label}_test_split1.txt"
        path.write_bytes("".join(lines).encode())
    return root


def test_flags_choose_the_split_and_0_is_neither_used_nor_extra(tmp_path: Path) -> None:
    prepared = prepare_hmdb51(hmdb(tmp_path))
    hair = [entry for entry in prepared.index.entries if entry.label == "brush_hair"]
    assert hair == [
        Entry(
            "hmdb51_org/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
            "brush_hair",
            "train",
            "April_09",
        ),
        Entry(
            "hmdb51_org/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi",
            "brush_hair",
            "train",
            "April_09",
        ),
        Entry(
            "hmdb51_org/brush_hair/May brush_hair_f_nm_np1_ba_goo_1.avi",
            "brush_hair",
            "test",
            None,  # the name does not follow the rule, so it tells of no recording
        ),
    ]
    assert prepared.index.classes == ("brush_hair", "clap")
    assert (prepared.missing, prepared.extra) == ((), ())


def test_odd_names_survive_the_way_into_an_index_and_back(tmp_path: Path) -> None:
    prepared = prepare_hmdb51(hmdb(tmp_path / "data"))
    write_index(prepared.index, tmp_path / "out" / "hmdb.csv")
    index = read_index(tmp_path / "out" / "hmdb.csv")
    clap = [entry for entry in index.entries if entry.label == "clap"]
    assert {Path(entry.path).name for entry in clap} == set(FLAGS["clap"])
    assert index.missing() == []
    groups = {Path(entry.path).name: entry.group for entry in clap}
    assert groups[ODD[0]] == "#20_Rhythm"
    assert groups[ODD[1]] == groups[ODD[2]] == "[hq]_(best)_of;_R&B!"
    assert groups[ODD[4]] == "-clap"


@pytest.mark.parametrize("line", ["{name} {flag}\n", "{name}\t{flag}\n", "{name} {flag} \r\n"])
@pytest.mark.parametrize(("below", "lists"), [("", "lists"), ("a/b", "a/lists"), ("", ".")])
def test_layout_and_line_ends_are_no_matter(
    tmp_path: Path, below: str, lists: str, line: str
) -> None:
    prepared = prepare_hmdb51(hmdb(tmp_path / "hmdb", below=below, lists=lists, line=line))
    assert len(prepared.index.entries) == 10
    assert (prepared.missing, prepared.extra) == ((), ())


def test_missing_and_extra_videos_are_all_named(tmp_path: Path) -> None:
    root = hmdb(tmp_path)
    gone = ["hmdb51_org/clap/" + ODD[0], "hmdb51_org/clap/" + ODD[3]]
    for path in [*gone, "hmdb51_org/brush_hair/June_brush_hair_u_nm_np1_ba_goo_2.avi"]:
        (root / path).unlink()
    (root / "hmdb51_org" / "clap" / "new.avi").touch()
    (root / "hmdb51_org" / "clap" / "._hidden.avi").touch()
    (root / "hmdb51_org" / "clap" / "notes.txt").touch()
    prepared = prepare_hmdb51(root)
    # June is flagged 0: no split uses it, so nobody misses it.
    assert prepared.missing == ("clap/" + ODD[0], "clap/" + ODD[3])
    assert prepared.extra == ("hmdb51_org/clap/new.avi",)


def test_a_flag_out_of_range_and_a_line_without_one_are_told_together(tmp_path: Path) -> None:
    root = hmdb(tmp_path)
    path = root / "testTrainMulti_7030_splits" / "clap_test_split1.txt"
    path.write_text("a.avi 1\nb.avi 3\nc.avi\n")
    with pytest.raises(IndexFileError) as caught:
        prepare_hmdb51(root)
    assert str(caught.value).splitlines()[1:] == [
        "  clap_test_split1.txt line 2: expected `<file> <0, 1 or 2>`, got 'b.avi 3'",
        "  clap_test_split1.txt line 3: expected `<file> <0, 1 or 2>`, got 'c.avi'",
    ]


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no list of split 2; there is split 1"):
        prepare_hmdb51(hmdb(tmp_path / "hmdb"), split=2)
    (tmp_path / "videos" / "clap").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"no <class>_test_split1\.txt.*--lists"):
        prepare_hmdb51(tmp_path / "videos")
