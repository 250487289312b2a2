"""What is written exactly is read back exactly, in every format that is read."""

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import Legend
from mmseg_heritage.exchange.readers import ARCHIVES, FILES, KINDS, find_readers
from mmseg_heritage.exchange.writers import COLLECTED_FORMATS, MAP_FORMATS, Job, Settings

EXACT = Settings(error=0)
# Written name -> kind that reads it.
WRITTEN = {name: name.removesuffix("-polygons") for name in (*FILES, *ARCHIVES)}
WRITTEN |= {"coco-polygons": "coco", "label-studio-polygons": "label-studio"}


def write(name, found, folder, settings=EXACT):
    """Writes a map, and returns where readers look for it."""
    job = Job(found, settings, None)
    if name in MAP_FORMATS:
        MAP_FORMATS[name].write(folder / f"{found.name}{MAP_FORMATS[name].ending}", job)
        return folder
    form = COLLECTED_FORMATS[name]
    with form.write(folder / form.name) as writer:
        writer.add(found, job.outlines)
    return folder / form.name


def read(name, place, found, rest="Clean", labels=None):
    legend = Legend(found.classes, labels, rest)
    ((stem, (_, reader)),) = find_readers(WRITTEN[name], place).items()
    assert stem.removesuffix(".png") == found.name
    return reader(found.size, legend)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("which", ["artefact_map", "own_map"])
def test_a_map_comes_back_as_it_was(name, which, request, tmp_path):
    found = request.getfixturevalue(which)
    reading = read(name, write(name, found, tmp_path / "out"), found)
    assert np.array_equal(reading.class_map, found.class_map)
    assert reading.notes == []


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_not_drawn_can_be_unknown(name, own_map, tmp_path):
    reading = read(name, write(name, own_map, tmp_path / "out"), own_map, rest="ignore")
    expected = np.where(own_map.class_map == 0, 255, own_map.class_map)
    assert np.array_equal(reading.class_map, expected)


SAYS_IT = {"svg", "geojson", "coco", "coco-polygons", "label-studio", "label-studio-polygons"}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_say_what_is_not_drawn_or_ask(name, own_map, tmp_path):
    place = write(name, own_map, tmp_path / "out")
    if name in SAYS_IT:
        reading = read(name, place, own_map, rest=None)
        assert np.array_equal(reading.class_map, own_map.class_map)
    else:
        with pytest.raises(InputError, match='add to the mapping "rest": "Clean"'):
            read(name, place, own_map, rest=None)


@pytest.mark.parametrize("name", WRITTEN)
def test_unknown_names_are_said_with_the_nearest(name, own_map, tmp_path):
    place = write(name, own_map, tmp_path / "out")
    legend = Legend(own_map.classes.subset(["Clean"]), {"Molds & salts": "Clean"}, "Clean")
    (((_, reader)),) = find_readers(WRITTEN[name], place).values()
    with pytest.raises(InputError, match=r"is no class; did you mean Molds & salts\?"):
        reader(own_map.size, legend)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_map_of_another_size_is_refused(name, own_map, tmp_path):
    place = write(name, own_map, tmp_path / "out")
    (((_, reader)),) = find_readers(WRITTEN[name], place).values()
    with pytest.raises(InputError, match="100x60"):
        reader((100, 60), Legend(own_map.classes, None, "Clean"))


@pytest.mark.parametrize("name", WRITTEN)
def test_names_of_others_mean_classes(name, own_map, tmp_path):
    place = write(name, own_map, tmp_path / "out")
    labels = {"Mold & salt": None, 'Grieta "fina"': "ignore"}
    reading = read(name, place, own_map, labels=labels)
    left_out = own_map.class_map == 7
    if name == "cvat":  # every pixel has a color; what is not to be read is not known
        assert (reading.class_map[left_out] == 255).all()
    else:
        assert (reading.class_map[left_out] == 0).all()
    assert (reading.class_map[own_map.class_map == 3] == 255).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_said(kind, tmp_path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=str(place)):
            find_readers(kind, place)


GARBAGE = [b"", b"\x00\xff" * 40, b"{}", b"[]", b"[1]", b'{"features": [3]}', b"<svg", b"<a/>",
           b"PK\x03\x04 no zip", b'{"images": [], "annotations": [], "categories": []}',
           b'<!DOCTYPE a [<!ENTITY b "c">]><svg>&b;</svg>', b"[" * 100_000,
           b"<svg>" + b"<g>" * 5000 + b"</g>" * 5000 + b"</svg>"]  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "layers"])
def test_garbage_is_refused_in_a_sentence(kind, tmp_path, own_map):
    for content in GARBAGE:
        ending = FILES[kind][0] if kind in FILES else ".x"
        path = tmp_path / f"a{ending}"
        path.write_bytes(content)
        legend = Legend(own_map.classes, None, "Clean")
        try:
            readers = find_readers(kind, tmp_path if kind in FILES else path)
            for _, reader in readers.values():
                reader(own_map.size, legend)
        except InputError as error:
            assert str(path) in str(error)
        else:  # an empty list of images
            assert not readers or content == b"<a/>"


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "layers"])
def test_damaged_files_end_in_a_sentence(name, own_map, tmp_path):
    """Of a file with changed bytes something is read, or one message names what is wrong."""
    place = write(name, own_map, tmp_path / "out")
    path = place if place.is_file() else next(place.iterdir())
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        changed = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            changed[position] = rng.choice(np.frombuffer(b'\x00\xff09-,:"{}[]<>eZx', np.uint8))
        path.write_bytes(changed[: None if rng.random() < 0.8 else rng.integers(len(changed))])
        try:
            for _, reader in find_readers(WRITTEN[name], place).values():
                ids = reader(own_map.size, Legend(own_map.classes, None, "Clean")).class_map
                assert ids.shape == own_map.class_map.shape
        except InputError as error:
            assert str(error)
