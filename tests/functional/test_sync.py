"""Containers in step with those of other clusters: the real syncer, the real receiver, real servers."""
import gzip
import json
import os
from urllib.parse import quote

import pytest
from helpers.lab import clients
from helpers.sync import looking
from helpers.sync.clusters import ACCOUNT

NEVER = 2 * 10**9
LARGE = os.urandom(10 << 20)
# a slash parts names, and Swift keeps names with a NUL byte for itself
ODD = [''.join(chr(number) for number in range(first, min(first + 8, 128)) if number != ord('/'))
       for first in range(1, 128, 8)]
NAMES = [*(f'odd {odd}' for odd in ODD), '.', '..', 'a/../b', 'a//b', '/first', 'last/', '?query#part', '%2F%',
         'é', 'e\u0301', '日本', '\U0001f600', 'n' * 1024]
BODIES = {'plain': b'bytes', 'empty': b'', 'large': LARGE, 'zipped': gzip.compress(b'bytes')}
HEADERS = {
    'plain': {'X-Object-Meta-Colour': 'red', 'X-Object-Meta-Größe': 'größer als 日本', 'X-Object-Meta-Empty': ''},
    'empty': {'Content-Type': 'text/plain; charset="utf-8"', 'X-Delete-At': str(NEVER)},
    'large': {'Content-Disposition': 'attachment; filename="a b"', 'Cache-Control': 'no-store'},
    'zipped': {'Content-Encoding': 'gzip', 'Content-Type': 'application/x-ü', 'X-Robots-Tag': 'none'},
}


def put(side, container, name, body=b''):
    """With the name as it is; swiftclient would take dots away."""
    answer = clients.request(side.lab, 'PUT', f'/v1/{ACCOUNT}/{container}/{quote(name)}', body=body)
    assert answer.status == 201, answer


# one way: what is new

@pytest.fixture(scope='module')
def filled(ring):
    """A container with objects of every kind, sent by one pass."""
    container = ring.linked((0, 1))
    for name, body in BODIES.items():
        ring[0].put(container, name, body, HEADERS[name])
    for name in NAMES:
        put(ring[0], container, name, name.encode())
    ring.sync(0)
    return container


@pytest.mark.holds('S2', 'S10', 'S11')
def test_both_list_the_same(ring, filled):
    assert ring[1].listing(filled) == ring[0].listing(filled)


@pytest.mark.holds('S2', 'S10')
def test_every_name_comes_over(ring, filled):
    assert set(ring[1].names(filled)) == {*BODIES, *NAMES}


@pytest.mark.holds('S11')
@pytest.mark.parametrize('name', BODIES)
def test_every_header_and_byte_comes_over(ring, filled, name):
    assert looking.stored(ring[1], filled, name) == looking.stored(ring[0], filled, name)


@pytest.mark.holds('S10')
def test_what_is_new_is_sent_once(ring, filled):
    writes = looking.sent(ring[1], filled)
    assert {one.method for one in writes} == {'PUT'}
    assert len(writes) == len(ring[0].names(filled))


# one way: changes

@pytest.fixture(scope='module')
def changed(ring):
    """A container whose objects were sent, then changed, and sent again."""
    container = ring.linked((0, 1))
    for name in ('over', 'posted', 'typed', 'deleted', 'again', 'left', 'expires'):
        ring[0].put(container, name, b'before', {'X-Object-Meta-Colour': 'red', 'X-Object-Meta-Gone': 'x'})
    ring.sync(0)
    ring[0].put(container, 'over', b'after!')
    ring[0].post(container, 'posted', {'X-Object-Meta-Colour': 'blue'})
    ring[0].post(container, 'typed', {'Content-Type': 'text/x-other'})
    ring[0].post(container, 'expires', {'X-Delete-At': str(NEVER)})
    for name in ('deleted', 'again'):
        ring[0].delete(container, name)
    ring[0].put(container, 'again', b'before')
    ring.sync(0)
    return container


@pytest.mark.holds('S10', 'S11')
def test_changes_come_over(ring, changed):
    assert ring[1].listing(changed) == ring[0].listing(changed)
    for name in ring[0].names(changed):
        assert looking.stored(ring[1], changed, name) == looking.stored(ring[0], changed, name)


def methods(ring, container, name):
    return [one.method for one in looking.sent(ring[1], container) if one.name == name]


@pytest.mark.holds('S11')
@pytest.mark.parametrize('name', ['posted', 'typed', 'expires'])
def test_metadata_is_sent_alone(ring, changed, name):
    assert methods(ring, changed, name) == ['PUT', 'POST']
    assert ring[1].read(changed, name)[1] == b'before'


@pytest.mark.holds('S11')
def test_a_body_that_was_not_sent_again_keeps_its_time(ring, changed):
    theirs, ours = (looking.files(side, changed, 'posted') for side in (ring[1], ring[0]))
    assert [path.suffix for path in theirs] == ['.data', '.meta']
    assert theirs[0].name == ours[0].name


@pytest.mark.holds('S10')
def test_a_body_of_the_same_length_is_sent_again(ring, changed):
    assert methods(ring, changed, 'over') == ['PUT', 'PUT']


@pytest.mark.holds('S10')
def test_a_delete_is_sent(ring, changed):
    assert methods(ring, changed, 'deleted')[-1] == 'DELETE'
    assert 'deleted' not in ring[1].names(changed)


@pytest.mark.holds('S10')
def test_what_did_not_change_is_not_sent_again(ring, changed):
    assert methods(ring, changed, 'left') == ['PUT']


@pytest.mark.holds('S6', 'S10')
def test_a_container_in_step_is_left_alone(ring, linked):
    container = linked((0, 1))
    ring[0].put(container, 'o')
    ring.sync(0, 0)
    before = looking.sent(ring[1], container, 'HEAD', 'PUT', 'POST')
    ring.sync(0)
    assert looking.sent(ring[1], container, 'HEAD', 'PUT', 'POST') == before
    assert looking.points(ring[0], container) == (1, 1)


# both ways

@pytest.fixture(scope='module')
def both_ways(ring):
    """A container that changed on both sides, in step again."""
    container = ring.linked((0, 1), (1, 0))
    for name in ('deleted', 'posted'):
        ring[0].put(container, name)
    ring.sync(0)
    ring[1].delete(container, 'deleted')
    ring[0].post(container, 'posted', {'X-Object-Meta-Colour': 'older'})
    ring[1].post(container, 'posted', {'X-Object-Meta-Colour': 'newer'})
    for first, second, name in ((0, 1, 'theirs'), (1, 0, 'ours')):
        ring[first].put(container, name, b'older')
        ring[second].put(container, name, b'newer')
    ring.sync(0, 1, 0, 1)
    return container


@pytest.mark.holds('S12')
def test_the_newer_object_wins_on_both_sides(ring, both_ways):
    assert ring.are_equal(both_ways, 0, 1)
    for side in ring.sides[:2]:
        assert side.names(both_ways) == ['ours', 'posted', 'theirs']
        assert [side.read(both_ways, name)[1] for name in ('ours', 'theirs')] == [b'newer', b'newer']


@pytest.mark.holds('S12')
def test_the_newer_metadata_wins_on_both_sides(ring, both_ways):
    for side in ring.sides[:2]:
        assert side.read(both_ways, 'posted')[0]['x-object-meta-colour'] == 'newer'


@pytest.mark.holds('S12')
def test_what_came_over_is_not_sent_back(ring, both_ways):
    before = [looking.sent(side, both_ways, 'PUT', 'POST') for side in ring.sides]
    ring.sync(0, 1)
    assert [looking.sent(side, both_ways, 'PUT', 'POST') for side in ring.sides] == before
    assert 'theirs' not in [one.name for one in before[1] if one.method == 'PUT' and one.status == 201]


@pytest.mark.holds('S2', 'S3', 'S12')
def test_a_ring_with_upstreams_daemon_in_it_gets_into_step(ring, linked):
    container = linked((0, 1), (1, 2), (2, 0))
    for number, side in enumerate(ring.sides):
        side.put(container, f'from-{number}')
        side.put(container, 'all', str(number).encode())
    ring.sync(0)
    ring.sync(1, upstream=True)
    ring.sync(2, 0)
    ring[0].delete(container, 'from-0')
    ring.sync(0)
    ring.sync(1, upstream=True)
    ring.wait_equal(container)
    assert ring[0].names(container) == ['all', 'from-1', 'from-2']
    assert [side.read(container, 'all')[1] for side in ring.sides] == [b'2'] * 3


# objects that are more than their body

def with_segments(side, container, segments):
    for number in range(2):
        side.put(segments, f'part/{number}', b'%d' % number * 10)
    manifest = json.dumps([{'path': f'{segments}/part/{number}'} for number in range(2)])
    side.client.put_object(container, 'slo', manifest, content_type='text/x-slo',
                           query_string='multipart-manifest=put')
    side.put(container, 'dlo', headers={'X-Object-Manifest': f'{segments}/part/'})


@pytest.mark.holds('S11', 'S13')
def test_manifests_wait_for_their_segments(ring, linked):
    container, segments = linked((0, 1)), linked()
    with_segments(ring[0], container, segments)
    ring.sync(0)
    assert ring[1].names(container) == ['dlo', 'slo']
    assert looking.status(ring[1], container, 'slo') == 409
    ring[0].link(segments, ring[1].sync_to(segments))
    ring.sync(0)
    raw = '?multipart-manifest=get'
    assert looking.stored(ring[1], container, 'slo', raw) == looking.stored(ring[0], container, 'slo', raw)
    for name in ('slo', 'dlo'):
        assert ring[1].read(container, name)[1] == b'0' * 10 + b'1' * 10
    assert 'swift_bytes' not in ring[1].listing(container)[1].content_type


@pytest.mark.holds('S14')
def test_links_stay_links(ring, linked):
    container, other = linked((0, 1)), linked((0, 1))
    ring[0].put(other, 'target', b'far')
    ring[0].put(container, 'target', b'near')
    etag = ring[0].read(other, 'target')[0]['etag']
    ring[0].put(container, 'near', b'', {'X-Symlink-Target': f'{container}/target'})
    ring[0].put(container, 'far', b'', {'X-Symlink-Target': f'{other}/target', 'X-Object-Meta-Colour': 'red'})
    ring[0].put(container, 'static', b'', {'X-Symlink-Target': f'{other}/target', 'X-Symlink-Target-Etag': etag})
    ring[0].put(container, 'account', b'', {'X-Symlink-Target': 'a/b', 'X-Symlink-Target-Account': 'AUTH_test2'})
    ring.sync(0)
    for name in ('near', 'far', 'static', 'account'):
        link = '?symlink=get'
        assert looking.stored(ring[1], container, name, link) == looking.stored(ring[0], container, name, link)
    assert [ring[1].read(container, name)[1] for name in ('near', 'far', 'static')] == [b'near', b'far', b'far']


@pytest.mark.holds('S14')
def test_a_static_link_waits_for_its_target(ring, linked):
    container, other = linked((0, 1)), linked()
    for side, body in ((ring[0], b'new'), (ring[1], b'old')):
        side.put(other, 'target', body)
    etag = ring[0].read(other, 'target')[0]['etag']
    ring[0].put(container, 'static', b'', {'X-Symlink-Target': f'{other}/target', 'X-Symlink-Target-Etag': etag})
    ring.sync(0)
    assert looking.status(ring[1], container, 'static') == 409
    ring[1].put(other, 'target', b'new')
    assert ring[1].read(container, 'static')[1] == b'new'


# without a realm

@pytest.fixture
def url(ring):
    """That of a cluster whose proxies keep the time of a request that has no realm, as it has to be for this."""
    lab, options = ring[2].lab, {'shunt_inbound_x_timestamp': 'false'}
    with looking.configured(lab.conf_path('proxy1'), **{'filter:gatekeeper': options}):
        lab.restart('proxy1')
        yield f'{lab.urls[0]}/v1'
    lab.restart('proxy1')


@pytest.mark.holds('S1', 'S2')
def test_a_full_url_is_synced_by_puts_alone(ring, linked, url):
    container = linked()
    ring[0].link(container, f'{url}/{ACCOUNT}/{container}')
    for name in ('deleted', 'posted'):
        ring[0].put(container, name)
    ring.sync(0)
    ring[0].delete(container, 'deleted')
    ring[0].post(container, 'posted', {'X-Object-Meta-Colour': 'blue'})
    ring.sync(0)
    assert looking.stored(ring[2], container, 'posted') == looking.stored(ring[0], container, 'posted')
    assert ring.are_equal(container, 0, 2)
    asked = looking.sent(ring[2], container, 'HEAD', 'PUT', 'POST', 'DELETE')
    assert {one.method for one in asked} == {'PUT', 'DELETE'}


# objects that are encrypted at rest

CRYPTO = """
[filter:keymaster]
use = egg:swift#keymaster
encryption_root_secret = c3dpZnRhaGVhZCBzd2lmdGFoZWFkIHN3aWZ0YWhlYWQ=
[filter:encryption]
use = egg:swift#encryption
"""


def encrypting(text):
    return text.replace(' proxy-server\n', ' keymaster encryption proxy-server\n', 1) + CRYPTO


@pytest.fixture
def encrypted(ring, linked):
    """A container of the third cluster whose objects are encrypted, and sent to the second one."""
    lab, container = ring[2].lab, linked((2, 1))
    with looking.configured(lab.conf_path('proxy1'), encrypting):
        lab.restart('proxy1')
        ring[2].put(container, 'o', b'plain text', {'X-Object-Meta-Colour': 'red'})
        ring[2].put(container, 'empty', b'', {'X-Object-Meta-Colour': 'red'})
        yield container
    lab.restart('proxy1')


@pytest.mark.holds('S15')
def test_what_is_encrypted_here_is_plain_there(ring, encrypted):
    assert b'plain' not in looking.files(ring[2], encrypted, 'o')[0].read_bytes()
    with looking.configured(ring[2].lab.swift_dir / 'internal-client.conf', encrypting):
        ring.sync(2)
        ring[2].post(encrypted, 'o', {'X-Object-Meta-Colour': 'blue'})
        ring.sync(2)
    assert [one.method for one in looking.sent(ring[1], encrypted) if one.name == 'o'] == ['PUT', 'POST']
    for name in ('o', 'empty'):
        assert looking.stored(ring[1], encrypted, name) == looking.stored(ring[2], encrypted, name)


@pytest.mark.holds('S15')
def test_cipher_text_is_not_sent(ring, encrypted):
    assert 'its source was read as it is encrypted on the disks; put keymaster and encryption' in ring.sync(2)
    assert ring[1].names(encrypted) == []
