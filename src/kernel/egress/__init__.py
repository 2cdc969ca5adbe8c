"""Requests to addresses that others chose: push services that browsers name, webhooks of hosts.

Whoever names a URL must not make us call what only we can reach: the machine itself, its neighbours, a cloud's
metadata. `policy` says which URLs are fit, `addresses` which addresses are public, `client` sends, and looks again at
every address that it connects to, so that a name which leads elsewhere by then (DNS rebinding) gains nothing.
"""
