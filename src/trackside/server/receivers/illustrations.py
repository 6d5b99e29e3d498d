"""The charts of a notification: in a line of text for each alert, and one picture where the medium shows pictures.

A message must not wait for them, nor fail for them: after a second it goes as it is.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum

from trackside.model.alerts import Alert, AlertState, ChartImage, Notification
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.server.backend import MetricsBackend
from trackside.server.charts.course import Course, words
from trackside.server.charts.gallery import Gallery
from trackside.server.receivers.trend import TrendReader, line

PATIENCE_S = 1.0
AT_ONCE = 2
"""Pictures that are drawn at the same time."""
MOST_WAITING = 8
"""Beyond that messages go without: in a storm of hundreds nobody looks at pictures, and all want to be told."""

_log = logging.getLogger("trackside.server")


class Picture(Enum):
    """How a medium shows a picture."""

    NONE = "none"
    ATTACHED = "attached"
    LINKED = "linked"
    """It fetches one by an address, so that there is none when others cannot reach this server."""


Illustrate = Callable[[Notification, Picture], Awaitable[Notification]]
Draw = Callable[[Course], bytes]


def _png(course: Course) -> bytes:
    from trackside.server.charts.picture import png  # noqa: PLC0415 - a library of pictures, for those who send some

    return png(course)


class Illustrator:
    """Lives on the event loop, and outlives the configuration."""

    def __init__(
        self,
        backend: MetricsBackend,
        now_ms: Callable[[], int],
        gallery: Gallery,
        draw: Draw = _png,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`draw`: b"" when there is nothing to draw. It runs on a thread of its own."""
        self._reader = TrendReader(backend, now_ms)
        self._gallery, self._draw, self._patience_s = gallery, draw, patience_s
        self._drawing = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._drawn_total = self._failed_total = 0

    async def of(self, notification: Notification, picture: Picture) -> Notification:
        """With the charts that were there in time."""
        trends: list[tuple[Labels, str]] = []
        chart: ChartImage | None = None
        first: tuple[Alert, Course] | None = None
        try:
            async with asyncio.timeout(self._patience_s):
                async for alert, course in self._reader.of(notification):
                    trends.append((alert.labels, line(course)))
                    # What fires is what the message is about, though something else may be over.
                    fires = alert.state is AlertState.FIRING
                    if first is None or (fires and first[0].state is not AlertState.FIRING):
                        first = alert, course
                if first is not None:
                    chart = await self._chart(notification, *first, picture)
        except TimeoutError:
            self._failed_total += 1
        except Exception:  # noqa: BLE001 - whatever is wrong with a chart, its message goes out; counted, and in the log
            _log.exception("a chart could not be made")
            self._failed_total += 1
        return replace(notification, trends=tuple(trends), chart=chart)

    async def _chart(
        self, notification: Notification, alert: Alert, course: Course, picture: Picture
    ) -> ChartImage | None:
        if picture is Picture.NONE or (picture is Picture.LINKED and not self._gallery.is_open):
            return None
        if self._waiting >= MOST_WAITING:
            self._failed_total += 1
            return None
        image = await self._image(course)
        if not image:
            return None
        url = ""
        if picture is Picture.LINKED:
            # Each attempt of a delivery replaces the picture of the one before.
            key = f"{notification.receiver}/{notification.delivery_id or secrets.token_hex(8)}"
            url = await self._gallery.hang(key, image)
        self._drawn_total += 1
        return ChartImage(alert.labels, image, f"{alert.name}: {words(course)}", url)

    async def _image(self, course: Course) -> bytes:
        self._waiting += 1
        try:
            async with self._drawing:
                return await asyncio.to_thread(self._draw, course)
        finally:
            self._waiting -= 1

    def families(self) -> list[MetricFamily]:
        return [
            MetricFamily(name, MetricType.COUNTER, text, (Sample(name, Labels(), float(total)),))
            for name, text, total in (
                ("trackside_chart_images_total", "Pictures made for notifications.", self._drawn_total),
                (
                    "trackside_chart_failures_total",
                    "Notifications whose charts were not there in time, or could not be made.",
                    self._failed_total,
                ),
            )
        ]
