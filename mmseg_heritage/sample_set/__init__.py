"""Generated sample set: small heritage objects with damage, for tests and first steps.

Everything is painted by the code here from a seed; nothing is downloaded or copied. An artwork
(:mod:`artworks`) is placed on a backdrop (:mod:`scene`), damages (:mod:`damages`) are laid on it
one by one, and each layer that shows enters the mask.
"""

from mmseg_heritage.sample_set.generate import make_sample_set

__all__ = ["make_sample_set"]
