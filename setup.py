"""Packaging of mmseg_heritage: metadata, requirement files as extras, and mim's ``.mim`` folder.

Imports nothing but setuptools, so that isolated builds need neither torch nor mmcv.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
NAME = "mmseg_heritage"
MIM_PARTS = ("tools", "configs", "model-index.yml")  # what mim looks for below <package>/.mim


def read_version() -> str:
    """Returns the version literal of version.py without importing the package."""
    text = (ROOT / NAME / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError(f'{NAME}/version.py holds no line of the form __version__ = "1.2.3"')
    return match.group(1)


def read_requirements(name: str) -> list[str]:
    """Returns the requirements of requirements/<name>.txt, without comments and ``-r`` lines."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("-")]


class BuildPyWithMim(build_py):  # type: ignore[misc]  # setuptools carries no types
    """Puts tools/, configs/ and model-index.yml below ``mmseg_heritage/.mim``.

    The usual way, a function that fills the source tree when ``sys.argv`` says so, misses editable
    installs of today's pip and lets whatever an earlier run left there into the wheel. Here wheels
    get fresh copies in the build folder, and editable installs get links in the source tree.
    """

    def run(self) -> None:
        """Builds the package, then its ``.mim`` folder."""
        if self.editable_mode:
            super().run()
            fill_mim(ROOT / NAME / ".mim", link=True)
            return
        target = Path(self.build_lib) / NAME
        if target.exists():  # or a module deleted since the last build would be in the wheel
            shutil.rmtree(target)
        super().run()
        fill_mim(target / ".mim", link=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Adds the files of ``.mim`` to what the build reports."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        if not self.editable_mode:
            mim = Path(self.build_lib) / NAME / ".mim"
            outputs += [str(path) for path in sorted(mim.rglob("*")) if path.is_file()]
        return outputs


def fill_mim(mim: Path, *, link: bool) -> None:
    """Makes ``mim`` anew, with links to the parts or with copies of them."""
    if mim.is_symlink():
        mim.unlink()
    elif mim.exists():
        shutil.rmtree(mim)  # unlinks links, does not follow them
    mim.mkdir(parents=True)
    for name in MIM_PARTS:
        source, target = ROOT / name, mim / name
        if link:
            try:
                target.symlink_to(Path("..", "..", name), target_is_directory=source.is_dir())
                continue
            except OSError:  # no links here (Windows without the right, some network folders)
                pass
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


setup(
    name=NAME,
    version=read_version(),
    description="Damage segmentation on photographs of heritage objects, for mmsegmentation",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8")
    if (ROOT / "README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords="semantic segmentation, cultural heritage, damage detection, mmsegmentation, ARTeFACT",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
    # 3.14: mmengine 0.10.7 calls pkgutil.find_loader, which 3.14 removed.
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    include_package_data=True,
    install_requires=read_requirements("runtime"),
    extras_require={
        "official": read_requirements("official"),
        "onedl": read_requirements("onedl"),
        "classic": read_requirements("classic"),
        "hub": read_requirements("hub"),
        "record": read_requirements("record"),
        "export": read_requirements("export"),
        "all": read_requirements("optional"),
        "tests": read_requirements("tests"),
        "docs": read_requirements("docs"),
    },
    entry_points={"console_scripts": [f"mmseg-heritage = {NAME}.__main__:run"]},
    cmdclass={"build_py": BuildPyWithMim},
    zip_safe=False,
)
