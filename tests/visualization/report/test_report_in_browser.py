"""The report in a real browser: nothing fails, tables sort, images load, it fits and can be read.

Chromium is driven through chromedriver's own protocol (W3C WebDriver), which the standard library
speaks well enough.
"""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from PIL import Image

from mmseg_heritage.apis.reporting import report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key that W3C WebDriver gives elements

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs chromium and chromedriver: apt-get install chromium chromium-driver",
    ),
]


class Browser:
    """A session of headless Chromium.

    Args:
        profile: New folder for its settings.
    """

    def __init__(self, profile):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([DRIVER, f"--port={port}"], **quiet)
        options = {
            "binary": CHROMIUM,
            "args": [*SWITCHES, f"--user-data-dir={profile}"],
        }
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self._wait_for_driver()
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        except BaseException:
            self.process.kill()
            raise
        self.session = f"/session/{made['sessionId']}"

    def _wait_for_driver(self):
        for _ in range(200):
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("chromedriver does not answer")

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:500]) from error

    def devtools(self, command, **params):
        body = {"cmd": command, "params": params}
        return self._call("POST", f"{self.session}/goog/cdp/execute", body)

    def open(self, path, width=1280, scheme="light"):
        """Opens a file in a window of some width, in a color scheme."""
        phone = {"deviceScaleFactor": 1, "mobile": width < 500}
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            screenWidth=width,
            **phone,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])
        self._call("POST", f"{self.session}/url", {"url": path.as_uri()})

    def run(self, script, *arguments):
        """Runs the body of a function in the page and returns what it returns."""
        body = {"script": script, "args": list(arguments)}
        return self._call("POST", f"{self.session}/execute/sync", body)

    def click(self, selector):
        """Clicks an element as a user does: it must be visible, and nothing over it."""
        found = {"using": "css selector", "value": selector}
        element = self._call("POST", f"{self.session}/element", found)[ELEMENT]
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})",
                 {ELEMENT: element})  # fmt: skip
        self._call("POST", f"{self.session}/element/{element}/click", {})

    def press(self, key):
        """Presses and releases a key."""
        steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        actions = {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]}
        self._call("POST", f"{self.session}/actions", actions)

    def errors(self):
        """Returns what the console said since it was last asked."""
        entries = self._call("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def screenshot(self, path):
        """Writes what the window shows."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self.session}/screenshot")))

    def close(self):
        try:
            self._call("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser for all tests."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def made():
    """Reports that several tests open, each drawn once."""
    return {}


@pytest.fixture(params=["run", "comparison"])
def page(request, made, tmp_path, random_counts, another_model, tested_run):
    """A report with pictures, whose names are as long and as hostile as names get."""
    if request.param in made:
        return made[request.param]
    ids = tuple(f"image_{i:02d}_{'x' * 60}<img src=x onerror=alert(1)>" for i in range(24))
    counts = random_counts(images=24, ids=ids, own=True)
    other = another_model(counts, gain=0.4)
    runs = [
        str(tested_run(tmp_path / ("long_name_" * 12), counts)),
        str(tested_run(tmp_path / "second", other, seed=1)),
    ]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for place, name in enumerate(ids[:20]):
        Image.new("RGB", (900, 300), (10 * place, 80, 120)).save(pictures / f"{name}.png")
    number = 1 if request.param == "run" else 2
    out = tmp_path / "report.html"
    report(runs[:number], out, pictures=[pictures] * number)
    return made.setdefault(request.param, out)


LOADED = """
return [...document.images].map(image => {
  image.loading = "eager";
  return image.decode().then(() => image.naturalWidth, () => 0);
}).reduce((all, one) => all.then(list => one.then(width => [...list, width])), Promise.resolve([]));
"""
TEXTS = """
const rgb = color => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const color = rgb(getComputedStyle(e).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || element.closest("script, template, noscript")) continue;
  if (!element.checkVisibility() || element.closest("caption")) continue;
  const style = getComputedStyle(element);
  const tint = element.closest(".meter")
    ? [rgb(getComputedStyle(document.getElementById("tint-of-test")).color)] : [];
  for (const ground of [behind(element), ...tint]) {
    const [a, b] = [light(rgb(style.color)), light(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const text = walker.currentNode.data.trim().slice(0, 40);
    found.push([text, parseFloat(style.fontSize), contrast]);
  }
}
return found;
"""
TINT = """
const probe = document.createElement("i");
probe.id = "tint-of-test";
probe.style.color = "var(--tint)";
document.body.append(probe);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_can_be_read(browser, page, width, scheme):
    browser.open(page, width, scheme)
    assert browser.run("return innerWidth") == width
    assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.run(TINT)
    texts = browser.run(TEXTS)
    assert len(texts) > 300
    assert not [text for text in texts if text[1] < 12]
    assert not [text for text in texts if text[2] < 4.5]
    widths = browser.run(LOADED)
    assert len(widths) >= 2
    assert all(value > 0 for value in widths)
    assert browser.errors() == []


def test_colors_change_with_the_button_and_back(browser, page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.open(page, scheme="dark")
    dark = browser.run(ground)
    browser.click("#theme")
    light = browser.run(ground)
    assert light != dark
    browser.click("#theme")
    assert browser.run(ground) == dark
    browser.open(page, scheme="light")
    assert browser.run(ground) == light


COLUMN = """
const table = document.querySelectorAll("#tables table, #images table")[arguments[0]];
return [...table.tBodies[0].rows].map(row => row.cells[arguments[1]].dataset.key);
"""
ARIA_SORT = "return document.querySelector(arguments[0]).parentElement.getAttribute('aria-sort')"


def test_tables_sort_by_number_and_by_name(browser, page):
    browser.open(page)
    tables = browser.run('return document.querySelectorAll("#images table").length')
    assert tables == 1
    last = browser.run('return document.querySelectorAll("#tables table").length')
    button = '#images th[scope="col"]:nth-child({}) button'
    for column, key in ((2, float), (1, str)):
        before = browser.run(COLUMN, last, column - 1)
        for reverse in (False, True):
            browser.click(button.format(column))
            after = browser.run(COLUMN, last, column - 1)
            assert sorted(after) == sorted(before)
            assert [key(v) for v in after] == sorted(map(key, before), reverse=reverse)
            state = browser.run(ARIA_SORT, button.format(column))
            assert state == ("descending" if reverse else "ascending")
    assert browser.errors() == []


def test_cells_without_a_value_sort_last_both_ways(browser, page):
    browser.open(page)
    browser.run("document.querySelector('#images tbody tr:nth-child(3)').cells[1].dataset.key = ''")
    last = browser.run('return document.querySelectorAll("#tables table").length')
    for _ in range(2):
        browser.click('#images th[scope="col"]:nth-child(2) button')
        assert browser.run(COLUMN, last, 1)[-1] == ""


def test_an_image_opens_with_its_picture_and_classes(browser, page):
    browser.open(page, 390)
    name = browser.run("return document.querySelector('#images tbody th').textContent")
    browser.click("#images tbody th button")
    shown = "return document.getElementById('viewer').open"
    assert browser.run(shown)
    assert browser.run("return document.querySelector('#viewer h3').textContent") == name
    widths = browser.run(
        LOADED.replace("document.images", "document.querySelectorAll('#viewer img')")
    )
    assert all(widths)
    assert browser.run("return document.querySelectorAll('#viewer tbody tr').length") > 1
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    browser.click("#viewer th button")  # its table sorts too
    browser.press("\ue00c")  # escape
    assert not browser.run(shown)
    browser.click("[data-enlarge]")
    assert browser.run(shown)
    browser.click("#close")
    assert not browser.run(shown)
    assert browser.errors() == []


def test_scripts_of_others_do_not_run(browser, page, tmp_path):
    changed = tmp_path / "changed.html"
    text = page.read_text(encoding="utf-8")
    evil = '<script>window.ran = true</script><img src="x" onerror="window.ran = true">'
    changed.write_text(text.replace("<main>", f"<main>{evil}"), encoding="utf-8")
    browser.open(changed)
    assert browser.run("return window.ran ?? null") is None
    assert browser.errors()
