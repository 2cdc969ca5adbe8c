"""What the published documents say of the whole, besides what routes and frames say of themselves."""

from collections.abc import Mapping

import msgspec


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Texts in Markdown. `url` is where clients find this server from outside.

    `tags` says what belongs together in the routes of each tag, `scopes` what an API key may do with each, `roles` what
    a token may with each.
    """

    title: str
    version: str
    description: str
    contact: str
    url: str
    tags: Mapping[str, str]
    scopes: Mapping[str, str]
    roles: Mapping[str, str]

    def info(self) -> dict[str, object]:
        """Return the `info` object, which OpenAPI and AsyncAPI share but for the licence."""
        return {
            "title": self.title,
            "version": self.version,
            "description": self.description,
            "contact": {"name": self.contact},
        }
