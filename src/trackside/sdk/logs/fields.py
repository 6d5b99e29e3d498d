"""Fields that belong to what is being done (a request, a job) and not to one call of a logger."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType

_MISSING = object()


class Scope:
    """The fields of one request, job or block, above those of what it is part of.

    Changed in place: what a dependency, a thread or a task of a request binds is seen by all of the request, its line
    in the access log included. Context variables alone would show it to the binder's own children only.
    """

    __slots__ = ("began_s", "fields", "parent", "trace")

    def __init__(self, fields: dict[str, object], parent: Scope | None = None, began_s: float = 0.0) -> None:
        self.fields = fields
        self.parent = parent
        self.began_s = began_s
        """Of `time.perf_counter`, for requests; 0 elsewhere."""
        self.trace: tuple[str, str] | None = None
        """Trace and span the scope ended with, for the lines about an error that left it."""

    def all_fields(self) -> Mapping[str, object]:
        """The outermost first. Not to be changed."""
        if self.parent is None:
            return self.fields
        return {**self.parent.all_fields(), **self.fields}


CURRENT: ContextVar[Scope | None] = ContextVar("trackside_scope", default=None)


def current_fields() -> Mapping[str, object]:
    scope = CURRENT.get()
    return {} if scope is None else scope.all_fields()


def open_scope(fields: dict[str, object], began_s: float = 0.0) -> Token[Scope | None]:
    """A scope around what follows; `close_scope` ends it."""
    return CURRENT.set(Scope(fields, CURRENT.get(), began_s))


class Bound:
    """What `bind` gives back: nothing to keep, or a `with` block at whose end the fields are as they were."""

    __slots__ = ("_before", "_fields", "_made", "_scope", "_token")

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields
        self._token: Token[Scope | None] | None = None
        self._made: Token[Scope | None] | None = None
        scope = CURRENT.get()
        if scope is None:
            scope = Scope({})
            self._made = CURRENT.set(scope)
        self._scope = scope
        self._before = {name: scope.fields.get(name, _MISSING) for name in fields}
        scope.fields.update(fields)

    def __enter__(self) -> Bound:
        # A block has a scope of its own, so that tasks beside it do not see its fields: what the call put in the scope
        # around is taken out again.
        for name, value in self._before.items():
            if value is _MISSING:
                self._scope.fields.pop(name, None)
            else:
                self._scope.fields[name] = value
        if self._made is not None:
            close_scope(self._made)
        self._token = open_scope(self._fields)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            remember_scope(error)
        if self._token is not None:
            token, self._token = self._token, None
            close_scope(token)


def close_scope(token: Token[Scope | None]) -> None:
    """End what `open_scope` began."""
    try:
        CURRENT.reset(token)
    except ValueError:
        # Ended in another context than it began in, as generators may be: nothing to take back here.
        return


_SCOPE_OF_ERROR = "__trackside_scope__"


def remember_scope(error: BaseException) -> None:
    """Servers log what an application raised after the application's scope has ended: the error keeps it."""
    scope = CURRENT.get()
    if scope is not None and scope_of(error) is None:
        try:
            setattr(error, _SCOPE_OF_ERROR, scope)
        except AttributeError:
            return


def scope_of(error: object) -> Scope | None:
    found = getattr(error, _SCOPE_OF_ERROR, None)
    return found if isinstance(found, Scope) else None


def fields_around(error: BaseException | None) -> tuple[dict[str, object], tuple[str, str] | None]:
    """Those of the scope here and of the scope that `error` has left; and the trace it left, if it left one."""
    here, there = CURRENT.get(), scope_of(error)
    fields = {} if there is None else {**there.all_fields()}
    if here is not None and here is not there:
        fields.update(here.all_fields())
    return fields, there.trace if there is not None else None
