"""Whether somebody is sent something now, by one transport: a pure function of a snapshot.

It is asked twice: when an alert falls due, and again right before the provider is called. What will never change ends
the alert; what is only true now puts it off, so that it is asked again and nothing is forgotten.
"""

from modules.notifications.domain.gates import GATES, sending
from modules.notifications.domain.snapshot import Snapshot, Standing, Way
from modules.notifications.domain.verdicts import Decision, Postpone, Send, Suppress, noted

__all__ = ["Decision", "Postpone", "Send", "Snapshot", "Standing", "Suppress", "Way", "decide", "noted"]


def decide(snapshot: Snapshot) -> Decision:
    """Send, put off or suppress. The same snapshot always gives the same decision."""
    for gate in GATES:
        verdict = gate(snapshot)
        if verdict is not None:
            return verdict
    return sending(snapshot)
