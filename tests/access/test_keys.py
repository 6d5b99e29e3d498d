from __future__ import annotations

import stat

import pytest

from trackside.server.access.keys import BELIEVED_MS, MAX_KEY_CHARS, MAX_REMEMBERED
from trackside.server.access.roles import Role
from trackside.server.access.sessions import LIFETIME_MS


def test_a_key_says_whose_it_is_and_what_it_allows(keys):
    key = keys.create("grafana", Role.VIEWER)

    identity = keys.identify(key)

    assert (identity.name, identity.role, identity.by_cookie) == ("grafana", Role.VIEWER, False)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="empty"),
        pytest.param("ts_", id="only the prefix"),
        pytest.param("ts_" + "A" * 43, id="of the right form"),
        pytest.param("x" * (MAX_KEY_CHARS + 1), id="too long"),
        pytest.param("x" * 10_000_000, id="far too long"),
        pytest.param("kl\x00uc\n", id="control characters"),
        pytest.param("\ud800é", id="no character"),
        pytest.param("' OR 1=1 --", id="SQL"),
    ],
)
def test_any_other_text_is_nobodys(keys, key):
    keys.create("grafana", Role.VIEWER)

    assert keys.identify(key) is None


def test_a_key_is_nowhere_in_the_database(keys, db, tmp_path):
    key = keys.create("grafana", Role.VIEWER)
    db.close()

    stored = b"".join(path.read_bytes() for path in tmp_path.glob("trackside.db*"))

    assert b"grafana" in stored
    assert key.encode() not in stored
    assert key.removeprefix("ts_").encode() not in stored


def test_two_keys_are_never_alike(keys):
    assert len({keys.create("same name", Role.VIEWER) for _ in range(50)}) == 50


class TestTheAdminKey:
    def test_is_made_once_and_readable_for_its_owner_only(self, keys, restart, tmp_path):
        key = keys.ensure_admin()

        file = tmp_path / "admin.key"
        assert file.read_text() == key + "\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert restart().ensure_admin() == key
        assert keys.identify(key).role is Role.ADMIN

    def test_loses_permissions_that_others_got_by_copying(self, keys, tmp_path):
        keys.ensure_admin()
        (tmp_path / "admin.key").chmod(0o644)

        keys.ensure_admin()

        assert stat.S_IMODE((tmp_path / "admin.key").stat().st_mode) == 0o600

    def test_is_made_again_when_its_file_is_deleted_and_the_old_one_ends(self, keys, restart, tmp_path):
        old = keys.ensure_admin()
        session = keys.open_session(keys.identify(old))
        (tmp_path / "admin.key").unlink()

        keys = restart()
        new = keys.ensure_admin()

        assert new != old
        assert keys.identify(old) is None
        assert keys.session(session) is None
        assert keys.identify(new).role is Role.ADMIN

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"ts_somebody elses", id="of another database"),
            pytest.param(b"\xff\xfe\x00\x9f" * 100, id="no text"),
        ],
    )
    def test_replaces_a_file_that_holds_no_key(self, keys, tmp_path, content):
        (tmp_path / "admin.key").write_bytes(content)

        key = keys.ensure_admin()

        assert keys.identify(key).role is Role.ADMIN
        assert (tmp_path / "admin.key").read_text().strip() == key

    def test_is_never_one_that_may_only_look(self, keys, tmp_path):
        (tmp_path / "admin.key").write_text(keys.create("guest", Role.VIEWER))

        assert keys.identify(keys.ensure_admin()).role is Role.ADMIN

    def test_survives_a_crash_while_it_was_written(self, keys, tmp_path):
        (tmp_path / "admin.new").write_text("half a k")

        key = keys.ensure_admin()

        assert (tmp_path / "admin.key").read_text().strip() == key
        assert not (tmp_path / "admin.new").exists()


class TestASession:
    def test_is_its_keys(self, keys):
        identity = keys.identify(keys.create("anna", Role.OPERATOR))

        found = keys.session(keys.open_session(identity))

        assert (found.name, found.role, found.by_cookie) == ("anna", Role.OPERATOR, True)

    def test_outlives_a_restart(self, keys, restart):
        session = keys.open_session(keys.identify(keys.ensure_admin()))

        assert restart().session(session) is not None

    def test_ends_after_its_time(self, keys, clock):
        session = keys.open_session(keys.identify(keys.ensure_admin()))

        clock.time_ms += LIFETIME_MS - 1
        assert keys.session(session) is not None
        clock.time_ms += 1
        assert keys.session(session) is None

    def test_ends_with_its_key(self, keys):
        session = keys.open_session(keys.identify(keys.create("anna", Role.OPERATOR)))
        assert keys.session(session) is not None

        keys.revoke("anna")

        assert keys.session(session) is None

    def test_of_another_server_is_no_session_here(self, keys, db, tmp_path, clock):
        from trackside.server.access.keys import Keys
        from trackside.server.db.database import Database

        other_db = Database(tmp_path / "other.db")
        other = Keys(other_db, tmp_path / "elsewhere", clock)
        identity = keys.identify(keys.create("anna", Role.OPERATOR))
        session = other.open_session(identity)
        other_db.close()

        assert keys.session(session) is None


class TestRemembering:
    def test_many_requests_ask_the_database_once(self, keys, db):
        key = keys.create("anna", Role.OPERATOR)
        session = keys.open_session(keys.identify(key))
        db.reads = 0

        for _ in range(100):
            assert keys.session(session).by_cookie
            assert not keys.identify(key).by_cookie

        assert db.reads <= 2

    def test_a_revocation_by_another_process_counts_within_seconds(self, keys, restart, clock):
        key = keys.create("anna", Role.OPERATOR)
        assert keys.identify(key) is not None

        restart().revoke("anna")

        clock.time_ms += BELIEVED_MS
        assert keys.identify(key) is None

    def test_a_clock_set_back_makes_nobody_believed_for_longer(self, keys, restart, clock):
        key = keys.create("anna", Role.OPERATOR)
        assert keys.identify(key) is not None
        restart().revoke("anna")

        clock.time_ms -= 3_600_000

        assert keys.identify(key) is None

    def test_only_so_many_are_remembered(self, keys):
        key = keys.create("anna", Role.OPERATOR)
        keys.identify(key)
        assert keys.was_right(key)
        for number in range(MAX_REMEMBERED):
            keys._remembered[-1 - number] = (0, keys.identify(key))
        keys.identify(keys.create("another", Role.VIEWER))

        assert len(keys._remembered) == MAX_REMEMBERED

    def test_wrong_keys_are_not_remembered(self, keys):
        for number in range(100):
            keys.identify(f"wrong {number}")

        assert not keys.was_right("wrong 1")
        assert not keys._remembered
