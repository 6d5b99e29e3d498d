"""Reads back what a monitor shows."""

import pytest

from trackside import Monitor


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def off():
    return Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "false"})


@pytest.fixture
def shown():
    """{series: value} of the families whose names begin so; of histograms only count and sum."""

    def shown(monitor, *names):
        found = {}
        for family in monitor.registry.collect():
            if family.name.startswith(names):
                for sample in family.samples:
                    if not sample.name.endswith("_bucket"):
                        labels = ",".join(f"{name}={value}" for name, value in sample.labels.as_dict().items())
                        found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    return shown
