"""The review page in a real browser: by keys, mouse and touch, on a large photograph.

Names are hostile; what the page exports is applied, and the map is what was seen.
"""

import json
import time

import cv2
import numpy as np
import pytest

from mmseg_heritage.apis.reviews.applying_reviews import apply_review
from mmseg_heritage.apis.reviews.reviewing import review
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.review.review_file import read_review
from mmseg_heritage.taxonomy import AREA, ARTEFACT
from mmseg_heritage.utils.files import write_json

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)>"
WIDTH, HEIGHT = 8000, 6000
ESCAPE, ENTER, SHIFT, CONTROL = "\ue00c", "\ue007", "\ue008", "\ue009"
DOWN, RIGHT = "\ue015", "\ue014"


AREAS = [c.id for c in ARTEFACT.classes[1:] if c.kind == AREA][:4]  # fast to measure


def scattered(rng, width, height, columns, rows):
    """Returns a map of so many separate regions."""
    ids = np.zeros((height, width), np.uint8)
    across, down = width // columns, height // rows
    for row in range(rows):
        for column in range(columns):
            center = (column * across + across // 2, row * down + down // 2)
            axes = rng.integers(5, min(across, down) // 3, 2).tolist()
            color = int(rng.choice(AREAS))
            cv2.ellipse(ids, center, axes, int(rng.integers(180)), 0, 360, color, -1)
    return ids


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that all tests share."""
    return tmp_path_factory.mktemp("reviewed") / "found"


@pytest.fixture
def folder(place, predicted):
    """Predictions of a small photograph and of a wall with 2,000 regions, and their page."""
    if not place.exists():
        rng = np.random.default_rng(1)
        wall = scattered(rng, WIDTH, HEIGHT, 50, 40)
        sure = np.repeat(rng.integers(130, 255, (HEIGHT, 1), np.uint8), WIDTH, axis=1)
        predicted(place, EVIL, scattered(rng, 600, 400, 6, 4), mm_per_pixel=0.1)
        predicted(place, "wall", wall, confidence=sure)
        review(place)
    return place


@pytest.fixture(params=[1280, 820])
def page(request, browser, folder):
    """The page, new and without acts, at two widths; errors of the console fail the test."""
    page = Page(browser, folder)
    page.open(request.param, clean=True)
    yield page
    assert browser.errors() == []


class Page:
    """What a reviewer does with the page."""

    def __init__(self, browser, folder):
        self.browser, self.folder = browser, folder
        self.path = folder / "review" / "review.html"
        self.run = browser.run

    def open(self, width, clean=False):
        size = {"width": width, "height": 1000, "screenWidth": width, "screenHeight": 1000}
        self.browser.devtools("Emulation.setDeviceMetricsOverride", deviceScaleFactor=1,
                              mobile=False, **size)  # fmt: skip
        self._go()
        if clean:
            self.run("localStorage.clear()")
            self._go()
        self.wait("document.body.dataset.ready")

    def _go(self):
        session = self.browser.session
        self.browser._call("POST", f"{session}/url", {"url": self.path.as_uri()})

    def wait(self, condition):
        for _ in range(200):
            if self.run(f"return Boolean({condition})"):
                return
            time.sleep(0.05)
        raise TimeoutError(condition)

    def settle(self):
        """Waits until the photograph does not move any more."""
        state = "return JSON.stringify(review.view.viewer.viewport.getBounds(true))"
        before = None
        while before != (before := self.run(state)) or time.sleep(0.1):
            time.sleep(0.05)

    def press(self, *keys):
        for key in keys:
            self.browser.press(key)

    def chord(self, *keys):
        steps = [{"type": "keyDown", "value": key} for key in keys]
        steps += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.act({"type": "key", "id": "keyboard", "actions": steps})

    def act(self, *sources):
        body = {"actions": list(sources)}
        self.browser._call("POST", f"{self.browser.session}/actions", body)

    def drag(self, places, kind="mouse", name="pointer"):
        """Returns what a pointer does that is put down, moved and lifted."""
        first, *others = [{"type": "pointerMove", "duration": 60, "x": round(x), "y": round(y)}
                          for x, y in places]  # fmt: skip
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        steps = [{**first, "duration": 0}, down, *others, up]
        parameters = {"pointerType": kind}
        return {"type": "pointer", "id": f"{name} {kind}", "parameters": parameters,
                "actions": steps}  # fmt: skip

    def begin(self, initials="AB"):
        """Says who reviews, when the page asks."""
        self.wait("document.querySelector('#ask-initials').open")
        self.press(*initials, ENTER)
        self.wait("!document.querySelector('dialog[open]')")

    def choose(self, place):
        self.run("const s = document.getElementById('photographs');"
                 "s.selectedIndex = arguments[0]; s.dispatchEvent(new Event('change'))",
                 place)  # fmt: skip
        self.wait(f"review.photograph === review.data.photographs[{place}]"
                  " && review.regions.all.length && document.body.dataset.ready === "
                  "review.photograph.name")  # fmt: skip
        self.settle()

    @property
    def acts(self):
        return self.run("return review.acts.all")

    def on_page(self, x, y):
        """Returns where on the page a place of the photograph is."""
        return self.run(
            "const b = document.getElementById('overlay').getBoundingClientRect();"
            "const p = review.view.viewer.world.getItemAt(0).imageToViewerElementCoordinates("
            "new OpenSeadragon.Point(arguments[0], arguments[1]));"
            "return [b.left + p.x, b.top + p.y]",
            x, y,
        )  # fmt: skip

    def opacity(self, places):
        """Returns how opaque the layer over places of the photograph is, 0 to 255."""
        return self.run(
            "const layer = document.getElementById('overlay');"
            "const copy = document.createElement('canvas');"
            "copy.width = layer.width; copy.height = layer.height;"
            "const context = copy.getContext('2d', {willReadFrequently: true});"
            "context.drawImage(layer, 0, 0);"
            "const item = review.view.viewer.world.getItemAt(0);"
            "return arguments[0].map(([x, y]) => {"
            "const p = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(x, y));"
            "return context.getImageData(p.x, p.y, 1, 1).data[3]; });",
            [[float(x), float(y)] for x, y in places],
        )

    def exported(self):
        path = self.folder.parent / "review.json"
        write_json(path, self.run("return review.files.content()"))
        return path


def test_a_large_photograph_is_there_at_once(page):
    page.choose(1)
    paint = page.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 2000
    assert page.run("return review.regions.all.length") == 2000
    assert page.run("return document.querySelectorAll('.row').length") < 60
    assert page.run("return document.documentElement.scrollWidth") <= page.run("return innerWidth")
    begin = time.perf_counter()
    page.run("review.view.refresh()")
    page.run("return new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))")
    assert time.perf_counter() - begin < 2
    wrong = page.run("return review.regions.all.map(r => r.wrong)")
    assert wrong == sorted(wrong, reverse=True)
    page.wait("review.view.viewer.world.getItemAt(0).getFullyLoaded()")


def test_a_whole_review_by_keys(page, tmp_path):
    first = page.run("return review.regions.all.slice(0, 5).map(r => r.number)")
    page.press("j", "a")
    page.begin()
    page.press("r", "l", "3", "j", "k", "c")
    page.wait("document.querySelector('#write-comment').open")
    page.press(*EVIL)
    page.chord(CONTROL, ENTER)
    page.wait("review.acts.all.length === 4")
    page.press("u", "U")
    page.chord(CONTROL, "z")
    page.chord(CONTROL, "y")
    acts = page.acts
    assert [(a["kind"], a["region"]["number"]) for a in acts] == [
        ("accept", first[0]), ("reject", first[1]), ("relabel", first[2]), ("comment", first[3]),
    ]  # fmt: skip
    assert acts[2]["class"] == "Peel"
    assert acts[3]["text"] == EVIL
    assert {a["by"] for a in acts} == {"AB"}
    assert EVIL in page.run("return document.getElementById('verdict').textContent")
    page.press("0")
    page.settle()
    page.press("b", "]", " ", *[RIGHT] * 6, *[DOWN] * 3, " ", "e", " ", " ", "g", "?")
    assert page.run("return document.querySelector('#help').open")
    page.press(ESCAPE)
    kinds = [a["kind"] for a in page.acts]
    assert kinds[4:] == ["paint", "erase", "finish"]
    page.open(820)  # a closed tab loses nothing
    assert [a["kind"] for a in page.acts] == kinds
    path = page.exported()
    assert read_review(path).reviewers == "AB"
    done = apply_review([path], page.folder, tmp_path / "new")
    assert done.conflicts == {}
    after = read_mask(tmp_path / "new" / f"{EVIL}_classes.png")
    before = read_mask(page.folder / f"{EVIL}_classes.png")
    left, top, width, height = acts[1]["region"]["box"]
    assert before[top + height // 2, left + width // 2] != 0
    assert after[top + height // 2, left + width // 2] == 0
    assert page.run("return document.images.length") == 0  # no name became markup


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_painting_with_a_pointer_is_what_is_applied(page, tmp_path, kind):
    page.run("review.acts.reviewer = 'AB'")
    page.press("0")
    page.settle()
    page.browser.click("[data-tool=brush]")
    line = [(60, 170), (200, 150), (320, 300)]
    page.act(page.drag([page.on_page(*point) for point in line], kind))
    page.wait("review.acts.all.length === 1")
    name = page.acts[0]["class"]
    page.browser.click("[data-tool=eraser]")
    page.act(page.drag([page.on_page(330, 170), page.on_page(250, 350)], kind))
    page.wait("review.acts.all.length === 2")
    paint, erase = page.acts
    assert (paint["kind"], erase["kind"], paint["radius"]) == ("paint", "erase", 8)
    assert np.allclose(paint["points"][0], line[0], atol=2)
    page.browser.click("[data-tool=hand]")
    page.press(ESCAPE)
    time.sleep(0.3)
    apply_review([page.exported()], page.folder, tmp_path / "new")
    after = read_mask(tmp_path / "new" / f"{EVIL}_classes.png")
    before = read_mask(page.folder / f"{EVIL}_classes.png")
    painted = after[150, 200]
    assert painted == page.run("return review.data.classes.findIndex(c => c.name === arguments[0])",
                               name)  # fmt: skip
    assert (after != before).sum() > 2000
    # What the layer shows is what was applied, but for the edges.
    for is_there, expected in ((after == painted, (90, 255)), (after == 0, (0, 0))):
        inner = cv2.erode(is_there.astype(np.uint8), np.ones((9, 9), np.uint8))
        places = np.argwhere(inner)[::97, ::-1] + 0.5
        found = page.opacity(places)
        assert len(found) > 10
        assert expected[0] <= min(found) <= max(found) <= expected[1]


def test_two_fingers_move_and_do_not_paint(page):
    page.run("review.acts.reviewer = 'AB'")
    page.settle()
    page.browser.click("[data-tool=brush]")
    x, y = page.on_page(300, 200)
    zoom = "return review.view.viewer.viewport.getZoom()"
    before = page.run(zoom)
    page.act(
        page.drag([(x - 30, y), (x - 60, y), (x - 120, y)], "touch", "one"),
        page.drag([(x + 30, y), (x + 60, y), (x + 120, y)], "touch", "two"),
    )
    assert page.acts == []
    assert page.run(zoom) > 1.5 * before


def test_a_region_is_chosen_on_the_photograph_and_in_the_list(page):
    page.press("0")
    page.settle()
    box = page.run("return review.regions.all[7].box")
    center = (box[0] + box[2] / 2, box[1] + box[3] / 2)
    for kind in ("mouse", "touch"):
        page.press(ESCAPE)
        time.sleep(0.4)  # not a double click
        page.act(page.drag([page.on_page(*center)], kind))
        page.wait("review.panels.chosen === review.regions.all[7]")
    row = page.run(
        "const row = document.getElementById(`row-${review.regions.all[6].number}`);"
        "const b = row.getBoundingClientRect(); return [b.left + 60, b.top + 20]"
    )
    page.act(page.drag([row]))
    page.wait("review.panels.chosen === review.regions.all[6]")
    selected = page.run("return document.querySelector('[aria-selected=true]').id")
    assert selected == page.run("return `row-${review.regions.all[6].number}`")


def test_classes_are_filtered_and_made_faint(page):
    total = page.run("return review.regions.all.length")
    page.browser.click("#class-rows li:first-child .only")
    listed = page.run("return Number(document.querySelector('.row').ariaSetSize)")
    assert 0 < listed < total
    place = page.run("const r = review.regions.listed('all')[0]; "
                     "return [r.box[0] + r.box[2] / 2, r.box[1] + r.box[3] / 2]")  # fmt: skip
    page.settle()
    (strong,) = page.opacity([place])
    page.run("const s = document.querySelector('#class-rows li input[type=range]');"
             "s.value = 10; s.dispatchEvent(new Event('input'))")  # fmt: skip
    time.sleep(0.2)
    assert 0 < page.opacity([place])[0] < strong / 2
    page.browser.click("#all-classes")
    assert page.run("return Number(document.querySelector('.row').ariaSetSize)") == total


def test_export_and_import(page, tmp_path):
    page.run("review.acts.reviewer = 'AB'")
    page.press("j", "a", "r")
    kept = page.exported().read_text("utf-8")
    page.press("a")
    assert len(page.acts) == 3
    give = (
        "const t = new DataTransfer(); t.items.add(new File([arguments[0]], 'r.json'));"
        "const f = document.getElementById('file'); f.files = t.files;"
        "f.dispatchEvent(new Event('change'))"
    )
    page.run(give, kept)
    page.wait("document.querySelector('#confirm').open")
    assert "1 act" in page.run("return document.querySelector('#confirm').textContent")
    page.browser.click("#confirm .main")
    page.wait("review.acts.all.length === 2")
    for wrong in ("no json", "{}", kept.replace('"accept"', '"delete"'),
                  kept.replace("class_map_sha256\": \"", "class_map_sha256\": \"0")):  # fmt: skip
        page.run("document.getElementById('toast').textContent = ''")
        page.run(give, wrong)
        page.wait("document.getElementById('toast').textContent.includes('cannot be read')")
        assert len(page.acts) == 2
    content = json.loads(kept)
    assert list(content["photographs"]) == [EVIL]


def test_texts_can_be_read_and_nothing_overflows(page):
    page.press("j")
    page.settle()
    assert (
        page.run(
            "return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && "
            "[...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && "
            "parseFloat(getComputedStyle(e).fontSize) < 12).map(e => e.outerHTML.slice(0, 80))"
        )
        == []
    )
    for element in ("header", "aside", "#stage"):
        right = page.run(f"return document.querySelector('{element}')"
                         ".getBoundingClientRect().right")  # fmt: skip
        assert right <= page.run("return innerWidth")
    assert (
        page.run(
            "return [...document.querySelectorAll('button, select, input')].filter(e => "
            "e.checkVisibility() && !(e.ariaLabel || e.textContent.trim() || e.labels?.length))"
            ".map(e => e.outerHTML)"
        )
        == []
    )


def test_two_clicks_and_a_length_give_the_scale(page, tmp_path):
    """By the mouse, refused where it is absurd; then by keys, undone, and applied."""
    area = "return review.areaText(100)"
    assert page.run(area) == "1 mm\u00b2"
    page.press("s")
    box = page.run("const b = document.getElementById('overlay').getBoundingClientRect();"
                   "return [b.left, b.top, b.width, b.height]")  # fmt: skip
    row = box[1] + box[3] / 2
    columns = [box[0] + share * box[2] for share in (0.4, 0.6)]
    for typed in ("400", "0,2"):
        for column in columns:
            page.act(page.drag([(column, row)]))
        page.wait("document.querySelector('#ask-scale').open")
        page.run("document.getElementById('scale-unit').value = 'm'")
        page.press(*typed, ENTER)
        if typed == "400":
            page.wait("!document.getElementById('toast').hidden")
            assert "not believed" in page.run("return document.getElementById('toast').textContent")
            assert page.run("return review.acts.all.length") == 0
    page.begin()
    page.wait("review.acts.all.length === 1")
    (act,) = page.run("return review.acts.all")
    (left, top), (right, bottom) = act["points"]
    assert (act["kind"], act["by"], act["length"], act["unit"]) == ("scale", "AB", 0.2, "m")
    assert abs(top - bottom) < 1
    side = 200 / (right - left)
    assert page.run("return review.scaleOf(review.photograph)[0]") == pytest.approx(side, rel=1e-3)
    page.press("u")
    assert page.run(area) == "1 mm\u00b2"
    page.press("U", "s", " ", *[RIGHT] * 30, " ")
    page.wait("document.querySelector('#ask-scale').open")
    assert "30 px" in page.run("return document.getElementById('scale-pixels').textContent")
    page.run("document.getElementById('scale-unit').value = 'mm'")
    page.press("6", "0", ENTER)
    page.wait("review.acts.all.length === 2")
    exported = json.loads(page.run("return JSON.stringify(review.files.content())"))
    write_json(tmp_path / "review.json", exported)
    apply_review([tmp_path / "review.json"], page.folder, tmp_path / "new")
    (name,) = exported["photographs"]
    record = json.loads((tmp_path / "new" / f"{name}.json").read_text("utf-8"))
    assert record["scale"]["mm_per_pixel"] == pytest.approx([2, 2])
    assert "two points in the review page (60 mm, AB" in record["scale"]["source"]
