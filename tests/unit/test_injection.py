"""A8: what clients choose begins no header, no log line and no command to a terminal."""
import io
import logging
from urllib.parse import unquote

import pytest
from helpers.common.builders import NOW, container_info, infocache, link
from helpers.filter.filtered import Proxy, allow
from hypothesis import example, given
from hypothesis import strategies as st
from swift.common.swob import Request, bytes_to_wsgi, wsgi_quote
from swift.common.utils.logs import SwiftLogFormatter

from swiftahead.cache import Stamp, Store
from swiftahead.conf.names import ObjectName
from swiftahead.queues import Admit

NAMES = ['o\r\nX-Injected: yes', 'o\nNov 23 00:00:00 proxy-server: all is well', 'o\r', 'o\x1b[2J\x1b]0;owned\x07',
         'o\x1b[31mred', 'o\x08\x08\x08', 'o\x7f', 'o\x9b31m', 'o\u202egnp.exe', 'o\u2028',
         '<script>alert(1)</script>', '"; hit; key="', '%s%n%(x)s{0}', '%0D%0AX-Injected: yes', 'ö']


@pytest.fixture
def proxy(tmp_path):
    Store.create(tmp_path / 'cache')
    proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue.db')
    proxy.runtime.clock = lambda: NOW
    yield proxy
    proxy.close()


def path_of(name):
    return '/v1/AUTH_test/c/' + bytes_to_wsgi(name.encode())


def ask(proxy, name):
    env = {'swift.authorize': allow, 'swift.infocache': infocache(container_info()), 'REMOTE_ADDR': '10.0.0.1'}
    resp = Request.blank(wsgi_quote(path_of(name)), environ=env).get_response(proxy.app)
    assert resp.body == b'body'
    return resp


def warm(proxy, name):
    """Put and cached; the entry's path."""
    proxy.swift.put(path_of(name), b'body')
    store, name = proxy.runtime.store(), ObjectName('AUTH_test', 'c', name)
    return store.layout.entry(link(store, b'body', Stamp('', NOW), name=name).entry_name)


def line(text):
    """As Swift's formatter has it in the log."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SwiftLogFormatter('%(message)s'))
    handler.emit(logging.LogRecord('prefetch', logging.ERROR, '', 0, text, (), None))
    return stream.getvalue().removesuffix('\n')


def is_plain(text):
    return text.isascii() and text.isprintable()


@pytest.mark.holds('A8')
@pytest.mark.parametrize('name', NAMES, ids=range(len(NAMES)))
def test_a_damaged_entrys_name_is_one_plain_line_of_the_log(proxy, name):
    path = warm(proxy, name)
    path.write_bytes(path.read_bytes().replace(b'body', b'bodY'))
    ask(proxy, name)
    told = [text for text in proxy.log.errors if 'damaged' in text or 'not opened' in text]
    assert len(told) == 1 and is_plain(line(told[0])) and f'/AUTH_test/c/{name}' in unquote(told[0])


@pytest.mark.holds('A8')
def test_each_line_about_an_entry_that_cannot_be_opened_is_plain(proxy):
    path = warm(proxy, NAMES[3])
    path.unlink()
    path.mkdir()
    ask(proxy, NAMES[3])
    assert proxy.log.errors and all(is_plain(line(text)) for text in proxy.log.errors)


@pytest.mark.holds('A8')
@given(st.text(st.characters(codec='utf-8'), min_size=1))
@example('\udcff\x1b')
def test_any_name_is_plain_in_a_log_and_still_itself(name):
    quoted = ObjectName('AUTH_test', 'c', name).quoted
    assert is_plain(quoted) and unquote(quoted, errors='surrogateescape') == f'/AUTH_test/c/{name}'


@pytest.mark.holds('A8')
@pytest.mark.parametrize('name', NAMES, ids=range(len(NAMES)))
def test_no_name_is_in_a_header_of_ours(proxy, name):
    warm(proxy, name)
    headers = ask(proxy, name).headers
    assert (headers['Cache-Status'], headers['Age']) == ('swiftahead; hit', '0')
    assert 'X-Injected' not in headers and not any(name in value for value in headers.values())


@pytest.mark.holds('A8')
@pytest.mark.parametrize('value', ['a\tb', '\x1b[2J', 'a\x7f', '\xff\x80', '<script>', 'a\x0bb\x0c',
                                   '=?utf-8?q?=0D=0A?='])
def test_odd_metadata_is_kept_as_the_backend_gave_it(proxy, value):
    proxy.swift.put(path_of('o'), b'body', X_Object_Meta_Odd=value)
    miss = ask(proxy, 'o')
    for record in proxy.records(Admit):
        proxy.runtime.store().admit(record.spool_name)
    hit = ask(proxy, 'o')
    assert hit.headers['Cache-Status'] == 'swiftahead; hit'
    assert hit.headers['X-Object-Meta-Odd'] == miss.headers['X-Object-Meta-Odd'] == value
