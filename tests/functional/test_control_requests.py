"""Whatever is typed for `swiftahead warm` and `purge`, no object changes, with the filter or without it."""
import json
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from helpers.common.answering import forget_logins
from helpers.filter.matrix import half_filtered
from helpers.lab import clients

from swiftahead.cli import main
from swiftahead.conf.names import GUARD, NODE_HEADER

META = {'X-Object-Meta-Color': 'blue', 'X-Delete-At': '4000000000', 'Content-Disposition': 'attachment',
        'Content-Encoding': 'gzip', 'Cache-Control': 'no-store', 'Content-Type': 'text/x'}
NO_STATE = {'date', 'x-trans-id', 'x-openstack-request-id', 'connection'}
# of containers that are there; each holds the objects `o` and `o/p`
CONTAINERS = ('c', 'ec', 'versioned', 'c%2Fo', 'c%252Fo', 'c?x', 'c#x', 'c\no', 'c;o', r'c\o', 'ü', '%2e%2e', 'o')
NAMES = (*CONTAINERS, 'c/o', 'c/o/p', 'ec/o', 'versioned/o', 'c/link', 'c/slo', '/c/o', 'c//o', 'c/', '/', '', '.',
         '..', './c/o', '../AUTH_test/c/o', 'c\0', 'c\0/o', '\0', 'x' * 257, 'c/' + 'o' * 300, 'c/\udcff',
         '\udcff', 'c?x/o', 'c/o?multipart-manifest=put', 'c/o#x', ' c/o', 'none')
COMMANDS = (('warm',), ('warm', '--prefix', 'o'), ('warm', '--limit', '1'), ('purge',), ('purge', '--object', 'o'),
            ('purge', '--prefix', 'o'), ('purge', '--object', ''), ('warm', '--prefix', ''),
            ('warm', '--proxy', '<proxy>'), ('purge', '--all', '--json', '--proxy', '<proxy>'))
# what a storage URL may end in, beside the account
ENDS = ('/', '/c', '/c/o', '%2Fc', '%2Fc%2Fo', '/..', '?x', '#x', '%00', '/c?x=', '//c')


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """The second proxy has no filter."""
    with half_filtered(tmp_path_factory.mktemp('lab'), policies=('gold', 'ec')) as lab:
        yield lab


@pytest.fixture(scope='module')
def paths(lab):
    """Objects of all kinds."""
    account, made = clients.account(lab), []

    def put(path, headers=META, body=b'body'):
        assert clients.request(lab, 'PUT', path, headers, body).status == 201, path
        made.append(path)

    for name in CONTAINERS:
        path = f'{account}/{quote(name, safe="")}'
        headers = {'ec': {'X-Storage-Policy': 'ec'}, 'versioned': {'X-Versions-Enabled': 'true'}}.get(name, {})
        assert clients.request(lab, 'PUT', path, {'X-Container-Meta-Color': 'red', **headers}).status == 201
        put(f'{path}/o')
        put(f'{path}/o/p')
    put(f'{account}/c/link', {'X-Symlink-Target': 'c/o', 'X-Object-Meta-Color': 'green'}, b'')
    put(f'{account}/c/slo?multipart-manifest=put', {'X-Object-Meta-Color': 'green'},
        json.dumps([{'path': '/ec/o'}]).encode())
    return made


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    forget_logins(monkeypatch)


def state(lab, paths):
    """All that a HEAD of each object, and of its container, tells."""
    found = {}
    for path in {*paths, *(path.rpartition('/o')[0] for path in paths if path.endswith('/o'))}:
        path = path.partition('?')[0] + ('?symlink=get' if path.endswith('link') else '')
        answer = clients.request(lab, 'HEAD', path, {'X-Newest': 'true'}, proxy=1)
        assert answer.status in (200, 204), path
        found[path] = {key: value for key, value in answer.headers.items() if key not in NO_STATE}
        if path.count('/') == 3:
            # a POST to a container moves its time, whatever is in it; ours does where there is no filter
            del found[path]['last-modified']
    return found


def ask(lab, proxy, name, command, end=''):
    """The exit code."""
    url = f'{lab.urls[proxy]}{clients.account(lab)}{end}'
    command = [lab.urls[proxy] if word == '<proxy>' else word for word in command]
    try:
        return main([*command, '--os-auth-token', clients.token(lab), '--os-storage-url', url, '--', name])
    except SystemExit as ended:
        return ended.code


@pytest.mark.parametrize('proxy', [0, 1], ids=['filter', 'no filter'])
@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_no_object_changes_whatever_is_typed(lab, paths, command, proxy, capsys):
    before = state(lab, paths)
    odd = [(name, '') for name in NAMES] + [(name, end) for name in ('o', 'p') for end in ENDS]
    taken = [name for name, end in odd if ask(lab, proxy, name, command, end) == 0]
    assert state(lab, paths) == before
    assert taken == ([] if proxy == 1 or '' in command else list(CONTAINERS))
    assert 'Traceback' not in capsys.readouterr().err


@pytest.mark.parametrize('proxy', [0, 1], ids=['filter', 'no filter'])
@pytest.mark.parametrize('query', ['', '?prefetch=warm', '?prefetch=forget&name=o'])
def test_a_request_of_ours_that_meets_an_object_all_the_same_is_refused(lab, paths, proxy, query):
    before = state(lab, paths)
    for path in paths:
        answer = clients.request(lab, 'POST', path.partition('?')[0] + query, GUARD, proxy=proxy)
        assert answer.status == 400 and NODE_HEADER.lower() not in answer.headers, path
    assert state(lab, paths) == before


@pytest.mark.parametrize('proxy', [0, 1], ids=['filter', 'no filter'])
def test_a_container_takes_no_notice_of_what_objects_are_guarded_by(lab, paths, proxy):
    before, path = state(lab, paths), f'{clients.account(lab)}/c'
    assert clients.request(lab, 'POST', path, GUARD, proxy=proxy).status == 204
    assert state(lab, paths) == before


def test_without_the_guard_swift_takes_such_a_request_for_one_that_removes_metadata(lab, paths):
    """Or nothing above would show anything."""
    with ExitStack() as stack:
        path = f'{clients.account(lab)}/c/spoilt'
        assert clients.request(lab, 'PUT', path, META, b'body').status == 201
        stack.callback(clients.request, lab, 'DELETE', path)
        before = state(lab, [path])
        assert clients.request(lab, 'POST', f'{path}?prefetch=warm', proxy=1).status == 202
        assert state(lab, [path]) != before


@pytest.mark.parametrize('query', ['', '=', '=warm&limit=0', '=warm&prefetch=warm', '=forget&name=', '=purge',
                                   '=forget&name=o&prefix=o', '=forget&nmae=o', '=forget&name=%FF', '=warm&x'])
def test_an_odd_request_by_hand_changes_nothing(lab, paths, query):
    before = state(lab, paths)
    # another value of the parameter is none of the filter's business elsewhere
    misdirected = [('POST', 'c/o'), ('PUT', 'c/o'), ('DELETE', 'c/o'), ('DELETE', 'c')]
    is_known = query.startswith(('=warm', '=forget'))
    for method, path in (('POST', 'c'), *(misdirected if is_known else ())):
        path = f'{clients.account(lab)}/{path}?prefetch{query}'
        assert clients.request(lab, method, path, {'X-Container-Meta-Color': 'lost'}).status == 400, (method, path)
    assert state(lab, paths) == before
