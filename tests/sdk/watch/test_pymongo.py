"""PyMongo's own clients, and a server that speaks as much of MongoDB's protocol as they need."""

import asyncio
import gc
import socketserver
import struct
import threading
import time
import weakref
from types import SimpleNamespace

import pytest

bson = pytest.importorskip("bson")
pymongo = pytest.importorskip("pymongo")
errors = pytest.importorskip("pymongo.errors")

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
REFUSED = {"ok": 0.0, "code": 26, "codeName": "NamespaceNotFound", "errmsg": "ns does not exist"}
DUPLICATE = {"index": 0, "code": 11000, "errmsg": "E11000 duplicate key", "keyValue": {"_id": "secret"}}


class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        while (header := self.read(16)) is not None:
            length, request, _, kind = struct.unpack("<4i", header)
            body = self.read(length - 16)
            if kind == OP_QUERY:
                # How clients introduced themselves to servers of all versions.
                start = body.index(b"\0", 4) + 1 + 8
                answer = self.server.answer(bson.decode(body[start:]))
                message = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer)
            else:
                answer = self.server.answer(command_of(body))
                if answer is None:
                    return
                message = struct.pack("<iB", 0, 0) + bson.encode(answer)
            about = struct.pack("<4i", 16 + len(message), 0, request, OP_REPLY if kind == OP_QUERY else OP_MSG)
            self.request.sendall(about + message)

    def read(self, length):
        found = b""
        while len(found) < length:
            try:
                part = self.request.recv(length - len(found))
            except OSError:
                part = b""
            if not part:
                return None
            found += part
        return found


def command_of(body):
    """Of OP_MSG: a document, and perhaps sequences of more."""
    command, at = {}, 4
    while at < len(body):
        kind, at = body[at], at + 1
        (length,) = struct.unpack_from("<i", body, at)
        if kind == 0:
            command.update(bson.decode(body[at : at + length]))
        else:
            end = body.index(b"\0", at + 4)
            command[body[at + 4 : end].decode()] = bson.decode_all(body[end + 1 : at + length])
        at += length
    return command


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.port = self.server_address[1]
        self.documents = {}

    def answer(self, command):
        """None: hang up."""
        name = next(iter(command))
        match name.lower():
            case "hello" | "ismaster":
                about = {"isWritablePrimary": True, "ismaster": True, "helloOk": True, "readOnly": False}
                limits = {"maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
                return {**about, **limits, "minWireVersion": 0, "maxWireVersion": 25, "ok": 1.0}
            case "insert":
                new = [one for one in command["documents"] if one["_id"] not in self.documents]
                self.documents.update({one["_id"]: one for one in new})
                refused = {"writeErrors": [DUPLICATE]} if len(new) < len(command["documents"]) else {}
                return {"n": len(new), "ok": 1.0, **refused}
            case "find":
                found = list(self.documents.values())
                return {"cursor": {"id": 0, "ns": "shop.orders", "firstBatch": found}, "ok": 1.0}
            case "drop":
                return REFUSED
            case "odd":
                return {"ok": 0.0, "code": 4711, "errmsg": "odd"}
            case "hangup":
                return None
            case _:
                return {"ok": 1.0}


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def client(monitor, server):
    client = pymongo.MongoClient("127.0.0.1", server.port, serverSelectionTimeoutMS=60_000)
    assert monitor.watch(client) is client
    assert monitor.watch(client) is client
    yield client
    client.close()


@pytest.fixture
def counts(monitor, samples):
    def counts():
        return {name: count for (name,), count in samples(monitor, "mongo_command_duration_seconds_count").items()}

    return counts


def test_commands_are_timed(client, counts, monitor, samples):
    orders = client.shop.orders
    orders.insert_many([{"_id": 1}, {"_id": 2}])
    assert [one["_id"] for one in orders.find()] == [1, 2]
    client.admin.command("ping")
    client.admin.command("ping")
    assert counts() == {"insert": 1, "find": 1, "ping": 2}
    assert 0 < samples(monitor, "mongo_command_duration_seconds_sum")[("insert",)] < 60
    assert samples(monitor, "mongo_command_errors_total") is None


def test_errors_are_counted_by_kind_and_belong_to_the_host(client, counts, monitor, samples):
    client.shop.orders.insert_one({"_id": "secret"})
    with pytest.raises(errors.DuplicateKeyError):
        client.shop.orders.insert_one({"_id": "secret"})
    with pytest.raises(errors.OperationFailure, match="ns does not exist"):
        client.shop.command("drop", "orders")
    with pytest.raises(errors.OperationFailure):
        client.shop.command("odd")
    with pytest.raises(errors.AutoReconnect):
        client.shop.command("hangup")
    found = samples(monitor, "mongo_command_errors_total")
    # Older versions tell what the socket raised.
    assert [found.pop(("hangup", kind)) for kind in ("AutoReconnect", "OSError") if ("hangup", kind) in found] == [1]
    assert found == {("insert", "DuplicateKey"): 1, ("drop", "NamespaceNotFound"): 1, ("odd", "Error"): 1}
    assert counts() == {"insert": 2, "drop": 1, "odd": 1, "hangup": 1}
    assert "secret" not in monitor.exposition().decode()


def test_a_server_that_is_not_there(monitor, samples):
    client = monitor.watch(pymongo.MongoClient("127.0.0.1", 1, serverSelectionTimeoutMS=50))
    with pytest.raises(errors.ServerSelectionTimeoutError):
        client.admin.command("ping")
    assert samples(monitor, "mongo_command_errors_total") == {("connect", "ServerSelectionTimeoutError"): 1}
    client.close()


def test_the_connections_of_a_pool(client, server, monitor, samples):
    cursor = client.shop.orders.find()
    list(cursor)
    where = (f"127.0.0.1:{server.port}",)

    def shown():
        return [samples(monitor, f"mongo_connections_{field}").get(where) for field in ("in_use", "idle", "max")]

    assert shown() == [0, 1, 100]
    inside = []
    answer = server.answer
    server.answer = lambda command: (inside.append(shown()) if "ping" in command else None, answer(command))[1]
    client.admin.command("ping")
    assert inside == [[1, 0, 100]]


def test_two_clients_of_a_server_are_added_up_and_are_not_kept(client, server, monitor, samples):
    other = monitor.watch(pymongo.MongoClient("127.0.0.1", server.port, maxPoolSize=7))
    client.admin.command("ping")
    other.admin.command("ping")
    where = (f"127.0.0.1:{server.port}",)
    assert samples(monitor, "mongo_connections_max")[where] == 107
    kept = weakref.ref(other)
    other.close()
    del other
    until = time.monotonic() + 60
    while kept() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert kept() is None
    assert samples(monitor, "mongo_connections_max")[where] == 100


def test_a_pool_without_a_limit_shows_none(monitor, server, samples):
    client = monitor.watch(pymongo.MongoClient("127.0.0.1", server.port, maxPoolSize=None))
    client.admin.command("ping")
    assert samples(monitor, "mongo_connections_max") is None
    assert list(samples(monitor, "mongo_connections_idle").values()) == [1]
    client.close()


def test_the_applications_own_listeners_are_told_as_before(monitor, server, counts):
    told = []

    class Own(pymongo.monitoring.CommandListener):
        def started(self, event):
            told.append(event.command_name)

        def succeeded(self, event):
            told.append("succeeded")

        def failed(self, event):
            pass

    client = monitor.watch(pymongo.MongoClient("127.0.0.1", server.port, event_listeners=[Own()]))
    client.admin.command("ping")
    client.close()
    assert told[:2] == ["ping", "succeeded"]
    assert counts()["ping"] == 1


@pytest.mark.skipif(not hasattr(pymongo, "AsyncMongoClient"), reason="older than its asynchronous client")
def test_an_asynchronous_client(monitor, server, counts, samples):
    async def work():
        async with pymongo.AsyncMongoClient("127.0.0.1", server.port) as client:
            assert monitor.watch(client) is client
            await client.shop.orders.insert_one({"_id": 1})
            assert [one async for one in client.shop.orders.find()] == [{"_id": 1}]
            with pytest.raises(errors.DuplicateKeyError):
                await client.shop.orders.insert_one({"_id": 1})
            assert list(samples(monitor, "mongo_connections_idle").values()) == [1]
        gone = monitor.watch(pymongo.AsyncMongoClient("127.0.0.1", 1, serverSelectionTimeoutMS=50))
        with pytest.raises(errors.ServerSelectionTimeoutError):
            await gone.admin.command("ping")
        await gone.close()

    asyncio.run(work())
    found = counts()
    assert (found["insert"], found["find"]) == (2, 1)
    assert samples(monitor, "mongo_command_errors_total") == {
        ("insert", "DuplicateKey"): 1,
        ("connect", "ServerSelectionTimeoutError"): 1,
    }


def test_servers_that_are_looked_up_by_a_name_later(monitor, server, counts, monkeypatch):
    resolver = pytest.importorskip("dns.resolver")
    record = SimpleNamespace(
        target=SimpleNamespace(to_text=lambda omit_final_dot=True: "a.shop.test"), port=server.port
    )

    def resolve(name, kind, **about):
        if kind != "SRV":
            raise resolver.NoAnswer
        found = [record]
        return type("Answer", (list,), {"rrset": SimpleNamespace(ttl=60)})(found)

    monkeypatch.setattr(resolver, "resolve", resolve)
    monkeypatch.setattr("socket.getaddrinfo", lambda *about, **more: [(2, 1, 6, "", ("127.0.0.1", server.port))])
    client = pymongo.MongoClient(
        "mongodb+srv://db.shop.test/?tls=false", connect=False, serverSelectionTimeoutMS=60_000
    )
    monitor.watch(client)
    client.admin.command("ping")
    client.close()
    assert counts()["ping"] == 1


def test_a_listener_that_fails_is_told_and_the_command_succeeds(client, monitor, counts):
    client.admin.command("ping")
    broken = SimpleNamespace(command_name="x", duration_micros="no number", reply={}, connection_id=("a", 1))
    (listener,) = (one for one in client.options.event_listeners if type(one).__name__ == "_Listener")
    listener.succeeded(broken)
    listener.failed(broken)
    assert 'trackside_sdk_errors_total{where="measure a MongoDB command"} 2' in monitor.exposition().decode()


def test_a_client_of_an_unknown_pymongo_is_left_alone(monitor, caplog):
    client = pymongo.MongoClient("127.0.0.1", 1, connect=False)
    client._event_listeners = object()
    assert monitor.watch(client) is client
    client.close()
    assert "watch a MongoDB client" in caplog.text


def test_off_is_untouched(off, server):
    client = pymongo.MongoClient("127.0.0.1", server.port)
    assert off.watch(client) is client
    assert client.options.event_listeners == []
    client.admin.command("ping")
    client.close()
