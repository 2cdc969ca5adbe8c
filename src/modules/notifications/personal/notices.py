"""Notices: what the host says to people who are there.

Guarantees: told once, when the transaction that it was taken in commits, to every personal socket of these people on
every instance that can be heard. Not stored: who isn't there is told nothing.
"""

from msgspec import UNSET

from kernel.database import Transaction
from kernel.errors import FieldError, MalformedError
from kernel.ids import new_id
from modules.notifications.personal.frames import Notice
from modules.notifications.personal.ports import People
from modules.notifications.personal.post import Post
from modules.notifications.personal.schemas import NoticeTaken, PostNotice


class Notices:
    """Takes notices."""

    def __init__(self, people: People, post: Post) -> None:
        self._people = people
        self._post = post

    async def check(self, wanted: PostNotice) -> None:
        """Look whether everybody is known; people who were deactivated are, and hear nothing.

        Raises:
            MalformedError: names those who aren't, or are there twice.
        """
        known = await self._people.find(set(wanted.user_ids))
        first = {user_id: place for place, user_id in reversed(list(enumerate(wanted.user_ids)))}
        errors = [
            FieldError(f"/user_ids/{place}", "unknown user" if user_id not in known else "is there twice")
            for place, user_id in enumerate(wanted.user_ids)
            if user_id not in known or first[user_id] != place
        ]
        if errors:
            raise MalformedError("Some people can't be told", errors=errors)

    async def take(self, tx: Transaction, wanted: PostNotice) -> NoticeTaken:
        """Tell it after the commit of `tx`."""
        link = UNSET if wanted.link is None else wanted.link
        notice = Notice(title=wanted.title, body=wanted.body, link=link)
        tx.after_commit(lambda: self._post.tell(wanted.user_ids, notice))
        return NoticeTaken(notice_id=new_id(), recipients=len(wanted.user_ids))
