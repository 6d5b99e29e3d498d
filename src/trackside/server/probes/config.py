"""The `uptime` section: what is probed from outside, how often, and what counts as being there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import httpx
from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from trackside.server.probes.address import wrong_with
from trackside.server.probes.conditions import Condition, placeholders_of
from trackside.server.probes.heartbeats.config import HeartbeatConfig
from trackside.server.probes.json_path import parsed_path
from trackside.server.probes.maintenance import MaintenanceConfig
from trackside.server.probes.modules import address_of, module_keys
from trackside.server.probes.result import Kind
from trackside.server.regex import compiled
from trackside.server.schema import DurationMs, Section

LEAST_INTERVAL_MS = 1_000
RETRY_MS = 15_000
MAX_STEP_MS = 60_000
"""Results are repeated at least this often, so that no query looks back in vain."""

KINDS = {
    "http": Kind.HTTP,
    "https": Kind.HTTP,
    "ws": Kind.WEBSOCKET,
    "wss": Kind.WEBSOCKET,
    "tcp": Kind.TCP,
    "dns": Kind.DNS,
}
_TLS = frozenset(("tls", "certificate_valid_for"))
_REQUEST = frozenset(("headers", "basic_auth", "bearer_token", "expect_header"))
_OF_KIND: Mapping[Kind, frozenset[str]] = {
    Kind.HTTP: _TLS
    | _REQUEST
    | {"method", "body", "status", "redirects", "keyword", "no_keyword", "matches", "no_match", "json", "conditions"},
    Kind.WEBSOCKET: _TLS | _REQUEST | {"send", "expect", "ping", "subprotocols"},
    Kind.TCP: _TLS | {"send", "expect", "with_tls"},
    Kind.DNS: frozenset(("record", "answers", "rcode", "transport")),
}
_OF_SOME = frozenset().union(*_OF_KIND.values())

_NAME = re.compile(r"\S(?:.{0,98}\S)?")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?")
_TEXT = re.compile(r"[^\r\n\0]*")
_CONDITION_WORDS = ("[STATUS]", "[BODY]", "[RESPONSE_TIME]", "[IP]", "[CONNECTED]", "[CERTIFICATE_EXPIRATION]")
_OWN_HEADERS = frozenset(("content-length", "transfer-encoding", "connection", "upgrade"))


def _statuses(value: Any) -> Any:
    """`200`, `2xx`, `200-299` or several of them, as ranges."""
    given = value if isinstance(value, list | tuple) else [value]
    ranges: list[tuple[int, int]] = []
    for one in given:
        found = _STATUS.fullmatch(str(one).lower()) if isinstance(one, str | int) else None
        if found is None or isinstance(one, bool):
            raise ValueError(f"not a status: {one!r}; expected 200, 2xx or 200-299")
        if found[1]:
            ranges.append((int(found[1]) * 100, int(found[1]) * 100 + 99))
        else:
            ranges.append((int(found[2]), int(found[3] or found[2])))
    return tuple(ranges)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _expression(value: Any) -> Any:
    if isinstance(value, str):
        compiled(value)
    return value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _condition(value: Any) -> Any:
    if isinstance(value, str) and (unknown := placeholders_of(Condition.parsed(value)) - set(_CONDITION_WORDS)):
        raise ValueError(f"{sorted(unknown)[0]} is nothing a check knows; there are: {', '.join(_CONDITION_WORDS)}")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Expression = Annotated[str, BeforeValidator(_expression)]
ConditionText = Annotated[str, BeforeValidator(_condition)]
Statuses = Annotated[tuple[tuple[int, int], ...], BeforeValidator(_statuses)]


class ProbeTlsConfig(Section):
    ca_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


class BasicAuthConfig(Section):
    username: str = ""
    password: SecretStr = SecretStr("")


class FlappingConfig(Section):
    changes: int = Field(default=4, ge=2, le=50)
    """Between up and down, within `within`, from which on it is neither, but flapping."""
    within: DurationMs = 3_600_000
    settle: DurationMs = 900_000
    """How long it must stay the same until it is believed again."""


class CheckConfig(Section):
    """One address that is asked. Which keys go with it, its scheme says."""

    name: str
    url: str
    group: str = ""
    labels: dict[str, Text] = Field(default_factory=dict)
    depends_on: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    """Checks without which this one cannot succeed: while one of them is down, nobody is told of this one."""
    module: str = ""
    """A name of the blackbox exporter's, for keys that are left out."""
    interval: DurationMs = 60_000
    timeout: DurationMs = 10_000
    retries: int = Field(default=1, ge=0, le=20)
    """Further attempts that must fail until it is down."""
    retry_interval: DurationMs = 0
    """Left out: 15 s, or the timeout where that is longer, and at most the interval."""
    flapping: FlappingConfig = Field(default_factory=FlappingConfig)
    ip: Annotated[Literal["any", "4", "6"], BeforeValidator(_text)] = "any"

    method: str = "GET"
    headers: dict[str, Text] = Field(default_factory=dict)
    basic_auth: BasicAuthConfig | None = None
    bearer_token: SecretStr = SecretStr("")
    body: str = ""
    status: Statuses = ((200, 299),)
    expect_header: dict[str, Expression] = Field(default_factory=dict)
    """Header to an expression that one of its values must match."""
    keyword: Text = ""
    no_keyword: Text = ""
    matches: Expression = ""
    no_match: Expression = ""
    json_: dict[str, Any] = Field(default_factory=dict, alias="json")
    """Path to the value that must stand there."""
    conditions: tuple[ConditionText, ...] = ()
    """In Gatus' language; all must hold. With them, a status is judged only where one or `status` asks for it."""
    redirects: Literal["follow", "refuse"] = "follow"

    tls: ProbeTlsConfig = Field(default_factory=ProbeTlsConfig)
    certificate_valid_for: DurationMs = 0
    """How much longer the certificates must hold."""
    with_tls: bool = False

    send: str = ""
    expect: Expression = ""
    """An expression that the answer must match."""
    ping: bool = True
    subprotocols: tuple[str, ...] = ()

    record: str = ""
    answers: Annotated[tuple[Text, ...], BeforeValidator(_several)] = ()
    """That must be among those that come."""
    rcode: str = "NOERROR"
    transport: Literal["udp", "tcp"] = "udp"

    @model_validator(mode="before")
    @classmethod
    def _by_module(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("module"), str) or not data["module"]:
            return data
        filled = {**module_keys(data["module"]), **data}
        if isinstance(filled.get("url"), str):
            filled["url"] = address_of(data["module"], filled["url"])
        return filled

    @field_validator("name", "group")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError("expected one line of at most 100 characters, without spaces around it")
        return name

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        _check_address(url)
        return url

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL.fullmatch(name) or name.startswith("__") or name in ("job", "instance", "check", "group"):
                raise ValueError(f"{name!r} cannot be a label of a check: not a name, or one that is ours")
        return labels

    @field_validator("headers", "expect_header")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(value) or not value.isascii():
                raise ValueError(f"not a header: {name!r}; expected a name and one line of ASCII text")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"{name} is written by the probe itself")
        return headers

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        if not re.fullmatch(r"[A-Z]{1,20}", method) or method == "CONNECT":
            raise ValueError(f"not a method: {method!r}; expected one such as GET, HEAD or POST")
        return method

    @field_validator("json_")
    @classmethod
    def _are_paths(cls, wanted: dict[str, Any]) -> dict[str, Any]:
        for path in wanted:
            parsed_path(path)
        return wanted

    @model_validator(mode="after")
    def _is_possible(self) -> CheckConfig:
        if not self.name:
            raise ValueError("name: a check needs one; pages and alerts call it by it")
        if self.interval < LEAST_INTERVAL_MS:
            raise ValueError("interval: expected 1s or more")
        if not 0 < self.timeout <= self.interval:
            raise ValueError("timeout: expected more than 0 and not more than the interval, or probes would overlap")
        if 0 < self.retry_interval < self.timeout or self.retry_interval > self.interval:
            raise ValueError("retry_interval: expected at least the timeout and at most the interval")
        for key in sorted(self.model_fields_set):
            self._check_belongs(CheckConfig.model_fields[key].alias or key)
        wants_body = self.keyword or self.no_keyword or self.matches or self.no_match or self.json_
        if self.method == "HEAD" and (wants_body or any("[BODY]" in one for one in self.conditions)):
            raise ValueError("method: the answer to HEAD has no body in which something could be looked for")
        if self.basic_auth is not None and self.bearer_token.get_secret_value():
            raise ValueError("bearer_token: there is basic_auth already, and one request has one of them")
        if self.kind is Kind.DNS:
            from trackside.server.probes.dns_question import question_of  # noqa: PLC0415 - few ask name servers

            question_of(self.url, self.record, self.rcode)
        return self

    def _check_belongs(self, key: str) -> None:
        if key in _OF_SOME and key not in _OF_KIND[self.kind]:
            raise ValueError(f"{key}: means nothing for {self.scheme}://; for {_kinds_with(key)}")

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0].lower()

    @property
    def kind(self) -> Kind:
        return KINDS[self.scheme]

    @property
    def retry_ms(self) -> int:
        return self.retry_interval or min(self.interval, max(RETRY_MS, self.timeout))

    @property
    def step_ms(self) -> int:
        """How often to look whether an attempt is due: the interval in equal parts, none longer than a retry waits."""
        return self.interval // -(-self.interval // min(self.retry_ms, MAX_STEP_MS))


class UptimeConfig(Section):
    checks: tuple[CheckConfig, ...] = ()
    heartbeats: tuple[HeartbeatConfig, ...] = ()
    maintenance: tuple[MaintenanceConfig, ...] = ()
    anchors: tuple[str, ...] = ()
    """tcp://host:port of machines that are always there: asked when most checks fail at once."""
    alerts: bool = True
    """Whether the rules that come with the server are in force."""

    @field_validator("anchors")
    @classmethod
    def _are_anchors(cls, anchors: tuple[str, ...]) -> tuple[str, ...]:
        for url in anchors:
            if not url.startswith("tcp://"):
                raise ValueError(f"expected tcp://host:port, found {url!r}")
            _check_address(url)
        return anchors

    @model_validator(mode="after")
    def _names_once(self) -> UptimeConfig:
        for key, names in (
            ("checks", [one.name for one in self.checks]),
            ("heartbeats", [one.name for one in self.heartbeats]),
        ):
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{key}: {sorted(twice)[0]!r} stands there twice; each needs a name of its own")
        keys = [one.key.get_secret_value() for one in self.heartbeats if one.key.get_secret_value()]
        if len(set(keys)) < len(keys):
            raise ValueError("heartbeats: two of them have the same key; each needs its own")
        _check_dependencies({one.name: one.depends_on for one in self.checks})
        known = {one.name for one in self.checks} | {one.name for one in self.heartbeats}
        known |= {one.group for one in self.checks if one.group}
        for window in self.maintenance:
            if unknown := set(window.checks) - known:
                raise ValueError(
                    f"maintenance: {window.name!r} is for {sorted(unknown)[0]!r}, which is no check, heartbeat or group"
                )
        return self


def _check_dependencies(needs: Mapping[str, Sequence[str]]) -> None:
    """
    Raises:
        ValueError: a check depends on one that is not there, or on itself.
    """
    for name in needs:
        for one in needed(name, needs):
            if one not in needs:
                raise ValueError(f"checks: {name!r} depends on {one!r}, which is no check")
            if one == name:
                raise ValueError(f"checks: {name!r} depends on itself, through others or directly")


def needed(name: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """What it depends on, through others too, the nearest first. `needs`: what each depends on directly."""
    found: dict[str, None] = {}
    todo = list(needs[name])
    while todo:
        one = todo.pop(0)
        if one not in found:
            found[one] = None
            todo += needs.get(one, ())
    return list(found)


def _check_address(url: str) -> None:
    """
    Raises:
        ValueError: nobody can be asked there.
    """
    if url.startswith(("icmp://", "ping://")):
        raise ValueError(
            "icmp needs raw sockets, which a server should not have; probe a port instead: tcp://host:port"
        )
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"not an address: {error}") from error
    if parsed.scheme not in KINDS:
        raise ValueError(f"expected an address that begins with {', '.join(f'{known}://' for known in KINDS)}")
    if parsed.userinfo:
        raise ValueError("expected no user name or password in the address; there is basic_auth")
    if (parsed.host or parsed.scheme != "dns") and (reason := wrong_with(parsed)):
        raise ValueError(reason)
    if parsed.scheme == "tcp" and (not parsed.port or parsed.path not in ("", "/")):
        raise ValueError("expected tcp://host:port")


def _kinds_with(key: str) -> str:
    return ", ".join(f"{scheme}://" for scheme, kind in KINDS.items() if key in _OF_KIND[kind])
