"""To prometheus_client and back: its objects on our exposition, ours on its, each series once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from trackside.instruments.registry import Registry
from trackside.model.metrics import MetricFamily

TYPE_CHECKING = False  # type checkers take it for True

# Most applications have no prometheus_client, and do not pay for what is done with it.
if TYPE_CHECKING:
    from trackside.instruments.client_registry import OurCollector
    from trackside.instruments.client_text import ClientText

_CLIENT = "prometheus_client"


class Bridge:
    """Between one registry of ours and prometheus_client's default one."""

    def __init__(self, registry: Registry, multiprocess_dir: str = "") -> None:
        """`multiprocess_dir` is where prometheus_client's objects keep their values when several workers share them."""
        self._registry = registry
        self._directory = multiprocess_dir
        self._files: Any = None
        self._client: Any = None
        self._theirs: Any = None
        self._joint: OurCollector | None = None

    def connect(self) -> bool:
        """Join the two if the app has imported prometheus_client, which is never done for it. Any number of times."""
        client = sys.modules.get(_CLIENT)
        theirs = getattr(client, "REGISTRY", None)
        if theirs is None:
            return False
        if theirs is not self._theirs:
            self._join(theirs, client)
        return True

    def their_families(self) -> list[MetricFamily]:
        """Of all their collectors but ours. One that raises is left out, and counted."""
        from trackside.instruments.client_registry import family_from  # noqa: PLC0415 - see above

        found: list[MetricFamily] = []
        if self._joint is None:
            return found
        with self._joint.asking() as first:
            for collector in self._collectors() if first else ():
                try:
                    found += [family_from(metric) for metric in collector.collect()]
                except Exception:  # noqa: BLE001 - one broken collector must not hide all others
                    self._registry.count_error("collector")
        return found

    def in_their_words(self, content_type: str) -> TheirWords:
        """For a rendering of ours in the same format."""
        return TheirWords(self, content_type)

    def aside(self) -> AbstractContextManager[bool] | None:
        """Within it their families are not among those of our registry. None where they must be: what they say of this
        process is not all that is to be shown."""
        if self._joint is None or (self._files is None and self._registry.is_shared):
            return None
        return self._joint.asking()

    def their_text(self, text: ClientText, wanted: Callable[[str], bool]) -> tuple[bytes, set[str]]:
        if self._joint is None:
            return b"", set()
        with self._joint.asking() as first:
            return text.render(self._collectors(), wanted) if first else (b"", set())

    def count_error(self, where: str) -> None:
        self._registry.count_error(where)

    def _join(self, theirs: Any, client: Any) -> None:
        from trackside.instruments.client_files import ClientFiles  # noqa: PLC0415 - see above
        from trackside.instruments.client_registry import joined  # noqa: PLC0415 - see above

        if self._directory and self._files is None:
            self._files = ClientFiles(Path(self._directory), self._registry.count_error)
        self._client, self._theirs, self._joint = client, theirs, joined(theirs, client)
        if self._joint.add(self._registry):
            # Their objects count for one process alone, unless they keep their values in files.
            self._registry.add_collector(self.their_families, "pid" if self._files is None else "own")

    def _collectors(self) -> list[Any]:
        from trackside.instruments.client_registry import beside_files, collectors_of  # noqa: PLC0415 - see above

        if self._files is None:
            return collectors_of(self._theirs)
        # What the objects of this process hold is in the files of all workers.
        return [self._files, *beside_files(self._theirs, self._client)]


class TheirWords:
    """Their families as their own writer writes them."""

    def __init__(self, bridge: Bridge, content_type: str) -> None:
        self._bridge = bridge
        self._content_type = content_type
        self._text: ClientText | None = None

    def aside(self) -> AbstractContextManager[bool] | None:
        return self._bridge.aside()

    def text(self, wanted: Callable[[str], bool]) -> tuple[bytes, set[str]]:
        if self._text is None:
            from trackside.instruments.client_text import ClientText  # noqa: PLC0415 - see above

            self._text = ClientText(self._content_type, self._bridge.count_error)
        return self._bridge.their_text(self._text, wanted)
