"""The link in every e-mail by which its reader ends e-mail: with one click (RFC 8058), without logging in."""
