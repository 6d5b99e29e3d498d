import logging

from trackside.sdk.watch.slow_queries import MAX_LINES, SlowQueries


def test_a_flood_is_cut_and_says_how_much_was_left_out(caplog):
    slow = SlowQueries(0.1)
    for _ in range(MAX_LINES + 5):
        slow.log("shop", "select", "select 1", 0.25)
    assert len(caplog.records) == MAX_LINES
    slow._window_began -= 60
    slow.log("shop", "select", "select 1", 0.25)
    assert caplog.records[-1].getMessage() == "slow query, 0.250 s in shop: select ? (5 more were left out before it)"


def test_nothing_is_done_for_a_log_that_is_off(caplog):
    logging.getLogger("trackside.slow_query").setLevel(logging.ERROR)
    try:
        SlowQueries(0.1).log("shop", "select", "select 1", 0.25)
    finally:
        logging.getLogger("trackside.slow_query").setLevel(logging.NOTSET)
    assert not caplog.records


def test_zero_means_never():
    assert SlowQueries(0).threshold_s == float("inf")
