"""Fingerprints are Prometheus'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server import fingerprint as module
from trackside.server.fingerprint import fingerprint, fingerprints


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({}, "cbf29ce484222325", id="no labels"),
        pytest.param({"alertname": "A", "job": "j", "severity": "warning"}, "0ba17abc0f51c785", id="three"),
    ],
)
def test_fingerprint(labels, expected):
    assert fingerprint(Labels.of(labels)) == expected


def test_any_text_has_one():
    assert len(fingerprint(Labels.of({"ü": "🙂\ud800"}))) == 16


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=40)), max_size=30), st.integers(1, 7))
def test_many_together_have_those_they_have_alone(many, most):
    label_sets = [Labels.of(each) for each in many]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_known", {})
        alone = [fingerprint(labels) for labels in label_sets]
        patch.setattr(module, "_known", {})
        patch.setattr(module, "FEWEST", 1)
        patch.setattr(module, "MOST", most)
        patch.setattr(module, "LONGEST_BYTES", 100)
        assert fingerprints(label_sets) == alone
        assert module._known.keys() == set(label_sets)


def test_only_so_many_are_remembered(monkeypatch):
    known = {}
    monkeypatch.setattr(module, "_known", known)
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in range(10):
        fingerprint(Labels.of({"n": str(number)}))
        assert len(known) <= 3
    assert len(set(fingerprints([Labels.of({"n": str(number)}) for number in range(10)]))) == 10
