import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_scores import made_scores, saved

from marey.report import Result, build_report, load_results, write_report

_VOID = {"meta", "img", "br", "link", "input", "hr"}
_EVIL = '<img src=x onerror="alert(1)">.mp4'


class Reader(HTMLParser):
    """Keeps the tags of a page, and makes sure that each is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} is there twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def results(folder: Path, **words) -> list[Result]:
    rgb = saved(folder, "rgb.npz", made_scores(heads=("tsn", "off7"), **words))
    flow = saved(folder, "flow.npz", made_scores(seed=1, **words))
    return load_results([rgb, flow])


def page(found: list[Result], **words) -> str:
    report = build_report(found, None, title=words.pop("title", "A title"), draws=50, **words)
    return report.files["report.html"].decode()


def test_the_page_is_well_formed_and_asks_nothing_of_anybody(tmp_path: Path) -> None:
    text = page(results(tmp_path))
    tags = Reader(text).tags
    for tag, attributes in tags:
        for name in ("src", "href", "xlink:href", "srcset", "poster", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), (tag, attributes)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text


def test_the_policy_of_the_page_allows_its_own_script_alone(tmp_path: Path) -> None:
    text = page(results(tmp_path))
    policy = next(a["content"] for tag, a in Reader(text).tags if "http-equiv" in a)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    videos = (_EVIL, "</script><script>alert(2)</script>", "'\"><svg onload=alert(3)>", "{{ 7*7 }}")
    classes = ("<b>run</b>", '"><i>', "& walk")
    found = results(tmp_path, videos=videos, classes=classes, meta={"split": "<u>test"})
    text = page(found, title="<h1>A & B</h1>")
    tags = Reader(text).tags
    tame = Reader(page(results(tmp_path, meta={"split": "test"}))).tags
    assert [tag for tag, _ in tags] == [tag for tag, _ in tame]
    assert [list(attributes) for _, attributes in tags] == [list(a) for _, a in tame]
    assert "&lt;img src=x onerror=" in text
    assert "&lt;h1&gt;A &amp; B&lt;/h1&gt;" in text
    assert "{{ 7*7 }}" in text


def test_tables_have_headings_pictures_have_words_and_names_are_unique(tmp_path: Path) -> None:
    tags = Reader(page(results(tmp_path))).tags
    names = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(names)) == len(names)
    links = {a["href"] for tag, a in tags if tag == "a"}
    assert links <= {f"#{name}" for name in names}
    assert all(a.get("scope") in ("row", "col") for tag, a in tags if tag == "th")
    assert all(a.get("alt") for tag, a in tags if tag == "img")
    assert all(a.get("aria-label") for tag, a in tags if tag == "svg")
    for landmark in ("header", "nav", "main", "footer"):
        assert [tag for tag, _ in tags].count(landmark) == 1
    assert dict(tags)["html"]["lang"] == "en"


def test_weights_found_on_the_tested_videos_are_warned_of(tmp_path: Path) -> None:
    fused = made_scores(heads=("fused",), meta={"weights_from": "test", "streams": []})
    text = page(load_results([saved(tmp_path, "fused.npz", fused)]))
    assert "fused.npz: the weights of its streams were found on test videos" in text
    honest = made_scores(heads=("fused",), meta={"weights_from": "held-out", "streams": []})
    text = page(load_results([saved(tmp_path, "fused.npz", honest)]))
    assert "found on test videos" not in text
    assert "found on held-out videos" in text


def test_what_the_result_was_made_with_is_told(tmp_path: Path) -> None:
    meta = {
        "model": "off_bn_inception", "modality": "rgb", "weights_sha256": "ab" * 32,
        "index_sha256": "cd" * 32, "split": "test", "fusion": {"tsn": 0.25},
        "views": {"snippets": 25, "crops": 10, "over_crops": "max"},
    }  # fmt: skip
    text = page(load_results([saved(tmp_path, "rgb.npz", made_scores(meta=meta))]), seed=5)
    for words in (
        "off_bn_inception, rgb",
        "ab" * 32,
        "cd" * 32,
        "4 of split test, in 3 classes",
        "25 snippets, 10 crops, the highest logit over crops",
        "50 draws of 4 videos, seed 5",
    ):
        assert words in text


def test_streams_of_a_fused_file_are_told_with_their_weights(tmp_path: Path) -> None:
    stream = {"name": "rgb/tsn", "file": "rgb.npz", "model": "tsn_bn_inception",
              "modality": "rgb", "weight": 1.5, "weights_sha256": "ef" * 32}  # fmt: skip
    meta = {"model": "fused", "weights_from": "given", "streams": [stream]}
    fused = made_scores(heads=("fused",), meta=meta)
    text = page(load_results([saved(tmp_path, "fused.npz", fused)]))
    assert "weight 1.5, tsn_bn_inception, rgb" in text
    assert "Weights of rgb.npz, SHA-256" in text
    assert "ef" * 32 in text


def test_videos_that_were_not_scored_are_named(tmp_path: Path) -> None:
    scores = made_scores(meta={"unusable": ["gone.mp4"]})
    text = page(load_results([saved(tmp_path, "rgb.npz", scores)]))
    assert "a video could not be scored" in text
    assert "<code>gone.mp4</code> not scored in rgb.npz" in text


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        build_report(results(tmp_path), None, title="x", draws=50).files for _ in range(2)
    )
    assert first == second
    assert set(first) == {
        "report.html", "streams.csv", "confusion.csv", "classes.csv", "worst.csv",
        "accuracy.png", "confusion.png",
    }  # fmt: skip


def test_charts_say_neither_when_nor_with_what_they_were_drawn(tmp_path: Path) -> None:
    files = build_report(results(tmp_path), None, title="x", draws=50).files
    for name in ("accuracy.png", "confusion.png"):
        assert files[name].startswith(b"\x89PNG")
        assert b"tEXt" not in files[name]
        assert b"tIME" not in files[name]


def test_names_that_a_font_lacks_or_that_look_like_formulas_are_drawn(tmp_path: Path) -> None:
    found = results(tmp_path, classes=("走る", r"$\frac{1$", "\U0001f6b6"))
    assert build_report(found, None, title="x", draws=50).files["confusion.png"]


def test_files_of_an_earlier_report_do_not_stay_beside_the_new_one(tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "curves.png").write_bytes(b"of an earlier run")
    (out / "mine.txt").write_text("kept")
    write_report(build_report(results(tmp_path), None, title="x", draws=50), out)
    assert not (out / "curves.png").exists()
    assert (out / "mine.txt").read_text() == "kept"
    assert (out / "report.html").exists()


@pytest.mark.parametrize("count", [21, 101])
def test_a_matrix_of_many_classes_names_them_all(tmp_path: Path, count: int) -> None:
    classes = [f"class-{number}" for number in range(count)]
    videos = [f"{number}.mp4" for number in range(count)]
    scores = made_scores(videos=videos, labels=range(count), classes=classes)
    text = page(load_results([saved(tmp_path, "a.npz", scores)]))
    svg = text[text.index('<svg class="matrix"') :]
    svg = svg[: svg.index("</svg>")]
    assert all(svg.count(f">{name}</text>") == 2 for name in classes)
