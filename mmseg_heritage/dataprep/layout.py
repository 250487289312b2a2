"""The folder layout of a data set: images, annotations and metadata, paired by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.dataprep.class_file import find_classes
from mmseg_heritage.dataprep.ids import (
    NOT_UNICODE,
    escaped,
    id_of,
    is_unicode,
    similar_names,
)
from mmseg_heritage.dataprep.metadata_table import Row, read_metadata, without_endings
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import (
    IMAGE_SUFFIXES,
    FolderFiles,
    folder_files,
    unread_reason,
)
from mmseg_heritage.taxonomy import ARTEFACT, ClassList


@dataclass(frozen=True)
class Sample:
    """One photograph with its annotation.

    Attributes:
        id: File name without suffix, in composed form (NFC), equal for image and annotation.
        image: Path of the photograph.
        annotation: Path of the mask.
        source_id: The object the photograph shows. Crops, tiles and augmented copies carry the id
            of the photograph they were made from (metadata column ``source_id``); otherwise ``id``.
            A copy of a copy carries the id of the first photograph.
        material: As in the metadata, empty where there is none.
        content: As in the metadata, empty where there is none.
        group_id: Name shared by near-duplicates, such as two photographs of one object (metadata
            column ``group_id``); empty where none is known.
        classes: What the values of the mask mean.
    """

    id: str
    image: Path
    annotation: Path
    source_id: str
    material: str = ""
    content: str = ""
    group_id: str = ""
    classes: ClassList = field(default=ARTEFACT, repr=False, compare=False)

    @property
    def is_derived(self) -> bool:
        """Whether this is a copy, crop or tile of another sample, for training only."""
        return self.source_id != self.id


@dataclass(frozen=True)
class FolderContent:
    """What the folder of a data set holds, whether it fits together or not.

    Attributes:
        samples: Those with image and annotation, sorted by id.
        images: Id -> photograph.
        annotations: Id -> mask.
        columns: Of the metadata; empty where there is none.
        rows: Id -> row of the metadata, or None where it is absent or cannot be used.
        faults: What does not fit together.
        classes: What the values of the masks mean.
        other_files: In the folders of photographs and masks, but not read; without hidden ones.
    """

    samples: list[Sample]
    images: dict[str, Path]
    annotations: dict[str, Path]
    columns: tuple[str, ...]
    rows: dict[str, dict[str, str]] | None
    faults: list[Fault]
    classes: ClassList
    other_files: list[Path]


def read_folder(
    root: str | Path,
    images: str = "images",
    annotations: str = "annotations",
    metadata: str = "metadata.csv",
    classes: ClassList | None = None,
) -> list[Sample]:
    """Lists the samples of a data set, sorted by id, without opening any image.

    Images and masks are paired by file name without suffix, never by position. ``metadata.csv`` is
    optional; where it exists every image needs a row in it. ``classes.json`` is optional too; it
    says what the values of the masks mean, unless ``classes`` does.

    Raises:
        InputError: With all missing, unpaired and duplicate ids, or with all that is wrong in
            ``classes.json``.
    """
    content = scan_folder(root, images, annotations, metadata, classes)
    if content.faults:
        raise InputError(f"{root}: the data set is not consistent", map(str, content.faults))
    return content.samples


def scan_folder(
    root: str | Path,
    images: str = "images",
    annotations: str = "annotations",
    metadata: str = "metadata.csv",
    classes: ClassList | None = None,
) -> FolderContent:
    """Lists what :func:`read_folder` reads, with all that it refuses.

    Raises:
        InputError: If a folder is missing, if there is no image at all, or if ``classes.json``
            cannot be used.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(
            f"{root}: the data root does not exist. Set data_root to a folder with images/, "
            "annotations/ and metadata.csv"
        )
    missing = [
        f"{root / part}: no such folder"
        for part in (images, annotations)
        if not (root / part).is_dir()
    ]
    if missing:
        raise InputError(f"{root}: expected the folders {images}/ and {annotations}/", missing)

    classes = find_classes(root) if classes is None else classes
    faults: list[Fault] = []
    photographs, masks = folder_files(root / images), folder_files(root / annotations)
    image_paths = files_by_id(photographs.images, faults)
    mask_paths = files_by_id(masks.images, faults)
    columns, rows = read_metadata(root / metadata, faults)
    if rows is not None:
        rows = without_endings(rows, image_paths, root / metadata, faults)
    if not image_paths and not mask_paths and not faults:
        raise InputError(
            f"{root / images}: the folder holds no images ({', '.join(IMAGE_SUFFIXES)})"
            + (f"; {unread}" if (unread := photographs.not_read()) else "")
        )
    faults += _unpaired(image_paths, mask_paths, photographs, images, annotations)
    if rows is not None:
        faults += _unlisted(image_paths, rows, root / metadata, images)
    sources = {i: row.get("source_id") or i for i, row in (rows or {}).items()}
    first_sources = {i: _first_source(i, sources) for i in image_paths}
    faults += [
        Fault("source circle", root / metadata, f"following source_id from '{i}' leads in a circle")
        for i in sorted(image_paths)
        if first_sources[i] is None
    ]
    samples = []
    for sample_id in sorted(image_paths.keys() & mask_paths.keys()):
        row = (rows or {}).get(sample_id, {})
        samples.append(
            Sample(
                id=sample_id,
                image=image_paths[sample_id],
                annotation=mask_paths[sample_id],
                source_id=first_sources[sample_id] or sample_id,
                material=row.get("material") or "",
                content=row.get("content") or "",
                group_id=row.get("group_id") or "",
                classes=classes,
            )
        )
    others = [path for found in (photographs, masks) for path in found.unread + found.other]
    return FolderContent(samples, image_paths, mask_paths, columns, rows, faults, classes, others)


def _unpaired(
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    photographs: FolderFiles,
    image_folder: str,
    mask_folder: str,
) -> list[Fault]:
    """Finds photographs without mask, and masks without photograph."""
    alone, left = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    unread = {id_of(path): path for path in photographs.unread}
    similar = similar_names(alone, left)
    other_way = {mask: image for image, mask in similar.items()}
    faults = []
    for i in alone:
        message = f"no annotation with this id in {mask_folder}/"
        if i in similar:
            name = f"{i}{masks[similar[i]].suffix}"
            message += f"; is {masks[similar[i]].name} its own? Then rename that to {name}"
        faults.append(Fault("unpaired", images[i], message))
    for i in left:
        if i in unread:
            message = f"{unread[i].name} is {unread_reason(unread[i])}"
        elif i in other_way:
            message = f"no image with this id in {image_folder}/; see {images[other_way[i]].name}"
        else:
            message = f"no image with this id in {image_folder}/"
        faults.append(Fault("unpaired", masks[i], message))
    return faults


def _unlisted(
    images: Mapping[str, Path], rows: Mapping[str, Row], table: Path, image_folder: str
) -> list[Fault]:
    """Finds photographs without row, and rows without photograph."""
    alone, left = sorted(images.keys() - rows.keys()), sorted(rows.keys() - images.keys())
    similar = similar_names(alone, left)
    faults = []
    for i in alone:
        message = f"no row for the image '{i}'"
        if i in similar:
            message += (
                f"; is it '{similar[i]}'? Programs drop zeros and change case: write '{i}', and "
                "import the column as text"
            )
        faults.append(Fault("no row", table, message))
    faults += [Fault("no image", table, f"row '{i}' has no image in {image_folder}/")
               for i in left if i not in similar.values()]  # fmt: skip
    return faults


def _first_source(sample_id: str, sources: dict[str, str]) -> str | None:
    """Follows copies of copies to the first photograph; None where that never ends."""
    seen = set()
    while (source := sources.get(sample_id, sample_id)) != sample_id:
        seen.add(sample_id)
        if source in seen:
            return None
        sample_id = source
    return sample_id


def list_images(folder: str | Path) -> list[Path]:
    """Returns the image files directly in ``folder``, sorted by name; hidden files are left out."""
    return folder_files(folder).images


def files_by_id(paths: Iterable[Path], faults: list[Fault], suffix: str = "") -> dict[str, Path]:
    """Maps id to file; two files with one id are a fault.

    Args:
        paths: Files.
        faults: Is added to.
        suffix: What their names have behind the id, before the point.
    """
    files: dict[str, Path] = {}
    for path in paths:
        sample_id = id_of(path).removesuffix(suffix)
        if not is_unicode(path.name):
            faults.append(Fault("name", path.with_name(escaped(path.name)), NOT_UNICODE))
            continue
        if sample_id in files:
            message = f"the id '{sample_id}' is also that of {files[sample_id].name}"
            faults.append(Fault("repeated id", path, message))
        files[sample_id] = path
    return files


def select(
    samples: Sequence[Sample],
    materials: str | Sequence[str] | None = None,
    contents: str | Sequence[str] | None = None,
) -> list[Sample]:
    """Keeps the samples of the named materials and contents; None keeps all.

    Raises:
        InputError: If a name occurs in no sample, naming those that do.
    """
    materials = (materials,) if isinstance(materials, str) else materials
    contents = (contents,) if isinstance(contents, str) else contents
    problems = []
    for attribute, wanted in (("material", materials), ("content", contents)):
        known = sorted({getattr(s, attribute) for s in samples} - {""})
        found = ", ".join(known) or "none (no metadata.csv?)"
        problems += [
            f"{attribute} '{name}' occurs nowhere; found: {found}"
            for name in wanted or ()
            if name not in known
        ]
    if problems:
        raise InputError("the filter by material or content matches nothing", problems)
    return [
        s
        for s in samples
        if (materials is None or s.material in materials)
        and (contents is None or s.content in contents)
    ]
