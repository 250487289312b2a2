"""The report, as text that stays readable and as JSON that holds everything."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.dataprep.checks.faults import KINDS, Fault
from mmseg_heritage.dataprep.checks.folder_check import CheckReport, check_folder
from mmseg_heritage.dataprep.checks.folder_report import SCHEMA, SHOWN, report_json, report_text
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.taxonomy import ARTEFACT

ROOT = Path("data/set")


def _report(faults):
    return CheckReport(ROOT, 3, 2, [], False, ARTEFACT, {}, faults)


def _faults(kind, number):
    return [Fault(kind, ROOT / "images" / f"{i}.png", f"wrong {i}") for i in range(number)]


def test_a_thousand_faults_of_one_kind_are_counted_in_the_text_and_listed_in_the_json():
    report = _report([*_faults("truncated", 1000), *_faults("other file", 2)])
    text = report_text(report)
    assert "fault (1000): images that are cut off or damaged" in text
    assert f"... and {1000 - SHOWN} more; --json FILE lists all" in text
    assert "  - images/4.png: wrong 4\n" in text
    assert "images/5.png" not in text
    assert "warning (2): " in text
    assert len(text.splitlines()) < 60
    assert text.splitlines()[-1] == "FAILED: 1000 faults, 2 warnings"
    content = json.loads(json.dumps(report_json(report), allow_nan=False))
    assert [f["file"] for f in content["faults"][:1000]] == [f"images/{i}.png" for i in range(1000)]
    assert content["kinds"] == {"truncated": 1000, "other file": 2}


@pytest.mark.parametrize(
    ("faults", "strict", "passed", "end"),
    [
        ([], False, True, "passed: 0 faults, 0 warnings"),
        ([], True, True, "passed: 0 faults, 0 warnings"),
        (_faults("no label", 1), False, True, "passed: 0 faults, 1 warning"),
        (_faults("no label", 1), True, False,
         "FAILED: 0 faults, 1 warning (--strict: warnings count as faults)"),
        (_faults("ids", 1), False, False, "FAILED: 1 fault, 0 warnings"),
    ],
)  # fmt: skip
def test_the_last_line_is_the_verdict(faults, strict, passed, end):
    report = _report(faults)
    assert report_text(report, strict).splitlines()[-1] == end
    assert report_json(report, strict)["passed"] is passed


def test_the_json_holds_all_that_is_known_of_a_fault():
    fault = Fault("ids", ROOT / "annotations" / "a.png", "found 16", 7, (ROOT / "b.png",), {16: 5})
    content = report_json(_report([fault]))
    assert content["schema"] == SCHEMA
    assert content["faults"] == [
        {
            "kind": "ids",
            "severity": "fault",
            "file": "annotations/a.png",
            "line": 7,
            "message": "found 16",
            "others": ["b.png"],
            "values": {"16": 5},
        }
    ]


def test_counts_by_class_and_domain_add_up(copied_sample_set):
    samples = read_folder(copied_sample_set)
    broken = samples[0].annotation
    Image.fromarray(np.full((2, 2), 99, np.uint8)).save(broken)  # not counted
    content = report_json(check_folder(copied_sample_set))
    assert (content["num_samples"], content["num_masks_counted"]) == (12, 11)
    masks = {s.id: np.array(Image.open(s.annotation)) for s in samples if s.annotation != broken}
    for entry in content["classes"]:
        assert entry["pixels"] == sum(int(np.sum(m == entry["id"])) for m in masks.values())
        assert entry["images"] == sum(bool(np.any(m == entry["id"])) for m in masks.values())
    names = [entry["name"] for entry in content["classes"]]
    assert names == [*ARTEFACT.names, "outside the object"]
    for field, name in (("material", "materials"), ("content", "contents")):
        domains = content[name]
        assert sum(domain["images"] for domain in domains.values()) == 12
        assert {getattr(s, field) for s in samples} == set(domains)
        for value, domain in domains.items():
            own = [masks[s.id] for s in samples if getattr(s, field) == value and s.id in masks]
            for entry in domain["classes"]:
                assert entry["pixels"] == sum(int(np.sum(m == entry["id"])) for m in own)


def test_the_text_shows_classes_and_domains(sample_set):
    text = report_text(check_folder(sample_set))
    assert "12 images, 12 annotations, 12 pairs" in text
    for name in (
        *ARTEFACT.names,
        *{s.material for s in read_folder(sample_set)},
    ):
        assert name in text
    assert "severity" not in text  # there is nothing to list


def test_a_set_without_one_sound_mask_is_reported_too(copied_sample_set):
    for path in (copied_sample_set / "annotations").iterdir():
        path.write_text("x")
    report = check_folder(copied_sample_set)
    assert "fault (12): files that are no image" in report_text(report)
    assert sum(entry["pixels"] for entry in report_json(report)["classes"]) == 0


def test_every_kind_has_a_title_of_its_own():
    titles = [kind.title for kind in KINDS.values()]
    assert len(set(titles)) == len(titles)
    assert {kind.severity for kind in KINDS.values()} == {"fault", "warning"}
