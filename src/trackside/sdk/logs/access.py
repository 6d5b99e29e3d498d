"""Lines of servers' access logs as fields: method, path, status and latency can be asked for without a pattern."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from trackside.sdk.logs.fields import Scope

UVICORN, GUNICORN = "uvicorn.access", "gunicorn.access"
_GUNICORN_ATOMS = (("m", "method"), ("U", "path"), ("s", "status"), ("h", "client"), ("a", "userAgent"))


def access_fields(record: logging.LogRecord, scope: Scope | None) -> dict[str, object]:
    """{} for a record that is not of an access log, or of one in a form we do not know."""
    try:
        if record.name == UVICORN:
            return _of_uvicorn(record.args, scope)
        if record.name == GUNICORN:
            return _of_gunicorn(record.args)
    except Exception:  # noqa: BLE001 - the server's next version has other arguments; the message says it all still
        return {}
    return {}


def _of_uvicorn(args: Any, scope: Scope | None) -> dict[str, object]:
    client, method, path, version, status = args
    fields = {"method": method, "path": path.partition("?")[0], "status": int(status), "client": client}
    fields["httpVersion"] = version
    # Uvicorn writes its line when the answer begins.
    if scope is not None:
        while scope.parent is not None and not scope.began_s:
            scope = scope.parent
        if scope.began_s:
            fields["latency"] = round((perf_counter() - scope.began_s) * 1000, 3)
    return fields


def _of_gunicorn(atoms: Any) -> dict[str, object]:
    fields: dict[str, object] = {name: atoms[atom] for atom, name in _GUNICORN_ATOMS if atoms[atom] != "-"}
    if "status" in fields:
        fields["status"] = int(str(fields["status"]))
    size = str(atoms["B"])
    if size.isdecimal():
        fields["bytes"] = int(size)
    fields["latency"] = round(float(atoms["D"]) / 1000, 3)
    request_id = atoms["{x-request-id}o"]
    if request_id != "-":
        fields["request_id"] = request_id
    return fields
