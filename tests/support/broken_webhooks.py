"""Mechanisms of the host's webhooks taken out, one at a time; they are run as those in `broken`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from modules.notifications.webhooks import worker as webhook_worker
from modules.notifications.webhooks.store import queue
from modules.notifications.webhooks.subscriptions import Subscriptions

Patch = Callable[[Any, str, Any], None]


def short_webhook_leases(patch: Patch) -> None:
    """Not broken: what a process held when it died is taken up soon."""
    patch(webhook_worker, "LEASE", timedelta(seconds=1.5))


def posts_at_most_once(patch: Patch) -> None:
    """What is taken to be posted counts as delivered."""
    taken = "'delivered', claim_id = nullif($2::uuid, $2)"
    patch(queue, "CLAIM", queue.CLAIM.replace("'sending', claim_id = $2, lease_until = $3", taken))


def webhooks_of_the_dead(patch: Patch) -> None:
    """Nobody looks for what a process held when it died."""

    async def nothing(*_: Any) -> int:
        return 0

    patch(queue, "take_up", nothing)


def deaf_to_webhooks(patch: Patch) -> None:
    """An instance doesn't hear what others change about webhooks."""
    patch(Subscriptions, "listen", lambda *_: None)
