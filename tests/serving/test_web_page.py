"""The page in a real browser, with a real service behind it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_states import STATES, upload
from services import film, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
TOKEN = "a-token-for-tests-of-the-page"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("no chromium on this computer")
    with api.sync_playwright() as playing:
        opened = playing.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(
    browser: "Browser", checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    state = tmp_path_factory.mktemp("page") / "state"
    with served(checkpoint, state, "--max-bytes", str(1 << 20)) as server:
        yield server.warm().address


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(90_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(address)
    yield opened
    context.close()
    assert wrong == []


def _until(page: "Page", condition: str) -> None:
    """Wait for something; the content policy forbids the browser to wait for a text of ours."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {condition}")


def test_a_video_is_sent_followed_shown_and_handed_out(page: "Page", clip: Path) -> None:
    upload(page, clip)
    page.wait_for_selector("#viewer:not([hidden])")
    assert page.inner_text("#viewer-title") == "clip.mp4"
    assert page.locator("#top li").count() in (3, 5)
    assert page.locator("#segments li").count() >= 1
    _until(page, "document.querySelector('#video').readyState >= 2")
    with page.expect_download() as told:
        page.click("#files a:has-text('JSON')")
    document = json.loads(told.value.path().read_text())
    assert document["video"] == "clip.mp4"
    assert told.value.suggested_filename == "clip.json"
    names = page.locator("#files a").all_inner_texts()
    assert names[:4] == ["JSON", "SRT subtitles", "CSV table", "VTT subtitles"]
    page.reload()
    page.wait_for_selector("#viewer:not([hidden])")
    assert page.inner_text("#viewer-title") == "clip.mp4"
    page.click(".remove")
    page.wait_for_selector("#viewer", state="hidden")
    page.reload()
    page.wait_for_selector("#limits:has-text('Up to')")
    assert page.locator(".card").count() == 0


def test_what_is_no_video_is_told_in_words_with_what_to_do(page: "Page", tmp_path: Path) -> None:
    wrong = tmp_path / "notes.mp4"
    wrong.write_bytes(b"no video" * 100)
    upload(page, wrong)
    page.wait_for_selector(".card[data-state=failed]")
    said = page.inner_text(".card .state")
    assert "notes.mp4 is not a video" in said
    assert said.endswith("Choose another file.")


def test_a_file_too_large_is_told_in_words(page: "Page", tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(2 << 20))
    page.wait_for_selector("#limits:has-text('Up to')")
    upload(page, large)
    page.wait_for_selector(".card[data-state=failed]")
    assert page.inner_text(".card .state").startswith("The file is larger than this server takes")
    assert page.locator(".again").is_hidden()


def test_a_full_queue_can_be_tried_again(page: "Page", clip: Path) -> None:
    body = {"error": {"code": "busy", "message": "2 videos wait already"}}
    page.route(
        "**/v1/jobs?*",
        lambda route: route.fulfill(status=503, json=body, headers={"Retry-After": "5"}),
    )
    upload(page, clip)
    page.wait_for_selector(".card[data-state=failed]")
    assert "queue is full" in page.inner_text(".card .state")
    page.unroute("**/v1/jobs?*")
    page.click(".again")
    page.wait_for_selector(".card[data-state=done]")


def test_the_keyboard_alone_suffices(page: "Page", clip: Path) -> None:
    # The browser is told in time that the dialogue is ours: Enter opens it at once.
    page.on("filechooser", lambda chooser: None)
    page.wait_for_selector("#limits:has-text('Up to')")
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(clip)
    page.wait_for_selector("#viewer:not([hidden])")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.closest('#segments, #files')?.id || e.id || e.className)"
                "(document.activeElement)"
            )
        )
    assert {"record", "pick", "remove", "video", "segments", "files"} <= reached


def test_the_name_of_a_file_is_text(page: "Page", tmp_path: Path) -> None:
    name = "<img src=x onerror=window.hit=1>.mp4"
    upload(page, film(tmp_path / name))
    page.wait_for_selector("#viewer:not([hidden])")
    assert page.inner_text("#viewer-title") == name
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.hit") is None


def test_the_camera_is_recorded(page: "Page") -> None:
    page.wait_for_selector("#limits:has-text('Up to')")
    page.click("#record")
    page.wait_for_selector("#record:has-text('Stop')")
    page.wait_for_timeout(1000)
    page.click("#record")
    page.wait_for_selector("#viewer:not([hidden])")
    assert page.inner_text("#viewer-title").startswith("recording ")


def test_the_switch_shows_maps_at_the_same_moment(page: "Page", tmp_path: Path) -> None:
    upload(page, film(tmp_path / "longer.mp4", frames=50))
    page.wait_for_selector("#maps")
    _until(page, "document.querySelector('#video').readyState >= 2")
    page.evaluate("document.querySelector('#video').currentTime = 1")
    page.focus("#maps")
    page.keyboard.press("Space")
    _until(page, "document.querySelector('#video').src.endsWith('/maps')")
    _until(page, "Math.abs(document.querySelector('#video').currentTime - 1) < 0.05")
    page.locator("#segments button").first.click()
    _until(page, "document.querySelector('#video').currentTime < 0.05")
    page.wait_for_selector("#segments button[aria-current=true]")


def test_a_narrow_page_does_not_scroll_sideways(page: "Page", tmp_path: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    upload(page, film(tmp_path / f"{'long' * 30}.mp4"))
    page.wait_for_selector("#viewer:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360)])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(
    page: "Page", clip: Path, state: str, scheme: str, width: int
) -> None:
    axe = Path(os.environ.get("MAREY_AXE", "node_modules/axe-core/axe.min.js"))
    if not axe.exists():
        pytest.skip("axe-core is not here: npm install axe-core, or MAREY_AXE=axe.min.js")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    STATES[state](page, clip)
    # Evaluated by the debugger, which the page's content policy does not bind.
    page.evaluate(axe.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_could_not_be_made_is_told_with_its_reason(page: "Page", clip: Path) -> None:
    STATES["missing"](page, clip)
    told = page.locator("#missing li").all_inner_texts()
    assert told[0].startswith("Could not be made: a video that browsers play and the annotated ")
    assert "pcm_mulaw" in told[0]
    assert told[1] == "Could not be made: the OFF maps (the disk is full)."
    assert page.is_hidden("#video")
    assert page.locator("#segments li").count() == 3


def test_a_413_of_the_server_is_told_in_words(page: "Page", tmp_path: Path) -> None:
    limits = {"bytes": 1 << 30, "seconds": 600, "pixels": 1 << 20, "queue": 32}
    model = {"name": "small", "classes": ["a"], "limits": limits}
    page.route("**/v1/model", lambda route: route.fulfill(json=model))
    page.reload()
    page.wait_for_selector("#limits:has-text('Up to 1073 MB')")
    page.unroute("**/v1/model")
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(40 << 20))
    upload(page, large)
    page.wait_for_selector(".card[data-state=failed]")
    assert page.inner_text(".card .state").startswith("The file is larger than this server takes")


def test_a_server_with_a_token_is_asked_with_it(
    browser: "Browser", checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with served(checkpoint, tmp_path / "state", "--token-file", str(tmp_path / "token")) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.address)
        page.fill("#token-text", "another")
        page.keyboard.press("Enter")
        page.wait_for_selector("#notice:has-text('not the token')")
        page.fill("#token-text", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#limits:has-text('Up to')")
        upload(page, clip)
        page.wait_for_selector("#viewer:not([hidden])", timeout=120_000)
        _until(page, "document.querySelector('#video').readyState >= 2")
        assert page.evaluate("document.querySelector('#video').src").startswith("blob:")
        context.close()
