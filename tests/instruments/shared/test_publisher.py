import threading

from trackside.instruments.registry import Registry
from trackside.instruments.shared import joining
from trackside.instruments.shared.joining import share
from trackside.instruments.shared.publisher import Publisher


def test_without_a_thread_it_begins_later(no_threads):
    published = threading.Event()
    publisher = Publisher(published.set)
    publisher.start()
    no_threads.undo()
    publisher.again()
    assert published.wait(60)
    publisher.stop()


def test_what_was_never_started_or_is_stopped_does_not_begin_again():
    publisher = Publisher(lambda: None)
    publisher.again()
    assert publisher._thread is None
    publisher.start()
    publisher.stop()
    publisher.again()
    assert publisher._thread is None


def test_an_application_without_threads_joins_the_others_and_a_scrape_tries_for_one(no_threads, tmp_path):
    joining._here._publisher.stop()
    registry = Registry()
    share(registry, "shop", where=str(tmp_path / "shop"))
    assert registry.is_shared
    assert joining._here._publisher._thread is None
    no_threads.undo()
    registry.collect()
    assert joining._here._publisher._thread is not None
