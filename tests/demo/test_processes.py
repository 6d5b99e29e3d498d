import socket

from trackside.demo.processes import free_port


def test_a_port_that_is_taken_is_replaced_by_one_that_no_connection_is_given():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = [free_port(taken.getsockname()[1]) for _ in range(20)]

    assert all(10_000 <= port < 20_000 for port in found)
    assert len(set(found)) == 20


def test_a_port_that_is_free_is_taken_as_wished():
    # Somebody else may take one of them meanwhile, but hardly all.
    wishes = [free_port(0) for _ in range(5)]

    assert any(free_port(wished) == wished for wished in wishes)
