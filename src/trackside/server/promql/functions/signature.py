"""What a PromQL function is to the engine."""

from __future__ import annotations

from collections.abc import Callable

from trackside.server.promql.context import Context
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value

Function = Callable[[Call, Context], Value]
