import copy
import pickle

import pytest

from trackside.model.cheap_typing import NamedTuple


class Point(NamedTuple):
    """Somewhere."""

    x: int
    y: "int | NoSuchName" = 2  # noqa: F821 - annotations are not looked at
    """How high."""

    @property
    def total(self):
        return self.x + self.y

    @classmethod
    def at(cls, x):
        return cls(x)

    def __repr__(self):
        return f"<{self.x}, {self.y}>"


def test_it_is_a_named_tuple():
    assert (Point(1).x, Point(1).y, Point(1, y=3)) == (1, 2, (1, 3))
    assert Point(1)._replace(y=5) == Point(1, 5)
    assert Point._fields == ("x", "y")
    assert Point.__doc__ == "Somewhere."
    assert Point.__qualname__ == "Point"
    assert hash(Point(1)) == hash(Point(1, 2))


def test_it_has_the_methods_of_its_class():
    assert Point(1).total == 3
    assert Point.at(7) == Point(7)
    assert repr(Point(1)) == "<1, 2>"


def test_it_is_frozen():
    with pytest.raises(AttributeError):
        Point(1).x = 2


def test_what_is_missing_or_too_much_is_refused():
    with pytest.raises(TypeError):
        Point()
    with pytest.raises(TypeError):
        Point(1, 2, 3)


def test_it_can_be_copied_and_pickled():
    assert copy.deepcopy(Point(1)) == Point(1)
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
