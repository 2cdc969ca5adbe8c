"""The README and the guides keep their word: their commands are run, in order, as a reader would, on a real server."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.servers import environment, free_port

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDES = [ROOT / "docs/guides/embedding.md", ROOT / "docs/guides/contacts.md"]
PATIENCE_S = 120
BORDER = "=== the guide"

PRELUDE = """
set -euo pipefail
make() { # what is installed already is not installed anew; the tests and the demo have tests of their own
  if [ "$*" != serve ]; then command make -n -o .venv/.ready "$@"; return; fi
  command make -o .venv/.ready serve ARGS="--port $PORT" &
  for _ in $(seq 600); do
    curl -sf "http://127.0.0.1:$PORT/health/ready" > /dev/null && return
    command sleep 0.1
  done
  return 1
}
sleep() { command sleep $(($1 > 5 ? 5 : $1)); } # nobody reads what is printed
"""


def commands(markdown: str) -> str:
    """The shell blocks of a page, one after the other."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", markdown, re.DOTALL | re.MULTILINE))


def run(script: str, folder: Path, **settings: str) -> tuple[int, str]:
    """Run a script in the root of the project, on a data directory of its own; returns its exit code and output."""
    port = free_port()
    inherited = environment("", folder / "data", PORT=str(port), **settings)
    del inherited["PARLEY_JWT_SECRET"]
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(
            ["bash", "-c", PRELUDE + script.replace("127.0.0.1:8000", f"127.0.0.1:{port}")],
            cwd=ROOT,
            env=inherited,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(PATIENCE_S)
        finally:
            end_group(process.pid)
        output.seek(0)
        return code, output.read()


def end_group(group: int) -> None:
    """End all that the script started, and wait until it is gone."""
    how, deadline = signal.SIGTERM, time.monotonic() + 20
    while True:
        try:
            os.killpg(group, how)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            how = signal.SIGKILL
        time.sleep(0.2)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands of the README print, and those of each guide, on the same server."""
    if shutil.which("curl") is None:
        pytest.skip("the commands use curl, which is not installed")
    pages = [commands(page.read_text()) for page in (README, *GUIDES)]
    script = f"\necho '{BORDER}'\n".join(pages)
    code, output = run(script, tmp_path_factory.mktemp("readme"))
    assert code == 0, output
    return output.split(f"{BORDER}\n")


def test_the_readme_does_what_it_says(outputs: list[str]) -> None:
    output, *_ = outputs
    assert '"status":"ready"' in output
    # The answer and its repeat, Ben's socket, the history and the log.
    assert output.count('"content":"The gate is locked."') == 5
    assert output.count('"type":"message.created"') == 1
    assert output.count('"type":"participant.left"') == 1
    assert sorted(problems(output)) == ["/problems/client-id-conflict", "/problems/not-found"]
    told = re.findall(r'{"id":"([^"]*)","channel_id":"[^"]*","seq":1,[^\n]*?"status":"sent"', output)
    assert told == [told[0]] * 6, "the answer, its repeat, the history, two changes and the search"
    assert output.count('"content":"The gate is open again."') == 3  # both changes and the search
    assert output.count('"preview":"The gate is open again."') == 1


def test_the_guide_to_embedding_does_what_it_says(outputs: list[str]) -> None:
    _, output, _ = outputs
    assert problems(output) == []
    assert output.count('"status":"created"') == 2
    assert output.count('"content":"Gate 2."') == 4  # the answer, two pages and a search
    assert output.count('"emoji":"👍"') == 2  # the answer and the search
    assert output.count('"revision":1,"seq":3,"content":"Which gate, please?"') == 1
    assert output.count('"content":"","content_type":"text/plain","client_id":"n-2"') == 1
    assert '"status":"read"' in output
    assert output.count('"last_message":{') == 2
    assert output.count('"unread_count":1,') == 1
    assert output.count('"highlights":[{"start":0,"length":3}]') == 1
    assert output.count('{"type":"presence","user_id":"u-18","status":"offline"') == 1
    assert '"last_read_seq":1' in output
    assert '"ticket":' in output
    assert output.count('"start":"20:00","end":"08:00"') == 1


def test_the_guide_to_contacts_does_what_it_says(outputs: list[str]) -> None:
    *_, output = outputs
    assert problems(output) == []
    assert output.count('"message":"It\'s Pia from the quay"') == 2  # invited and accepted
    assert output.count('"status":"accepted"') == 1
    assert output.count('"display_name":"Raj Mehta"') == 3  # both, and the list
    assert '{"u-32":true,"u-99":false}' in output
    assert '{"raj":true,"nobody":false}' in output


def problems(output: str) -> list[str]:
    """The types of all refusals."""
    return re.findall(r'"type":"(/problems/[^"]*)"', output)


def test_a_command_that_fails_is_noticed(tmp_path: Path) -> None:
    code, _ = run(commands("Text\n```sh\necho before\n```\n```sh\nfalse\necho after\n```\n"), tmp_path)
    assert code == 1
