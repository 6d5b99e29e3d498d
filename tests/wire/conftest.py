"""Random families of metrics, such as both formats can carry."""

import pytest
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

LEGACY = st.from_regex(r"[a-z][a-z0-9_]{0,6}x", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
UTF8 = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
VALUES = st.floats(allow_nan=False) | st.integers(-(2**60), 2**60).map(float)
TIMES = st.none() | st.integers(-(10**12), 4 * 10**12)


def _labels(names):
    return st.dictionaries(names.filter(lambda name: name != "__name__"), TEXT, max_size=3).map(Labels.of)


@st.composite
def _family(draw, names):
    name = draw(names)
    kind = draw(st.sampled_from([MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM, MetricType.UNKNOWN]))
    if kind is MetricType.COUNTER:
        name += "_total"
    suffixes = ("_bucket", "_sum", "_count") if kind is MetricType.HISTOGRAM else ("",)
    samples = draw(
        st.lists(
            st.builds(
                Sample,
                st.sampled_from(suffixes).map(lambda suffix: name + suffix),
                _labels(names),
                VALUES,
                TIMES,
                st.none(),
            ),
            max_size=4,
        )
    )
    return MetricFamily(name, kind, draw(TEXT), tuple(samples))


def _families(names):
    def apart(families):
        return len({family.name.removesuffix("_total") for family in families}) == len(families)

    return st.lists(_family(names), max_size=4).filter(apart)


@pytest.fixture(scope="session")
def families():
    """Strategies by the kind of names."""
    return {"legacy": _families(LEGACY), "utf8": _families(UTF8)}
