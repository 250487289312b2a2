"""The report in a real browser: tables sort, images load, it fits and can be read."""

import pytest
from PIL import Image

from mmseg_heritage.apis.reporting import report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder of the reports that several tests open, each drawn once."""
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(params=["run", "comparison"])
def page(request, place, random_counts, another_model, tested_run):
    """A report with pictures, whose names are as long and as hostile as names get."""
    folder = place / request.param
    out = folder / "report.html"
    if out.exists():
        return out
    ids = tuple(f"image_{i:02d}_{'x' * 60}<img src=x onerror=alert(1)>" for i in range(24))
    counts = random_counts(images=24, ids=ids, own=True)
    other = another_model(counts, gain=0.4)
    runs = [
        str(tested_run(folder / ("long_name_" * 12), counts)),
        str(tested_run(folder / "second", other, seed=1)),
    ]
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    for number, name in enumerate(ids[:20]):
        Image.new("RGB", (900, 300), (10 * number, 80, 120)).save(pictures / f"{name}.png")
    number = 1 if request.param == "run" else 2
    report(runs[:number], out, pictures=[pictures] * number)
    return out


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
