import asyncio
import contextvars
import threading

import pytest

from trackside.sdk.logs.fields import CURRENT, Bound, current_fields, open_scope, remember_scope, scope_of


@pytest.fixture(autouse=True)
def own_context():
    token = CURRENT.set(None)
    yield
    CURRENT.reset(token)


def bind(**fields):
    return Bound(fields)


def test_what_is_bound_stays():
    bind(user_id=1)
    bind(user_id=2, order=3)
    assert current_fields() == {"user_id": 2, "order": 3}


def test_a_block_ends_as_it_began():
    bind(a=1)
    with bind(a=2, b=2):
        assert current_fields() == {"a": 2, "b": 2}
        bind(c=3)
        assert current_fields() == {"a": 2, "b": 2, "c": 3}
    assert current_fields() == {"a": 1}


def test_blocks_nest():
    with bind(a=1), bind(b=2):
        assert current_fields() == {"a": 1, "b": 2}
    assert current_fields() == {}


def test_what_a_thread_or_task_of_a_request_binds_is_seen_by_the_request():
    async def request():
        open_scope({"request_id": "r"})
        await asyncio.to_thread(lambda: bind(user_id="u"))
        await asyncio.create_task(later())
        return dict(current_fields())

    async def later():
        bind(order=1)

    assert asyncio.run(request()) == {"request_id": "r", "user_id": "u", "order": 1}


def test_tasks_side_by_side_do_not_see_each_others_blocks():
    async def part(number, seen):
        with bind(part=number):
            await asyncio.sleep(0)
            seen.append(dict(current_fields()))
            await asyncio.sleep(0)

    async def request():
        open_scope({"request_id": "r"})
        seen = []
        await asyncio.gather(*(part(number, seen) for number in range(3)))
        return seen

    assert asyncio.run(request()) == [{"request_id": "r", "part": number} for number in range(3)]


def test_a_new_thread_begins_with_nothing():
    bind(a=1)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(dict(current_fields())))
    thread.start()
    thread.join()
    assert seen == [{}]


def test_an_error_remembers_the_scope_it_left():
    with pytest.raises(ValueError) as caught, bind(order=1):
        raise ValueError
    assert scope_of(caught.value).all_fields() == {"order": 1}


def test_an_error_that_takes_no_attributes_is_left_alone():
    class Slotted:
        __slots__ = ()

    bind(a=1)
    remember_scope(Slotted())
    assert scope_of(Slotted()) is None


def test_a_block_that_ends_in_another_context_ends_quietly():
    block = bind(a=1)
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
