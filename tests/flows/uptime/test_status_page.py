"""From a service that fails to what the world reads of it, and nothing more than that."""

import gzip
import json
import re
import xml.etree.ElementTree as ET
from datetime import datetime
from html import unescape

import pytest

CONFIG = """
global: {scrape_interval: 15s, evaluation_interval: 15s, external_labels: {cluster: secret-cluster}}
auth: {allow_from: [192.0.2.0/24]}
uptime:
  checks:
  - {name: internal-api-7, url: "http://api.example/hidden/health", interval: 1m, timeout: 5s, labels: {team: red-team}}
  - {name: app, url: "http://app.example/", interval: 1m, timeout: 5s, bearer_token: token-of-app, group: backoffice}
  heartbeats:
  - {name: nightly-ledger, period: 1d, key: nightly-0123456789abcdefghij}
status_page:
  published: true
  title: Example
  description: How <we> do
  site: https://www.example.com
  domain: status.example.com
  logo: logo.svg
  components:
  - {name: API, check: internal-api-7, group: Core, description: What your programs ask}
  - {name: Web & App, check: app, group: Core}
  - {name: Reports, heartbeat: nightly-ledger}
  - {name: Monitor, expr: 'min(up{job="trackside"})'}
  incidents:
  - {alert: CheckDown, title: Parts of Example do not work, components: [API], text: We look into it.}
"""
PRIVATE = (
    *("internal-api-7", "api.example", "/hidden", "app.example", "red-team", "token-of-app", "backoffice"),
    *("nightly-ledger", "nightly-0123", "CheckDown", "trackside_probe", "secret-cluster", "127.0.0.1", "job=", "503"),
)
WORLD = "203.0.113.9"
FILES = (
    "",
    "/status.json",
    "/index.json",
    "/feed.atom",
    "/rss",
    "/badge.svg",
    "/badges/api.svg",
    "/badges/web-app.svg",
)


def words(page):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())


@pytest.fixture
def outpost(tmp_path, outposts):
    (tmp_path / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    made = outposts(CONFIG)
    made.advance(75)
    return made


def world(outpost, path, **keys):
    return outpost.request("GET", path, client=WORLD, **keys)


def test_the_world_reads_it_and_nothing_else(outpost):
    for path in FILES:
        assert world(outpost, f"/status{path}").status_code == 200, path
    for path in ("/", "/uptime", "/uptime/status", "/targets", "/statuses", "/api/v1/query?query=up"):
        assert world(outpost, path).status_code == 403, path
    assert world(outpost, "/status/../targets").status_code in (403, 404)
    assert world(outpost, "/status/nope").status_code == 404
    assert outpost.request("POST", "/status", client=WORLD).status_code == 405


def test_what_is_not_published_is_a_preview_for_those_who_may_log_in(outposts, tmp_path):
    (tmp_path / "logo.svg").write_text("<svg/>")
    made = outposts(CONFIG.replace("published: true", "published: false").replace("auth: {", "#"))

    assert made.request("GET", "/status").status_code == 303
    assert made.request("GET", "/status/status.json").status_code == 303
    assert made.get("/status").headers["cache-control"] == "no-store"


def test_all_works(outpost):
    page = words(world(outpost, "/status").text)

    assert "All systems work." in page
    assert "API What your programs ask works" in page
    assert "100 % up" in page


def test_a_down_opens_an_incident_and_is_counted_and_nothing_private_leaks(outpost):
    outpost.broken = {"api.example", "app.example"}
    outpost.advance(180)
    page = words(world(outpost, "/status").text)
    document = world(outpost, "/status/status.json").json()

    assert "Parts of Example do not work" in page
    assert "API What your programs ask does not work" in page
    assert [one["status"] for one in document["components"]] == ["down", "down", "unknown", "up"]
    assert document["incidents"][0]["updates"][0]["text"] == "We look into it."
    shown = {path: world(outpost, f"/status{path}").text for path in FILES}
    domain = {"headers": {"host": "status.example.com"}}
    shown |= {f"own domain {path}": world(outpost, path or "/", **domain).text for path in FILES}
    leaks = [(path, word) for path, text in shown.items() for word in PRIVATE if word in text]
    assert leaks == []

    outpost.broken = set()
    outpost.advance(180)
    assert "All systems work." in words(world(outpost, "/status").text)
    assert world(outpost, "/status/status.json").json()["incidents"][0]["status"] == "resolved"


def test_an_alert_of_five_seconds_is_in_the_history_with_its_times(outposts, tmp_path):
    # Fires at one evaluation a minute, and never at one of the moments at which the page is made.
    rule = {"alert": "Blip", "expr": "vector(time() % 60) > 17 < 23"}
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "interval": "5s", "rules": [rule]}]}))
    (tmp_path / "logo.svg").write_text("<svg/>")
    opened = CONFIG.replace("alert: CheckDown", "alert: Blip")
    outpost = outposts(f"{opened}rule_files: [rules.yml]\n")
    outpost.advance(120)
    incidents = world(outpost, "/status/status.json").json()["incidents"]

    assert [one["status"] for one in incidents] == ["resolved", "resolved"]
    for one in incidents:
        began, ended = (datetime.fromisoformat(one[key]) for key in ("starts", "ends"))
        assert (began.second, (ended - began).total_seconds()) == (20, 5)


def test_uptime_is_what_one_reckons_from_the_minutes(outpost):
    outpost.advance(5 * 60)
    outpost.broken = {"api.example"}
    outpost.advance(5 * 60)
    document = world(outpost, "/status/status.json").json()
    api = document["components"][0]
    minutes = [day["minutes"] for day in api["days"]]
    up, down = sum(day["up"] for day in minutes), sum(day["down"] for day in minutes)

    assert len(api["days"]) == 90
    assert (up + down, down) == (up + 4, 4) or down == 3
    assert api["uptime"] == pytest.approx(up / (up + down))
    assert api["days"][0]["status"] == "unknown"


def test_the_feed_is_atom_with_every_incident(outpost):
    outpost.broken = {"api.example"}
    outpost.advance(180)
    feed = ET.fromstring(world(outpost, "/status/feed.atom").content)
    name = "{http://www.w3.org/2005/Atom}"

    (entry,) = feed.findall(f"{name}entry")
    assert entry.find(f"{name}title").text == "Parts of Example do not work (investigating)"
    assert entry.find(f"{name}id").text == "http://trackside/status#incident-1"
    assert feed.find(f"{name}updated").text.endswith("Z")


def test_under_its_own_domain_there_is_the_page_and_nothing_else(outpost):
    at_domain = {"headers": {"host": "status.example.com"}}

    assert "All systems work." in words(world(outpost, "/", **at_domain).text)
    assert 'href="/feed.atom"' in world(outpost, "/", **at_domain).text
    assert "https://status.example.com" in world(outpost, "/feed.atom", **at_domain).text
    assert world(outpost, "/logo", **at_domain).headers["content-type"] == "image/svg+xml"
    key = {"authorization": f"Bearer {outpost.server.admin_key}", "host": "status.example.com"}
    for path in ("/targets", "/login", "/metrics", "/ping/x", "/api/v1/query?query=up", "/uptime"):
        assert outpost.request("GET", path, headers=key).status_code == 404, path


def test_a_thousand_readers_cost_one_rendering(outpost):
    def renders():
        return outpost.server.publishing.files.renders_total

    before = renders()
    bodies = {world(outpost, "/status").text for _ in range(100)}
    assert (len(bodies), renders() - before) == (1, 1)

    outpost.advance(1)
    bodies = {world(outpost, "/status").text for _ in range(100)}
    assert (len(bodies), renders() - before) == (1, 1)

    outpost.advance(75)
    assert world(outpost, "/status").text not in bodies
    assert renders() - before == 2


def test_readers_and_caches_are_told_how_long_it_is_good(outpost):
    answer = world(outpost, "/status", headers={"accept-encoding": "gzip"})
    again = world(outpost, "/status", headers={"if-none-match": answer.headers["etag"]})

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"].startswith("public, max-age=")
    assert (again.status_code, again.content) == (304, b"")
    plain = world(outpost, "/status", headers={"accept-encoding": "identity"})
    assert plain.text == answer.text
    assert "content-encoding" not in plain.headers
    assert len(gzip.compress(plain.content)) < 12_000


def test_a_picture_with_scripts_in_it_is_only_a_picture(outpost):
    assert "sandbox" in world(outpost, "/status/logo").headers["content-security-policy"]


def write(outpost, path="/uptime/status", *, key=None, origin="http://trackside", **fields):
    headers = {"authorization": f"Bearer {key or outpost.server.admin_key}", "origin": origin}
    return outpost.request("POST", path, data=fields, headers=headers)


INCIDENT = {"title": "Slow <pages>", "text": "We look.\nSoon more.", "impact": "minor", "component": "API"}


def test_an_incident_by_hand_from_its_first_word_to_its_last(outpost):
    assert write(outpost, **INCIDENT).status_code == 303
    assert "Slow &lt;pages&gt;" in world(outpost, "/status").text
    assert write(outpost, "/uptime/status/1", state="identified", text="A disk is full.").status_code == 303
    assert write(outpost, "/uptime/status/1", state="resolved", text="Mended.").status_code == 303

    (incident,) = world(outpost, "/status/status.json").json()["incidents"]
    assert [update["status"] for update in incident["updates"]] == ["investigating", "identified", "resolved"]
    assert "admin" in words(outpost.get("/uptime/status").text)
    assert "admin" not in json.dumps(incident)


def test_maintenance_by_hand_hides_what_fails_meanwhile(outpost):
    fields = {"title": "New disks", "text": "We change disks.", "impact": "maintenance", "component": "API"}
    assert write(outpost, **fields, starts="2025-11-25T00:03", ends="2025-11-25T00:08").status_code == 303
    assert "Planned maintenance" in words(world(outpost, "/status").text)
    outpost.broken = {"api.example"}
    outpost.advance(180)

    states = [one["status"] for one in world(outpost, "/status/status.json").json()["components"]]
    assert states[0] == "maintenance"


REFUSED = [
    pytest.param({"origin": "https://evil.example"}, 403, id="from another site"),
    pytest.param({"key": "nobody"}, 401, id="without a key"),
]


@pytest.mark.parametrize(("changes", "status"), REFUSED)
def test_who_may_not_write(changes, status, outpost):
    assert write(outpost, **changes, **INCIDENT).status_code == status
    assert world(outpost, "/status/status.json").json()["incidents"] == []


def test_who_may_only_look_may_not_write(outpost):
    from trackside.server.access.roles import Role

    viewer = outpost.server.keys.create("viewer", Role.VIEWER)
    headers = {"authorization": f"Bearer {viewer}"}

    assert write(outpost, key=viewer, **INCIDENT).status_code == 403
    assert "Tell of an incident" not in outpost.request("GET", "/uptime/status", headers=headers).text
    assert "Tell of an incident" in outpost.get("/uptime/status").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**INCIDENT, "title": ""}, "title: expected some words"),
        ({**INCIDENT, "impact": "huge"}, "impact: expected one of"),
        ({**INCIDENT, "component": "internal-api-7"}, "is none of this page"),
        ({**INCIDENT, "impact": "maintenance", "starts": "soon"}, "starts: expected a day and a time"),
    ],
)
def test_what_cannot_stand_on_the_page_says_why(fields, said, outpost):
    answer = write(outpost, **fields)

    assert answer.status_code == 400
    assert said in unescape(answer.text)


@pytest.mark.parametrize("path", ["/uptime/status/99", "/uptime/status/99/delete", f"/uptime/status/{2**70}"])
def test_an_incident_that_is_not_there(path, outpost):
    assert write(outpost, path, state="resolved", text="x").status_code == 400


def test_the_folder_that_outlives_the_machine_has_all_of_it(outposts, tmp_path):
    (tmp_path / "logo.svg").write_text("<svg/>")
    made = outposts(CONFIG.replace("  title: Example", "  title: Example\n  export_to: public"))
    made.advance(75)

    folder = tmp_path / "public"
    page = (folder / "index.html").read_text()
    assert "All systems work." in words(page)
    assert json.loads((folder / "status.json").read_text())["status"] == "up"
    assert (folder / "badges/api.svg").exists()
    linked = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert [link for link in linked if not link.startswith("https://") and not (folder / link).exists()] == []
    assert not [
        word for word in PRIVATE if any(word in path.read_text() for path in folder.rglob("*") if path.is_file())
    ]


def test_components_must_name_what_there_is(tmp_path):
    from trackside.exceptions import ConfigError
    from trackside.server.config import load_config

    file = tmp_path / "trackside.yml"
    file.write_text(CONFIG.replace("check: internal-api-7", "check: api"))
    with pytest.raises(
        ConfigError, match=r"components\[0\].check: no check is named 'api'; there are: app, internal-api"
    ):
        load_config(file)


def test_a_folder_from_the_command_line_while_the_server_runs(outpost, tmp_path):
    from click.testing import CliRunner

    from trackside.cli.main import cli

    arguments = ["status", "export", str(tmp_path / "out"), "-c", str(tmp_path / "trackside.yml")]
    done = CliRunner().invoke(cli, [*arguments, "--data-dir", str(tmp_path / "data"), "--url", "https://s.example/"])

    assert done.exit_code == 0, done.output
    assert "API" in (tmp_path / "out/index.html").read_text()
    assert "https://s.example#incident" in (tmp_path / "out/feed.atom").read_text() or (
        "<id>https://s.example</id>" in (tmp_path / "out/feed.atom").read_text()
    )


def test_without_a_server_there_is_nothing_to_write(tmp_path):
    from click.testing import CliRunner

    from trackside.cli.main import cli

    (tmp_path / "logo.svg").write_text("<svg/>")
    (tmp_path / "trackside.yml").write_text(CONFIG)
    done = CliRunner().invoke(
        cli, ["status", "export", str(tmp_path / "out"), "-c", str(tmp_path / "trackside.yml"), "--data-dir", "gone"]
    )

    assert "there is no such file; expected the data folder of a server" in str(done.exception)


HOSTILE = [
    pytest.param({"content": b"title=" + b"x" * 2_000_000}, 413, id="without end"),
    pytest.param({"content": b"title=%ff%fe&text=x&impact=major"}, 400, id="no UTF-8"),
    pytest.param({"content": b"title=%00&text=%00&impact=major"}, 400, id="nothing that can be read"),
    pytest.param({"content": b"&" * 5_000}, 413, id="fields without end"),
    pytest.param({"content": b"{}", "headers": {"content-type": "application/json"}}, 400, id="no form"),
]


@pytest.mark.parametrize(("request_", "status"), HOSTILE)
def test_what_is_no_form_is_refused(request_, status, outpost):
    headers = {
        "authorization": f"Bearer {outpost.server.admin_key}",
        "origin": "http://trackside",
        "content-type": "application/x-www-form-urlencoded",
        **request_.get("headers", {}),
    }
    answer = outpost.request("POST", "/uptime/status", content=request_["content"], headers=headers)

    assert answer.status_code == status
    assert world(outpost, "/status/status.json").json()["incidents"] == []


@pytest.mark.parametrize("path", ["/status/%00", "/status/..%2f..%2fetc/passwd", "/status/" + "a" * 5_000, "/status/é"])
def test_names_of_nothing(path, outpost):
    assert world(outpost, path).status_code == 404


def test_the_page_is_counted_among_the_servers_own_metrics(outpost):
    world(outpost, "/status")

    assert "trackside_status_renders_total 1" in outpost.get("/metrics").text
