"""Mail, to a mail server that speaks as real ones do."""

import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import json
import socketserver
import ssl
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from trackside.exceptions import DeliveryError
from trackside.model.alerts import ChartImage

CERTIFICATE = Path(__file__).parent / "testdata" / "untrusted.pem"


@dataclass
class MailServer:
    """Takes mails; `answers` are given in place of what it would say to a command."""

    tls: str = ""
    """Either "starttls" or "implicit"."""
    auth: str = ""
    """Ways to log in, such as "PLAIN LOGIN"."""
    answers: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    mails: list[email.message.EmailMessage] = field(default_factory=list)
    login: str = ""
    address: str = ""


class Session(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self):
        there = self.server.there
        self.secret = False
        if there.tls == "implicit" and not self.encrypt():
            return
        self.say("220 mail.test ESMTP")
        while line := self.rfile.readline():
            text = line.decode().rstrip("\r\n")
            there.commands.append(text)
            verb = text.split(" ")[0].upper()
            if verb in there.answers:
                if there.answers[verb] == "hang up":
                    return
                self.say(there.answers[verb])
            elif not getattr(self, f"on_{verb.lower()}", self.unknown)(text):
                return

    def encrypt(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        try:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            return False
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.secret = True
        return True

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())
        return True

    def unknown(self, text):
        return self.say("250 ok")

    def on_ehlo(self, text):
        there = self.server.there
        extras = [f"AUTH {there.auth}"] if there.auth else []
        extras += ["STARTTLS"] if there.tls == "starttls" and not self.secret else []
        for line in ["mail.test", *extras[:-1]] if extras else []:
            self.say(f"250-{line}")
        return self.say(f"250 {extras[-1] if extras else 'mail.test'}")

    def on_starttls(self, text):
        self.say("220 go")
        return self.encrypt()

    def on_auth(self, text):
        there, (_, way, *given) = self.server.there, text.split(" ")
        if way == "PLAIN":
            there.login = base64.b64decode(given[0]).decode()
        elif way == "LOGIN":
            self.say("334 " + base64.b64encode(b"Username:").decode())
            name = base64.b64decode(self.rfile.readline()).decode()
            self.say("334 " + base64.b64encode(b"Password:").decode())
            there.login = f"{name}/{base64.b64decode(self.rfile.readline()).decode()}"
        else:
            self.say("334 " + base64.b64encode(b"<challenge>").decode())
            there.login = base64.b64decode(self.rfile.readline()).decode()
        return self.say("235 in")

    def on_data(self, text):
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        if self.server.there.answers.get("END") == "hang up":
            return False
        self.server.there.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
        return self.say(self.server.there.answers.get("END", "250 taken"))

    def on_quit(self, text):
        self.say("221 bye")
        return False


@pytest.fixture
def mail_server():
    @contextlib.contextmanager
    def run(**behaviour):
        there = MailServer(**behaviour)
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as listening:
            listening.daemon_threads = True
            listening.there = there
            there.address = f"127.0.0.1:{listening.server_address[1]}"
            thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield there
            finally:
                listening.shutdown()
                thread.join()

    return run


@pytest.fixture
def post(deliver, integration, mail_server, new_notification):
    """Send by an email section to a mail server that behaves so; the server afterwards."""

    def run(section=None, message=None, behaviour=None, **about):
        with mail_server(**(behaviour or {})) as there:
            given = {
                "to": "a@to.test, B <b@to.test>",
                "from": "AM <am@from.test>",
                "require_tls": False,
                **(section or {}),
            }
            one = integration("email", given, smarthost=there.address, **about)
            deliver(one, message or new_notification())
        return there

    return run


def test_a_mail(post, new_notification, new_alert):
    there = post({"hello": "me.test"}, new_notification(new_alert(job="shop", x="<b>&</b>")))
    assert there.commands[0] == "ehlo me.test"
    assert [line for line in there.commands if line.lower().startswith(("mail", "rcpt"))] == [
        "mail FROM:<am@from.test>",
        "rcpt TO:<a@to.test>",
        "rcpt TO:<b@to.test>",
    ]
    (mail,) = there.mails
    assert mail["Subject"] == "[FIRING:1] Down (shop <b>&</b>)"
    assert (mail["From"], mail["To"]) == ("AM <am@from.test>", "a@to.test, B <b@to.test>")
    assert mail["Message-Id"].startswith("<0123abcd.")
    assert mail["Message-Id"].endswith("@from.test>")
    assert mail["Date"] == "Tue, 14 Nov 2023 22:14:20 +0000"
    assert mail.get_content_type() == "multipart/alternative"
    (part,) = mail.iter_parts()
    html = part.get_content()
    assert "1 alert for alertname=Down</strong>" in html
    assert "x = &lt;b&gt;&amp;&lt;/b&gt;<br>" in html
    assert '<a href="http://monitor/graph?a=b&amp;c=d">Source</a>' in html


def test_our_own_mail_says_all_of_it_in_both_ways(post, our_templates, new_notification, new_alert):
    down, worse = new_alert(job="shop", x="<b>&</b>"), new_alert(job="worse")
    trends = ((down.labels, "▁▂ 0 to 1"), (worse.labels, "▇█ 3 to 4"))
    chart = ChartImage(down.labels, b"\x89PNG", 'Down: between 0 and 1, "now" 1')
    message = replace(new_notification(down, worse), trends=trends, chart=chart)
    (mail,) = post({}, message, texts=our_templates).mails
    assert (mail["MIME-Version"], mail.get_content_type()) == ("1.0", "multipart/alternative")
    plain, related = mail.iter_parts()
    assert plain.get_content().replace("\r", "") == (
        "Down is bad\nsince Nov 14 22:13 UTC, value 1 ▁▂ 0 to 1\nGraph: http://monitor/graph?a=b&c=d\n"
        "Runbook: http://runbook/1\n"
        "Silence: http://monitor/silences/new?"
        "matchers=alertname%3D%22Down%22%0Ajob%3D%22shop%22%0Ax%3D%22%3Cb%3E%26%3C%2Fb%3E%22\n\n"
        "Down is bad\nsince Nov 14 22:13 UTC, value 1 ▇█ 3 to 4\nGraph: http://monitor/graph?a=b&c=d\n"
        "Runbook: http://runbook/1\n"
        "Silence: http://monitor/silences/new?matchers=alertname%3D%22Down%22%0Ajob%3D%22worse%22\n\n"
        "All alerts: http://monitor/alerts?filter=alertname%3D%22Down%22\n"
    )
    assert (related.get_content_type(), related.get_param("type")) == ("multipart/related", "text/html")
    html, picture = related.iter_parts()
    text = html.get_content()
    assert (picture["Content-ID"], picture.get_content_disposition()) == ("<chart@trackside>", "inline")
    assert (picture.get_content_type(), picture.get_content()) == ("image/png", b"\x89PNG")
    assert text.count('src="cid:chart@trackside" alt="Down: between 0 and 1, &quot;now&quot; 1"') == 1
    # Where the picture is, no bars; and no label is markup.
    assert ("▁▂ 0 to 1" in text, "▇█ 3 to 4" in text, "<b>" in text) == (False, True, False)
    assert '<a style="color:#0b63ce" href="http://runbook/1">Runbook</a>' in text
    assert '<a style="color:#0b63ce" href="http://monitor/silences/new?matchers=' in text


@pytest.mark.parametrize(
    ("section", "has_chart"),
    [
        pytest.param({}, False, id="there is none"),
        pytest.param({"html": "<p>mine</p>"}, True, id="the HTML of ones own shows none"),
        pytest.param({"html": "", "text": "mine"}, True, id="no HTML"),
    ],
)
def test_no_picture_is_sent_that_nothing_shows(post, our_templates, new_notification, section, has_chart):
    message = new_notification()
    chart = ChartImage(message.alerts[0].labels, b"\x89PNG", "alt") if has_chart else None
    (mail,) = post(section, replace(message, chart=chart), texts=our_templates).mails
    assert b"image/png" not in mail.as_bytes()
    assert b"cid:" not in mail.as_bytes()


def test_headers_text_and_html_of_ones_own(post):
    there = post(
        {
            "to": "{{ .CommonLabels.job }}@to.test",
            "headers": {"subject": "S {{ .GroupLabels.alertname }} é", "X-prio": "1", "Reply-To": "x@y.test"},
            "text": "T {{ .Alerts | len }} é",
            "html": "<p>{{ .CommonAnnotations.summary }} {{ `<i>` }} {{ safeHtml `<b>` }}</p>",
        }
    )
    (mail,) = there.mails
    assert (mail["Subject"], mail["X-Prio"], mail["To"]) == ("S Down é", "1", "shop@to.test")
    text, html = mail.iter_parts()
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", "T 2 é")
    assert html.get_content().strip() == "<p>Down is bad &lt;i&gt; <b></p>"


def test_a_label_makes_no_header(post, new_notification, new_alert):
    message = new_notification(new_alert(evil="x\r\nBcc: other@to.test\r\n\r\nbody"))
    (mail,) = post({"headers": {"X-Evil": "{{ .CommonLabels.evil }}"}}, message).mails
    assert (mail["Bcc"], mail["X-Evil"]) == (None, "x Bcc: other@to.test body")


def test_a_link_is_no_script(post, new_notification, new_alert):
    message = new_notification(replace(new_alert(), generator_url='javascript:alert("x")'))
    (mail,) = post({}, message).mails
    (part,) = mail.iter_parts()
    assert '<a href="#">Source</a>' in part.get_content()


def test_a_broken_text_is_sent_with_the_rest(post):
    (mail,) = post({"html": "{{ .Nothing }}"}).mails
    (part,) = mail.iter_parts()
    assert part.get_content().strip() == '[FIRING] {}:{alertname="Down"}'


def test_each_attempt_has_the_same_name_and_each_message_another(post, new_notification):
    first, again, other = (
        post({}, replace(new_notification(), delivery_id=one)).mails[0]["Message-Id"] for one in ("a", "a", "b")
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(("by_date", "day"), [("none", ""), ("daily", "-2023-11-14")])
def test_a_conversation(post, by_date, day):
    (mail,) = post({"threading": {"enabled": True, "thread_by_date": by_date}}).mails
    group = hashlib.sha256(b'{}:{alertname="Down"}').hexdigest()[:16]
    assert mail["References"] == mail["In-Reply-To"] == f"<alert-{group}{day}@alertmanager>"


TRUSTED = {"ca_file": str(CERTIFICATE)}


@pytest.mark.parametrize(
    ("section", "tls"),
    [
        pytest.param({"require_tls": True, "tls_config": TRUSTED}, "starttls", id="STARTTLS"),
        pytest.param({"require_tls": True, "tls_config": {"insecure_skip_verify": True}}, "starttls", id="unchecked"),
        pytest.param({"force_implicit_tls": True, "tls_config": TRUSTED}, "implicit", id="TLS at once"),
    ],
)
def test_it_is_encrypted(post, section, tls):
    login = {"auth_username": "u", "auth_password": "pässword"}
    there = post({**section, **login}, None, {"tls": tls, "auth": "LOGIN PLAIN"})
    assert len(there.mails) == 1
    assert there.login == "u/pässword"


@pytest.mark.parametrize(
    ("section", "tls", "reason", "retry"),
    [
        pytest.param({"require_tls": True}, "starttls", "its certificate is not trusted", True, id="unknown"),
        pytest.param({"force_implicit_tls": True}, "implicit", "its certificate is not trusted", True, id="at once"),
        pytest.param(
            {"require_tls": True, "tls_config": {**TRUSTED, "server_name": "mail.test"}},
            "starttls",
            "not valid for 'mail.test'",
            True,
            id="another name",
        ),
        pytest.param({"require_tls": True}, "", "the server offers no STARTTLS", False, id="not offered"),
    ],
)
def test_it_is_not_sent_in_the_open(post, section, tls, reason, retry):
    with pytest.raises(DeliveryError, match=reason) as raised:
        post(section, None, {"tls": tls})
    assert (raised.value.retry, raised.value.maybe_sent) == (retry, False)


@pytest.mark.parametrize(
    ("section", "auth", "expected"),
    [
        ({"auth_password": "p", "auth_identity": "i"}, "PLAIN", "i\0u\0p"),
        ({"auth_password": "p"}, "CRAM-MD5 LOGIN", "u/p"),
        (
            {"auth_password": "p", "auth_secret": "s"},
            "CRAM-MD5 LOGIN",
            "u " + hmac.new(b"s", b"<challenge>", hashlib.md5).hexdigest(),
        ),
    ],
)
def test_it_logs_in(post, section, auth, expected):
    assert post({"auth_username": "u", **section}, None, {"auth": auth}).login == expected


def test_a_password_is_not_sent_in_the_open(deliver, integration, mail_server, new_notification):
    with mail_server(auth="PLAIN LOGIN") as there:
        # This machine too, by an address that does not say so.
        elsewhere = there.address.replace("127.0.0.1", "0.0.0.0")
        section = {"to": "a@b.c", "from": "x@y.z", "smarthost": elsewhere, "require_tls": False}
        one = integration("email", section, auth_username="u", auth_password="p")
        with pytest.raises(DeliveryError, match="a password is not sent in the open"):
            deliver(one, new_notification())
        assert there.login == ""


def test_a_password_may_be_in_a_file(post, tmp_path):
    (tmp_path / "p").write_text("secret\n")
    section = {"auth_username": "u", "auth_password_file": str(tmp_path / "p")}
    assert post(section, None, {"auth": "PLAIN"}).login == "\0u\0secret"


@pytest.mark.parametrize(
    ("answers", "reason", "retry", "maybe_sent"),
    [
        pytest.param({"AUTH": "535 wrong password"}, "does not let us in: 535 wrong", False, False, id="password"),
        pytest.param({"AUTH": "454 later"}, "does not let us in: 454", True, False, id="not now"),
        pytest.param({"RCPT": "550 no such user"}, "answered 550: no such user", False, False, id="nobody"),
        pytest.param({"RCPT": "450 mailbox busy"}, "answered 450: mailbox busy", True, False, id="busy"),
        pytest.param({"MAIL": "421 too many"}, "answered 421: too many", True, False, id="too many"),
        pytest.param({"END": "554 spam"}, "answered 554: spam", False, False, id="spam"),
        pytest.param(
            {"END": "hang up"}, "no connection: Connection unexpectedly closed", True, True, id="lost at the end"
        ),
        pytest.param({"EHLO": "hang up", "HELO": "hang up"}, "no connection", True, False, id="lost at the beginning"),
    ],
)
def test_refusals(post, answers, reason, retry, maybe_sent):
    section = {"auth_username": "u", "auth_password": "p"}
    with pytest.raises(DeliveryError, match=reason) as raised:
        post(section, None, {"auth": "PLAIN", "answers": answers})
    assert (raised.value.retry, raised.value.maybe_sent) == (retry, maybe_sent)


def test_no_way_to_log_in(post):
    with pytest.raises(DeliveryError, match="no way to log in that we know: GSSAPI"):
        post({"auth_username": "u", "auth_password": "p"}, None, {"auth": "GSSAPI"})


def test_a_rude_goodbye_changes_nothing(post):
    assert len(post({}, None, {"answers": {"QUIT": "hang up"}}).mails) == 1


def test_nobody_listens(deliver, integration, new_notification, unused_port):
    section = {"to": "a@b.c", "from": "x@y.z", "smarthost": f"127.0.0.1:{unused_port}"}
    with pytest.raises(DeliveryError, match="no connection") as raised:
        deliver(integration("email", section), new_notification())
    assert (raised.value.retry, raised.value.maybe_sent) == (True, False)


@pytest.mark.parametrize(
    "section",
    [
        {"to": "{{ .CommonLabels.nobody }}"},
        {"from": "no address at all <>"},
        {"to": "{{ .Nothing }}"},
        {"smarthost": "127.0.0.1:nonsense"},
    ],
    ids=json.dumps,
)
def test_what_cannot_be_sent_is_not_tried_again(deliver, integration, new_notification, section):
    given = {"to": "a@b.c", "from": "x@y.z", "smarthost": "127.0.0.1:1", **section}
    with pytest.raises(DeliveryError) as raised:
        deliver(integration("email", given), new_notification())
    assert not raised.value.retry
