"""One scrape looks at the files of the others while another reads what the last look has found."""

from threading import Thread

from trackside.instruments.registry import Registry
from trackside.instruments.shared.joining import share
from trackside.instruments.shared.layout_text import identity


def test_what_the_others_have_can_be_read_while_another_thread_looks(tmp_path):
    one, other = Registry(), Registry()
    for registry in (one, other):
        share(registry, "shop", where=str(tmp_path / "shop"))
    gauge, theirs = (registry.gauge("g", labels=("x",)) for registry in (one, other))
    theirs.labels("a").set(1)
    one.collect()
    theirs.labels("b").set(2)
    siblings, found, threads = one.membership._siblings, [], []

    def read():
        try:
            found.append({key: cell[0] for key, cell in siblings.without_own(identity(gauge.layout)).items()})
        except Exception as error:
            found.append(error)

    read_own = siblings._read_own

    def in_the_middle():
        # Their files have been read again, and nothing has been made of it yet.
        threads.append(Thread(target=read))
        threads[-1].start()
        threads[-1].join(0.2)
        return read_own()

    siblings._read_own = in_the_middle
    siblings.refresh()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert found[0] in ({("a",): 1}, {("a",): 1, ("b",): 2})
    for registry in (one, other):
        registry.membership.leave()
