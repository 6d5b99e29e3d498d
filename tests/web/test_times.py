"""Times below a chart: every day is named once, and a time never stands for two of them."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

TIMES = Path(__file__).parents[2] / "frontend/src/times.js"
BERLIN = ZoneInfo("Europe/Berlin")


def axis_texts(*moments: str, zone: ZoneInfo = BERLIN) -> list[str]:
    """What the script writes at these moments, given in that zone."""
    seconds = [datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp() for moment in moments]
    program = f"""
        const {{ timeAxisTexts }} = await import({json.dumps(TIMES.as_uri())});
        console.log(JSON.stringify(timeAxisTexts({json.dumps(seconds)})));
    """
    environment = {**os.environ, "TZ": zone.key, "LANG": "en_GB.UTF-8", "LC_ALL": "en_GB.UTF-8"}
    command = ["node", "--no-warnings", "--input-type=module", "--eval", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return list(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        pytest.param(
            ("2025-11-19 00:00", "2025-11-19 12:00", "2025-11-20 00:00", "2025-11-20 12:00"),
            ["19 Nov", "12:00", "20 Nov", "12:00"],
            id="two marks a day",
        ),
        pytest.param(("2025-11-19 00:00", "2025-11-20 00:00"), ["19 Nov", "20 Nov"], id="a mark a day"),
        pytest.param(("2025-11-19 23:00", "2025-11-20 00:00"), ["23:00", "20 Nov"], id="over midnight"),
        pytest.param(("2025-11-19 14:00:30", "2025-11-19 14:00:45"), ["14:00:30", "14:00:45"], id="seconds"),
        pytest.param(("2025-10-26 00:00", "2025-10-27 00:00"), ["26 Oct", "27 Oct"], id="a day of 25 hours"),
        pytest.param(("2025-11-19 14:00",), ["14:00:00"], id="a single mark"),
        pytest.param((), [], id="none"),
    ],
)
def test_each_day_is_named_once_and_where_it_begins(moments: tuple[str, ...], expected: list[str]) -> None:
    assert axis_texts(*moments) == expected
