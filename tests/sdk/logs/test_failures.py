import pytest

from trackside.sdk.logs.failures import MAX_STACK, error_of, failure


def raised(function):
    try:
        function()
    except BaseException as error:
        return failure(error, error.__traceback__)
    raise AssertionError


class Broken(Exception):
    def __str__(self):
        raise RuntimeError("no")


def recursive():
    recursive()


def test_a_deep_recursion_is_short():
    found = raised(recursive)
    assert found["type"] == "RecursionError"
    assert len(found["stacktrace"]) <= MAX_STACK + 100


def test_a_message_that_cannot_be_made():
    def fail():
        raise Broken

    found = raised(fail)
    assert found["message"] == "(RuntimeError when it was written)"
    assert "Broken" in found["stacktrace"]


def test_a_long_chain_keeps_its_end():
    def fail():
        error = None
        for number in range(200):
            try:
                raise ValueError(f"number {number} " + "x" * 200) from error
            except ValueError as caught:
                error = caught
        raise error

    found = raised(fail)
    assert "number 199" in found["stacktrace"]
    assert "characters left out" in found["stacktrace"]


def test_groups_show_their_members():
    def fail():
        raise ExceptionGroup("several", [ValueError("first"), TypeError("second")])

    found = raised(fail)
    assert found["type"] == "ExceptionGroup"
    assert "first" in found["stacktrace"]
    assert "second" in found["stacktrace"]


@pytest.mark.parametrize("given", [None, False, (None, None, None), 5, ()], ids=repr)
def test_no_exception(given):
    assert error_of(given) is None
