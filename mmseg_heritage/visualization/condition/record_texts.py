"""The words of a condition record, which a legend can say in another language."""

from __future__ import annotations

OBJECT, INVENTORY, INSTITUTION = "Object", "Inventory number", "Institution"
REVIEWER, DATE, SIGNATURE = "Reviewer", "Date", "Signature"
ACTS = ("accept", "reject", "relabel", "paint", "erase", "comment", "finish", "reopen")
"""What reviewers do, as the review page calls it."""

PHRASES = (
    "Condition record",
    "Machine suggestion, to be reviewed by a conservator",
    "Machine suggestion, corrected by",
    OBJECT,
    INVENTORY,
    INSTITUTION,
    REVIEWER,
    DATE,
    SIGNATURE,
    "Remarks",
    "Review",
    "Photograph",
    "What was found",
    "Legend",
    "Damage",
    "All damage",
    "Area",
    "Share of the object",
    "Length",
    "Mean width",
    "Largest width",
    "Regions",
    "Confidence",
    "No damage was found.",
    "Details",
    "look here first",
    "among the largest",
    "of the object",
    "of the photograph",
    "Place",
    "Size",
    "Scale",
    "unknown",
    "About the scale",
    "Model",
    "SHA-256 of the model",
    "SHA-256 of the photograph",
    "Made by",
    "What is unsure",
    "Confidence below",
    "Likely wrong",
    "Lines thinner than this are likely to be lost",
    "Unlike the photographs of the training",
    "Without confidences: those of the machine do not hold for a corrected map.",
    "What was not read",
    "Nothing: the whole photograph was read.",
    "Outside the object, and not described",
    "Changes by reviewers",
    "Changed pixels",
    "Pixels in conflict",
    "The whole photograph was reviewed",
    "yes",
    "no",
    "More changes, in changes.csv",
    "Act",
    "By",
    "Region",
    "Before",
    "After",
    "Pixels",
    "Comment",
    *ACTS,
)
"""All phrases; the keys that ``texts`` of a legend can have."""


_JOINERS = "\u200c\u200d"  # format characters that Persian, Hindi and others are written with


def printable_part(text: str) -> str:
    """Returns text with a mark in place of control characters, which neither XML nor paper has."""
    return "".join(
        c if c.isprintable() or c in _JOINERS else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def is_line(text: str, longest: int) -> bool:
    """Whether text is one line, of at most so many characters, that can be printed."""
    return len(text) <= longest and printable_part(text) == text
