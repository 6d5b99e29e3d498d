"""What a pickle says, without doing it: nothing is imported or called, objects stay their names and arguments."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any

from trackside.exceptions import ParseError

MAX_PICKLE_BYTES = 1 << 20
MAX_OPCODES = 200_000

_MARK = object()
_SETS = ("builtins.set", "builtins.frozenset", "__builtin__.set", "__builtin__.frozenset")


class Foreign:
    """An object, or a class or function when it has no arguments: what would have been made of them."""

    __slots__ = ("args", "items", "kwargs", "name", "state")

    def __init__(self, name: str, args: Any = None, kwargs: Any = None) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs
        self.state: Any = None
        self.items: list[Any] = []
        """Of a list, dict or set of its own class."""


def unpickled(data: bytes) -> Any:
    """Its plain values, with a `Foreign` where an object would be. Structures may contain themselves.

    Raises:
        ParseError: it is no pickle, too large, or too long to follow.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise ParseError(f"a pickle of {len(data)} bytes; at most {MAX_PICKLE_BYTES} are looked at")
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MAX_OPCODES:
                raise ParseError(f"a pickle of more than {MAX_OPCODES} steps")
            if opcode.name == "STOP":
                return machine.stack[-1]
            machine.step(opcode.name, argument)
    except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise ParseError(f"no pickle: {error}") from error
    raise ParseError("a pickle without an end")


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        else:
            _STEPS[name](self, argument)

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def put(self, at: int | None) -> None:
        self._memo[len(self._memo) if at is None else at] = self.stack[-1]

    def get(self, at: int) -> None:
        self.stack.append(self._memo[at])

    def tuple_of(self, size: int) -> None:
        found = tuple(self.stack[-size:])
        if len(found) < size or _MARK in found:
            raise ValueError("a tuple of less than it needs")
        self.stack[-size:] = [found]

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Foreign):
            target.items.extend(items)
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise TypeError("an item for what is no list")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if len(items) % 2:
            raise ValueError("a key without a value")
        pairs = [(_key(items[at]), items[at + 1]) for at in range(0, len(items), 2)]
        if isinstance(target, Foreign):
            target.items.extend(pairs)
        elif isinstance(target, dict):
            target.update(pairs)
        else:
            raise TypeError("an item for what is no dict")

    def call(self, function: Any, args: Any, kwargs: Any = None) -> None:
        name = function.name if isinstance(function, Foreign) else type(function).__name__
        if name == "_codecs.encode" and isinstance(args, tuple) and len(args) == 2 and isinstance(args[0], str):
            # How the oldest protocols write bytes.
            self.stack.append(args[0].encode("latin-1"))
        elif name in _SETS and isinstance(args, tuple) and args:
            self.stack.append(args[0])
        elif name in ("copy_reg._reconstructor", "copyreg._reconstructor") and isinstance(args, tuple) and args:
            # How the oldest protocols make an object.
            self.stack.append(Foreign(args[0].name))
        else:
            self.stack.append(Foreign(name, args, kwargs))

    def reduce(self) -> None:
        args = self.stack.pop()
        self.call(self.stack.pop(), args)

    def reduce_with_names(self) -> None:
        kwargs, args = self.stack.pop(), self.stack.pop()
        self.call(self.stack.pop(), args, kwargs)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Foreign):
            target.state = state

    def pop(self) -> Any:
        return self.stack.pop()


def _key(key: Any) -> Any:
    """Of a dict: what is not plain becomes text, since it may not be hashable, and would have to be called."""
    if key is None or isinstance(key, str | bytes | int | float):
        return key
    return key.name if isinstance(key, Foreign) else f"<{type(key).__name__}>"


_VALUES = frozenset(
    (
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "FLOAT",
        "BINFLOAT",
    )
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    # A set is shown as a list: its items may not be hashable here.
    "EMPTY_SET": list,
    "MARK": lambda: _MARK,
    "NEXT_BUFFER": lambda: Foreign("<buffer>"),
}


def _dict_of(machine: _Machine) -> None:
    items = machine.since_mark()
    machine.stack.append({})
    machine.set_items(items)


def _object(machine: _Machine) -> None:
    made_of = machine.since_mark()
    machine.call(made_of[0], tuple(made_of[1:]))


def _duplicate(machine: _Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _global_of_stack(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(Foreign(f"{module}.{name}" if isinstance(name, str) and isinstance(module, str) else "<name>"))


_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.since_mark()),
    "LIST": lambda machine, _: machine.stack.append(machine.since_mark()),
    "FROZENSET": lambda machine, _: machine.stack.append(machine.since_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "DICT": lambda machine, _: _dict_of(machine),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: _duplicate(machine),
    "GET": lambda machine, at: machine.get(at),
    "BINGET": lambda machine, at: machine.get(at),
    "LONG_BINGET": lambda machine, at: machine.get(at),
    "PUT": lambda machine, at: machine.put(at),
    "BINPUT": lambda machine, at: machine.put(at),
    "LONG_BINPUT": lambda machine, at: machine.put(at),
    "MEMOIZE": lambda machine, _: machine.put(None),
    "EXT1": lambda machine, code: machine.stack.append(Foreign(f"<extension {code}>")),
    "EXT2": lambda machine, code: machine.stack.append(Foreign(f"<extension {code}>")),
    "EXT4": lambda machine, code: machine.stack.append(Foreign(f"<extension {code}>")),
    "GLOBAL": lambda machine, name: machine.stack.append(Foreign(name.replace(" ", "."))),
    "STACK_GLOBAL": lambda machine, _: _global_of_stack(machine),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
    "INST": lambda machine, name: machine.call(Foreign(name.replace(" ", ".")), tuple(machine.since_mark())),
    "OBJ": lambda machine, _: _object(machine),
    "NEWOBJ": lambda machine, _: machine.reduce(),
    "NEWOBJ_EX": lambda machine, _: machine.reduce_with_names(),
    "PERSID": lambda machine, name: machine.stack.append(Foreign("<persistent>", (name,))),
    "BINPERSID": lambda machine, _: machine.stack.append(Foreign("<persistent>", (machine.pop(),))),
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "READONLY_BUFFER": lambda machine, _: None,
}
