import pytest

from trackside.instruments.registry import Registry
from trackside.wire import exposition, openmetrics


def test_labels_that_say_something():
    registry = Registry()
    registry.info("build", {"commit": "1f3a", "number": 7}, "What was built.")
    assert 'build_info{commit="1f3a",number="7"} 1' in exposition.render(registry.collect()).decode()
    assert "# TYPE build info" in openmetrics.render(registry.collect()).decode()


def test_it_may_be_said_anew():
    registry = Registry()
    info = registry.info("build_info", {"commit": "1f3a"})
    assert registry.info("build", {"commit": "2b4c"}) is info
    assert list(info.rows()) == [(("2b4c",), (1,))]
    info.set({"commit": "3d5e", "unknown": "x"})
    assert info.labels == {"commit": "3d5e"}


def test_with_other_labels_it_is_refused():
    registry = Registry()
    registry.info("build", {"commit": "1f3a"})
    with pytest.raises(ValueError, match="taken"):
        registry.info("build", {"version": "1"})
