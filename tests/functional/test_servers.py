"""memcached servers that the proxy's conf alone names: filter and sidecar find the same ones there."""
import itertools
import re
from pathlib import Path
from textwrap import dedent

import pytest
from helpers.lab import clients

from swiftahead.cache import Store
from swiftahead.conf.names import ObjectName
from swiftahead.lab import Lab

README = (Path(__file__).parents[2] / 'README.md').read_text()
COUNT = 5


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """A lab whose proxy has the only word on where memcached is, and has it by interpolation."""
    with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies=('gold',)) as lab:
        (lab.swift_dir / 'memcache.conf').write_text('[memcache]\n')
        conf = lab.conf_path('proxy1')
        text = conf.read_text().replace(f'memcache_servers = {lab.memcached}', 'memcache_servers = %(mc_host)s')
        conf.write_text(text.replace('[DEFAULT]\n', f'[DEFAULT]\nmc_host = {lab.memcached}\n'))
        conf = lab.conf_path('sidecar')
        conf.write_text(readmes_conf(lab, re.search(r'bind_port = \d+', conf.read_text())[0]))
        lab.restart('proxy1')
        lab.restart('sidecar')
        yield lab


def readmes_conf(lab, bind_port):
    """The sidecar's conf as the README has it, in the folders of a lab."""
    shown = README.partition('`/etc/swift/swiftahead-sidecar.conf`:')[2].partition('Start it')[0]
    text = dedent(shown).strip().replace('/var/cache/swiftahead', str(lab.cache_dir))
    assert text.startswith('[sidecar]\n') and 'memcache' not in text
    return f'[DEFAULT]\nswift_dir = {lab.swift_dir}\n{text}\n[status]\n{bind_port}\n'


def warmed(lab, container):
    """Paths of objects that the sidecar has fetched and nobody has read."""
    paths = [f'{container}/{number}' for number in range(COUNT)]
    assert clients.request(lab, 'PUT', container).status == 201
    for path in paths:
        assert clients.request(lab, 'PUT', path, body=path.encode()).status == 201
    assert clients.request(lab, 'POST', f'{container}?prefetch=warm').status == 202
    store = Store.open(lab.cache_dir)
    names = [ObjectName(*path.split('/', 4)[2:]) for path in paths]
    clients.until(lambda: all(map(store.has, names)), 'all objects are fetched')
    return paths


def said(lab, path):
    return clients.request(lab, 'GET', path).headers['cache-status']


def test_the_first_read_of_what_was_fetched_ahead_is_a_plain_hit_with_the_readmes_conf(lab):
    # a token that is not read within a tenth of a second has its hit validated: on a busy machine, not each time
    containers = itertools.count()

    def are_plain_hits():
        paths = warmed(lab, f'{clients.account(lab)}/plain-{next(containers)}')
        return [said(lab, path) for path in paths] == ['swiftahead; hit'] * COUNT
    clients.until(are_plain_hits, 'the first reads are plain hits')
    assert '127.0.0.1:11211' not in lab.log('sidecar').read_text()


def test_the_sidecar_says_where_it_has_its_servers_from(lab):
    told = f'memcached at {lab.memcached}, as in {lab.conf_path("proxy1")}'
    clients.until(lambda: told in lab.log('sidecar').read_text(), 'the sidecar tells its servers')


def test_where_the_filters_own_option_leads_elsewhere_hits_are_validated_and_the_operator_sees_why(lab):
    conf = lab.conf_path('proxy1')
    before = conf.read_text()
    conf.write_text(before.replace('[filter:prefetch]\n', '[filter:prefetch]\nmemcache_servers = 127.0.0.1:1\n'))
    lab.restart('proxy1')
    try:
        path, *_ = warmed(lab, f'{clients.account(lab)}/validated')
        assert [said(lab, path) for _ in range(3)] == ['swiftahead; hit; detail=validated'] * 3
        clients.until(lambda: clients.counted(lab, 'validations_total memcached-conf') >= 3, 'they are counted')
        told = clients.run('swiftahead', 'status', '--conf', lab.conf_path('sidecar')).stdout
        assert 'validations.memcached-conf' in told
    finally:
        conf.write_text(before)
        lab.restart('proxy1')
    log = lab.log('proxy1').read_text()
    errors = [line for line in log.splitlines() if 'as with freshness = validate' in line]
    assert errors and all('127.0.0.1:1, but' in line and lab.memcached in line for line in errors)
