"""The page's files: what is vendored, and that the docs say its keys."""

import hashlib
import re
from pathlib import Path

import pytest

from mmseg_heritage.review import review_page

SOURCE = Path(review_page.__file__).with_name("page")
DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_openseadragon_is_the_file_that_its_readme_says():
    readme = (SOURCE / "openseadragon" / "README.txt").read_text("utf-8")
    script = (SOURCE / "openseadragon" / "openseadragon.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in readme
    version = re.match(rb"//! openseadragon (\S+)", script)[1].decode()
    assert f"OpenSeadragon {version}" in readme
    assert f"OpenSeadragon {version}" in (SOURCE / "review.html").read_text("utf-8")
    assert "Redistribution" in (SOURCE / "openseadragon" / "LICENSE.txt").read_text("utf-8")


@pytest.mark.skipif(not DOCS.is_dir(), reason="runs from a source tree")
def test_the_docs_say_every_key():
    script = (SOURCE / "page.js").read_text("utf-8")
    block = script[script.index("const KEYS = [") : script.index("const actions = ")]
    said = re.findall(r'\[\[.*?\], "([^"]+)", "([^"]+)", ', block)
    page = (DOCS / "how-to" / "review.md").read_text("utf-8")
    table = page.split("\n| key |")[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    plain = [(re.sub("`", "", keys), meaning) for keys, meaning in rows]
    assert plain == [(text.encode().decode("unicode_escape"), meaning) for text, meaning in said]


def test_no_script_loads_anything_from_elsewhere():
    for path in SOURCE.glob("*.*"):
        assert not re.search(r"https?:|//[a-z]+\.", path.read_text("utf-8")), path


def test_texts_never_become_markup():
    for path in SOURCE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(",
                             path.read_text("utf-8")), path  # fmt: skip
