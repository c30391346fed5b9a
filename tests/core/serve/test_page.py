"""The page in headless Chromium, as wide as a desk's screen and as a phone's: pictures, camera, errors, a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("selenium")

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from agegender_core.faces import Faces
from agegender_core.images import read_image
from agegender_core.pipeline import FrameResult, Pipeline
from agegender_core.records import face_records, shown_age, shown_gender, shown_interval
from agegender_core.serve.app import Served, serve_app
from agegender_core.serve.limits import Limits
from agegender_core.serve.live import LiveView
from agegender_core.serve.server import address_of, listen, serving

from .browsing import NEEDS_BROWSER, WIDTHS, check, keep, see, show, start_browser, text_of

pytestmark = NEEDS_BROWSER
TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def browser(astronaut_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser whose camera sees the astronaut."""
    folder = tmp_path_factory.mktemp("camera")
    frame = cv2.cvtColor(read_image(astronaut_path)[:384, :512], cv2.COLOR_RGB2BGR)
    (folder / "camera.mjpeg").write_bytes(cv2.imencode(".jpg", frame)[1].tobytes())
    driver = start_browser(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}",
    )
    yield driver
    driver.quit()


def words(faces: Faces) -> list[list[str]]:
    """The rows of the page's table."""
    return [
        [
            str(row + 1),
            str(shown_age(face["age"])),
            shown_interval(face["age_interval"]) if face["age_interval"] else "not known",
            f"{shown_gender(face['p_male'])} {max(face['p_male'], 1 - face['p_male']):.0%}".replace("%", "\u00a0%"),
            f"{face['quality']:.2f}",
        ]
        for row, face in enumerate(face_records(faces))
    ]


def table(browser: Chrome, selector: str) -> list[list[str]]:
    script = """return [...document.querySelectorAll(arguments[0] + ' tbody tr')]
        .map(row => [...row.cells].map(cell => cell.innerText))"""
    return list(browser.execute_script(script, selector))


@WIDTHS
def test_pictures_that_are_chosen_are_shown_with_boxes_ages_and_what_is_wrong(
    browser: Chrome,
    served: Callable[..., str],
    pipeline: Pipeline,
    astronaut_path: Path,
    tmp_path: Path,
    width: int,
) -> None:
    image = read_image(astronaut_path)
    tiff, broken = tmp_path / "scan.tiff", tmp_path / "broken.jpg"
    cv2.imwrite(str(tiff), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    broken.write_bytes(astronaut_path.read_bytes()[:9000])
    show(browser, served(), width)
    see(browser, lambda b: b.find_element(By.ID, "drop").is_displayed())
    assert "Nothing is stored." in text_of(browser, "#privacy")
    assert "this server alone" in text_of(browser, "#privacy")
    browser.find_element(By.ID, "files").send_keys("\n".join(map(str, (astronaut_path, tiff, broken))))
    see(browser, lambda b: len(b.find_elements(By.CSS_SELECTOR, ".result table")) == 2)
    see(browser, lambda b: "cut off" in text_of(b, ".result .why"))
    names = [heading.text for heading in browser.find_elements(By.CSS_SELECTOR, ".result h3")]
    assert names == ["broken.jpg", "scan.tiff", "astronaut.jpg"]
    assert text_of(browser, ".result .why") == "the file is cut off before its end"
    assert table(browser, ".result:nth-child(3)") == words(pipeline(image))
    assert table(browser, ".result:nth-child(2)") == words(pipeline(read_image(tiff)))
    # The box on the page lies where the face is in the picture.
    place = browser.execute_script(
        """const [picture, box] = ['.result:last-child img', '.result:last-child .box']
            .map(s => document.querySelector(s).getBoundingClientRect());
        return [(box.x - picture.x) / picture.width, (box.y - picture.y) / picture.height, box.width / picture.width]"""
    )
    left, top, right, _ = pipeline(image).xyxy[0]
    assert place == pytest.approx([left / 512, top / 400, (right - left) / 512], abs=0.01)
    # No browser of ours shows TIFF: the server's drawing stands there.
    sizes = browser.execute_script("return [...document.querySelectorAll('.result img')].map(i => i.naturalWidth)")
    assert sizes == [512, 512]
    keep(browser, f"pictures-{width}")
    check(browser, width, errors=1)  # the 422


@WIDTHS
def test_the_camera_is_looked_at_until_it_is_stopped(browser: Chrome, served: Callable[..., str], width: int) -> None:
    show(browser, served(rate=0), width)
    see(browser, lambda b: b.find_element(By.ID, "camera-start").is_displayed())
    browser.find_element(By.ID, "camera-start").click()
    see(browser, lambda b: len(table(b, "#camera-faces")) == 1)
    row = table(browser, "#camera-faces")[0]
    assert 15 <= int(row[1]) <= 45
    assert row[3].startswith("female")
    see(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#camera-picture .box"))
    asked = "return performance.getEntriesByName(location.origin + '/predict?name=camera').length"
    before = browser.execute_script(asked)
    see(browser, lambda b: b.execute_script(asked) >= before + 3)
    keep(browser, f"camera-{width}")
    browser.find_element(By.ID, "camera-other").click()
    see(browser, lambda b: not b.find_elements(By.CSS_SELECTOR, "#camera-picture.mirrored"))
    see(browser, lambda b: len(table(b, "#camera-faces")) == 1 and b.find_element(By.ID, "camera-stop").is_displayed())
    browser.find_element(By.ID, "camera-stop").click()
    see(browser, lambda b: not b.find_element(By.ID, "camera").is_displayed())
    ended = browser.execute_script(asked)
    time.sleep(0.5)
    assert browser.execute_script(asked) == ended
    assert browser.execute_script("return document.getElementById('video').srcObject.active") is False
    check(browser, width)


@WIDTHS
def test_a_token_is_asked_for_and_a_wrong_one_again(
    browser: Chrome, served: Callable[..., str], astronaut_path: Path, width: int
) -> None:
    address = served(token=TOKEN)
    show(browser, address, width)
    see(browser, lambda b: b.find_element(By.ID, "drop").is_displayed())
    browser.find_element(By.ID, "files").send_keys(str(astronaut_path))
    see(browser, lambda b: b.find_element(By.ID, "token").is_displayed())
    for text, seen in (("wrong", "The server does not know this token."), (TOKEN, "")):
        field = see(browser, lambda b: b.find_element(By.ID, "token-text"))
        field.clear()
        field.send_keys(text)
        browser.find_element(By.CSS_SELECTOR, "#token button").click()
        see(browser, lambda b, seen=seen: text_of(b, "#alert") == seen)
        if text == "wrong":
            see(browser, lambda b: b.find_element(By.ID, "token").is_displayed())
            keep(browser, f"token-{width}")
    see(browser, lambda b: len(table(b, ".result")) == 1)
    check(browser, width, errors=2)
    browser.execute_script("sessionStorage.clear()")
    show(browser, f"{address}#token={TOKEN}", width)
    see(browser, lambda b: b.find_element(By.ID, "drop").is_displayed())
    assert browser.current_url == address
    browser.find_element(By.ID, "files").send_keys(str(astronaut_path))
    see(browser, lambda b: len(table(b, ".result")) == 1)
    browser.execute_script("sessionStorage.clear()")


@WIDTHS
def test_refusals_are_said_on_the_page(
    browser: Chrome, served: Callable[..., str], astronaut_path: Path, tmp_path: Path, width: int
) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(60_001))
    show(browser, served(max_bytes=60_000, max_pixels=100_000), width)
    see(browser, lambda b: b.find_element(By.ID, "drop").is_displayed())
    browser.find_element(By.ID, "files").send_keys(f"{astronaut_path}\n{large}")
    see(browser, lambda b: len(b.find_elements(By.CSS_SELECTOR, ".result .why")) == 2)
    assert text_of(browser, ".result:nth-child(1) .why") == "This file has 60,001 bytes; the server takes 60,000."
    assert text_of(browser, ".result:nth-child(2) .why").startswith("declares 204,800 pixels, more than the 100,000")
    check(browser, width, errors=1)


def test_pictures_can_be_dropped_and_a_camera_that_there_is_not_is_said(
    browser: Chrome, served: Callable[..., str]
) -> None:
    show(browser, served(), 390)
    see(browser, lambda b: b.find_element(By.ID, "drop").is_displayed())
    browser.execute_async_script(
        """const done = arguments[0], canvas = document.createElement('canvas');
        canvas.toBlob((blob) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([blob], 'empty.png'));
            document.dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }));
            done();
        })"""
    )
    see(browser, lambda b: text_of(b, ".result p") == "No face was found.")
    assert text_of(browser, ".result h3") == "empty.png"
    for script, said in (
        (
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }",
            "allowed",
        ),
        (
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError') }",
            "no camera",
        ),
        ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })", "https"),
    ):
        browser.execute_script(script)
        browser.find_element(By.ID, "camera-start").click()
        see(browser, lambda b, said=said: said in text_of(b, "#alert"))
    check(browser, 390)


@WIDTHS
def test_a_running_stream_is_shown_and_goes_on(
    browser: Chrome, pipeline: Pipeline, astronaut_path: Path, width: int
) -> None:
    image = read_image(astronaut_path)
    faces = pipeline(image)
    faces = faces.with_columns(track_id=np.full(len(faces), 7, np.int64))
    view = LiveView(["lobby.mp4", "door.mp4"])
    view.tell_health(
        {"frames_per_second": 24.5, "memory_mb": 310.2, "sources": [{"frames_processed": 1234, "live": False}] * 2}, ""
    )

    counts = [{"line": "Tür", "in": 3, "out": 2}, {"zone": "shelf", "now": 1, "visits": 7, "stays": 4}]
    view.numbers[0].counted = lambda: counts

    def go_on(index: int) -> None:
        for number in (0, 1):
            view.pictures[number].write(image if index % 2 else image[:, ::-1], index / 25)
            shown = faces if number == 0 else faces[:0]
            view.numbers[number].write(FrameResult(index, index / 25, image, shown, shown))

    with listen("127.0.0.1", 0) as listener, serving(serve_app(Served(live=view), Limits()), listener, Limits()):
        for index in range(50):
            go_on(index)
        view.numbers[0]._state.history.extendleft([(time.time() - 60 + n, n // 10, n) for n in range(30, 0, -1)])
        show(browser, address_of(listener), width)
        see(browser, lambda b: len(table(b, "#live-faces")) == 1)
        assert table(browser, "#live-faces")[0][0] == "7"
        assert table(browser, "#live-faces")[0][1:5] == words(faces)[0][1:]
        assert table(browser, "#live-faces")[0][5] == "2 s"
        source = "return document.getElementById('live-image').naturalWidth"
        see(browser, lambda b: b.execute_script(source) == 512)
        assert "1,234" in text_of(browser, "#health")
        assert "people\n1" in text_of(browser, "#people")
        assert text_of(browser, "#counts").split("\n") == [
            *("Tür", "3 in, 2 out", "shelf", "1 now, 7 in all, 4 stayed"),
        ]
        assert browser.find_element(By.CSS_SELECTOR, "#chart svg").is_displayed()
        assert not browser.find_element(By.ID, "predict").is_displayed()
        frames = "return performance.getEntriesByType('resource').filter(e => e.name.includes('/live/0/frame')).length"
        before = browser.execute_script(frames)
        for index in range(50, 55):
            go_on(index)
            seen = before + index - 49
            see(browser, lambda b, seen=seen: b.execute_script(frames) >= seen)
        keep(browser, f"live-{width}")
        browser.execute_script("""const list = document.getElementById('source');
            list.value = 1; list.dispatchEvent(new Event('change'))""")
        see(browser, lambda b: text_of(b, "#live-faces") == "Nobody.")
        assert not browser.find_element(By.ID, "counts-title").is_displayed()
        check(browser, width)


@WIDTHS
def test_the_page_of_the_requests(browser: Chrome, served: Callable[..., str], width: int) -> None:
    show(browser, f"{served()}docs", width)
    see(browser, lambda b: len(b.find_elements(By.CLASS_NAME, "operation")) == 5)
    text = text_of(browser, "main")
    for part in ("POST /predict", "GET /healthz", "multipart/form-data", "422", "age_interval", "?annotated"):
        assert part in text
    keep(browser, f"docs-{width}")
    check(browser, width)
