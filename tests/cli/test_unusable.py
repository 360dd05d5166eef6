import pytest

from marey.cli._unusable import Told


def test_videos_with_one_reason_are_counted_after_the_fifth_and_others_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Told()
    for number in range(8):
        told.tell("unusable", f"{number}.mp4", "does not exist")
        told.tell("unusable", f"{number}.mp4", f"flow/{number}.mp4.mkv is empty")
    told.tell("damaged", "cut\n.mp4", "does not exist")
    told.tell_rest("out/ledger.jsonl")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "marey: unusable: 0.mp4: does not exist",
        "marey: unusable: 0.mp4: flow/0.mp4.mkv is empty",
    ]
    assert lines[10:] == [
        "marey: damaged: cut\\n.mp4: does not exist",
        "marey: unusable: 3 more, like 0.mp4; out/ledger.jsonl lists them",
        "marey: unusable: 3 more, like 0.mp4; out/ledger.jsonl lists them",
    ]


def test_of_few_videos_nothing_more_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told()
    for number in range(5):
        told.tell("unusable", f"{number}.mp4", "does not exist")
    told.tell_rest("out/ledger.jsonl")
    assert len(capsys.readouterr().err.splitlines()) == 5
