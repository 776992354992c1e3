"""`swiftahead purge` and `warm` on two proxies, each with a cache and a sidecar of its own."""
import socket
from urllib.parse import urlsplit

import pytest
from bench import apart
from helpers.common.answering import forget_logins
from helpers.lab import clients

from swiftahead.cli import main
from swiftahead.lab import Lab

SMALL = {'nodes': 1, 'replicas': 1, 'policies': ('gold',), 'proxies': 2,
         'sidecar_conf': {'prefetcher': {'neighbours': 'off'}}}
HIT, VALIDATED = 'swiftahead; hit', 'swiftahead; hit; detail=validated'


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp('lab'), **SMALL) as lab, apart.each_its_own(lab):
        yield lab


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    forget_logins(monkeypatch)


@pytest.fixture
def cached(lab):
    """An object that both proxies have in their caches."""
    container = clients.new_container(lab)
    assert clients.request(lab, 'PUT', f'{container}/o', body=b'body' * 1000).status == 201
    for proxy in (0, 1):
        clients.until(lambda proxy=proxy: word(lab, f'{container}/o', proxy) == HIT, 'it is a plain hit')
    return f'{container}/o'


def word(lab, path, proxy):
    answer = clients.request(lab, 'GET', path, proxy=proxy)
    assert answer.status == 200
    return answer.headers['cache-status']


def is_dropped(lab, path, proxy):
    """Waits for it."""
    return clients.until(lambda: 'fwd=miss' in word(lab, path, proxy), 'it is dropped')


def run(lab, command, path, *more):
    container = path.split('/')[3]
    return main([command, container, *more, '--auth', lab.auth_url(), '--user', 'test:tester', '--key', 'testing'])


def node(lab, proxy):
    return f'{socket.gethostname()}:{urlsplit(lab.urls[proxy]).port}'


def test_after_a_purge_through_one_node_another_validates_its_copy(lab, cached, capsys):
    assert run(lab, 'purge', cached, '--object', 'o') == 0
    assert capsys.readouterr().out.endswith(
        f'taken by {node(lab, 0)}; other nodes validate their copies at the next read\n')
    assert word(lab, cached, 1) == VALIDATED
    assert word(lab, cached, 1) == HIT
    assert is_dropped(lab, cached, 0)


def test_a_purge_of_a_container_leaves_the_other_node_as_it_is(lab, cached, capsys):
    assert run(lab, 'purge', cached, '--proxy', lab.urls[1]) == 0
    assert capsys.readouterr().out.endswith(f'taken by {node(lab, 1)}; other nodes keep what they have\n')
    assert is_dropped(lab, cached, 1)
    assert word(lab, cached, 0) == HIT


def test_all_nodes_are_asked_one_by_one(lab, cached, capsys):
    proxies = [text for url in lab.urls for text in ('--proxy', url)]
    assert run(lab, 'purge', cached, '--all', *proxies) == 0
    assert capsys.readouterr().out.splitlines() == [
        f'{url}: taken by {node(lab, number)}' for number, url in enumerate(lab.urls)]
    assert is_dropped(lab, cached, 0) and is_dropped(lab, cached, 1)


def test_where_one_node_is_down_the_other_is_purged_all_the_same(lab, cached, capsys):
    lab.stop('proxy2')
    try:
        assert run(lab, 'purge', cached, '--all', '--proxy', lab.urls[1], '--proxy', lab.urls[0]) == 2
    finally:
        lab.start('proxy2')
    assert capsys.readouterr().out.splitlines() == [
        f'{lab.urls[1]}: not reached: Connection refused', f'{lab.urls[0]}: taken by {node(lab, 0)}']
    assert is_dropped(lab, cached, 0)


def test_warming_through_one_node_fills_its_cache_alone(lab, cached, capsys):
    path = cached[:-1] + 'new'
    assert clients.request(lab, 'PUT', path, body=b'new').status == 201
    assert run(lab, 'warm', cached, '--proxy', lab.urls[1], '--prefix', 'new') == 0
    assert capsys.readouterr().out.endswith(f'taken by {node(lab, 1)}; other nodes fetch nothing\n')
    unseen = {'X-No-Prefetch': 'true'}
    clients.until(lambda: clients.request(lab, 'GET', path, unseen, proxy=1).is_hit, 'it is warm')
    assert not clients.request(lab, 'GET', path, unseen).is_hit


@pytest.mark.parametrize('name', ['.', '..'])
def test_a_container_with_the_name_of_a_folder_is_purged(lab, name, capsys):
    path = f'{clients.account(lab)}/{name}'
    assert clients.request(lab, 'PUT', path).status == 201
    assert run(lab, 'purge', path) == 0
    assert capsys.readouterr().out.startswith(f'forget request for {name} taken by ')
