"""Label sets: the identity of a series, a log stream, an alert."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

METRIC_NAME = "__name__"

_set = object.__setattr__


class Labels:
    """A set of name=value pairs, sorted by name. Equal sets are equal objects and hash alike."""

    # Frozen, and written out: a dataclass would take half of the time that an application takes to import all of us.
    __slots__ = ("_hash", "pairs")
    __match_args__ = ("pairs",)

    pairs: tuple[tuple[str, str], ...]
    _hash: int | None

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        _set(self, "pairs", pairs)
        _set(self, "_hash", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name!r}: labels are frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: labels are frozen")

    def __eq__(self, other: object) -> bool:
        return self.pairs == other.pairs if isinstance(other, Labels) else NotImplemented

    def __lt__(self, other: Labels) -> bool:
        return self.pairs < other.pairs if isinstance(other, Labels) else NotImplemented

    def __le__(self, other: Labels) -> bool:
        return self.pairs <= other.pairs if isinstance(other, Labels) else NotImplemented

    def __gt__(self, other: Labels) -> bool:
        return self.pairs > other.pairs if isinstance(other, Labels) else NotImplemented

    def __ge__(self, other: Labels) -> bool:
        return self.pairs >= other.pairs if isinstance(other, Labels) else NotImplemented

    def __hash__(self) -> int:
        # Kept: the texts of all pairs are asked for theirs, and a label set is looked up in many places.
        found = self._hash
        if found is None:
            found = hash(self.pairs)
            _set(self, "_hash", found)
        return found

    def __repr__(self) -> str:
        return f"Labels(pairs={self.pairs!r})"

    def __reduce__(self) -> tuple[type[Labels], tuple[tuple[tuple[str, str], ...]]]:
        return Labels, (self.pairs,)

    @classmethod
    def of(cls, mapping: Mapping[str, str] | Iterable[tuple[str, str]] = (), **more: str) -> Labels:
        merged = {**dict(mapping), **more}
        # An empty value and an absent label are the same thing (PromQL matches both with `x=""`),
        # so only one of the two may exist.
        return cls(tuple(sorted((name, value) for name, value in merged.items() if value)))

    def get(self, name: str) -> str:
        """Value of label `name`, or "" when absent."""
        for key, value in self.pairs:
            if key == name:
                return value
        return ""

    def merged(self, other: Labels) -> Labels:
        """Self with the pairs of `other` added; `other` wins."""
        return Labels.of({**dict(self.pairs), **dict(other.pairs)})

    def only(self, names: Iterable[str]) -> Labels:
        keep = frozenset(names)
        return Labels(tuple(pair for pair in self.pairs if pair[0] in keep))

    def without(self, *names: str) -> Labels:
        return Labels(tuple(pair for pair in self.pairs if pair[0] not in names))

    def as_dict(self) -> dict[str, str]:
        return dict(self.pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)

    def __str__(self) -> str:
        """As PromQL writes it: `http_requests_total{code="200", job="shop"}`."""
        inner = ", ".join(f'{name}="{quoted(value)}"' for name, value in self.pairs if name != METRIC_NAME)
        name = self.get(METRIC_NAME)
        return f"{name}{{{inner}}}" if inner or not name else name

    @property
    def stable_hash(self) -> int:
        """Stable 64-bit id: the same in every process and on disk (`hash()` is neither)."""
        from hashlib import blake2b  # noqa: PLC0415 - who only counts has no need of it

        text = "\xff".join(f"{name}\xfe{value}" for name, value in self.pairs)
        return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def quoted(value: str) -> str:
    """`value` as it stands between double quotes in an exposition or a query."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
