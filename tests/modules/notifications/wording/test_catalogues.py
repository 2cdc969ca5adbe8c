"""Every catalogue that is shipped has every text, in the shape that its key has, at the price that it should have."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import pytest

from modules.notifications.ports import InviteNews
from modules.notifications.wording.keys import SHAPES
from modules.notifications.wording.names import LONGEST_NAME
from modules.notifications.wording.sms import Length, length, sms
from modules.notifications.wording.texts import Texts, our_entries

ROOT = Path(__file__).parents[4]
LINK = "https://parley.example.com/channels/0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01"
INVITE_LINK = LINK.replace("channels", "invites")
TAGS = ["de", "en", "es", "fr"]
ONE_SEGMENT = Length(gsm7=True, segments=1)

texts = Texts(our_entries())


def test_these_languages_are_shipped() -> None:
    assert texts.tags == TAGS


@pytest.mark.parametrize("tag", TAGS)
def test_each_has_all_texts(tag: str) -> None:
    """Placeholders and plural forms were checked by reading them, as `test_host_catalogues` shows."""
    assert our_entries()[tag].keys() == SHAPES.keys()


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("senders", range(10))
@pytest.mark.parametrize("count", [1, 2, 9999])
def test_with_plain_names_an_sms_is_one_segment_of_gsm7(tag: str, count: int, senders: int) -> None:
    """The longest case is among them: names as long as they are shown."""
    names = ["Äé" * LONGEST_NAME] * senders
    assert length(sms(texts.words(tag, count, names, LINK))) == ONE_SEGMENT


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", ["Äé" * LONGEST_NAME, ""])
@pytest.mark.parametrize("news", get_args(InviteNews))
def test_an_sms_about_an_invitation_is_one_segment_of_gsm7(tag: str, news: InviteNews, name: str) -> None:
    assert length(sms(texts.invite_words(tag, news, name, INVITE_LINK))) == ONE_SEGMENT


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("key", ["sms.stop_reply", "sms.help_reply"])
def test_replies_are_one_segment_of_gsm7(tag: str, key: str) -> None:
    assert length(texts.say(tag, key)) == ONE_SEGMENT


@pytest.mark.parametrize("tag", TAGS)
def test_no_two_texts_are_the_same_in_two_languages(tag: str) -> None:
    """What was forgotten to be translated would be."""
    ours = our_entries()
    said = {key: entry.forms for key, entry in ours[tag].items()}
    for other in set(TAGS) - {tag}:
        assert [key for key, entry in ours[other].items() if entry.forms == said[key]] == []


def test_the_wheel_has_them(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    folder = "modules/notifications/wording/catalogues"
    assert {f"{folder}/{tag}.po" for tag in TAGS} <= set(zipfile.ZipFile(wheel).namelist())
