"""The artworks of the sample set before they are damaged."""
