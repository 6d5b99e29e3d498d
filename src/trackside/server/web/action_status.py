"""How it is answered, over HTTP, that something cannot be done to a job."""

from __future__ import annotations

from trackside.server.jobs.actions.refusal import Kind

STATUS = {Kind.WRONG: 400, Kind.FORBIDDEN: 403, Kind.UNKNOWN: 404, Kind.BUSY: 429, Kind.UNREACHABLE: 503}
