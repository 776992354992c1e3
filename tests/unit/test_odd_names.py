"""Names that try to be something else: each object gets its own bytes, and nothing but the folder is touched."""
import re

import pytest
from helpers.common.builders import NOW, container_info, infocache, link
from helpers.filter.filtered import Proxy, allow, word
from hypothesis import example, given
from hypothesis import strategies as st
from swift.common.swob import Request, bytes_to_wsgi, wsgi_quote

from swiftahead.cache import Stamp, Store
from swiftahead.conf.names import KEY_BYTES, Naming, ObjectName
from swiftahead.queues import Admit

ACCOUNT, CONTAINER = 'AUTH_test', 'c'
ODD = [
    'o', '/o', '//', '///o//', 'o/', 'o//', '.', '..', '../o', '../../../../../../etc/passwd', './o', 'a/../o',
    '%2f', '%2F', '%', '%%', '%00', '%252f', 'o?', 'o?x=y', 'o#f', 'o;v', 'o&', '+', ' ', '  o  ', 'o\n', '\n',
    'o\r\nX-Evil: 1', '\t', '\x01', '\x7f', '\x80', '\ufeff', '\u2028', '\u202eo', 'e\u0301', '\xe9', 'ß', 'ẞ',
    'ö' * 500, '😀' * 256, 'x' * 1024, '\x01' * 1024, '"' * 1024, '\\', 'C:\\x', '*', '~', '~root', '$HOME', '-rf',
    'key', 'v1/spool', 'v1/objects', 'lock',
    'sidecar.json', 'queue.db', 'null', 'None', '0', '-', '0' * 48, 'f' * 32, '%s', '{0}',
]
CONTAINERS = ['%2f', '..', '.', ' ', 'ö' * 128, 'x' * 256, 'c\n', 'o', '0' * 16]


@pytest.fixture(scope='module')
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('names')
    Store.create(folder / 'cache')
    proxy = Proxy(folder / 'cache', folder / 'queue' / 'queue.db')
    (folder / 'queue').mkdir()
    proxy.runtime.clock = lambda: NOW
    yield proxy
    proxy.close()


def wsgi_path(*parts):
    return '/v1/' + '/'.join(bytes_to_wsgi(part.encode('utf-8', 'surrogateescape')) for part in parts)


def ask(proxy, account, container, name, **headers):
    """A GET of that name as a client sends it, quoted."""
    env = {'REMOTE_ADDR': '10.0.0.1', 'swift.authorize': allow,
           'swift.infocache': infocache(container_info(), account, container)}
    headers = {key.replace('_', '-'): value for key, value in headers.items()}
    resp = Request.blank(wsgi_quote(wsgi_path(account, container, name)), environ=env,
                         headers=headers).get_response(proxy.app)
    assert resp.body is not None
    return resp


def outside(proxy):
    """All that lies beside the cache folder."""
    return sorted(path for path in proxy.folder.parent.rglob('*')
                  if proxy.folder not in path.parents and proxy.queue.path.parent not in path.parents)


def assert_cached(proxy, *name):
    """The object's own bytes, from the backend and then from the cache, of which nothing has another name."""
    body = repr(name).encode()
    proxy.swift.put(wsgi_path(*name), body)
    before = outside(proxy)
    assert ask(proxy, *name).body == body
    for record in proxy.records(Admit):
        proxy.runtime.store().admit(record.spool_name)
    hit = ask(proxy, *name)
    assert (hit.body, word(hit), outside(proxy)) == (body, 'hit', before)
    assert all(re.fullmatch('[0-9a-f]{48}', item.entry_name) for item in proxy.runtime.store().linked())


@pytest.mark.parametrize('name', ODD, ids=range(len(ODD)))
def test_an_odd_name_is_cached_as_itself(proxy, name):
    assert_cached(proxy, ACCOUNT, CONTAINER, name)


@pytest.mark.parametrize('container', CONTAINERS, ids=range(len(CONTAINERS)))
def test_an_odd_container_is_cached_as_itself(proxy, container):
    assert_cached(proxy, ACCOUNT, container, 'o')
    assert_cached(proxy, 'AUTH_' + container, 'c', 'o')


def test_a_name_that_is_another_ones_place_in_the_cache_is_a_name_like_any(proxy):
    store = proxy.runtime.store()
    entry_name = store.naming.entry(ObjectName(ACCOUNT, CONTAINER, 'victim'))
    assert_cached(proxy, ACCOUNT, CONTAINER, 'victim')
    for name in (entry_name, str(store.layout.entry(entry_name)), f'{entry_name[16:18]}/{entry_name}',
                 f'../../v1/objects/{entry_name[16:18]}/{entry_name}'):
        assert_cached(proxy, ACCOUNT, CONTAINER, name)
    assert ask(proxy, ACCOUNT, CONTAINER, 'victim').body == repr((ACCOUNT, CONTAINER, 'victim')).encode()


def test_all_of_them_at_once_are_told_apart(proxy):
    """After all were cached, each is still its own."""
    for name in ODD:
        link(proxy.runtime.store(), repr(name).encode(), Stamp('', NOW), name=ObjectName(ACCOUNT, 'all', name))
    proxy.asked()
    assert [ask(proxy, ACCOUNT, 'all', name).body for name in ODD] == [repr(name).encode() for name in ODD]
    assert (list(proxy.runtime.store().check()), proxy.asked()) == ([], 0)


@pytest.mark.parametrize('name', ['\udcff', 'o\udc80', 'ö\udce9', '\udced\udca0\udc80'])
def test_what_is_no_utf8_is_swifts_affair(proxy, name):
    proxy.swift.put(wsgi_path(ACCOUNT, CONTAINER, name), b'x')
    answers = [ask(proxy, ACCOUNT, CONTAINER, name) for _ in range(2)]
    assert [(resp.body, word(resp)) for resp in answers] == [(b'x', None)] * 2
    assert proxy.records(Admit) == []


@pytest.mark.parametrize('name', ['\x00', '\x00v\x001', 'o\x00', 'a/\x00/b'])
def test_a_reserved_name_is_for_those_who_may(proxy, name):
    """A hit is no way round the rule of proxy-server's that refuses it."""
    proxy.swift.put(wsgi_path(ACCOUNT, CONTAINER, name), b'x')
    allowed = {'X_Backend_Allow_Reserved_Names': 'true'}
    assert ask(proxy, ACCOUNT, CONTAINER, name, **allowed).body == b'x'
    for record in proxy.records(Admit):
        proxy.runtime.store().admit(record.spool_name)
    assert word(ask(proxy, ACCOUNT, CONTAINER, name, **allowed)) == 'hit'
    proxy.asked()
    assert (word(ask(proxy, ACCOUNT, CONTAINER, name)), proxy.asked()) == (None, 1)


# names of entries

NAMING = Naming(bytes(KEY_BYTES))
PART = st.text(st.sampled_from('ab/\x00\n%.\xe9'), min_size=1, max_size=6)
WHOLE = st.builds(ObjectName, PART.map(lambda part: part.replace('/', 'a')),
                  PART.map(lambda part: part.replace('/', 'b')), PART)


@given(WHOLE, WHOLE)
@example(ObjectName('a', 'b', 'c/d'), ObjectName('a', 'b/c', 'd'))
@example(ObjectName('a', 'b', '/c'), ObjectName('a', 'b/', 'c'))
def test_no_two_names_share_an_entry(first, second):
    assert (NAMING.entry(first) == NAMING.entry(second)) is (first == second)


def test_one_name_in_two_containers_is_not_seen_to_be_one():
    first, second = (NAMING.entry(ObjectName('a', container, 'o')) for container in 'bc')
    assert first[16:] != second[16:]


@given(st.text(st.characters(exclude_categories=['Cs']), min_size=2, max_size=30), st.data())
def test_however_a_path_is_split_the_parts_are_told_apart(path, data):
    """Account and container have no slash, and the object may have any: each split is a name of its own."""
    path = path.replace('/', '') + 'xyz'
    lengths = st.tuples(st.integers(1, 2), st.integers(1, 2))
    cuts = data.draw(st.lists(lengths, min_size=2, max_size=4, unique=True))
    names = {ObjectName(path[:one], path[one:one + two], path[one + two:] or 'o') for one, two in cuts}
    assert len({NAMING.entry(name) for name in names}) == len(names)


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), st.text(st.characters(exclude_categories=['Cs'])))
def test_an_entry_lies_in_its_folder_whatever_it_is_named(key, name):
    entry_name = Naming(key).entry(ObjectName('a', 'c', name))
    assert re.fullmatch('[0-9a-f]{48}', entry_name)


@pytest.mark.parametrize('name', ODD, ids=range(len(ODD)))
def test_a_name_survives_its_entry(proxy, name):
    """What is written into the file is what is compared, to the character."""
    name = ObjectName(ACCOUNT, 'another', name)
    link(proxy.runtime.store(), b'x', name=name)
    with proxy.runtime.store().entry(name) as entry:
        assert entry.meta.name == name
