from __future__ import annotations

import pytest

from trackside.server.access.roles import Role


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        pytest.param(Role.VIEWER, {Role.VIEWER}, id="a viewer looks"),
        pytest.param(Role.OPERATOR, {Role.VIEWER, Role.OPERATOR}, id="an operator also acts"),
        pytest.param(Role.ADMIN, set(Role), id="an admin does everything"),
    ],
)
def test_what_a_role_allows(role, allowed):
    assert {wanted for wanted in Role if role.allows(wanted)} == allowed
