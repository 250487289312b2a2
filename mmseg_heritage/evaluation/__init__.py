"""Scores: pure functions on integer confusion counts, and the metric built on them.

Nothing is imported here: :mod:`.confusion` needs numpy only, so that scores can be read and
compared without loading torch. :mod:`.metric`, which mmengine's loops call, is registered by
:mod:`mmseg_heritage.plugin`.
"""
