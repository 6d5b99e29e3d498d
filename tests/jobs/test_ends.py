"""Ends of lists and sorted sets, read on where a page had ended, whatever has happened to them since."""

import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from trackside.jobs.ends import ListEnd, SortedEnd, chunks, place_of
from trackside.jobs.redis_store import connected


@pytest.fixture
def redis(redis_url):
    client = Redis.from_url(redis_url)
    client.key = f"ends:{uuid.uuid4().hex}"
    yield client
    client.delete(client.key)
    client.close()


@pytest.fixture
def read(redis, redis_url):
    store = connected(redis_url)

    def members(end, position=None, key=None):
        return [one for chunk in chunks(store, end(key or redis.key, position)) for one in chunk]

    yield members
    store.close()


def test_a_list_is_read_from_its_newest_end(redis, read):
    redis.rpush(redis.key, *range(2_500))

    assert read(ListEnd) == [(str(at).encode(), at) for at in range(2_499, -1, -1)]
    assert read(ListEnd, [700, "700"])[0] == (b"699", 699)


def test_a_list_that_was_taken_from_is_read_on_behind_the_same_member(redis, read):
    redis.rpush(redis.key, *range(1_000))
    redis.ltrim(redis.key, 300, -1)
    redis.rpush(redis.key, "new")

    assert read(ListEnd, [700, "700"])[0] == (b"699", 399)


def test_a_member_that_is_gone_leaves_its_place(redis, read):
    redis.rpush(redis.key, *range(10))
    redis.lrem(redis.key, 1, "5")

    assert read(ListEnd, [5, "5"])[0] == (b"4", 4)


def test_a_sorted_set_is_read_from_its_highest_score(redis, read):
    redis.zadd(redis.key, {str(at): at for at in range(2_500)} | {"kept": math.inf})

    assert [member for member, _ in read(SortedEnd)][:2] == [b"kept", b"2499"]
    assert len(read(SortedEnd)) == 2_501
    assert read(SortedEnd, [math.inf, "kept"])[0] == (b"2499", 2499)
    assert read(SortedEnd, [7.5, "gone"])[0] == (b"7", 7)


def test_a_key_that_is_not_there_or_of_another_type_has_nothing(redis, read):
    assert read(ListEnd) == read(SortedEnd) == []
    redis.set(redis.key, "text")
    assert read(ListEnd) == read(SortedEnd) == []
    assert read(ListEnd, [5, "x"]) == read(SortedEnd, [5, "x"]) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=5,
    )
    | st.tuples(st.integers() | st.floats(), st.text(max_size=3)).map(list)
)
def test_any_position_is_a_place_or_none(position):
    found = place_of(position)
    assert found is None or (found[0] == found[0] and found[0] > -1e300)
    ListEnd("key", position)
    SortedEnd("key", position)
