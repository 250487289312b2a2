"""Photographs that are read in parts give the maps of those that are read whole."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from mmseg_heritage.apis import predict
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import MAX_MEGAPIXELS_VARIABLE
from mmseg_heritage.inference.predictor import BasePredictor

SIZE = (700, 300)  # three bands


@pytest.fixture
def scan(tmp_path, sample_set):
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(sample_set / "images" / "sample_0000.png") as image:
        pixels = np.asarray(image.convert("RGB").resize(SIZE[::-1]))
    path = folder / "scan.tif"
    tifffile.imwrite(
        path,
        pixels.astype(np.uint16) * 257,
        photometric="rgb",
        tile=(64, 64),
        compression="zlib",
        resolution=(300, 300),
        resolutionunit=2,
    )
    return path


@pytest.fixture
def begun(monkeypatch):
    """The rows from which predictions have begun, the first of which ends after a band."""
    begun, bands = [], BasePredictor.bands

    def ended(self, image, label, first=0):
        begun.append(first)
        for band, ids in bands(self, image, label, first):
            yield band, ids
            if len(begun) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(BasePredictor, "bands", ended)
    return begun


def in_parts(tiny_run, scan, out, monkeypatch, **options):
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.1")
    return predict(tiny_run.checkpoint, scan, out, device="cpu", **options)


def damage_a_tile(scan):
    """Writes over the tile in row 2, column 1."""
    with tifffile.TiffFile(scan) as tiff:
        offset = tiff.pages[0].dataoffsets[11]
    with scan.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 60)


def class_map(out):
    with tifffile.TiffFile(out / "scan_classes.tif") as tiff:
        return tiff.asarray()


def test_the_map_is_that_of_the_whole_photograph(tiny_run, scan, tmp_path, monkeypatch):
    options = {"cfg_options": {"inference.crop": 128, "inference.scales": ["native"]}}
    predict(tiny_run.checkpoint, scan, tmp_path / "whole", device="cpu", **options)
    (written,) = in_parts(tiny_run, scan, tmp_path / "parts", monkeypatch, **options)
    with Image.open(tmp_path / "whole" / "scan_classes.png") as image:
        assert np.array_equal(class_map(tmp_path / "parts"), np.asarray(image))
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    ends = ("_classes.tif", "_overlay.png", "_panel.png", ".json", "_preview.jpg",
            "_confidence.tif", "_regions.csv")  # fmt: skip
    of_all = {"index.html", "areas.csv", "regions.csv", "run.json"}
    assert names == {f"scan{end}" for end in ends} | of_all
    whole = json.loads((tmp_path / "whole" / "scan.json").read_text())
    parts = json.loads(written.read_text())
    assert parts["files"].keys() == whole["files"].keys()
    assert parts == whole | {"unread_parts": 0, "unread": [], "files": parts["files"]}
    regions = [(tmp_path / name / "scan_regions.csv").read_bytes() for name in ("whole", "parts")]
    assert regions[0] == regions[1]
    sure = tifffile.imread(tmp_path / "parts" / "scan_confidence.tif")
    with Image.open(tmp_path / "whole" / "scan_confidence.png") as image:
        assert np.array_equal(sure, np.asarray(image))
    with tifffile.TiffFile(tmp_path / "parts" / "scan_classes.tif") as tiff:
        assert tiff.pages[0].resolution == (300.0, 300.0)


def test_a_command_that_was_ended_goes_on_with_the_next_band(
    tiny_run, scan, begun, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        in_parts(tiny_run, scan, out, monkeypatch)
    assert not list(out.glob("scan*"))
    (rows,) = out.glob(".scan.unfinished/fine.rows")
    with rows.open("ab") as file:
        file.write(b"\1" * 100)  # a row that was only begun
    (written,) = in_parts(tiny_run, scan, out, monkeypatch)
    assert begun == [0, 256]
    assert not list(out.glob(".*"))
    capsys.readouterr()
    assert in_parts(tiny_run, scan, out, monkeypatch) == [written]
    assert len(begun) == 2
    assert "predicted before, with the same checkpoint and settings" in capsys.readouterr().out
    (expected,) = in_parts(tiny_run, scan, tmp_path / "at_once", monkeypatch)
    assert np.array_equal(class_map(out), class_map(tmp_path / "at_once"))
    assert json.loads(written.read_text()) == json.loads(expected.read_text())


@pytest.mark.slow
def test_rows_of_other_settings_are_not_gone_on_with(tiny_run, scan, begun, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
    options = {"cfg_options": {"inference.crop": 96}}
    in_parts(tiny_run, scan, tmp_path / "out", monkeypatch, **options)
    assert begun == [0, 0]


def test_what_cannot_be_read_is_left_out_and_named(tiny_run, scan, tmp_path, monkeypatch):
    damage_a_tile(scan)
    message = r"1 of 1 photographs could not be read everywhere(.|\n)*rows 128 to 191, columns 64 "
    with pytest.raises(InputError, match=message):
        in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
    unread = np.zeros(SIZE, bool)
    unread[128:192, 64:128] = True
    assert np.array_equal(class_map(tmp_path / "out") == 255, unread)
    content = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert content["unread_parts"] == 1
    assert sum(content["area_share"].values()) == pytest.approx(1 - unread.mean())


@pytest.mark.slow
def test_a_photograph_that_was_read_in_part_stays_incomplete(tiny_run, scan, tmp_path, monkeypatch):
    damage_a_tile(scan)
    messages = []
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_two_commands_do_not_write_into_each_others_rows(tiny_run, scan, tmp_path, monkeypatch):
    def disturbed(self, image, label, first=0):
        for band, ids in bands(self, image, label, first):
            yield band, ids
            (rows,) = (tmp_path / "out").glob(".scan.unfinished/fine.rows")
            with rows.open("ab") as file:
                file.write(b"\1" * SIZE[1])

    bands = BasePredictor.bands
    monkeypatch.setattr(BasePredictor, "bands", disturbed)
    with pytest.raises(InputError, match="another command predicts it into"):
        in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)


def test_a_photograph_that_changes_meanwhile_has_no_result(tiny_run, scan, tmp_path, monkeypatch):
    def changing(self, image, label, first=0):
        yield from bands(self, image, label, first)
        with scan.open("ab") as file:
            file.write(b"more")

    bands = BasePredictor.bands
    monkeypatch.setattr(BasePredictor, "bands", changing)
    with pytest.raises(InputError, match="was changed while it was predicted"):
        in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
    assert not list((tmp_path / "out").glob("*.json"))


@pytest.mark.slow
def test_damaged_notes_of_an_earlier_command_begin_anew(
    tiny_run, scan, begun, tmp_path, monkeypatch
):
    with pytest.raises(KeyboardInterrupt):
        in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
    (tmp_path / "out" / ".scan.unfinished" / "unread.json").write_text("")
    in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
    assert begun == [0, 0]


def test_too_little_room_is_said_before_anything_is_predicted(
    tiny_run, scan, tmp_path, monkeypatch
):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"need up to 0\.1 GB, and 0\.0 GB are free"):
        in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)


def test_what_takes_the_whole_photograph_is_refused(tiny_run, scan, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="add --inference mode=window"):
        in_parts(
            tiny_run, scan, tmp_path / "out", monkeypatch, cfg_options={"inference.mode": "whole"}
        )


@pytest.mark.slow
def test_another_scale_measures_the_tiled_maps_again(tiny_run, scan, tmp_path, monkeypatch):
    in_parts(tiny_run, scan, tmp_path / "out", monkeypatch)
    in_parts(tiny_run, scan, tmp_path / "out", monkeypatch, dpi=100)
    in_parts(tiny_run, scan, tmp_path / "anew", monkeypatch, dpi=100)
    for name in ("scan.json", "areas.csv", "regions.csv"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("out", "anew"))
        assert one == other, name
