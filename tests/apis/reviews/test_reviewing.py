"""The folder of the review page."""

import json

import numpy as np
import pytest

from mmseg_heritage.apis.reviews.reviewing import review
from mmseg_heritage.cli import main
from mmseg_heritage.errors import InputError
from mmseg_heritage.review import shown_regions


@pytest.fixture
def found(tmp_path, predicted):
    """Folder with the predictions of two photographs."""
    ids = np.zeros((40, 50), np.uint8)
    ids[5:11, 5:25], ids[10:16, 30:36] = 9, 2
    for name in ("</script><b>", "wall/north"):
        predicted(tmp_path / "found", name, ids)
    return tmp_path / "found"


def data(path):
    """Returns what a script hands to the page."""
    text = path.read_text("ascii")
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])


def test_what_is_written(found):
    made = review(found)
    assert made.page == found / "review" / "review.html"
    assert made.photographs == {"</script><b>": 2, "wall/north": 2}
    folder = made.page.parent
    page = made.page.read_text("utf-8")
    for name in ("openseadragon/openseadragon.min.js", "acts.js", "page.js", "review.css"):
        assert f'"assets/{name}"' in page
        assert (folder / "assets" / name).is_file()
    assert (folder / "assets" / "openseadragon" / "LICENSE.txt").is_file()
    index = data(folder / "data" / "index.js")
    assert [p["name"] for p in index["photographs"]] == list(made.photographs)
    for one in index["photographs"]:
        regions = data(folder / "data" / f"{one['data']}.js")["regions"]
        assert sorted(row[:7] for row in regions) == [
            [1, 9, 5, 5, 20, 6, 120],
            [2, 2, 30, 10, 6, 6, 36],
        ]
        assert [p.name for p in (folder / "data" / str(one["data"])).iterdir()] == ["6"]


def test_the_key_is_that_of_the_predictions(found, predicted):
    key = data(review(found).page.parent / "data" / "index.js")["run"]
    again = review(found, found.parent / "again").page.parent
    assert data(again / "data" / "index.js")["run"] == key
    predicted(found, "wall/north", np.full((40, 50), 2, np.uint8))
    other = review(found, found.parent / "other").page.parent
    assert data(other / "data" / "index.js")["run"] != key


def test_nothing_is_replaced_unasked(found, tmp_path):
    review(found)
    with pytest.raises(InputError, match="is already there"):
        review(found)
    review(found, overwrite=True)
    assert sorted(p.name for p in found.iterdir() if p.name.startswith(".")) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="holds other files"):
            review(found, tmp_path / "mine", overwrite=overwrite)


def test_photographs_that_are_gone_or_others_are_said(found, tmp_path, capsys):
    (tmp_path / "photos" / "wall" / "north.png").write_bytes(b"another")
    assert main(["review", str(found)]) == 2
    said = capsys.readouterr()
    assert "1 photographs with 2 regions" in said.out
    assert "its SHA-256 differs" in said.out + said.err
    assert not (found / "review" / "data" / "2").exists()
    (tmp_path / "photos" / "<").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="no photograph can be reviewed") as caught:
        review(found, tmp_path / "other")
    assert len(caught.value.problems) == 2
    assert "--photos" in caught.value.problems[0]
    review(found, tmp_path / "other", photos=tmp_path / "moved")


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a folder that predict wrote"):
        review(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        review(tmp_path, photos=tmp_path / "none")


def test_more_regions_than_are_shown(found, monkeypatch):
    monkeypatch.setattr(shown_regions, "MOST_SHOWN", 1)
    monkeypatch.setattr("mmseg_heritage.apis.reviews.reviewing.MOST_SHOWN", 1)
    made = review(found)
    assert made.cut == list(made.photographs)
    assert len(data(made.page.parent / "data" / "1.js")["regions"]) == 1
