"""What transports are given to say."""

import msgspec


class Words(msgspec.Struct, frozen=True):
    """One alert in words, in one language. Each transport shows what its medium can; none of it is a message's text.

    A name whose writing runs the other way is within Unicode isolates.
    """

    title: str
    """A few words, such as a push notification begins with."""
    text: str
    """One line: who wrote and how much."""
    link: str
    locale: str
    """The language that it is in, as a BCP 47 tag: one that there is a catalogue for."""
