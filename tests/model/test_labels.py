"""Label sets."""

from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels

label_maps = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=6)


@given(label_maps)
def test_the_order_of_the_pairs_does_not_matter(mapping):
    assert Labels.of(mapping) == Labels.of(reversed(mapping.items()))


@given(label_maps)
def test_an_empty_value_is_no_label(mapping):
    assert Labels.of(mapping).as_dict() == {name: value for name, value in mapping.items() if value}


@given(label_maps, label_maps)
def test_merging_is_a_dict_union(left, right):
    left, right = ({name: value for name, value in side.items() if value} for side in (left, right))
    assert Labels.of(left).merged(Labels.of(right)).as_dict() == {**left, **right}


@given(label_maps, label_maps)
def test_equal_sets_and_only_they_have_equal_fingerprints(left, right):
    one, other = Labels.of(left), Labels.of(right)
    assert (one.stable_hash == other.stable_hash) == (one == other)


def test_a_fingerprint_is_the_same_in_every_process():
    assert Labels.of(job="shop", instance="a:80").stable_hash == 0x56AA816394E2254C


def test_labels_read_like_a_selector():
    assert str(Labels.of(__name__="up", job="shop")) == 'up{job="shop"}'
    assert str(Labels.of(__name__="up")) == "up"
    assert str(Labels.of(path='a"b\\\n')) == '{path="a\\"b\\\\\\n"}'
    assert str(Labels.of()) == "{}"
