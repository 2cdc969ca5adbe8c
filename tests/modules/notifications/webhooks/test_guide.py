"""The guide's checks of signatures take what Parley sends and nothing else; its commands run as they stand."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kernel.clock import from_unix, now
from modules.notifications.webhooks import signing
from tests.support.servers import PARLEY, ROOT, running_server
from tests.support.webhook_receiver import webhook_receiver

GUIDE = (ROOT / "docs/guides/webhooks.md").read_text()
BODY = '{"type":"chat.message.created","data":{"message_preview":"Zażółć 👋"}}'.encode()
Check = Callable[[str, Mapping[str, str], bytes], bool]


def block(language: str) -> str:
    """Return the guide's program in a language."""
    (program,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return str(program)


def in_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check by the guide's Python."""
    names: dict[str, Any] = {}
    exec(block("python"), names)
    return bool(names["is_from_parley"](secret, headers, body))


def in_node(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check by the guide's JavaScript."""
    asked = f"isFromParley({json.dumps(secret)}, {json.dumps(dict(headers))}, Buffer.from('{body.hex()}', 'hex'))"
    program = f"{block('javascript')}\nprocess.stdout.write(String({asked}))"
    run = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=30, check=True)
    return run.stdout == "true"


NODE = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


@pytest.mark.parametrize("check", [in_python, pytest.param(in_node, marks=NODE)])
def test_the_check_takes_what_parley_signs_and_nothing_else(check: Check) -> None:
    old, new = signing.new_secret(), signing.new_secret()
    sent = signing.headers("event_webhook", now(), BODY, [new, old])
    lower = {name.lower(): value for name, value in sent.items()}
    assert check(new, lower, BODY)
    assert check(old, lower, BODY)
    assert not check(signing.new_secret(), lower, BODY)
    assert not check(new, lower, BODY + b" ")
    assert not check(new, lower | {"webhook-id": "another"}, BODY)
    assert not check(new, lower | {"webhook-timestamp": "soon"}, BODY)
    assert not check(new, lower | {"webhook-signature": "v1,☃ v2,nonsense"}, BODY)
    assert not check(new, {}, BODY)
    stale = signing.headers("event_webhook", from_unix(time.time() - 400), BODY, [new])
    assert not check(new, {name.lower(): value for name, value in stale.items()}, BODY)


async def test_the_commands_run_as_they_stand(dsn: str, tmp_path: Path) -> None:
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
    async with webhook_receiver() as endpoint:
        with running_server(dsn, tmp_path, PARLEY_WEBHOOK_ALLOWED_ORIGINS=endpoint.url) as server:
            script = commands.replace("http://127.0.0.1:9000", endpoint.url).replace(
                "http://127.0.0.1:8000", server.url
            )
            script = script.replace(".venv/bin/parley", PARLEY).replace(".venv/bin/python", sys.executable)
            said = await shell(script, server.environment)
        assert [one.payload["type"] for one in endpoint.came] == ["webhook.test"]
    assert '"delivered":true' in said
    assert '"items":[],"next":null' in said


async def shell(script: str, environment: Mapping[str, str]) -> str:
    """Run a script; return what it says."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-eu", "-c", script, env=dict(environment), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output
    return output.decode()
