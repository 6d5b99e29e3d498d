import subprocess
import sys
from functools import partial

import pytest

from trackside import Monitor


def two(a, b):
    return []


def three(a, b, c):
    return None


async def async_two(a, b):
    return None


async def asgi(scope, receive, send):
    return None


def asgi_by_name(scope, receive, send):
    return asgi(scope, receive, send)


def anything(*arguments):
    return None


async def with_more(scope, receive, send, more):
    return None


class AsgiObject:
    async def __call__(self, scope, receive, send):
        return None


class WsgiObject:
    def __call__(self, environ, start_response):
        return []

    def handle(self, environ, start_response):
        return []


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        pytest.param(asgi, "AsgiMiddleware", id="coroutine function"),
        pytest.param(asgi_by_name, "AsgiMiddleware", id="function with the names of ASGI"),
        pytest.param(AsgiObject(), "AsgiMiddleware", id="object"),
        pytest.param(partial(with_more, more=1), "AsgiMiddleware", id="partial"),
        pytest.param(two, "WsgiMiddleware", id="WSGI function"),
        pytest.param(WsgiObject(), "WsgiMiddleware", id="WSGI object"),
        pytest.param(WsgiObject().handle, "WsgiMiddleware", id="WSGI method"),
    ],
)
def test_callables_are_told_apart_by_their_signature(monitor, thing, kind):
    assert type(monitor.watch(thing)).__name__ == kind


@pytest.mark.parametrize(
    "thing",
    [
        pytest.param(42, id="a number"),
        pytest.param(None, id="nothing"),
        pytest.param("app", id="a name"),
        pytest.param(three, id="three arguments of other names"),
        pytest.param(async_two, id="asynchronous with two arguments"),
        pytest.param(anything, id="any arguments"),
        pytest.param(AsgiObject, id="a class"),
        pytest.param(len, id="a builtin"),
        pytest.param(dict, id="without a signature"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_what_can(monitor, thing):
    with pytest.raises(TypeError) as error:
        monitor.watch(thing)
    text = str(error.value)
    assert "Trackside watches FastAPI applications, " in text
    assert "ASGI callables and WSGI callables" in text
    assert ("takes (environ, start_response)" in text) is callable(thing)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Installs a package that brings an adapter."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[trackside.watch]\n{name} = {name}:watch\n")

    return install


BOAT = "def watch(thing, context): return 'watched' if thing == 'boat' else None"


def test_another_package_may_bring_an_adapter(monitor, plugin):
    plugin("boat", BOAT)
    assert monitor.watch("boat") == "watched"
    with pytest.raises(TypeError):
        monitor.watch("car")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import a_driver_that_nobody_has", id="an import that is missing"),
        pytest.param("def other(thing, context): pass", id="without the adapter"),
        pytest.param("def watch(thing): pass", id="an adapter of other arguments"),
        pytest.param("def watch(thing, context): raise ValueError('not today')", id="an adapter that raises"),
        pytest.param("def watch(", id="no Python"),
    ],
)
def test_a_broken_plugin_is_told_once_and_the_application_starts(monitor, plugin, caplog, code):
    plugin("anchor", code)
    plugin("boat", BOAT)
    for thing in ("car", "bike"):
        assert monitor.watch(thing) is thing
    assert monitor.watch("boat") == "watched"
    [line] = [record.getMessage() for record in caplog.records if record.name == "trackside"]
    assert line.startswith("the plugin 'anchor' (anchor:watch, brought by anchor) failed: ")
    assert "or uninstall anchor" in line
    assert 'trackside_sdk_errors_total{where="plugin"} ' in monitor.exposition().decode()


def test_without_metrics_plugins_are_not_even_imported(plugin, tmp_path):
    plugin("boat", f"open({str(tmp_path / 'imported')!r}, 'w')")
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    assert off.watch("boat") == "boat"
    assert not (tmp_path / "imported").exists()


def test_watching_imports_nothing_that_the_application_has_not():
    program = """
import sys
from trackside import Monitor
async def app(scope, receive, send): pass
Monitor().watch(app)
frameworks = {"fastapi", "starlette", "litestar", "flask", "django", "prometheus_client", "asyncio"}
print(sorted(frameworks & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
