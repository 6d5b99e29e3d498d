import pytest

from trackside.sdk.watch.subclassing import Subclasses


class Slotted:
    __slots__ = ("value",)

    def double(self):
        return self.value * 2


def derive(cls):
    class Derived(cls):
        __slots__ = ()

        def double(self):
            return super().double() + 1

    return Derived


def test_the_object_has_the_methods_and_the_name_of_its_class():
    thing = Slotted()
    thing.value = 2
    subclasses = Subclasses(derive)
    subclasses.put_on(thing)
    subclasses.put_on(thing)
    assert thing.double() == 5
    assert type(thing).__qualname__ == "Slotted"
    assert isinstance(thing, Slotted)


def test_one_class_for_all_objects_of_a_class():
    first, second = Slotted(), Slotted()
    subclasses = Subclasses(derive)
    subclasses.put_on(first)
    subclasses.put_on(second)
    assert type(first) is type(second)


def test_what_cannot_change_its_class_says_so():
    with pytest.raises(TypeError):
        Subclasses(lambda cls: type("Derived", (cls,), {"__slots__": ()})).put_on([])
