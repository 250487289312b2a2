"""The pages of docs/ and the README: links and commands are right, the site builds."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmseg_heritage.cli import COMMANDS, _parser

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("runs from a source tree", allow_module_level=True)
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
of_each_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))


def without_code(text):
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """Returns what a link to a page can have after #, as mkdocs makes it from the headings."""
    slugify = pytest.importorskip("markdown.extensions.toc").slugify
    headings = re.findall(r"^#+ (.+)$", without_code(path.read_text("utf-8")), re.MULTILINE)
    return {slugify(re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading), "-") for heading in headings}


def flat(nav):
    if isinstance(nav, str):
        return [nav]
    return [
        page for part in (nav.values() if isinstance(nav, dict) else nav) for page in flat(part)
    ]


def test_the_navigation_names_every_page_once():
    nav = flat(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    assert sorted(nav) == [path.relative_to(DOCS).as_posix() for path in PAGES]


@of_each_text
def test_links_lead_to_files_and_headings(path):
    for target in re.findall(
        r"\]\((?!https?://)([^)\s]+)\)", without_code(path.read_text("utf-8"))
    ):
        name, _, anchor = target.partition("#")
        linked = (path.parent / name) if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@of_each_text
def test_files_that_it_names_exist(path):
    text = path.read_text("utf-8")
    named = set(re.findall(r"\b((?:tools|configs|tests|docs|requirements)/[\w./-]+\.\w+)", text))
    named -= set(re.findall(r"^# (configs/\S+\.py)$", text, re.MULTILINE))  # to be written
    assert not [name for name in named if not (ROOT / name).is_file() and "NAME" not in name]


def commands(path):
    """Yields the arguments of each command of ours that a page shows: name, then what follows."""
    names = {module.__name__.rpartition(".")[2]: module for module in COMMANDS}
    for block in re.findall(r"```bash\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for start, word in enumerate(words):
                tool = re.fullmatch(r"tools/(\w+)\.py|mmseg_heritage|mmseg-heritage", word)
                if tool is None or words[start - 1] == "search":
                    continue
                name = tool[1] or words[start + 1]
                arguments = words[start + 1 if tool[1] else start + 2 :]
                if name.replace("-", "_") in names and "..." not in arguments:
                    yield [name.replace("_", "-"), *until_shell(arguments)]


def until_shell(words):
    """Leaves out what belongs to the shell: ``; echo $?``, ``| tail``, ``&& ...``."""
    kept = []
    for word in words:
        if word in {"|", "&&", ">"}:
            break
        kept.append(word.rstrip(";"))
        if word.endswith(";"):
            break
    return kept


@of_each_text
def test_its_commands_have_these_arguments(path, capsys):
    variables = set(re.findall(r"`(\w+)`", variable_column()))
    for arguments in commands(path):
        try:
            options = _parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{shlex.join(arguments)}: {capsys.readouterr().err}")
        for option in getattr(options, "cfg_options", None) or []:
            name = option.partition("=")[0]
            assert "." in name or name in variables | {"custom_hooks"}, shlex.join(arguments)


def variable_column():
    text = (DOCS / "reference" / "variables.md").read_text("utf-8")
    return "\n".join(re.findall(r"^\|([^|]*)\|", text, re.MULTILINE))


def test_commands_are_found_on_the_pages():
    found = [command for path in TEXTS for command in commands(path)]
    assert {command[0] for command in found} >= {"train", "test", "predict", "prepare-artefact"}
    assert len(found) > 50


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, from a build that treats warnings as errors."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    pages = [path.read_text("utf-8") for path in site.rglob("*.html")]
    assert len(pages) > len(PAGES)  # 404.html
    for page in pages:
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page):
            if 'rel="canonical"' not in tag:
                assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag), tag


@pytest.mark.slow
def test_formulas_and_roles_of_docstrings_are_set(site):
    losses = (site / "reference" / "api" / "models.html").read_text("utf-8")
    assert "<mfrac>" in losses
    assert "<mfrac>" in (site / "reference" / "metrics.html").read_text("utf-8")
    for path in site.rglob("*.html"):
        left = re.search(
            r":(?:class|func|data|meth|math):|\.\. math|arithmatex", path.read_text("utf-8")
        )
        assert left is None, (path, left)
