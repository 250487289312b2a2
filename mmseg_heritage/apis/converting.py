"""Damage maps in the formats of other programs."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.dataprep.class_file import parse_classes, read_classes
from mmseg_heritage.dataprep.ids import NOT_UNICODE, escaped, is_unicode
from mmseg_heritage.errors import InputError, system_message
from mmseg_heritage.exchange.damage_map import DamageMap
from mmseg_heritage.exchange.geojson import WORLD_ENDINGS
from mmseg_heritage.exchange.writers import (
    COLLECTED_FORMATS,
    FORMATS,
    MAP_FORMATS,
    Job,
    Settings,
    require_libraries,
)
from mmseg_heritage.images.formats import IMAGE_SUFFIXES
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, UNDECIDED, ClassList, are_artefact
from mmseg_heritage.utils.files import (
    finished_files,
    refuse_file,
    staging_folder,
    writing_together,
)
from mmseg_heritage.utils.json_reading import form_problems, parse_json
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.text import require_known

_PREDICTION = "mmseg_heritage/prediction/"
_MAP_ENDINGS = ("_classes.png", "_classes.tif")
_FORM = {"image": str, "width": int, "height": int, "area_share": {str: float}, "classes": [dict],
         "scale": {"mm_per_pixel": (None, [float])}}  # fmt: skip


@dataclass(frozen=True)
class Converted:
    """What was written of a map.

    Attributes:
        name: Of the map.
        size: Its width and height.
        regions: Number of regions; None where no format needed them.
        corners: Of their polygons, together.
        error: Pixels that the border of some region has moved at most.
    """

    name: str
    size: tuple[int, int]
    regions: int | None = None
    corners: int = 0
    error: float = 0.0


@dataclass(frozen=True)
class _Source:
    """A map to be read: its file, and that of its prediction if there is one."""

    name: str
    class_map: Path
    record: Path | None


def convert(
    maps: str | Path | Sequence[str | Path],
    formats: Sequence[str],
    out_dir: str | Path,
    *,
    classes: str | Path | None = None,
    images: str | Path | None = None,
    mm_per_pixel: float | None = None,
    settings: Settings | None = None,
    overwrite: bool = False,
    bar: Bar = no_bar,
) -> tuple[list[Converted], list[str]]:
    """Writes damage maps in the formats of other programs.

    Args:
        maps: Folder of predictions or of class maps, a class map, or a list of these.
        formats: Of :data:`mmseg_heritage.exchange.writers.FORMATS`.
        out_dir: Where to write.
        classes: File of classes (classes.json) of maps without a prediction's record; by default
            the classes of ARTeFACT.
        images: Folder of the photographs, where they are not where the records say.
        mm_per_pixel: Side of a pixel on the object in mm.
        settings: How polygons and files are written.
        overwrite: Allows replacing files.
        bar: Shows progress.

    Returns:
        What was written, and what is wrong with the maps that could not be.

    Raises:
        InputError: If an argument cannot be used, files would be replaced, or no map can be read.
    """
    given = [maps] if isinstance(maps, (str, os.PathLike)) else maps
    settings = settings or Settings()
    _check(formats, mm_per_pixel, settings, images)
    own = None if classes is None else read_classes(classes)
    sources, problems = _sources([Path(path) for path in given])
    out = Path(out_dir)
    refuse_file(out)
    endings = [MAP_FORMATS[name].ending for name in formats if name in MAP_FORMATS]
    if "geojson" in formats and settings.flip_y:
        endings += WORLD_ENDINGS
    names = [f"{source.name}{ending}" for source in sources for ending in endings]
    collections = [COLLECTED_FORMATS[name] for name in formats if name in COLLECTED_FORMATS]
    names += [file for form in collections for file in (form.name, *form.more)]
    targets = [out / name for name in names]
    if not overwrite:
        _refuse_existing(out, targets)
    reader = _MapReader(out, own, None if images is None else Path(images), mm_per_pixel)
    done: list[Converted] = []
    with writing_together(out, targets), ExitStack() as stack, bar("converting") as report:
        collected = {
            name: stack.enter_context(
                COLLECTED_FORMATS[name].write(out / COLLECTED_FORMATS[name].name)
            )
            for name in formats
            if name in COLLECTED_FORMATS
        }
        for number, source in enumerate(sources, start=1):
            with _gathering(source.class_map, problems):
                found, photograph = reader(source)
                job = Job(found, settings, photograph)
                done.append(_write(job, formats, out, collected))
            if report:
                report(number, len(sources))
        if not done:
            raise InputError("no map could be converted", problems)
    return done, problems


def _check(
    formats: Sequence[str], mm_per_pixel: float | None, settings: Settings, images: Any
) -> None:
    require_known("--to", formats, FORMATS)
    problems = []
    if not formats:
        problems.append(f"--to: expected formats, of {', '.join(FORMATS)}")
    if mm_per_pixel is not None and not 0 < mm_per_pixel < 1e6:
        problems.append(f"--mm-per-pixel: expected a number above 0, found {mm_per_pixel}")
    if not 0 <= settings.error <= 1000:
        problems.append(f"--error: expected 0 to 1000 pixels, found {settings.error}")
    if settings.max_corners < 8:
        problems.append(f"--max-corners: expected at least 8, found {settings.max_corners}")
    if settings.min_area < 1:
        problems.append(f"--min-area: expected at least 1 pixel, found {settings.min_area}")
    if images is not None and not Path(images).is_dir():
        problems.append(f"--images: {images}: no such folder")
    if problems:
        raise InputError("the maps cannot be converted", problems)
    require_libraries(list(formats))


@contextmanager
def _gathering(path: Path, problems: list[str]) -> Iterator[None]:
    """Keeps a map that cannot be converted from ending the others."""
    try:
        yield
    except InputError as error:
        text = str(error)
        problems.append(text if text.startswith(str(path.parent)) else f"{path}: {text}")
    except OSError as error:
        problems.append(f"{path}: {system_message(error)}")


def _sources(paths: Sequence[Path]) -> tuple[list[_Source], list[str]]:
    """Returns the maps to convert, and what is wrong with others."""
    found: dict[str, _Source] = {}
    problems = []
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        sources = [source for file in files if (source := _source(file, path.is_dir()))]
        if any(source.record for source in sources):  # overlays lie beside predictions
            sources = [source for source in sources if source.record]
        if not sources:
            problems.append(f"{path}: holds no class map (PNG, TIFF)" if path.exists() else
                            f"{path}: no such file or folder")  # fmt: skip
        for source in sources:
            if not is_unicode(source.name):
                problems.append(f"{escaped(str(source.class_map))}: {NOT_UNICODE}")
                continue
            if (other := found.setdefault(source.name, source)) != source:
                problems.append(
                    f"{source.class_map}: has the name of {other.class_map}, and their files would "
                    "be the same; convert them into different folders"
                )
    if not found:
        raise InputError("there is nothing to convert", problems)
    return list(found.values()), problems


def _source(path: Path, in_folder: bool) -> _Source | None:
    """Returns the map that a file is, or that of a prediction's record."""
    if path.name.startswith("."):
        return None
    if path.suffix == ".json":
        maps = (path.with_name(path.stem + ending) for ending in _MAP_ENDINGS)
        map_file = next((file for file in maps if file.is_file()), None)
        return _Source(path.stem, map_file, path) if map_file else None
    if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
        return None
    stem = path.stem.removesuffix("_classes")
    record = path.with_name(f"{stem}.json")
    if stem != path.stem and record.is_file():
        return None if in_folder else _Source(stem, path, record)
    return _Source(path.stem, path, None)


def _refuse_existing(out: Path, paths: Sequence[Path]) -> None:
    if there := list(map(str, finished_files(out, paths))):
        raise InputError(
            "these are already there; choose another --out, or replace them with --overwrite", there
        )


class _MapReader:
    """Reads maps with what their records say.

    Args:
        out: Where files are written, from where links to photographs lead.
        classes: Of maps whose record does not say them.
        images: Folder of the photographs, if not where records say.
        mm_per_pixel: Of all maps, if not what records say.
    """

    def __init__(
        self, out: Path, classes: ClassList | None, images: Path | None, mm_per_pixel: float | None
    ) -> None:
        self._out, self._classes, self._images = out, classes, images
        self._mm_per_pixel = mm_per_pixel

    def __call__(self, source: _Source) -> tuple[DamageMap, Path | None]:
        """Returns a map, and the file of its photograph where it is there.

        Raises:
            InputError: If the map or its record cannot be read.
        """
        content = {} if source.record is None else _read_record(source.record)
        classes = self._classes or _classes_of(content, source.record)
        abstains = source.record is not None and UNDECIDED not in classes.ids
        class_map = read_mask(source.class_map, classes=classes, undecided=abstains)
        if abstains:  # no format knows a part of the object without a class
            class_map[class_map == UNDECIDED] = IGNORE_INDEX
        photograph = self._photograph(source, content.get("image"))
        link = ""
        if photograph is not None:
            place = photograph.resolve()
            with contextlib.suppress(ValueError):  # on another drive of Windows
                place = Path(os.path.relpath(place, self._out.resolve()))
            link = place.as_posix()
        scale = self._mm_per_pixel or _scale_of(content)
        name = link or Path(content.get("image", "")).name
        return DamageMap(source.name, class_map, classes, name, scale), photograph

    def _photograph(self, source: _Source, image: str | None) -> Path | None:
        if self._images is not None:
            names = [Path(image).name] if image else []
            names += [source.name + suffix for suffix in IMAGE_SUFFIXES]
            places = [self._images / name for name in names]
        else:
            places = [Path(image)] if image else []
            places += [source.class_map.parent / place.name for place in places]
        return next((place for place in places if place.is_file()), None)


def _scale_of(content: dict[str, Any]) -> float | None:
    """Returns the millimeters of a pixel that a prediction was measured with.

    Formats have one number: pixels that are not square count as of unknown size.
    """
    sides = (content.get("scale") or {}).get("mm_per_pixel") or []
    is_square = len(sides) == 2 and min(sides) > 0 and math.isclose(*sides)
    return float(sides[0]) if is_square else None


def _read_record(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the JSON of a prediction ({error})") from error
    schema = str(content.get("schema", "")) if isinstance(content, dict) else ""
    problems = list(form_problems(content, _FORM, path.name))
    if not schema.startswith(_PREDICTION) or problems:
        raise InputError(f"{path}: expected the JSON of a prediction, as predict writes", problems)
    return content


def _classes_of(content: dict[str, Any], record: Path | None) -> ClassList:
    """Returns the classes of a prediction; of a map alone, those of ARTeFACT."""
    if record is None:
        return ARTEFACT
    if rows := content.get("classes"):
        # Where the surround was a class of the model, it is what 255 means in any list.
        classes, problems = parse_classes([r for r in rows if r.get("id") != IGNORE_INDEX])
        if problems:
            raise InputError(f"{record}: the classes cannot be used", problems)
        return classes
    if not are_artefact(content.get("area_share", {})):
        raise InputError(
            f"{record}: does not say the ids of its classes; give their file with --classes"
        )
    return ARTEFACT


def _write(job: Job, formats: Sequence[str], out: Path, collected: dict[str, Any]) -> Converted:
    for name in sorted(formats, key=FORMATS.index):  # what may fail first, then what is collected
        if name in MAP_FORMATS:
            path = out / f"{job.found.name}{MAP_FORMATS[name].ending}"
            if path.is_dir():  # of an earlier command, which may be replaced
                with staging_folder(path) as old:  # removed with what it holds
                    path.rename(old / path.name)
            MAP_FORMATS[name].write(path, job)
        else:
            outlines = job.outlines if COLLECTED_FORMATS[name].needs_outlines else ()
            collected[name].add(job.found, outlines)
    if "outlines" not in job.__dict__:
        return Converted(job.found.name, job.found.size)
    return Converted(
        job.found.name,
        job.found.size,
        len(job.outlines),
        sum(len(ring) for outline in job.outlines for ring in outline.rings),
        max((outline.error for outline in job.outlines), default=0.0),
    )
