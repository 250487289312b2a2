"""The page of a report: it stands alone, escapes what it is given, and says what was scored."""

import base64
import io
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.evaluation.comparing.comparison import compare_entries
from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.evaluation.tested_runs import read_entries
from mmseg_heritage.visualization.report.page import comparison_page, render, run_page

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
VOID = {"meta", "link", "img", "line", "rect", "br"}
LOADING = ("src", "href", "action", "data", "poster", "srcset", "xlink:href")


@dataclass
class Element:
    """A part of a page, with the text in it and below it."""

    tag: str
    attributes: dict
    inside: list
    text: str = ""


@dataclass
class Document(HTMLParser):
    """All elements of a page, in order; fails where tags are not closed in order."""

    html: str
    elements: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.stack = []
        self.feed(self.html)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes), [parent.tag for parent in self.stack])
        self.elements.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append(Element(tag, dict(attributes), [e.tag for e in self.stack]))

    def handle_endtag(self, tag):
        assert self.stack.pop().tag == tag

    def handle_data(self, data):
        for element in self.stack:
            element.text += data

    def all(self, tag, **attributes):
        return [
            e
            for e in self.elements
            if e.tag == tag and all(e.attributes.get(k) == v for k, v in attributes.items())
        ]


def _panels(folder, ids):
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0)
    for name in ids:
        Image.fromarray(noise.integers(0, 256, (20, 60, 3), np.uint8)).save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in ids}


@pytest.fixture
def evil_counts(random_counts):
    """Counts whose every name carries a script."""
    names = {key: tuple(f"{EVIL}{key}{i}" for i in range(24)) for key in ("materials", "contents")}
    return random_counts(
        images=24,
        classes=("Clean", f"{EVIL}class", "Material loss"),
        ids=tuple(f"{EVIL}{i:02d}" for i in range(24)),
        groups=tuple(f"{EVIL}group{i // 2}" for i in range(24)),
        **names,
    )


def _run_html(folder, panels=()):
    (entry,) = read_entries([str(folder)])
    run = entry.runs[0]
    return render(run_page(entry.label, run, summarize(run.counts), panels))


@pytest.fixture(scope="module")
def made():
    """Reports that several tests read, each drawn once."""
    return {}


@pytest.fixture(params=["run", "comparison"])
def pages(request, made, tmp_path, evil_counts, another_model, tested_run):
    """A report of hostile names: of a run, and of a comparison."""
    if request.param in made:
        return made[request.param]
    stamp = {"experiment": EVIL, "git": {"commit": EVIL}, "config": f"{EVIL}.py"}
    first = tested_run(tmp_path / "a", evil_counts, split=EVIL, **stamp)
    if request.param == "run":
        return made.setdefault("run", _run_html(first))
    other = another_model(evil_counts, gain=0.4)
    second = tested_run(tmp_path / "b", other, seed=1, split=EVIL, **stamp)
    entries = read_entries([str(first), str(second)])
    entries[0] = replace(entries[0], label=EVIL)
    page = comparison_page(entries, compare_entries(entries, resamples=640))
    return made.setdefault("comparison", render(page))


def test_names_are_text_and_never_markup(pages):
    page = Document(pages)
    assert len(page.all("script")) == 1
    assert "alert" not in page.all("script")[0].text
    assert not [e for e in page.elements if any(a.startswith("on") for a in e.attributes)]
    headings = [e.text for e in page.all("th", scope="row")]
    assert any(EVIL in text for text in headings)


def test_nothing_is_loaded_from_anywhere(pages):
    page = Document(pages)
    for element in page.elements:
        for name in LOADING:
            value = element.attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (element.tag, name, value)
    (style,) = page.all("style")
    assert not re.search(r"url\(|@import", style.text)
    assert "://" not in re.sub(r"data:[^\"]*", "", pages)


def test_only_its_own_script_may_run(pages):
    (policy,) = [
        e.attributes["content"]
        for e in Document(pages).all("meta")
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", directives["script-src"])


def test_what_is_shown_can_be_heard_and_reached(pages):
    page = Document(pages)
    assert page.all("html", lang="en")
    assert len(page.all("h1")) == 1
    for picture in page.all("img"):
        assert len(picture.attributes["alt"]) > 10
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) > 3
    regions = page.all("div", role="region")
    assert len(regions) == len(tables)
    assert all(e.attributes["tabindex"] == "0" and e.attributes["aria-label"] for e in regions)
    for heading in page.all("th"):
        assert heading.attributes["scope"] in ("col", "row")
    for button in page.all("button"):
        assert button.attributes["type"] == "button"
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link.attributes["href"].removeprefix("#") in ids


def test_every_image_opens_what_it_names(pages):
    page = Document(pages)
    views = {e.attributes["id"]: e for e in page.all("template")}
    assert len(views) == 24
    buttons = [e for e in page.all("button") if "data-view" in e.attributes]
    assert len(buttons) == 24
    for button in buttons:
        assert (
            views[f"view-{button.attributes['data-view']}"].attributes["data-name"] == button.text
        )


def test_numbers_are_those_of_the_metrics(tmp_path, random_counts, tested_run):
    folder = tested_run(tmp_path / "run", random_counts(images=24, own=True))
    (entry,) = read_entries([str(folder)])
    content = summarize(entry.runs[0].counts)
    page = Document(_run_html(folder))
    shown = {e.attributes["data-score"]: e for e in page.all("p") if "data-score" in e.attributes}
    assert {"mIoU", "damage_IoU", "ECE", "boundary_mF1", "worst_decile_mIoU"} <= set(shown)
    for key, element in shown.items():
        assert float(element.attributes["data-value"]) == content["overall"][key]
        assert element.text == f"{content['overall'][key]:.1f} %"
    keys = [e.attributes["data-key"] for e in page.all("td") if "data-key" in e.attributes]
    for report in content["levels"].values():
        for row in report["per_class"].values():
            for score in ("iou", "f1", "precision", "recall"):
                assert row[score] is None or str(row[score]) in keys
    text = page.all("main")[0].text
    for name in content["definitions"]:
        assert name in text
    assert entry.runs[0].stamps[0]["split"]["sha256"] in text
    ends = content["intervals"]["mIoU"]
    assert f"{ends['low']:.1f} to {ends['high']:.1f}" in text


@pytest.mark.slow
def test_the_caveat_is_said_of_data_with_that_class_only(tmp_path, random_counts, tested_run):
    caveat = "surround of a fragment"
    assert caveat in _run_html(tested_run(tmp_path / "a", random_counts()))
    cracks = random_counts(classes=("Clean", "Cracks"))
    assert caveat not in _run_html(tested_run(tmp_path / "b", cracks))


def test_parts_that_were_not_counted_are_left_out(tmp_path, random_counts, tested_run):
    empty = np.zeros((0, 0, 4), dtype=np.int64)
    counts = random_counts(
        classes=("One", "Two"), boundary=empty, components=empty[..., None],
        calibration=np.zeros((0, 0, 3)), materials=("",) * 12, contents=("",) * 12,
    )  # fmt: skip
    page = Document(_run_html(tested_run(tmp_path / "run", counts)))
    captions = [e.text for e in page.all("caption")]
    assert captions[:2] == ["Classes", "Every tested image"]
    titles = [e.text for e in page.all("strong") if "figcaption" in e.inside]
    assert "Reliability" not in titles
    assert "Confusion matrix" in titles


@pytest.mark.slow
def test_pictures_are_inlined_small_and_only_once_seen_twice(tmp_path, random_counts, tested_run):
    counts = random_counts(images=24)
    folder = tested_run(tmp_path / "run", counts)
    panels = _panels(tmp_path / "pictures", counts.ids[:20])
    html = _run_html(folder, [panels])
    page = Document(html)
    inside = [e for e in page.all("img") if "template" in e.inside]
    assert len(inside) == 20  # nothing is decoded before it is opened
    for picture in inside:
        kind, content = picture.attributes["src"].split(";base64,")
        assert kind == "data:image/jpeg"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert image.size == (60, 20)
    shown = [e for e in page.all("img") if "data-view" not in e.attributes and "figure" in e.inside]
    assert len([e for e in shown if e.attributes["src"].startswith("data:image/jpeg")]) == 6
    assert "4 of 24 images are without a picture" in html
    assert html.count("No picture of this image") == 4


def test_a_report_without_pictures_says_how_to_have_them(tmp_path, random_counts, tested_run):
    assert "--show-dir" in _run_html(tested_run(tmp_path / "run", random_counts()))


def test_a_comparison_says_what_cannot_be_told_apart(
    tmp_path, random_counts, another_model, tested_run
):
    counts = random_counts(images=24)
    runs = {"same": counts, "better": another_model(counts, gain=0.6)}
    folders = [str(tested_run(tmp_path / "first", counts))]
    folders += [str(tested_run(tmp_path / name, c, seed=1)) for name, c in runs.items()]
    entries = read_entries(folders)
    panels = [_panels(tmp_path / f"p{i}", counts.ids[:2]) for i in range(3)]
    content = compare_entries(entries, resamples=960)
    page = Document(render(comparison_page(entries, content, panels)))
    (summary,) = page.all("section", id="summary")
    assert "same and first are not separable" in summary.text
    assert "better is higher than first by +" in summary.text
    verdicts = [e for e in page.all("td") if "data-verdict" in e.attributes]
    assert {e.text for e in verdicts} >= {"higher", "not separable"}
    assert len([e for e in page.all("img") if "template" in e.inside]) == 6
    assert page.all("img", alt=f"Input, labels and prediction of {counts.ids[0]}, better")
    (card,) = page.all("section", id="card")
    for label in ("first", "same", "better"):
        assert label in card.text


def test_templates_lie_beside_the_module():
    folder = (
        Path(__file__).resolve().parents[3]
        / "mmseg_heritage"
        / "visualization"
        / "report"
        / "templates"
    )
    assert {"report.html", "report.css", "report.js"} <= {path.name for path in folder.iterdir()}
