"""`NamedTuple` and `Protocol` without the price of typing's own, which an application would pay at every import: one
compiles the annotation of every field, the other looks for the members of every class."""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
    from typing import Protocol as Protocol
else:
    from collections import namedtuple

    _BY_THE_INTERPRETER = frozenset(("__annotations__", "__dict__", "__weakref__", "__module__", "__qualname__"))

    class _Maker(type):
        def __new__(cls, name, bases, namespace):
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])
            made.__annotations__ = dict(namespace.get("__annotations__", {}))
            for key, value in namespace.items():
                if key not in _BY_THE_INTERPRETER:
                    setattr(made, key, value)
            return made

    # Nobody asks at run time whether something keeps a protocol.
    Protocol = object
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
