"""The fifteen kinds of damage: how each is painted, and on which materials it is found."""

from __future__ import annotations

from mmseg_heritage.sample_set.damages import damage_additions as additions
from mmseg_heritage.sample_set.damages import damage_color as color
from mmseg_heritage.sample_set.damages import damage_structural as structural
from mmseg_heritage.sample_set.damages import damage_surface as surface
from mmseg_heritage.sample_set.damages.damage import Painter
from mmseg_heritage.taxonomy import ARTEFACT, MATERIALS

PAINTERS: dict[str, Painter] = {
    "Lightleak": color.light_leak,
    "Staining": color.staining,
    "Dirt": surface.dirt,
    "Writing": additions.writing,
    "Stamp": additions.stamp,
    "Fold": structural.fold,
    "Peel": structural.peel,
    "Cracks": structural.cracks,
    "Material loss": structural.material_loss,
    "Burn marks": color.burn_marks,
    "Sticker": additions.sticker,
    "Scratch": structural.scratch,
    "Puncture": structural.puncture,
    "Dust": surface.dust,
    "Hair": surface.hair,
}
"""Class name -> painter, in the order of painting: what comes later lies on top."""

CLASS_IDS: dict[str, int] = dict(zip(ARTEFACT.names, ARTEFACT.ids, strict=True))
"""Class name -> mask value."""

FOUND_ON: dict[str, tuple[str, ...]] = {
    "Material loss": MATERIALS,
    "Peel": ("Canvas", "Wood", "Lime plaster", "Glass", "Film emulsion", "Ceramic"),
    "Dust": ("Film emulsion", "Glass", "Canvas", "Textile", "Paper"),
    "Scratch": ("Film emulsion", "Glass", "Ceramic", "Canvas", "Wood", "Lime plaster"),
    "Hair": ("Film emulsion", "Glass", "Paper", "Textile"),
    "Dirt": MATERIALS,
    "Fold": ("Paper", "Parchment", "Textile"),
    "Writing": ("Paper", "Parchment", "Glass", "Lime plaster", "Ceramic"),
    "Cracks": ("Canvas", "Wood", "Lime plaster", "Ceramic", "Glass", "Tesserae"),
    "Staining": ("Paper", "Parchment", "Textile", "Lime plaster", "Tesserae"),
    "Stamp": ("Paper", "Parchment", "Textile"),
    "Sticker": ("Paper", "Glass", "Wood", "Ceramic", "Parchment"),
    "Puncture": ("Canvas", "Paper", "Parchment", "Textile", "Wood"),
    "Burn marks": ("Paper", "Parchment", "Wood", "Textile", "Film emulsion", "Canvas"),
    "Lightleak": ("Film emulsion", "Glass", "Paper"),
}
"""Class name -> materials on which it is plausible. (``Lightleak`` also needs a photograph.)"""


def plausible(name: str, material: str, content: str) -> bool:
    """Says whether a kind of damage belongs on an object."""
    if name == "Lightleak" and content != "Photographic depiction":
        return False
    return material in FOUND_ON[name]
