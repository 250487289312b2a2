"""The folder of a data set as one process reads it: once, for all that ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from mmseg_heritage.dataprep.checks.sample_check import check_sizes
from mmseg_heritage.dataprep.checks.verified import VerifiedFiles
from mmseg_heritage.dataprep.class_file import find_classes
from mmseg_heritage.dataprep.layout import Sample, read_folder
from mmseg_heritage.dataprep.splits.split import Split, check_split, default_split, load_split
from mmseg_heritage.taxonomy import ClassList
from mmseg_heritage.utils.file_state import WhileUnchanged


class DataFolder:
    """Samples, splits and verified files of one data set.

    The record of verified files is read when it is first asked for.

    Args:
        root: Folder of the data set.
        images: Name of the folder of photographs.
        annotations: Name of the folder of masks.
        metadata: Name of the metadata table.
        classes: What the values of the masks mean; None reads ``classes.json``.

    Attributes:
        root: Folder of the data set.
        samples: All of them, sorted by id.

    Raises:
        InputError: As :func:`mmseg_heritage.dataprep.layout.read_folder`.
    """

    def __init__(
        self,
        root: str | Path,
        images: str = "images",
        annotations: str = "annotations",
        metadata: str = "metadata.csv",
        classes: ClassList | None = None,
    ) -> None:
        self.root = Path(root)
        self.samples = read_folder(root, images, annotations, metadata, classes)
        self._splits: WhileUnchanged[Split] = WhileUnchanged()

    @cached_property
    def verified(self) -> VerifiedFiles:
        """The record of files that were decoded and found sound."""
        return VerifiedFiles(self.root, self.samples[0].classes)

    def split(self, manifest: str | Path = "") -> Split:
        """Returns a split of the samples, verified to fit them.

        Args:
            manifest: File of the split; empty takes the default split by source object.

        Raises:
            InputError: If the manifest cannot be used, or there are too few samples.
        """

        def read() -> Split:
            if not manifest:
                return default_split(self.samples)
            split = load_split(manifest)
            check_split(split, self.samples, manifest)
            return split

        return self._splits.get(str(manifest), [manifest] if manifest else [], read)

    def check_sizes(self, samples: Sequence[Sample]) -> None:
        """Calls :func:`mmseg_heritage.dataprep.checks.sample_check.check_sizes`."""
        check_sizes(samples, self.verified)


_FOLDERS: WhileUnchanged[DataFolder] = WhileUnchanged()


def data_folder(
    root: str | Path,
    images: str = "images",
    annotations: str = "annotations",
    metadata: str = "metadata.csv",
    classes: ClassList | None = None,
) -> DataFolder:
    """Returns the :class:`DataFolder` of this process, which is read again if files have changed.

    That is: were added, removed or renamed, or the metadata was written.
    """
    names = (images, annotations, metadata)
    paths = [Path(root, name).absolute() for name in names]
    classes = find_classes(root) if classes is None else classes
    key = (*paths, classes.classes)
    return _FOLDERS.get(key, paths, lambda: DataFolder(root, *names, classes))
