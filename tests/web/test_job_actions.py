"""Actions on jobs through the whole application, its door included."""

from __future__ import annotations

import re
from html import unescape
from threading import Thread

import pytest

from trackside.jobs.actor import DONE, GONE, Ability, Verb
from trackside.model.jobs import Job, JobDetail, JobsPage, JobState
from trackside.server.access.roles import Role
from trackside.server.jobs.actions.actions import JobActions, Place, Throttle
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.routes import build_app

OWN = {"origin": "http://trackside.example:9490"}
FOREIGN = {"origin": "https://evil.example"}
PLAN = {"verb": "retry", "source": "rq", "ids": ["a", "b"]}


class Queue:
    """Source and actor in one."""

    def __init__(self):
        self.states = dict.fromkeys(("a", "b", "<i>c"), JobState.FAILED) | {"r": JobState.RUNNING}
        self.acts = []
        self.abilities = {Verb.RETRY: Ability(frozenset((JobState.FAILED,)), "One attempt.")}
        self.verbs = frozenset(self.abilities)

    def find(self, query, after="", limit=50):
        found = [id for id, state in self.states.items() if not query.states or state in query.states]
        return JobsPage(tuple(Job(id, "send", "high", self.states[id], "") for id in found))

    def get(self, id):
        return JobDetail(Job(id, "send", "high", self.states[id], "")) if id in self.states else None

    def act(self, verb, ids):
        self.acts.append((verb.value, tuple(ids)))
        return {id: DONE if id in self.states else GONE for id in ids}

    def close(self):
        pass


@pytest.fixture
def jobs(site):
    """The queue, behind the site whose application has these routes."""
    queue = Queue()
    actions = JobActions(
        {"rq": Place(queue, queue), "only": Place(queue, None)}, site.admission.keys._db, site.clock, Throttle()
    )
    console = Console(
        backend=site.backend,
        clock=site.clock,
        targets=tuple,
        rule_groups=tuple,
        notifications=lambda newest: (),
        started_ms=0,
        version="0",
        external_url="https://monitoring.example",
        config_text=str,
        job_actions=lambda: actions,
    )
    site._app = build_app(console, site.admission, lambda: [render.static_mount()], site)
    queue.actions = actions
    yield queue
    actions.close()


def over(queue):
    for thread, _ in list(queue.actions._running.values()):
        thread.join(60)


def planned(site, body=PLAN, **more):
    response = site.post("/api/v1/jobs/actions", json=body, **more)
    assert response.status_code == 200, response.text
    return response.json()["data"]


WRITES = [
    pytest.param("/api/v1/jobs/actions", {"json": PLAN}, id="plan"),
    pytest.param("/api/v1/jobs/actions/{token}", {}, id="confirm"),
    pytest.param("/api/v1/jobs/actions/1/stop", {}, id="stop"),
    pytest.param("/jobs/actions", {"data": {"verb": "retry", "source": "rq", "id": "a"}}, id="form: plan"),
    pytest.param("/jobs/actions/{token}", {}, id="form: confirm"),
    pytest.param("/jobs/actions/1/stop", {}, id="form: stop"),
]


class TestTheDoor:
    @pytest.mark.parametrize(("path", "body"), WRITES)
    def test_a_viewer_cannot_act_by_any_route(self, site, jobs, key_of, cookie_of, path, body):
        path = path.format(token=planned(site)["token"])

        by_key = site.post(path, key=key_of(Role.VIEWER), **body)
        in_browser = site.post(path, key=None, headers=cookie_of(Role.VIEWER) | OWN, **body)
        by_nobody = site.post(path, key=None, **body)

        assert (by_key.status_code, in_browser.status_code, by_nobody.status_code) == (403, 403, 401)
        assert jobs.acts == [] and jobs.actions.audit() == []

    @pytest.mark.parametrize(("path", "body"), WRITES)
    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(FOREIGN, id="another origin"),
            pytest.param({"sec-fetch-site": "cross-site"}, id="the browser says so"),
            pytest.param({"sec-fetch-site": "same-site"}, id="a sister domain"),
            pytest.param({}, id="nothing said"),
        ],
    )
    def test_another_sites_page_cannot_act_through_an_operators_browser(
        self, site, jobs, cookie_of, path, body, headers
    ):
        path = path.format(token=planned(site)["token"])

        response = site.post(path, key=None, headers=cookie_of(Role.OPERATOR) | headers, **body)

        assert response.status_code == 403
        assert jobs.acts == [] and jobs.actions.audit() == []

    @pytest.mark.parametrize(("path", "body"), WRITES)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
    def test_nothing_but_a_post_changes_anything(self, site, jobs, path, body, method):
        token = planned(site)["token"]

        site.ask(method, path.format(token=token), params={"verb": "retry", "source": "rq", "id": "a"})

        assert jobs.acts == [] and jobs.actions.audit() == []
        # The plan is still good: not even that was used up.
        assert site.post(f"/api/v1/jobs/actions/{token}").status_code == 202

    def test_a_viewer_may_read_what_was_done(self, site, jobs, key_of):
        id = site.post(f"/api/v1/jobs/actions/{planned(site)['token']}").json()["data"]["id"]
        over(jobs)
        viewer = key_of(Role.VIEWER)

        told = site.get(f"/api/v1/jobs/actions/{id}", key=viewer)
        assert told.status_code == 200, told.text
        assert told.json()["data"]["done"] == 2
        assert len(site.get("/api/v1/jobs/audit", key=viewer).json()["data"]["actions"]) == 1
        assert site.get(f"/jobs/actions/{id}", key=viewer).status_code == 200
        assert site.get("/api/v1/jobs/audit", key=None).status_code == 401

    def test_a_plan_belongs_to_who_made_it(self, site, jobs, key_of):
        token = planned(site)["token"]

        response = site.post(f"/api/v1/jobs/actions/{token}", key=key_of(Role.OPERATOR))

        assert response.status_code == 403
        assert "somebody else made this plan" in response.json()["error"]
        assert jobs.acts == []


class TestApi:
    def test_from_plan_to_audit(self, site, jobs, key_of):
        operator = key_of(Role.OPERATOR)
        plan = planned(site, {"verb": "retry", "source": "rq", "ids": ["a", "r"]}, key=operator)
        assert (plan["matched"], plan["will_change"], plan["expires_in_s"]) == (2, 1, 300)
        assert plan["sentence"] == "1 job of rq will be retried. 1 job will be left alone: 1 running. One attempt."
        assert plan["jobs"][1] == {"id": "r", "left_out": "it is running, and cannot be retried"}

        begun = site.post(f"/api/v1/jobs/actions/{plan['token']}", key=operator)
        assert begun.status_code == 202
        over(jobs)

        told = site.get(begun.json()["data"]["url"]).json()["data"]
        assert (told["who"], told["state"], told["done"], told["left_alone"]) == ("operator key", "done", 1, 1)
        assert {one["id"]: one["state"] for one in told["targets"]} == {"a": "done", "r": "left alone"}
        (line,) = site.get("/api/v1/jobs/audit?source=rq&job=a").json()["data"]["actions"]
        assert line["targets"] == [{"id": "a", "state": "done", "reason": ""}]
        assert jobs.acts == [("retry", ("a",))]
        again = site.post(f"/api/v1/jobs/actions/{plan['token']}", key=operator)
        assert (again.status_code, again.json()["errorType"]) == (404, "not_found")

    def test_by_a_filter(self, site, jobs):
        plan = planned(site, {"verb": "retry", "source": "rq", "query": {"state": ["failed"], "queue": "high"}})

        assert (plan["matched"], plan["filter"]) == (3, "state:failed queue:high")

    def test_a_source_that_is_only_looked_at_says_what_it_needs(self, site, jobs):
        response = site.post("/api/v1/jobs/actions", json={**PLAN, "source": "only"})

        assert response.status_code == 403
        assert "read-only" in response.json()["error"] and "act_url" in response.json()["error"]

    @pytest.mark.parametrize(
        ("body", "status", "reason"),
        [
            pytest.param({**PLAN, "verb": "explode"}, 400, "expected one of retry, cancel", id="verb"),
            pytest.param({**PLAN, "source": None}, 400, '"source"', id="source"),
            pytest.param({**PLAN, "ids": "a"}, 400, "a list of texts", id="ids that are a text"),
            pytest.param({**PLAN, "ids": [1]}, 400, "a list of texts", id="an id that is a number"),
            pytest.param({**PLAN, "ids": [str(at) for at in range(1_001)]}, 400, "at most 1,000", id="too many"),
            pytest.param({**PLAN, "ids": [], "query": {}}, 400, "either their ids", id="nothing"),
            pytest.param({**PLAN, "ids": [], "query": {"states": "failed"}}, 400, "there is no 'states'", id="typo"),
            pytest.param({**PLAN, "ids": [], "query": {"state": "bad"}}, 400, "queued", id="state"),
            pytest.param(
                {**PLAN, "ids": [], "query": {"state": [["failed"]]}}, 400, "expected one of", id="a state of lists"
            ),
            pytest.param({**PLAN, "ids": [], "query": {"queue": 1}}, 400, "expected an object", id="queue"),
            pytest.param({**PLAN, "id": "a"}, 400, '"id": there is no such field', id="field"),
            pytest.param([], 400, "expected an object", id="a list"),
            pytest.param({**PLAN, "source": "none"}, 404, "there are: rq, only", id="no such source"),
        ],
    )
    def test_mistakes_are_named(self, site, jobs, body, status, reason):
        response = site.post("/api/v1/jobs/actions", json=body)

        assert response.status_code == status, response.text
        assert re.search(reason, response.json()["error"])
        assert jobs.acts == []

    @pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b"1e999"])
    def test_bodies_that_are_none(self, site, jobs, content):
        response = site.post("/api/v1/jobs/actions", content=content, headers={"content-type": "application/json"})

        assert response.status_code == 400

    def test_a_body_without_end(self, site, jobs):
        response = site.post(
            "/api/v1/jobs/actions", content=b" " * (2 << 20), headers={"content-type": "application/json"}
        )

        assert response.status_code == 413

    @pytest.mark.parametrize("url", ["/api/v1/jobs/actions/77", "/api/v1/jobs/actions/99999999999999999999"])
    def test_no_such_action(self, site, jobs, url):
        assert site.get(url).status_code == 404
        assert site.post(f"{url}/stop").status_code == 404

    def test_a_server_that_watches_no_jobs_says_so(self, site, jobs):
        empty = Console(
            site.backend, site.clock, tuple, tuple, lambda newest: (), 0, "0", "https://monitoring.example", str
        )
        site._app = build_app(empty, site.admission, list, site)

        response = site.post("/api/v1/jobs/actions", json=PLAN)

        assert response.status_code == 404
        assert "jobs.sources" in response.json()["error"]

    def test_it_runs_on_threads(self, site, jobs):
        names = []
        act, find = jobs.act, jobs.find
        jobs.act = lambda verb, ids: names.append(_thread_name()) or act(verb, ids)
        jobs.find = lambda *asked: names.append(_thread_name()) or find(*asked)

        plan = planned(site, {"verb": "retry", "source": "rq", "query": {"state": "failed"}})
        site.post(f"/api/v1/jobs/actions/{plan['token']}")
        over(jobs)

        assert names and "MainThread" not in names


class TestForms:
    def test_without_a_script_from_the_button_to_the_outcome_and_back(self, site, jobs, cookie_of):
        headers = cookie_of(Role.OPERATOR) | OWN
        form = {"verb": "retry", "source": "rq", "id": ["a", "<i>c", "r"], "back": "/jobs?queue=high"}

        asked = site.post("/jobs/actions", key=None, headers=headers, data=form)
        assert asked.status_code == 303
        page = site.get(asked.headers["location"], key=None, headers=headers)
        assert page.status_code == 200, page.text
        assert "2 jobs of rq will be retried." in unescape(page.text)
        assert "<i>c" not in page.text and "&lt;i&gt;c" in page.text
        assert jobs.acts == []
        action = re.search(r'<form method="post" action="(/jobs/actions/[^"]+)"', page.text)[1]
        assert 'name="back" value="/jobs?queue=high"' in page.text

        begun = site.post(action, key=None, headers=headers, data={"back": "/jobs?queue=high"})
        assert begun.status_code == 303
        over(jobs)
        outcome = site.get(begun.headers["location"], key=None, headers=headers)
        assert "Only 2 of 3 jobs of rq were retried." in unescape(outcome.text)
        assert 'href="/jobs?queue=high"' in outcome.text
        assert jobs.acts == [("retry", ("a", "<i>c"))]

    def test_errors_are_pages(self, site, jobs):
        response = site.post("/jobs/actions", data={"verb": "retry", "source": "only", "id": "a"})

        assert response.status_code == 403
        assert response.headers["content-type"].startswith("text/html")
        assert "act_url" in response.text

    @pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
    def test_back_leads_to_no_other_site(self, site, jobs, back):
        response = site.post("/jobs/actions", data={"verb": "retry", "source": "rq", "id": "a", "back": back})

        assert response.headers["location"].endswith("?back=%2Fjobs")

    def test_ids_a_line_each(self, site, jobs):
        body = {"verb": "retry", "source": "rq", "ids": "a\r\nb\n\n"}

        assert site.post("/api/v1/jobs/actions", data=body).json()["data"]["matched"] == 2

    def test_stop_leads_to_the_outcome(self, site, jobs):
        id = site.post(f"/api/v1/jobs/actions/{planned(site)['token']}").json()["data"]["id"]
        over(jobs)

        response = site.post(f"/jobs/actions/{id}/stop")

        assert (response.status_code, response.headers["location"]) == (303, f"/jobs/actions/{id}?back=%2Fjobs")


def _thread_name():
    from threading import current_thread

    return current_thread().name


def test_confirming_twice_at_once_acts_once(site, jobs):
    token = planned(site)["token"]
    statuses = []
    site.app()

    def confirm():
        statuses.append(site.post(f"/api/v1/jobs/actions/{token}").status_code)

    threads = [Thread(target=confirm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over(jobs)

    assert sorted(statuses) == [202, 404, 404, 404]
    assert len(jobs.acts) == 1
