import logging

import pytest
import structlog


@pytest.fixture
def unconfigured():
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def event_lines(written):
    return [{name: value for name, value in line.items() if name != "timestamp"} for line in written.lines]


def test_structlog_writes_the_same_lines(unconfigured, monitor, written):
    with monitor.bind(request_id="r"):
        structlog.get_logger("shop.auth").info("User logged in", user_id="user-123", password="x")
    assert event_lines(written) == [
        {
            "level": "info",
            "context": "shop.auth",
            "message": "User logged in",
            "requestId": "r",
            "userId": "user-123",
            "password": "[Filtered]",
        }
    ]


def test_its_own_context_variables_and_bound_values_are_fields(unconfigured, monitor, written):
    with structlog.contextvars.bound_contextvars(tenant="acme"):
        structlog.get_logger().bind(order=3).warning("late")
    assert event_lines(written) == [
        {"level": "warning", "context": "structlog", "message": "late", "tenant": "acme", "order": 3}
    ]


def test_exceptions_are_fields(unconfigured, monitor, written):
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("failed")
    line = written.lines[0]
    assert (line["level"], line["message"], line["exception"]["message"]) == ("error", "failed", "no")


def test_the_level_holds(unconfigured, monitor, written):
    structlog.get_logger().debug("no")
    assert written.lines == []


def test_a_configuration_keeps_all_but_its_renderer(unconfigured, monitor, written):
    def add_service(logger, method, event):
        return {**event, "service": "shop"}

    structlog.configure(processors=[add_service, structlog.processors.JSONRenderer()], cache_logger_on_first_use=True)
    used = structlog.get_logger()
    used = used.bind()
    monitor.logs(stream=written)
    monitor.logs(stream=written)
    assert len(structlog.get_config()["processors"]) == 2
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written))
    structlog.get_logger().info("paid", level="odd")
    used.info("paid by a logger that was used before")
    assert [(line["message"], line["service"], line["level"]) for line in written.lines[:1]] == [
        ("paid", "shop", "info")
    ]


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(structlog.stdlib.ProcessorFormatter.wrap_for_formatter, id="wrapped for a formatter"),
        pytest.param(structlog.stdlib.render_to_log_kwargs, id="as arguments"),
        pytest.param(structlog.processors.JSONRenderer(), id="as text"),
    ],
)
def test_through_stdlib_logging_an_event_is_one_line_once(unconfigured, monitor, written, last):
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name, last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    monitor.logs(stream=written)
    log = structlog.get_logger("shop")
    log.info("paid", amount=3)
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed", amount=4)
    lines = event_lines(written)
    assert lines[0] == {"level": "info", "context": "shop", "message": "paid", "amount": 3, "logger": "shop"}
    assert (lines[1]["message"], lines[1]["amount"], lines[1]["exception"]["message"]) == ("failed", 4, "no")


def test_other_handlers_see_what_happened(unconfigured, monitor):
    seen = []

    class Other(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.stdlib.LoggerFactory()
    )
    monitor.logs(stream="stderr")
    logging.getLogger().addHandler(Other())
    structlog.get_logger("shop").info("paid", amount=3)
    assert seen == ["paid"]
