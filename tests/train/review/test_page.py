"""The review page in headless Chromium."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("selenium")

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from agegender_core.predict import Prediction
from agegender_train.files import write_atomically
from agegender_train.review.other_faces import OtherFaces
from agegender_train.review.server import listen, page_server, review_app
from agegender_train.review.session import ReviewSession, open_session
from agegender_train.store import Store, encode_shard, read_decisions

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not on this machine"
)


class Model:
    """Everybody is 20 and female, but the face with the number 17 is 90 and male."""

    name = "model"

    def __init__(self, folder: Path) -> None:
        self.spec = SimpleNamespace(chip_size=24, chip_padding=0.4)
        self.path = folder / "model.onnx"
        self.path.write_bytes(b"a model")
        self.done = 0

    def predict_chips(self, chips: np.ndarray) -> Prediction:
        number = np.arange(self.done, self.done + len(chips))
        self.done += len(chips)
        age = np.where(number == 17, 90, 20).astype(np.float32)
        return Prediction(age, age, (number == 17).astype(np.float32))


def write_store(folder: Path, n: int) -> Path:
    """Faces 0, 1, 2 ... with ages 0, 1 ... 99, 0 ..., each second one male; all share one picture."""
    folder.mkdir()
    ramp = np.add.outer(np.arange(24), np.arange(24)) * 5
    jpeg = cv2.imencode(".jpg", np.stack([ramp, ramp, 255 - ramp], -1).astype(np.uint8))[1].tobytes()
    shards = []
    for start in range(0, n, 1000):
        rows = [
            {
                "image": {"bytes": jpeg, "path": None},
                "dataset": "even" if i % 2 == 0 else "odd",
                "key": f"folder/{i}.jpg",
                "face": 0,
                "age_low": i % 100,
                "age_high": i % 100,
                "gender": i % 2,
            }
            for i in range(start, min(start + 1000, n))
        ]
        content, name = encode_shard(rows), f"shard-{start // 1000:05}.parquet"
        (folder / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        shards.append({"name": name, "rows": len(rows), "bytes": len(content), "sha256": digest})
    cut = {"chip_size": 24, "chip_padding": 0.4}
    write_atomically(
        folder / "store.json", {"format": 2, "complete": True, "dataset": "faces", **cut, "shards": shards}
    )
    return folder


@contextmanager
def served(store: Path, folder: Path, **named: Any) -> Iterator[tuple[str, ReviewSession, list[str]]]:
    """The page's address, its session, and the paths that are asked for as time goes on."""
    asked: list[str] = []
    with open_session(store, Model(folder), **named) as session, listen() as listener:
        app = review_app(session, "secret")

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            asked.append(scope["path"].removeprefix("/secret/"))
            await app(scope, receive, send)

        server = page_server(counted)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret/", session, asked
        finally:
            server.should_exit = True
            thread.join()


class Page:
    """What a person sees and does."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, address: str, width: int = 1280, height: int = 800) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(address)
        self.until(lambda: "," in self.label, "the first face")

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.02)

    @property
    def label(self) -> str:
        """What a screen reader says of the chosen face."""
        script = "document.getElementById(grid.getAttribute('aria-activedescendant'))?.getAttribute('aria-label') ?? ''"
        return str(self.run(script))

    def says(self, text: str) -> None:
        try:
            self.until(lambda: self.label == text, text)
        except AssertionError:
            assert self.label == text

    def progress(self, text: str) -> None:
        self.until(lambda: self.find("#progress-text").text == text, text)

    def shown(self) -> list[str]:
        """The file names in sight, once all are there."""
        script = "[...document.querySelectorAll('.face')].sort((a, b) => a.dataset.place - b.dataset.place)"
        script += ".map((cell) => cell.getAttribute('aria-label').split(', ')[2])"
        self.until(lambda: None not in self.run(script), "the labels")
        return list(self.run(script))

    def choose(self, name: str, value: str) -> None:
        Select(self.find(f"[name={name}]")).select_by_value(value)


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
        "--disable-background-networking", "--disable-component-update", "--no-first-run",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Chrome) -> Iterator[Page]:
    driver.get_log("browser")
    yield Page(driver)
    # What was made to fail, and the server's end, which comes before the page's.
    expected = ("status of 507", "status of 400", "ERR_CONNECTION_REFUSED")
    complaints = [entry["message"] for entry in driver.get_log("browser")]
    assert [text for text in complaints if not any(part in text for part in expected)] == []
    driver.get("about:blank")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "store", 250)


@pytest.fixture
def address(store: Path, tmp_path: Path) -> Iterator[str]:
    with served(store, tmp_path) as (address, _, _):
        yield address


def actions(store: Path) -> list[tuple[str, str]]:
    return [(decision.key, decision.action) for decision in read_decisions(store / "review.csv")]


@pytest.mark.slow
def test_all_by_keyboard_and_kept_over_a_reload(page: Page, address: str, store: Path) -> None:
    page.open(address)
    page.progress("0 of 250 decided")
    page.says("0, female, 0.jpg, undecided")
    page.keys("a")
    page.says("1, male, 1.jpg, undecided")
    page.keys("r")
    page.says("2, female, 2.jpg, undecided")
    page.keys("34", Keys.ENTER)
    page.says("3, male, 3.jpg, undecided")
    page.keys("e", "20-29", Keys.ENTER)
    page.keys("g")
    page.says("4, male, 4.jpg, corrected")
    page.progress("5 of 250 decided")
    page.keys("h")
    page.says("20–29, male, 3.jpg, corrected")
    page.keys("f")
    page.says("20–29, female, 3.jpg, corrected")
    page.keys("k", Keys.HOME)
    page.says("0, female, 0.jpg, accepted")
    page.keys(Keys.ARROW_RIGHT, "l")
    page.says("34, female, 2.jpg, corrected")

    page.driver.refresh()
    page.says("0, female, 0.jpg, accepted")
    page.progress("5 of 250 decided")
    page.keys("u")
    page.says("20–29, male, 3.jpg, corrected")
    page.keys("u")
    page.says("4, female, 4.jpg, undecided")
    page.keys("u")
    page.says("3, male, 3.jpg, undecided")
    page.progress("3 of 250 decided")
    page.keys("n")
    page.says("4, female, 4.jpg, undecided")
    page.keys(Keys.HOME, "n")
    page.says("3, male, 3.jpg, undecided")
    assert [action for _, action in actions(store)] == ["accept", "reject", *["correct"] * 4, *["undo"] * 3]
    reviewed = Store.open(store)
    assert len(reviewed) == 249
    assert reviewed.labels().age[:3].tolist() == [0, 34, 3]


@pytest.mark.slow
def test_ages_are_checked_before_they_are_sent(page: Page, address: str, store: Path) -> None:
    page.open(address)
    for text in ("101", "30-20", "x"):
        page.keys("e", text, Keys.ENTER)
        assert "from 0 to 100" in page.find("#age-problem").text
        page.keys(Keys.ESCAPE)
        assert not page.find("#age-form").is_displayed()
    page.says("0, female, 0.jpg, undecided")
    assert actions(store) == []
    page.keys("7", Keys.BACKSPACE, "8", Keys.ENTER)
    page.progress("1 of 250 decided")
    page.says("1, male, 1.jpg, undecided")
    assert actions(store) == [("folder/0.jpg", "correct")]


@pytest.mark.slow
def test_keys_that_come_fast_all_count_in_their_order(page: Page, address: str, store: Path) -> None:
    page.open(address)
    page.keys(*"ararararggaaaa")
    page.progress("12 of 250 decided")
    written = actions(store)
    assert [key for key, _ in written[:8]] == [f"folder/{i}.jpg" for i in range(8)]
    assert [action for _, action in written[:8]] == ["accept", "reject"] * 4
    assert written[8:10] == [("folder/8.jpg", "correct"), ("folder/8.jpg", "accept")]  # to and fro
    assert written[10:] == [(f"folder/{i}.jpg", "accept") for i in range(9, 12)]


@pytest.mark.slow
def test_all_by_mouse(page: Page, address: str, store: Path) -> None:
    page.open(address)
    page.find("#face-6").click()
    page.says("6, female, 6.jpg, undecided")
    page.find("[data-act=accept]").click()
    page.find("[data-act=reject]").click()
    page.find("[data-act=gender]").click()
    page.says("8, male, 8.jpg, corrected")
    page.find("[data-act=age]").click()
    page.keys("44")
    page.find("#age-form [type=submit]").click()
    page.find("#face-8").click()
    page.says("44, male, 8.jpg, corrected")
    assert page.find("#detail-label").text == "44 male\ncorrected"
    assert "8, female" in page.find("#detail-facts").text
    assert "folder/8.jpg" in page.find("#detail-facts").text
    page.find("[data-act=undo]").click()
    page.says("8, male, 8.jpg, corrected")
    page.find("#help-button").click()
    assert page.find("#help").is_displayed()
    page.find("#help button").click()
    assert not page.find("#help").is_displayed()
    page.keys("?")
    assert page.find("#help").is_displayed()
    page.keys("a", Keys.ESCAPE)
    assert not page.find("#help").is_displayed()
    assert [action for _, action in actions(store)] == ["accept", "reject", "correct", "correct", "undo"]


@pytest.mark.slow
def test_filters_are_in_the_address(page: Page, address: str) -> None:
    page.open(f"{address}?ages=10-12&gender=m")
    page.progress("0 of 3 decided")
    assert page.shown() == ["11.jpg", "111.jpg", "211.jpg"]
    page.choose("gender", "")
    page.progress("0 of 9 decided")
    page.keys(Keys.ESCAPE, "a")
    page.progress("1 of 9 decided")
    page.choose("state", "undecided")
    page.progress("0 of 8 decided")
    assert page.run("location.search") == "?ages=10-12&state=undecided"
    page.driver.refresh()
    page.progress("0 of 8 decided")
    assert page.find("[name=ages]").get_attribute("value") == "10-12"
    page.choose("dataset", "odd")
    page.progress("0 of 2 decided")  # the face that was chosen, and then accepted, is 11.jpg
    page.keys(Keys.ESCAPE, "/")
    page.find("[name=ages]").clear()
    page.keys("/")
    page.keys("young", Keys.ENTER)
    page.until(lambda: "an age must look like" in page.find("#alert").text, "the problem")
    page.find("[name=ages]").clear()
    page.find("[name=ages]").send_keys("100", Keys.ENTER)
    page.until(lambda: page.find("#empty").is_displayed(), "an empty page")
    page.keys("a", "r", "3", "g", "n")
    page.find("#filters [type=reset]").click()
    page.progress("1 of 250 decided")
    assert page.run("location.search") == ""


@pytest.mark.slow
def test_sorted_by_disagreement_with_the_model(page: Page, address: str) -> None:
    page.open(address)
    page.choose("order", "age-error")
    page.until(lambda: page.shown()[:3] == ["99.jpg", "199.jpg", "98.jpg"], "the order by age")
    assert not page.find("#model-note").is_displayed()
    assert page.find("#detail-model").text == "model: 20, female (100%)"
    page.choose("order", "gender-error")
    page.until(lambda: page.shown()[:2] == ["1.jpg", "3.jpg"], "the order by gender")
    page.choose("order", "store")
    page.until(lambda: page.shown()[17:18] == ["17.jpg"], "the store's order")
    far = (
        page.run("document.querySelector('#face-17 i').className"),
        page.run("document.querySelector('#face-19 i').className"),
    )
    assert far == ("far", "far")
    assert page.run("document.querySelector('#face-20 i').className") == ""


@pytest.mark.slow
def test_what_is_not_saved_is_told_and_not_shown(page: Page, store: Path, tmp_path: Path) -> None:
    with served(store, tmp_path) as (address, session, _):
        page.open(address)
        plain = session._log.append
        session._log.append = lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device", "review.csv"))
        page.keys("a")
        page.until(lambda: "not saved: No space left on device" in page.find("#alert").text, "the alert")
        page.progress("0 of 250 decided")
        session._log.append = plain
        page.keys("h", "a")
        page.progress("1 of 250 decided")
        assert not page.find("#alert").is_displayed()


@pytest.mark.slow
def test_two_tabs_show_the_same(page: Page, address: str) -> None:
    page.open(address)
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.open(address)
        page.keys("a", "r")
        page.progress("2 of 250 decided")
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    page.says("0, female, 0.jpg, accepted")
    page.progress("2 of 250 decided")


@pytest.mark.slow
def test_another_face_of_the_picture_is_chosen(
    page: Page, store_of_two: Path, source_of_two: Path, tmp_path: Path
) -> None:
    def picture(of: str) -> str:
        return str(page.run(f"document.querySelector('{of}')?.src ?? ''")).rpartition("/chip/")[2]

    def decided(count: int) -> None:
        page.until(lambda: len(actions(store_of_two)) == count, f"{count} decisions")

    named = {"find_others": partial(OtherFaces.of, source=[source_of_two])}
    with served(store_of_two, tmp_path, **named) as (address, session, _):
        page.open(address)
        page.keys("b")
        page.until(lambda: page.find("#others").is_displayed(), "the picture")
        page.until(lambda: page.run("document.getElementById('others-picture').naturalWidth") == 560, "its pixels")
        boxes = session.other_faces(0)["boxes"]
        assert len(page.driver.find_elements(By.CSS_SELECTOR, "#others-boxes .choice")) == len(boxes) == 2
        # The boxes lie on the picture where the faces are.
        shown, drawn = page.find("#others-picture").rect, page.find("#others-boxes .choice:nth-of-type(2) .found").rect
        assert abs(drawn["x"] - (shown["x"] + boxes[1][0] * shown["width"] / 560)) < 4
        page.keys(Keys.ESCAPE)
        page.until(lambda: not page.find("#others").is_displayed(), "the end of the choice")
        assert (actions(store_of_two), picture("#detail-picture")) == ([], "0")
        page.keys("b")
        page.until(lambda: page.find("#others").is_displayed(), "the picture")
        page.keys("r", "9", "2")  # no decision and no face; the second face
        decided(1)
        chosen = "0?box=" + ",".join(map(str, boxes[1]))
        page.until(lambda: picture("#detail-picture") == chosen, "the other face")
        assert picture(".face.current img") == chosen
        page.until(lambda: page.run("document.querySelector('.face.current img').naturalWidth") == 72, "its pixels")
        page.driver.refresh()
        page.until(lambda: picture(".face.current img") == chosen, "the other face again")
        page.keys("u")
        page.until(lambda: picture(".face.current img") == "0", "the store's face")
        page.find("#others-button").click()
        page.until(lambda: page.find("#others").is_displayed(), "the picture")
        page.find("#others-boxes .choice:nth-of-type(2)").click()
        decided(3)
    assert actions(store_of_two) == [("both.jpg", "correct"), ("both.jpg", "undo"), ("both.jpg", "correct")]
    with served(store_of_two, tmp_path) as (address, _, _):
        page.open(address)
        page.until(lambda: picture(".face.current img") == chosen, "the other face without the source")
        assert not page.find("#others-button").is_displayed()
        page.keys("b")
        page.until(lambda: "--source" in page.find("#alert").text, "why there is no choice")


@pytest.mark.slow
def test_a_telephones_width(page: Page, address: str) -> None:
    page.open(address, 390, 844)
    assert page.run("document.documentElement.scrollWidth") == 390
    first, fourth = (page.find(selector).rect for selector in ("#face-0", "#face-3"))
    assert (fourth["x"], fourth["y"] > first["y"]) == (first["x"], True)  # three a row
    for button in page.driver.find_elements(By.CSS_SELECTOR, "#actions button:not([hidden])"):
        assert button.rect["height"] >= 44
        assert button.rect["width"] >= 44
        assert button.rect["y"] + button.rect["height"] <= 844
    assert not page.find("#filters").is_displayed()
    page.find("#filters-button").click()
    assert page.find("#filters").is_displayed()
    assert page.run("document.documentElement.scrollWidth") == 390
    page.find("#filters-button").click()
    page.find("[data-act=accept]").click()
    page.find("[data-act=age]").click()
    page.keys("5", Keys.ENTER)
    page.progress("2 of 250 decided")


@pytest.fixture(scope="module")
def big_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("big") / "store", 100_000)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_a_hundred_thousand_faces_scroll_without_loading_all(
    page: Page, big_store: Path, tmp_path: Path, width: int
) -> None:
    def chips() -> int:
        return sum(path.startswith("chip/") for path in asked)

    def settle() -> None:
        """Until no more chips are asked for, and what is in sight is there."""
        before = -1
        while before != chips():
            before = chips()
            time.sleep(0.25)
        page.until(
            lambda: page.run("[...document.querySelectorAll('.face img')].every((img) => img.complete)"), "chips"
        )

    with served(big_store, tmp_path) as (address, _, asked):
        page.open(address, width)
        page.progress("0 of 100,000 decided")
        settle()
        cells = page.run("document.querySelectorAll('.face').length")
        assert 15 <= cells <= 100
        assert chips() <= cells + 1
        assert page.run("document.querySelectorAll('*').length") < 1500
        assert asked.count("api/faces") <= 2

        before = chips()
        page.keys(Keys.END)
        page.says("99, male, 99999.jpg, undecided")
        settle()
        assert chips() - before <= 100

        # The scroll bar pulled from the bottom to the top in 200 steps, each of which takes longer than short timers
        # do, as on a busy machine.
        before, asked_faces = chips(), asked.count("api/faces")
        page.driver.execute_async_script(
            """
            const [done] = arguments;
            const later = window.setTimeout;
            window.setTimeout = (work, ms) => later(work, ms < 100 ? 0 : ms);
            let step = 200;
            const pull = () => {
              grid.scrollTop = (grid.scrollHeight * step) / 200;
              if (step-- > 0) requestAnimationFrame(pull); else done();
            };
            pull();
            """
        )
        settle()
        assert page.run("grid.scrollTop") == 0
        assert chips() - before <= 300
        assert asked.count("api/faces") - asked_faces <= 10
        assert page.run("document.querySelectorAll('.face').length") <= 100

        # Page by page, every face in sight has its picture and its label.
        page.find("#face-0").click()
        for _ in range(5):
            page.keys(Keys.PAGE_DOWN)
        settle()
        chosen = int(page.label.split(", ")[2].removesuffix(".jpg"))
        assert chosen >= 30
        assert f"{chosen}.jpg" in page.shown()
        assert page.run("[...document.querySelectorAll('.face img')].every((img) => img.naturalWidth === 24)")
        assert page.run("document.querySelectorAll('.face').length") <= 100
