"""SVG: layers of shapes over the photograph, written and read."""
