from trackside.instruments.measured import Description
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.sdk.push import encoding
from trackside.sdk.push.encoding import Encoding
from trackside.wire.remote_write import decode

WHO = {"job": "shop", "instance": "web-1"}


def sent(messages):
    return [series for message in messages for series in decode(message).series]


def plain(registry):
    """What the slow way says: every sample with the labels of the process."""
    return sorted(
        (str(Labels.of({**WHO, **dict(sample.labels)}, __name__=sample.name)), sample.value)
        for family in registry.collect()
        for sample in family.samples
    )


def told(messages):
    return sorted((str(series.labels), series.samples[0].value) for series in sent(messages))


def test_it_sends_what_the_registry_holds_each_time():
    registry = Registry()
    counter = registry.counter("orders_total", "Orders.", ("kind",))
    histogram = registry.histogram("wait_seconds", buckets=(1, 2), labels=("q",))
    registry.add_collector(lambda: [MetricFamily("up", MetricType.GAUGE, "", [Sample("up", Labels(), 1.0)])])
    encoded = Encoding(registry, WHO)
    counter.labels("gift").inc(2)
    for value in (0.5, 1.5, 9):
        histogram.labels("a").observe(value)
    assert told(encoded.messages(1000)) == plain(registry)
    counter.labels("gift").inc()
    counter.labels("é\n").inc()
    histogram.remove("a")
    assert told(encoded.messages(2000)) == plain(registry)
    assert {series.samples[0].timestamp_ms for series in sent(encoded.messages(3000))} == {3000}


def test_labels_are_in_order_and_those_of_a_series_win():
    registry = Registry()
    registry.gauge("g", labels=("job", "Zone")).labels("mine", "eu").set(1)
    (series,) = [one for one in sent(Encoding(registry, WHO).messages(1)) if one.labels.get("__name__") == "g"]
    assert list(series.labels) == [("Zone", "eu"), ("__name__", "g"), ("instance", "web-1"), ("job", "mine")]


def test_a_sample_with_a_time_of_its_own_keeps_it():
    registry = Registry()
    sample = Sample("t", Labels(), 1.0, 77)
    registry.add_collector(lambda: [MetricFamily("t", MetricType.GAUGE, "", [sample])])
    assert [one.samples[0].timestamp_ms for one in sent(Encoding(registry, WHO).messages(1))] == [77]


def test_many_series_are_several_messages(monkeypatch):
    registry = Registry()
    gauge = registry.gauge("g", labels=("n",))
    for number in range(25):
        gauge.labels(number).set(number)
    monkeypatch.setattr(encoding, "MAX_SERIES", 10)
    messages = Encoding(registry, WHO).messages(1)
    assert [len(decode(message).series) for message in messages] == [10, 10, 5]


def test_types_and_help_texts_come_at_first_and_then_once_in_a_while():
    registry = Registry()
    registry.counter("orders_total", "Orders.")
    encoded = Encoding(registry, WHO)
    described = [bool(decode(encoded.messages(at)[0]).metadata) for at in range(21)]
    assert described == [True] + [False] * 19 + [True]
    about = decode(Encoding(registry, WHO).messages(1)[0]).metadata[0]
    assert (about.family, about.type, about.help) == ("orders_total", MetricType.COUNTER, "Orders.")


def test_an_empty_registry_sends_nothing():
    registry = Registry()
    assert sent(Encoding(registry, WHO).messages(1)) == []


def test_native_histograms_are_sent_to_who_expects_them():
    registry = Registry()
    delays = registry.native_histogram("delay_seconds", labels=("kind",))
    delays.labels("a").observe(1)
    delays.labels("b").observe(-2)
    assert told(Encoding(registry, WHO).messages(1000)) == plain(registry)
    series = sent(Encoding(registry, WHO, native_histograms=True).messages(1000))
    native = [one for one in series if one.native_histograms]
    assert [str(one.labels) for one in native] == [
        str(Labels.of({**WHO, "kind": kind}, __name__="delay_seconds")) for kind in ("a", "b")
    ]
    assert not any(one.samples for one in native)
    assert len(series) - len(native) == len(plain(registry))


class Family:
    def __init__(self, description, rows):
        self.description = description
        self._rows = rows

    def rows(self):
        return self._rows


def test_a_family_of_the_same_name_and_another_shape_takes_the_place_of_the_last():
    registry = Registry()
    encoded = Encoding(registry, WHO)
    for bounds, raw in (((1.0,), (1, 1, 0)), ((1.0, 2.0, 3.0), (1, 1, 0, 0, 0)), ((5.0,), (2, 1, 1))):
        about = Description("h", MetricType.HISTOGRAM, "", ("x",), "", bounds)
        registry._measured["h"] = Family(about, [(("a",), raw)])
        assert told(encoded.messages(1)) == plain(registry)


def test_what_cannot_be_sent_is_left_out_and_the_rest_is_sent(caplog):
    registry = Registry()
    registry.counter("orders_total").inc(2)
    registry.register(Family(Description("odd", MetricType.GAUGE), [((), (1.0,)), ((), ("no number",))]))
    registry.add_collector(lambda: [MetricFamily("worse", MetricType.GAUGE, "", [Sample("worse", Labels(), "none")])])
    encoded = Encoding(registry, WHO)
    for _ in range(2):
        names = {one.labels.get("__name__"): one.samples[0].value for one in sent(encoded.messages(1))}
    assert names == {"orders_total": 2, "trackside_sdk_errors_total": 4}
    assert len([record for record in caplog.records if record.name == "trackside"]) == 2
