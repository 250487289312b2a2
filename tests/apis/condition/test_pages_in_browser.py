"""The pages in a real browser: condition records on three widths and on paper, and the comparison.

Names are hostile; nothing may overflow, and nothing may run or be loaded but what is ours.
"""

import base64
import re
import time

import numpy as np
import pytest

from mmseg_heritage.apis.condition.comparing_photographs import compare_photographs
from mmseg_heritage.apis.condition.condition_records import condition_record

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)>"
WIDTHS = (390, 768, 1280)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("pages") / "found"


@pytest.fixture
def found(place, pair, predicted):
    """Predictions of both photographs, and their comparison."""
    if not place.exists():
        names = (EVIL, "a_very_long_name_without_any_space_" * 3)
        for name, ids, image in zip(names, pair.maps, pair.images, strict=False):
            predicted(place, name, ids, pixels=image, mm_per_pixel=0.5)
        files = [place / f"{name}.json" for name in names]
        compare_photographs(*files, place.parent / "changes")
        condition_record(place, place.parent / "records", legend="spanish")
    return place.parent


def is_within(browser):
    return browser.run("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_record_fits_and_can_be_completed(browser, found, width):
    browser.open(found / "records" / f"{EVIL}.html", width=width)
    assert is_within(browser)
    assert browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.run("return document.querySelector('h1').textContent") == EVIL
    browser.click("input")
    browser.press("7")
    assert browser.run("return document.querySelector('input').value") == "7"
    assert browser.errors() == []


def test_a_record_is_printed_on_a4(browser, found):
    browser.open(found / "records" / f"{EVIL}.html")
    printed = browser.devtools("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
    content = base64.b64decode(printed["data"])
    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert 1 <= len(sizes) <= 4
    for size in sizes:
        assert np.abs(np.array(size, float) - (595, 842)).max() < 1.5


@pytest.mark.parametrize("width", WIDTHS)
def test_the_comparison_by_mouse_and_keys(browser, found, width):
    browser.open(found / "changes" / "index.html", width=width)
    assert is_within(browser)
    assert browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    stage = "document.getElementById('stage')"

    def shown():
        return browser.run("return document.getElementById('shown').textContent")

    def border():
        return browser.run("return document.getElementById('handle').style.left")

    assert (shown(), border()) == ("Before | After", "50%")
    browser.run(f"{stage}.focus()")
    browser.press("\ue014")
    assert border() == "52%"
    browser.press("1")
    assert shown() == "Before"
    browser.press(" ")
    assert shown() == "After"
    left = browser.run("return document.getElementById('top').style.clipPath").split()[-1]
    assert left.startswith("0%")
    browser.press("d")
    assert not browser.run("return document.querySelector('.damage').checkVisibility()")
    browser.press("s")
    browser.click("#frame")
    assert abs(float(border().rstrip("%")) - 50) < 2
    assert browser.run("return document.querySelectorAll('.mark:not([hidden])').length") == 5
    browser.click("[data-filter=unchanged]")
    assert browser.run("return document.querySelectorAll('.mark:not([hidden])').length") == 6
    browser.run(f"{stage}.focus()")
    browser.press("j")
    assert browser.run("return document.querySelector('tr.chosen').dataset.number") == "1"
    assert browser.run(f"return document.getElementById('frame').clientWidth > {stage}.clientWidth")
    browser.press("0")
    browser.press("b")
    before = shown()
    changed = (
        "const seen = arguments[0]; return document.getElementById('shown').textContent !== seen"
    )
    end = time.monotonic() + 10
    while not browser.run(changed, before):  # by itself, after a part of a second
        assert time.monotonic() < end
    assert browser.errors() == []
