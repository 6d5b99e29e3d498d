import json

import pytest
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from trackside.sdk.errors.envelopes import scrub_envelope, scrub_existing, scrubbing
from trackside.sdk.scrub import Scrubber


class Transport:
    def __init__(self):
        self.sent = []

    def capture_envelope(self, envelope):
        self.sent.append(envelope.serialize())


def envelope(kind, data):
    made = Envelope()
    made.add_item(Item(payload=PayloadRef(json=data), type=kind))
    return made


@pytest.mark.parametrize("kind", ["event", "transaction", "span", "log", "check_in", "trace_metric", "profile", "new"])
def test_items_of_every_kind_are_scrubbed(kind):
    data = {"items": [{"attributes": {"password": {"value": "hunter2", "type": "string"}}}], "token": "hunter2"}
    found = envelope(kind, data)
    scrub_envelope(found, Scrubber(), PayloadRef)
    sent = found.serialize()
    assert b"hunter2" not in sent
    payload = json.loads(sent.splitlines()[2])
    assert payload["items"][0]["attributes"]["password"] == {"value": "[Filtered]", "type": "string"}
    assert data["token"] == "hunter2"


def test_what_somebody_attached_stays():
    made = Envelope()
    made.add_item(Item(payload=b"password=mine", type="attachment", filename="note.txt"))
    scrub_envelope(made, Scrubber(), PayloadRef)
    assert b"password=mine" in made.serialize()


def test_what_cannot_be_scrubbed_does_not_leave():
    class Odd:
        def __iter__(self):
            raise RuntimeError

    class Broken:
        items = Odd()

    errors = []
    transport = scrubbing(Transport, Scrubber(), errors.append)()
    transport.capture_envelope(Broken())
    assert transport.sent == []
    assert errors == ["scrub an error"]


def test_a_client_that_was_there_before_is_scrubbed_once():
    class Client:
        transport = Transport()

    client = Client()
    for _ in range(2):
        scrub_existing(client, Scrubber(), print)
    client.transport.capture_envelope(envelope("event", {"password": "hunter2"}))
    assert len(client.transport.sent) == 1
    assert b"hunter2" not in client.transport.sent[0]
    assert isinstance(client.transport, Transport)
