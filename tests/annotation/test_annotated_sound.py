"""All sound of a film goes over into the annotated one as it is."""

import re
from pathlib import Path

import av
import numpy as np
import pytest
from annotated_films import film, soft_frames, sounds_of, times_of

from marey.annotation import annotate
from marey.errors import UsageError

FRAMES = soft_frames(40, 48, 64)


def golf(seconds: float) -> list[tuple[str, float]]:
    return [("golf", 0.83)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("name", "codec", "sounds"),
    [
        ("a.mp4", "libx264", ("aac",)),
        ("a.mp4", "libx264", ("aac", "libmp3lame", "aac")),
        ("a.mkv", "libx264", ("flac", "ac3")),
        ("a.webm", "libvpx", ("libopus",)),
        ("a.avi", "mpeg4", ("pcm_s16le",)),
        ("a.avi", "mpeg4", ("libmp3lame",)),
    ],
)
def test_every_packet_of_every_stream_is_the_same_and_heard_at_the_same_frame(
    name: str, codec: str, sounds: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    path = film(tmp_path / name, FRAMES, codec=codec, sounds=sounds)
    out = tmp_path / f"out{suffix}"
    annotate(path, out, golf)
    before, after = sounds_of(path), sounds_of(out)
    assert len(before) == len(after) == len(sounds)
    start_before, start_after = times_of(path)[0], times_of(out)[0]
    for old, new in zip(before, after, strict=True):
        assert [data for data, _ in old] == [data for data, _ in new]
        heard_before = np.array([time for _, time in old]) - start_before
        heard_after = np.array([time for _, time in new]) - start_after
        assert heard_after == pytest.approx(heard_before, abs=0.0021)


def test_sound_of_a_transport_stream_loses_no_more_than_its_heads(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", FRAMES, b_frames=2, sounds=("aac",))
    annotate(path, tmp_path / "out.mp4", golf)
    (before,), (after,) = sounds_of(path), sounds_of(tmp_path / "out.mp4")
    assert len(before) == len(after) > 70
    # Such a stream says before each packet what .mp4 says once.
    assert all(old.endswith(new) for (old, _), (new, _) in zip(before, after, strict=True))
    gap_before = before[0][1] - times_of(path)[0]
    gap_after = after[0][1] - times_of(tmp_path / "out.mp4")[0]
    assert gap_after == pytest.approx(gap_before, abs=0.001)


def test_languages_are_kept(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", FRAMES[:5], sounds=("aac", "aac"), languages=("deu", "fra"))
    annotate(path, tmp_path / "out.mp4", golf)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.language for stream in container.streams.audio] == ["deu", "fra"]


def test_a_silent_film_stays_silent(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", FRAMES[:5])
    annotate(path, tmp_path / "out.mp4", golf)
    assert sounds_of(tmp_path / "out.mp4") == []


def test_sound_longer_than_the_pictures_is_kept_to_its_end(tmp_path: Path) -> None:
    stamps = [number // 2 for number in range(0, 40, 2)]
    path = film(tmp_path / "a.mkv", FRAMES[:20], stamps=stamps, sounds=("aac",))
    short = tmp_path / "short.mkv"
    with av.open(str(path)) as source, av.open(str(short), "w") as output:
        copies = {s.index: output.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is None or (packet.stream.type == "video" and packet.pts > 200):
                continue
            packet.stream = copies[packet.stream.index]
            output.mux(packet)
    annotate(short, tmp_path / "out.mp4", golf)
    assert len(times_of(tmp_path / "out.mp4")) < 10
    (before,), (after,) = sounds_of(short), sounds_of(tmp_path / "out.mp4")
    assert [data for data, _ in before] == [data for data, _ in after]


@pytest.mark.parametrize(
    ("name", "sounds", "suffix"),
    [
        ("a.avi", ("pcm_mulaw",), ".mov"),
        ("a.mkv", ("wavpack", "aac"), ".mkv"),
    ],
)
def test_sound_that_mp4_cannot_hold_is_refused_with_advice_that_works(
    name: str, sounds: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    path = film(tmp_path / name, FRAMES[:5], codec="mpeg4", sounds=sounds)
    advice = f"has sound in {', '.join(sounds)}; only annotated videos in {suffix} can hold it"
    with pytest.raises(UsageError, match=re.escape(advice)):
        annotate(path, tmp_path / "out.mp4", golf)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    annotate(path, tmp_path / f"out{suffix}", golf)
    for before, after in zip(sounds_of(path), sounds_of(tmp_path / f"out{suffix}"), strict=True):
        # Where every sample stands alone, readers part them as they like.
        assert b"".join(data for data, _ in before) == b"".join(data for data, _ in after)


def test_sound_that_nothing_can_hold_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", FRAMES[:5], codec="mpeg4", sounds=("adpcm_ms",))
    with pytest.raises(UsageError, match=r"adpcm_ms, which none of .* `ffmpeg -i IN -c:v copy"):
        annotate(path, tmp_path / "out.mkv", golf)
