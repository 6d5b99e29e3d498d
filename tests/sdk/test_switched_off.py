import pytest

from trackside.instruments.registry import Registry
from trackside.sdk.switched_off import NO_INSTRUMENT


@pytest.mark.parametrize("make", ["counter", "gauge", "histogram"])
def test_everything_an_instrument_can_do_is_there(make):
    instrument = getattr(Registry(), make)("a")
    child = instrument.labels()
    offered = {name for thing in (instrument, child) for name in dir(thing) if not name.startswith("_")}
    internal = {"raw", "rows", "description", "max_series", "layout", "label_names", "mode", "cell", "observed", "add"}
    internal |= {"move", "restart", "publish"}
    assert offered - internal <= set(dir(NO_INSTRUMENT))


def test_a_timed_function_stays_itself():
    def function():
        return 1

    assert NO_INSTRUMENT.time()(function) is function
    with NO_INSTRUMENT.track_inprogress():
        NO_INSTRUMENT.labels(a=1).observe(2)
