import io
import json
import pickle
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from films import CLASSES, Run, film

from marey.video import write_video

SCHEMA = json.loads((files("marey") / "prediction.schema.json").read_text())


def test_text_output_names_the_video_and_its_most_probable_classes(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "clip.mp4")
    assert run("predict", video, "--model", checkpoint, "--top", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(video)
    assert len(lines) == 3
    assert all(line.split()[-1] in CLASSES for line in lines[1:])


def test_json_of_one_video_is_one_object_that_follows_the_schema(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "clip.mp4", frames=10)
    assert run("predict", video, "--model", checkpoint, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    assert document["video"] == str(video)
    assert (document["status"], document["frames"], document["seconds"]) == ("ok", 10, 0.4)
    assert {row["label"] for row in document["predictions"]} == set(CLASSES)
    assert sum(row["probability"] for row in document["predictions"]) == pytest.approx(1, abs=1e-4)


def test_a_folder_a_list_an_index_and_stdin_stand_for_their_videos(
    run: Run,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    videos = [str(film(folder / f"{name}.mp4", frames=3)) for name in ("a b", "c")]
    (tmp_path / "list.txt").write_text("films/a b.mp4\n\nfilms/c.mp4\n")
    (tmp_path / "index.csv").write_text("path,label\nfilms/a b.mp4,run\nfilms/c.mp4,sit\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(videos)))
    for source in (folder, tmp_path / "list.txt", tmp_path / "index.csv", "-"):
        assert run("predict", source, "--model", checkpoint, "--jsonl") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [json.loads(line)["video"] for line in lines] == videos


def bad_files(folder: Path) -> dict[str, str]:
    """Make files that cannot be used; return what must be said of each."""
    whole = film(folder / "whole.mp4", frames=40).read_bytes()
    (folder / "whole.mp4").unlink()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 8])
    return {
        "empty.mp4": "empty",
        "text.mp4": "not a video",
        "cut.mp4": "cut.mp4",
        "missing.mp4": "does not exist",
    }


def test_each_unusable_video_is_named_with_its_reason_and_the_rest_is_done(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = bad_files(tmp_path)
    good = film(tmp_path / "good.mp4")
    words = [*(tmp_path / name for name in reasons), good]
    assert run("predict", *words, "--model", checkpoint, "--json") == 3
    out, err = capsys.readouterr()
    documents = json.loads(out)
    jsonschema.validate(documents, SCHEMA)
    assert [document["status"] for document in documents] == [*["unusable"] * 4, "ok"]
    for document, reason in zip(documents, reasons.values(), strict=False):
        assert reason in document["reason"]
        assert document["reason"] in err
        assert document["video"] in err
    assert "Traceback" not in err


def test_a_truncated_video_gives_what_it_has_and_says_so(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = film(tmp_path / "whole.avi", frames=40).read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    assert run("predict", cut, "--model", checkpoint, "--json") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["status"] == "damaged"
    assert 0 < document["frames"] < 40
    assert "damaged" in err


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 48, 64), (3, 96, 40), (2, 16, 16)])
def test_videos_of_one_frame_upright_or_tiny_are_answered(
    run: Run,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    frames: int,
    height: int,
    width: int,
) -> None:
    video = film(tmp_path / "odd.mp4", frames=frames, height=height, width=width)
    assert run("predict", video, "--model", checkpoint, "--json") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == frames


def test_a_grey_video_is_answered(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 1), dtype=np.uint8)
    write_video(tmp_path / "grey.mp4", grey.repeat(3, axis=3))
    assert run("predict", tmp_path / "grey.mp4", "--model", checkpoint) == 0


def test_an_unknown_model_is_refused_with_those_there_are(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", film(tmp_path / "a.mp4"), "--model", "off-lite0-jhmbd") == 2
    assert "no model 'off-lite0-jhmbd'" in capsys.readouterr().err


def test_a_checkpoint_with_one_flipped_bit_is_refused_by_name(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(checkpoint.read_bytes())
    data[len(data) // 2] ^= 4
    damaged = tmp_path / "flipped.safetensors"
    damaged.write_bytes(data)
    assert run("predict", film(tmp_path / "a.mp4"), "--model", damaged) == 1
    err = capsys.readouterr().err
    assert str(damaged) in err
    assert "Traceback" not in err


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors", "model.pkl"])
def test_a_pickle_is_refused_and_never_runs(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(pickle.dumps(_Canary(canary)))
    video = film(tmp_path / "a.mp4")
    assert run("predict", video, "--model", tmp_path / name) == 4
    torch.save({"a": torch.zeros(1), "b": _Canary(canary)}, tmp_path / name)
    assert run("predict", video, "--model", tmp_path / name) == 4
    assert not canary.exists()
    assert name in capsys.readouterr().err


def test_maps_are_drawn_one_picture_a_video(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    twins = [film(tmp_path / "a.mp4"), film(tmp_path / "x" / "a.mp4", frames=9)]
    assert run("predict", *twins, "--model", checkpoint, "--maps", tmp_path / "maps") == 0
    pictures = sorted((tmp_path / "maps").iterdir())
    assert [picture.name for picture in pictures] == ["a-2.png", "a.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_an_empty_folder_is_wrong_usage(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    assert run("predict", tmp_path / "none", "--model", checkpoint) == 2
    assert "no videos in this folder" in capsys.readouterr().err


def test_videos_are_only_read(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    video = film(folder / "a.mp4")
    before = (video.read_bytes(), video.stat().st_mtime_ns, sorted(folder.iterdir()))
    run("predict", folder, "--model", checkpoint)
    assert (video.read_bytes(), video.stat().st_mtime_ns, sorted(folder.iterdir())) == before


def test_flow_by_another_method_than_learnt_from_is_refused_unless_the_user_insists(
    run: Run, tmp_path: Path, flow_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from marey.models import load_model, save_checkpoint

    model = load_model(flow_checkpoint)
    model.preprocessing = replace(model.preprocessing, flow="tvl1")
    other = tmp_path / "tvl1.safetensors"
    save_checkpoint(model, other, classes=model.classes)
    clip = film(tmp_path / "a.mp4")
    assert run("predict", clip, "--model", other, "--on-the-fly") == 2
    assert "learnt from flow by tvl1, and --on-the-fly is by dis" in capsys.readouterr().err
    assert run("predict", clip, "--model", other, "--on-the-fly", "--any-flow") == 0
    assert run("predict", clip, "--model", flow_checkpoint, "--on-the-fly") == 0
    assert run("predict", clip, "--model", flow_checkpoint) == 0
