from trackside.sdk.watch.bounded import Bounded


def test_the_first_are_kept_and_the_rest_are_one():
    bounded = Bounded(2)
    assert [bounded.of(text) for text in "abcab"] == ["a", "b", "(overflow)", "a", "b"]
    assert "a" in bounded
    assert "c" not in bounded
