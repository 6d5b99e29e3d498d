import gc

import pytest

from trackside.sdk.guard import Guard
from trackside.sdk.surroundings import Layer, Surroundings


class Middleware:
    def __init__(self, app):
        self.app = app


def named(name):
    return Layer(lambda app: f"{name}({app})", lambda app: f"{name.upper()}({app})")


@pytest.fixture
def failed():
    return []


@pytest.fixture
def surroundings(failed):
    return Surroundings(Guard(failed.append))


def test_layers_reach_applications_that_come_before_and_after(surroundings):
    before = surroundings.surround(Middleware("one"), "asgi")
    surroundings.add(named("a"))
    surroundings.add(named("b"))
    after = surroundings.surround(Middleware("two"), "wsgi")
    assert (before.app, after.app) == ("b(a(one))", "B(A(two))")
    assert surroundings.around("three", "asgi") == "b(a(three))"


def test_applications_that_are_gone_are_forgotten(surroundings):
    surroundings.surround(Middleware("one"), "asgi")
    gc.collect()
    surroundings.add(named("a"))
    kept = surroundings.surround(Middleware("two"), "asgi")
    assert len(surroundings._middlewares) == 1
    assert kept.app == "a(two)"


def test_a_layer_that_fails_leaves_the_application_as_it_is(surroundings, failed):
    kept = surroundings.surround(Middleware("one"), "asgi")
    surroundings.add(Layer(lambda app: 1 / 0, lambda app: app))
    assert kept.app == "one"
    assert failed == ["surround an application"]


def test_a_middleware_that_cannot_be_surrounded_is_handed_back(surroundings, failed):
    class Slotted:
        __slots__ = ("app",)

    thing = Slotted()
    assert surroundings.surround(thing, "asgi") is thing
    assert failed == ["surround an application"]
