"""What must stay together does, through any chain of links."""

from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import linked_groups, split_units, unit_name

names = st.integers(0, 15).map(str)


@given(st.sets(names), st.lists(st.tuples(names, names), max_size=20))
def test_groups_are_those_that_a_walk_along_the_links_reaches(isolated, links):
    everything = isolated | {name for pair in links for name in pair}
    neighbors = {name: {name} for name in everything}
    for a, b in links:
        neighbors[a].add(b)
        neighbors[b].add(a)

    def reached(name):
        seen, ahead = set(), {name}
        while ahead:
            seen |= ahead
            ahead = {n for name in ahead for n in neighbors[name]} - seen
        return sorted(seen)

    expected = sorted({tuple(reached(name)) for name in everything})
    assert [tuple(group) for group in linked_groups(everything, links)] == expected


def _sample(sample_id, source_id=None, group_id=""):
    return Sample(sample_id, None, None, source_id or sample_id, group_id=group_id)


def _ids(units):
    return [[sample.id for sample in unit] for unit in units]


def test_copies_groups_and_near_duplicates_join_through_each_other():
    samples = [
        _sample("a"),
        _sample("a_flip", "a", group_id="g"),  # the copy alone names the group
        _sample("b", group_id="g"),
        _sample("c"),
        _sample("d"),
        _sample("d_tile", "d"),
        _sample("elsewhere_1", "elsewhere"),
        _sample("elsewhere_2", "elsewhere"),
        _sample("g"),  # a source with the name of a group is not in it
    ]
    units = split_units(samples, near_duplicates=[["d_tile", "c"], ["gone", "g"]])
    assert _ids(units) == [
        ["a", "a_flip", "b"],
        ["c", "d", "d_tile"],
        ["elsewhere_1", "elsewhere_2"],
        ["g"],
    ]
    assert [unit_name(unit) for unit in units] == ["a", "c", "elsewhere", "g"]
    assert _ids(split_units(samples[::-1], [["c", "d_tile"]])) == _ids(units)
