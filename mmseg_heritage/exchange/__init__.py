"""Damage maps in the formats of other programs, and back.

Writers and readers know class maps, classes and files, and nothing of models: the import of data
sets reads with them what people have drawn or corrected. Coordinates: see
:mod:`mmseg_heritage.exchange.shapes.polygons`.
"""
