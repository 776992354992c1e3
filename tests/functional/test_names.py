"""Objects that nobody has read, fetched ahead since they stand next to those that are, in a real listing."""
import re
from urllib.parse import unquote

import pytest
from helpers.lab import clients

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',)}
COUNT = 30


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab'), **SMALL) as lab:
        yield lab


def fill(lab, **headers):
    container = clients.new_container(lab, headers)
    paths = [f'{container}/n%20{number:03}%20%C3%BC%26%25' for number in range(COUNT)]
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=path.encode()).status == 201
    return paths


def read_until(lab, paths, condition, what):
    """Read them again and again."""
    def reads():
        for path in paths:
            assert clients.request(lab, 'GET', path).status == 200
        return condition()
    clients.until(reads, what)


def is_cached(lab, path):
    _, _, account, container, name = unquote(path).split('/', 4)
    return Store.open(lab.cache_dir).has(ObjectName(account, container, name))


def listings(lab, path):
    """How often the container was listed, which no client does here."""
    container = path.removeprefix('/v1').rpartition('/')[0]
    return len(re.findall(rf'"GET /\S+{re.escape(container)}"', lab.log('container1').read_text()))


def taken(lab):
    """Reads that the sidecar took from the queue."""
    return clients.counted(lab, 'records_total access')


def test_what_was_never_read_is_a_hit(lab):
    paths = fill(lab)
    read_until(lab, paths[:4], lambda: is_cached(lab, paths[4]), 'a neighbour is in the cache')
    answer = clients.request(lab, 'GET', paths[4])
    assert answer.is_prefetched and answer.body == paths[4].encode()
    assert not is_cached(lab, paths[COUNT - 1])
    assert listings(lab, paths[0]) == 2


def test_a_container_that_opted_out_is_not_listed(lab):
    out, others = fill(lab, **{'X-Container-Meta-Prefetch': 'off'}), fill(lab)
    read_until(lab, [*out[:4], *others[:4]], lambda: is_cached(lab, others[4]), 'a neighbour is in the cache')
    assert listings(lab, others[0]) == 2
    assert listings(lab, out[0]) == 0 and not is_cached(lab, out[4])


def test_it_can_be_turned_off(lab):
    conf = lab.conf_path('sidecar')
    before = conf.read_text()
    assert '[prefetcher]' not in before
    try:
        conf.write_text(f'{before}\n[prefetcher]\nneighbours = off\n')
        lab.restart('sidecar')
        paths, before_them = fill(lab), taken(lab)
        for path in paths[:10] * 2:
            clients.until_hit(lab, path)
        clients.until(lambda: taken(lab) >= before_them + 20, 'the reads are learned')
        assert listings(lab, paths[0]) == 0 and not is_cached(lab, paths[10])
    finally:
        conf.write_text(before)
        lab.restart('sidecar')
