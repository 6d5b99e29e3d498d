"""Sections of the configuration: what validates one is built when a file has it."""

import subprocess
import sys
import threading

import pytest
from pydantic import TypeAdapter, ValidationError, ValidationInfo, field_validator

from trackside.server.schema import DurationMs, Section


def sections():
    """New ones, that nobody has built."""

    class Leaf(Section):
        wait: DurationMs = 1_000
        name: str = "leaf"

        @field_validator("name")
        @classmethod
        def _known(cls, name: str, info: ValidationInfo) -> str:
            if info.context and name not in info.context["names"]:
                raise ValueError(f"nobody is named {name}")
            return name

    class Branch(Section):
        leaf: Leaf = Leaf.model_construct()
        leaves: tuple[Leaf, ...] = ()
        by_name: dict[str, Leaf] = {}
        rare: Leaf | None = None

    class Tree(Section):
        branch: Branch | None = None

    return Tree, Branch, Leaf


def test_only_what_a_file_has_is_built():
    tree, branch, leaf = sections()

    tree.model_validate({})
    assert (branch.__pydantic_complete__, leaf.__pydantic_complete__) == (False, False)
    tree.model_validate({"branch": {}})
    assert (branch.__pydantic_complete__, leaf.__pydantic_complete__) == (True, False)
    tree.model_validate({"branch": {"rare": {}}})
    assert leaf.__pydantic_complete__


SMALL = "route:\n  receiver: team\nreceivers:\n- name: team\n  webhook_configs:\n  - url: http://127.0.0.1:9/\n"
TELL_BUILT = """
import sys
from pathlib import Path
from trackside.server.config import load_config
from trackside.server.schema import Section

def below(section):
    for one in section.__subclasses__():
        yield one
        yield from below(one)

load_config(Path(sys.argv[1]))
print(*(one.__name__ for one in below(Section) if one.__pydantic_complete__))
"""


def test_of_our_own_sections_a_small_file_needs_few(tmp_path):
    file = tmp_path / "alertmanager.yml"
    file.write_text(SMALL)

    told = subprocess.run([sys.executable, "-c", TELL_BUILT, file], capture_output=True, text=True, check=True)

    built = set(told.stdout.split())
    assert built >= {"AlertmanagerFile", "RootRouteConfig", "ReceiverConfig", "WebhookConfig"}
    assert not built & {"SlackConfig", "EmailConfig", "ScrapeConfig", "JobSourceConfig", "CheckConfig"}


@pytest.mark.parametrize(
    ("given", "place", "kind"),
    [
        pytest.param({"branch": 5}, ("branch",), "model_type", id="no section"),
        pytest.param({"branch": {"leaf": {"wait": "5"}}}, ("branch", "leaf", "wait"), "value_error", id="in a section"),
        pytest.param(
            {"branch": {"leaves": [{}, {"wiat": 1}]}},
            ("branch", "leaves", 1, "wiat"),
            "extra_forbidden",
            id="in a list",
        ),
        pytest.param(
            {"branch": {"by_name": {"a": {"name": 1}}}}, ("branch", "by_name", "a", "name"), "string_type", id="by name"
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_path_that_leads_there(given, place, kind):
    tree, _, _ = sections()

    with pytest.raises(ValidationError) as raised:
        tree.model_validate(given)

    (error,) = raised.value.errors()
    assert (error["loc"], error["type"]) == (place, kind)


def test_all_that_is_wrong_is_told_at_once():
    tree, _, _ = sections()

    with pytest.raises(ValidationError) as raised:
        tree.model_validate({"branch": {"leaf": {"wait": "x"}, "leaves": [{"name": 1}], "rare": {"more": 1}}})

    assert [error["loc"][1] for error in raised.value.errors()] == ["leaf", "leaves", "rare"]


def test_validators_within_know_the_surroundings():
    tree, _, _ = sections()

    with pytest.raises(ValidationError, match="nobody is named eve"):
        tree.model_validate({"branch": {"rare": {"name": "eve"}}}, context={"names": ["ann"]})


def test_a_section_may_hold_others_of_its_kind():
    class Route(Section):
        receiver: str = ""
        routes: "tuple[Route, ...]" = ()

    Route.model_rebuild(_types_namespace={"Route": Route})
    found = Route.model_validate({"routes": [{"receiver": "a", "routes": [{"receiver": "b"}]}]})

    assert found.routes[0].routes[0] == Route(receiver="b")


def test_a_section_that_is_one_already_stays_as_it_is():
    tree, branch, leaf = sections()
    given = leaf(wait="5s")

    assert tree(branch=branch(rare=given)).branch.rare is given


def test_sections_can_be_written_down_again():
    tree, _, _ = sections()
    found = tree.model_validate({"branch": {"rare": {"wait": "5m"}}})

    assert found.model_dump(exclude_unset=True) == {"branch": {"rare": {"wait": "5m"}}}
    assert found.model_dump_json(exclude_unset=True) == '{"branch":{"rare":{"wait":"5m"}}}'


def test_a_list_of_sections_outside_of_any_section():
    _, _, leaf = sections()

    assert [one.wait for one in TypeAdapter(tuple[leaf, ...]).validate_python([{"wait": "5s"}, {}])] == [5_000, 1_000]


def test_threads_may_be_the_first_at_the_same_time():
    tree, _, _ = sections()
    found = []

    def read() -> None:
        found.append(tree.model_validate({"branch": {"rare": {"wait": "5s"}}}).branch.rare.wait)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [5_000] * 8
