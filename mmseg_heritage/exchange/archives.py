"""Writing zip archives that are the same for the same content."""

from __future__ import annotations

import zipfile


def write_member(archive: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    """Adds a file without the time of day, compressed as the archive says."""
    member = zipfile.ZipInfo(name)  # of 1980, the first time that the format can say
    member.compress_type = archive.compression
    member.external_attr = 0o600 << 16
    archive.writestr(member, content, compresslevel=archive.compresslevel)
