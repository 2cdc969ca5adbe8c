"""Which URLs and addresses are fit: a table of those that people have got in with elsewhere."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from kernel.egress.addresses import is_public
from kernel.egress.policy import NotAllowed, Place, Policy, parse

ANYWHERE = Policy(anywhere=True)
PUSH = Policy(["fcm.googleapis.com", "*.push.apple.com", "http://127.0.0.1:8123", "https://push.inside:8443"])

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
HIDDEN = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
    *("2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "100::1", "5f00::1"),
    *("1.1.1.1%eth0", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "1.1.1", "", "localhost"),
]

HOSTILE = [
    "",
    " ",
    "/path",
    "hooks.example",
    "//hooks.example/",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "ftp://hooks.example/",
    "gopher://hooks.example:70/",
    "http://hooks.example/",
    "HTTP://hooks.example/",
    "https:/hooks.example/",
    "https:hooks.example/",
    "https:///hooks.example/",
    "https://",
    "https://?x",
    "https://hooks.example:80/",
    "https://hooks.example:8443/",
    "https://hooks.example:0/",
    "https://hooks.example:/",
    "https://hooks.example:+443/",
    "https://hooks.example:99999/",
    "https://hooks.example:443443443/",
    "https://user@hooks.example/",
    "https://user:secret@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://hooks.example\\@127.0.0.1/",
    "https://127.0.0.1\\.hooks.example/",
    "https://hooks.example#@127.0.0.1/",
    "https://hooks.example/#fragment",
    "https://hooks.example /",
    " https://hooks.example/",
    "https://hooks.example/\n",
    "https://hooks.example/a b",
    "https://hooks.example/\r\nHost: inside",
    "https://hooks.example/\x00",
    "https://hooks.example./",
    "https://hooks..example/",
    "https://.example/",
    "https://-hooks.example/",
    "https://hooks%2eexample/",
    "https://hooks.example%00.inside/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 127 + "example/",
    "https://hooks.example/" + "a" * 2048,
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://anything.localhost/",
    "https://router.local/",
    "https://metadata.google.internal/",
    "https://wiki.corp/",
    "https://nas.home.arpa/",
    "https://home.arpa/",
    "https://intranet/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://1.1.1.1.1/",
    "https://hooks.example.1/",
    "https://999.1.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[hooks.example]/",
    "https://[::1/",
    "https://::1/",
    "https://[v1.x]/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "https://127。0。0。1/",
    "https://１２７.0.0.1/",
    "https://bücher.example/",
    "https://hooks.exämple/",
    "https://hooks.example\u202e/",
    "https://ho\u00adoks.example/",
    "https://hooks.example/ü",
]

FIT = {
    "https://hooks.example": Place("https", "hooks.example", 443),
    "https://hooks.example/": Place("https", "hooks.example", 443),
    "HTTPS://Hooks.Example/Path?q=1&r=%2F@:443": Place("https", "hooks.example", 443),
    "https://hooks.example:443?x": Place("https", "hooks.example", 443),
    "https://xn--bcher-kva.example/": Place("https", "xn--bcher-kva.example", 443),
    "https://a_b.hooks-1.example/": Place("https", "a_b.hooks-1.example", 443),
    "https://1.1.1.1/": Place("https", "1.1.1.1", 443),
    "https://[2606:4700:4700:0::1111]/": Place("https", "2606:4700:4700::1111", 443),
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", HIDDEN)
def test_all_others_are_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=6))
def test_what_python_calls_private_is_never_public(address: ipaddress.IPv6Address) -> None:
    if is_public(str(address)):
        embedded = address.ipv4_mapped or address.sixtofour
        assert (embedded or address).is_global or address in ipaddress.ip_network("64:ff9b::/96")


@pytest.mark.parametrize("url", HOSTILE)
@pytest.mark.parametrize("policy", [ANYWHERE, PUSH], ids=["anywhere", "listed"])
def test_a_hostile_url_is_refused(policy: Policy, url: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        policy.check(url)
    assert "example" not in str(caught.value).replace("https://example.com/path", "")


@pytest.mark.parametrize(("url", "place"), FIT.items())
def test_a_fit_one_leads_where_it_says(url: str, place: Place) -> None:
    assert ANYWHERE.check(url) == place
    assert (URL(url).raw_host, URL(url).port) == (place.host, place.port)  # what the client will read


@given(st.text(alphabet="htps:/@.[]%\\#?127.0x-aé。\x00 ", max_size=40))
def test_the_client_reads_the_same_host_out_of_whatever_passes(rest: str) -> None:
    try:
        place = parse(f"https://{rest}")
    except NotAllowed:
        return
    url = URL(f"https://{rest}", encoded=True)
    assert (url.raw_host, url.port, url.raw_user) == (place.host, place.port, None)


def test_listed_hosts_are_fit_and_no_others() -> None:
    for good in (
        "https://fcm.googleapis.com/fcm/send/x",
        "https://FCM.googleapis.com/",
        "https://web.push.apple.com/Q",
    ):
        PUSH.check(good)
    for bad in (
        "https://push.apple.com/",
        "https://evilpush.apple.com/",
        "https://web.push.apple.com.evil.example/",
        "https://fcm.googleapis.com.evil.example/",
        "https://sub.fcm.googleapis.com/",
        "https://1.1.1.1/",
    ):
        with pytest.raises(NotAllowed):
            PUSH.check(bad)


def test_a_listed_origin_is_trusted_as_it_stands() -> None:
    assert PUSH.trusts(PUSH.check("http://127.0.0.1:8123/push/1"))
    assert PUSH.trusts(PUSH.check("https://push.inside:8443/push/1"))
    assert not PUSH.trusts(PUSH.check("https://fcm.googleapis.com/"))
    for bad in (
        "https://127.0.0.1:8123/",
        "http://127.0.0.1:8124/",
        "http://127.0.0.1/",
        "http://localhost:8123/",
        "http://user@127.0.0.1:8123/",
        "https://push.inside/",
    ):
        with pytest.raises(NotAllowed):
            PUSH.check(bad)


@pytest.mark.parametrize(
    "entry",
    [
        *("*", "*.", "*.*", "a.*.example", "example.com/", "example.com:443", "user@example.com", "ex ample.com", ""),
        *("http://", "https://example.com/", "https://example.com/path", "https://example.com?x", "ftp://example.com"),
        *("https://*.example.com", "https://user@example.com", "localhost", "127.0.0.1", "10.0.0.1", "push.internal"),
        *("bücher.example", "[::1]"),
    ],
)
def test_an_entry_that_could_never_count_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Policy([entry])
