import pickle

import requests


def test_a_watched_session_can_be_pickled(monitor, http_server):
    session = monitor.watch(requests.Session())
    session.headers["X-Kept"] = "yes"
    copy = pickle.loads(pickle.dumps(session))
    assert copy.headers["X-Kept"] == "yes"
    assert copy.get(f"{http_server}/status/200").status_code == 200
    copy.close()
    session.close()


def test_a_url_that_is_none_belongs_to_the_host(monitor, samples):
    with monitor.watch(requests.Session()) as session:
        try:
            session.get("http://[::1/")
        except requests.exceptions.InvalidURL as error:
            raised = error
    assert raised is not None
    # It failed before it was a request.
    assert samples(monitor, "integration_errors_total") is None
