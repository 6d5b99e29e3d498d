"""Values within the marked-up text of chats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from trackside.server.receivers.chat_text import markdown_link, markdown_text, slack_link, slack_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<!channel> <@U1> <http://evil|Runbook>", "&lt;!channel&gt; &lt;@U1&gt; &lt;http://evil|Runbook&gt;"),
        ("", ""),
    ],
)
def test_slack_calls_nobody(text, expected):
    assert slack_text(text) == expected


@pytest.mark.parametrize(
    ("url", "slack", "markdown"),
    [
        ("http://m/a?b=c&d=e#f", "<http://m/a?b=c&amp;d=e#f|Go>", "[Go](http://m/a?b=c&d=e#f)"),
        ("http://m/a|b>c)d(e f", "<http://m/a%7Cb%3Ec%29d%28e%20f|Go>", "[Go](http://m/a%7Cb%3Ec%29d%28e%20f)"),
        ("http://m/%22x", "<http://m/%22x|Go>", "[Go](http://m/%22x)"),
        ("http://m/\ud800\n", "<http://m/?%0A|Go>", "[Go](http://m/?%0A)"),
        ("javascript:alert(1)", "", ""),
        ("runbooks/High.md", "", ""),
        ("", "", ""),
    ],
)
def test_links_lead_where_they_say(url, slack, markdown):
    assert (slack_link("Go", url), markdown_link("Go", url)) == (slack, markdown)


@given(st.text(alphabet="ab_*`~|[]()<>#\\!-1. \n\t", max_size=40))
def test_no_text_is_markdown(text):
    made = MarkdownIt("commonmark").render(f"x {markdown_text(text)} x")
    assert made.count("<") == 2, made
    assert made.startswith("<p>")


@given(st.text(max_size=60))
def test_no_text_ends_a_link(text):
    url = f"http://m/{text}"
    assert markdown_link("Go", url).count(")") == 1
    assert slack_link("Go", url).count(">") == 1
    assert slack_link("Go", url).count("|") == 1
