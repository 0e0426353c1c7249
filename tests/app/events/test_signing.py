"""The receiver of docs/live.md takes what is signed as it should be, and nothing else."""

import re
import time
from pathlib import Path

import pytest

from app.events.signing import headers, new_secret

BODY = b'{"type": "webhook.test"}'


@pytest.fixture
def genuine():
    page = (Path(__file__).parents[3] / "docs" / "live.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(code, names)
    return names["genuine"]


def test_each_of_two_secrets_knows_its_signature(genuine):
    old, new = new_secret(), new_secret()
    sent = headers([new, old], "evt_1", int(time.time()), BODY)
    assert genuine(old, sent, BODY)
    assert genuine(new, sent, BODY)
    assert not genuine(new_secret(), sent, BODY)


def test_another_body_another_id_and_an_old_one_are_refused(genuine):
    secret = new_secret()
    sent = headers([secret], "evt_1", int(time.time()), BODY)
    assert not genuine(secret, sent, BODY + b" ")
    assert not genuine(secret, sent | {"webhook-id": "evt_2"}, BODY)
    assert not genuine(secret, headers([secret], "evt_1", int(time.time()) - 3600, BODY), BODY)
