"""Which objects exist: every material and content of the real data, and how each is made."""

from __future__ import annotations

from mmseg_heritage.sample_set.artworks import artworks_paint as paint
from mmseg_heritage.sample_set.artworks import artworks_sheet as sheet
from mmseg_heritage.sample_set.artworks.artwork import Maker

_ART, _GEO, _LINE, _PHOTO = (
    "Artistic depiction",
    "Geometric patterns",
    "Line art",
    "Photographic depiction",
)

MAKERS: dict[tuple[str, str], Maker] = {
    ("Canvas", _ART): paint.canvas_painting,
    ("Paper", _PHOTO): sheet.photograph,
    ("Tesserae", _GEO): paint.mosaic_pattern,
    ("Parchment", _LINE): sheet.manuscript,
    ("Film emulsion", _PHOTO): sheet.film_frame,
    ("Wood", _ART): paint.wood_panel,
    ("Textile", _GEO): paint.rug,
    ("Glass", _PHOTO): sheet.glass_negative,
    ("Lime plaster", _ART): paint.fresco,
    ("Ceramic", _ART): paint.plate,
    ("Paper", _LINE): sheet.drawing,
    ("Parchment", _ART): sheet.miniature,
    ("Tesserae", _ART): paint.mosaic_picture,
    ("Textile", _ART): paint.tapestry,
    ("Paper", _ART): sheet.watercolor,
    ("Glass", _ART): sheet.stained_glass,
    ("Ceramic", _GEO): paint.tile,
    ("Paper", _GEO): sheet.wallpaper,
}
"""(material, content) -> maker; images go through it in this order, so ten show every material."""
