"""A cache in front of the proxy takes a hit for as new as an answer of Swift: it has no age, since a token or a
HEAD has just told that it is current."""
from urllib.parse import urlsplit

import pytest
from helpers.lab import clients, fronts

LIFETIME = 2
PUBLIC = {'X-Container-Read': '.r:*'}
FRONTS = {'varnishd': fronts.varnish, 'nginx': fronts.nginx}


@pytest.fixture(params=FRONTS)
def front(request, lab, tmp_path):
    if fronts.missing(request.param):
        pytest.skip(f'{request.param} is not installed')
    with FRONTS[request.param](tmp_path, urlsplit(lab.urls[0]).port) as front:
        yield front


def put(lab, name, **headers):
    container = f'{clients.account(lab)}/front'
    assert clients.request(lab, 'PUT', container, PUBLIC).status in (201, 202)
    path = f'{container}/{name}'
    assert clients.request(lab, 'PUT', path, headers, b'x' * 1000).status == 201
    return path


def test_what_the_cache_has_held_for_longer_than_its_lifetime_is_kept_by_the_one_in_front(lab, front, request):
    path = put(lab, request.node.callspec.id, **{'Cache-Control': f'max-age={LIFETIME}'})
    clients.until_hit(lab, path)
    clients.until(lambda: 'validated' in clients.until_hit(lab, path).headers['cache-status'], 'it is that old')
    # what plain Swift answers is kept by them at the first read
    clients.until(lambda: front.get(path)[0] or front.get(path)[0], 'the front answers the second of two reads')


def test_the_age_of_a_hit_does_not_grow(lab):
    path = put(lab, 'ageless')
    clients.until_hit(lab, path)
    clients.until(lambda: age_of(lab, path) > 3, 'the entry is older than a second')
    assert clients.until_hit(lab, path).headers['age'] == '0'


def age_of(lab, path):
    """Seconds since the object was written."""
    headers = clients.request(lab, 'HEAD', path, {'X-Newest': 'true'}).headers
    return clients.time.time() - float(headers['x-timestamp'])
