"""What a remote sends: bodies, names, headers, and the ways that they take."""
import pytest
from helpers.common.answering import certificate
from helpers.sync.misbehaving import TIMESTAMP, answering, passing, serving
from helpers.sync.patched import METHODS, REALM_KEY, USER_KEY, asking, call

from swiftahead.sidecar.syncer.remote import Destination

# any byte but NUL stands in a name; some look like parts of a path or a URL
NAMES = (''.join(map(chr, range(1, 128))), ''.join(map(chr, range(128, 0x250))), '.', '..', 'a/../b', './a', 'a/.',
         '/', '//a//', 'a/', '%7e~%2F%', '?x=1&y#z;p', ' lead and end ', '\r\nX-Evil: 1', '\u2028\u2029\ufeff',
         'e\u0301', '\U0001f600' * 200, 'http://x/y')
BYTES = {'x-object-meta-plain': 'as it is', 'x-object-meta-latin': '\xc3\xa9 \xf0\x9f\x98\x80',
         'x-object-meta-\xc3\x89\xc3\xa9': 'odd', 'content-type': 'text/plain; charset=utf-8',
         'x-delete-at': '1900000000', 'x-object-meta-controls': 'a\tb\x01\x7f', 'x-object-meta-empty': '',
         'etag': 'd41d8cd98f00b204e9800998ecf8427e', 'x-static-large-object': 'True'}


@pytest.fixture(scope='module')
def asker():
    with asking() as asker:
        yield asker


def through(server, name):
    return Destination(f'{server.origin}/v1/AUTH_a/c', 'REALM', REALM_KEY, USER_KEY).path(name)


@pytest.mark.holds('S2')
@pytest.mark.parametrize('name', NAMES)
def test_the_path_that_is_sent_is_the_one_that_is_signed(asker, name):
    with serving() as server:
        for how in METHODS:
            assert 'value' in asker.one(how, server.origin, name=name)
        path = through(server, name)
        targets = [seen.target for seen in server.seen]
        assert targets == [f'{path}?symlink=get&multipart-manifest=get', path, path, path]


@pytest.mark.holds('S11')
@pytest.mark.parametrize('how', ('put', 'post'))
def test_headers_arrive_byte_for_byte(asker, how):
    with serving() as server:
        assert 'value' in asker.one(how, server.origin, headers=BYTES)
        seen = server.seen[0].headers
        assert {name: seen.get(name) for name in BYTES} == BYTES
        assert seen['x-timestamp'] == '1600000000.00000'


def test_the_sources_connection_is_not_the_others(asker):
    with serving() as server:
        hops = {'Transfer-Encoding': 'chunked', 'Connection': 'close', 'Expect': 'x'}
        own = {'Content-Length': '77', 'Host': 'other'}
        assert asker.one('put', server.origin, headers=hops | own) == {'value': 201}
        seen = server.seen[0]
        assert seen.body == b'abcde' and seen.headers['content-length'] == '5'
        assert seen.headers['host'] in server.origin
        assert not {name.lower() for name in hops} & set(seen.headers)


def test_headers_of_an_answer_come_byte_for_byte(asker):
    lines = f'X-Timestamp: {TIMESTAMP}', 'X-Object-Meta-\xc3\x89: \xc3\xa9', 'Etag: "abc"'
    # behind a name that Python's parser cannot read
    with serving(answering('200 OK', lines[1], lines[0], lines[2], length=77)) as server:
        timestamp, etag, length, headers = asker.one('head', server.origin)['value']
        assert (timestamp, etag, length) == (TIMESTAMP, 'abc', 77)
        assert headers['x-object-meta-\xc3\x89'] == '\xc3\xa9'


def test_a_header_that_would_be_two_is_not_sent(asker):
    with serving() as server:
        result = asker.one('put', server.origin, headers={'X-Object-Meta-A': 'a\r\nX-Evil: 1'})
        assert 'cannot be sent' in result['why'] and not server.seen


@pytest.mark.parametrize('chunks', ([], ['', ''], ['a'], ['', 'a', ''], ['x' * 1000] * 1000))
def test_bodies_arrive(asker, chunks):
    with serving() as server:
        assert asker.one('put', server.origin, body=chunks) == {'value': 201}
        assert server.seen[0].body == ''.join(chunks).encode()


@pytest.mark.parametrize(('chunks', 'length', 'more'), [
    (['abc'], 4, 'fewer'), ([], 1, 'fewer'), (['abc'], 2, 'more'), (['a'], 0, 'more'), (['ab', 'c'], 2, 'more'),
    (['x' * 65536] * 20, 65536 * 20 + 1, 'fewer'), (['x' * 65536] * 20, 65536 * 20 - 1, 'more')])
def test_no_object_of_another_length(asker, chunks, length, more):
    with serving() as server:
        result = asker.one('put', server.origin, body=chunks, length=length)
        assert f'{more} bytes than the {length}' in result['why']
        assert asker.one('put', server.origin) == {'value': 201}
        assert [seen.body for seen in server.seen] == [b'abcde']


@pytest.mark.parametrize('chunks', ([None], ['abc', None], ['x' * 65536, 'x' * 65536, None]))
def test_no_object_of_a_source_that_breaks(asker, chunks):
    with serving() as server:
        result = asker.one('put', server.origin, body=chunks)
        assert result == {'raised': 'the source broke'}
        assert asker.one('put', server.origin) == {'value': 201}
        assert [seen.body for seen in server.seen] == [b'abcde']


def test_a_receiver_that_reads_nothing():
    hasty = asking(conn_timeout=1.0, response_timeout=1.0)
    with serving(lambda talk: talk.server.is_over.wait(60)) as server, hasty as asker:
        results, seconds = asker.together([call('put', server.origin, body=['x' * 1_000_000] * 20)])
        assert 'within' in results[0]['why'] or 'nothing came' in results[0]['why']
        assert seconds < 30


def early(status):
    """Answer before the body has come, and close."""
    def behave(talk):
        while talk.file.readline().strip():
            pass
        talk.send(f'HTTP/1.1 {status}', 'Content-Length: 0', '')
    return behave


def test_done_before_the_object_was_whole_is_not_done(asker):
    with serving(early('201 Created')) as server:
        result = asker.one('put', server.origin, body=['x' * 1_000_000] * 20)
        assert 'before it had the whole object' in result['why'] or 'broke' in result['why']


def test_an_error_before_the_object_was_whole(asker):
    with serving(early('507 Full')) as server:
        result = asker.one('put', server.origin, body=['x' * 1_000_000] * 20)
        # the system may throw the answer away with what was not read
        assert result['status'] == 507 or 'broke' in result['why']


@pytest.mark.parametrize('body', (b'', b'{"a": 1}', b'"text"', b'[{"name":', b'\xff'))
def test_no_other_answer_passes_for_a_listing(asker, body):
    with serving(answering('200 OK', body=body)) as server:
        assert 'no JSON' in asker.one('listing', server.origin)['why']


def test_a_listing(asker):
    with serving() as server:
        path = '/v1/AUTH_a/c?format=json&limit=1000&marker=&prefix='
        assert asker.one('listing', server.origin) == {'value': [{'name': path}]}


@pytest.mark.holds('A13', 'S17')
def test_tls_is_verified(tmp_path):
    pem = certificate(tmp_path / 'self-signed.pem')
    with serving(tls=pem) as server:
        with asking() as asker:
            result = asker.one('put', server.origin)
        assert 'self-signed certificate' in result['why'] and 'ca_file' in result['remedy'] and not server.seen
        with asking(ca_file=str(pem)) as asker:
            assert asker.one('put', server.origin) == {'value': 201}
            other = server.origin.replace('127.0.0.1', 'localhost')
            assert 'certificate is not trusted' in asker.one('put', other)['why']
    assert len(server.seen) == 1


@pytest.mark.parametrize('text', (None, 'no CAs'))
def test_a_ca_file_that_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / 'ca').write_text(text)
    with asking(ca_file=str(tmp_path / 'ca')) as asker:
        result = asker.one('put', 'https://127.0.0.1:1')
        assert f'{tmp_path}/ca holds no CAs' in result['why'] and 'ca_file in [syncer]' in result['remedy']


def test_tls_with_a_server_that_has_none(asker):
    with serving() as server:
        result = asker.one('head', server.origin.replace('http:', 'https:'))
        assert 'no TLS' in result['why'] and not server.seen


@pytest.mark.holds('A13')
def test_the_environment_has_no_influence(tmp_path):
    pem, netrc = certificate(tmp_path / 'ca.pem'), tmp_path / '.netrc'
    netrc.write_text('machine 127.0.0.1 login somebody password something\n')
    netrc.chmod(0o600)
    with serving() as proxy, serving() as server, serving(tls=pem) as secure:
        names = ('http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY')
        more = {**dict.fromkeys(names, proxy.origin), 'HOME': str(tmp_path), 'NETRC': str(netrc), 'no_proxy': '',
                'REQUESTS_CA_BUNDLE': str(pem), 'CURL_CA_BUNDLE': str(pem)}
        with asking(more) as asker:
            assert asker.one('put', server.origin) == {'value': 201}
            assert 'not trusted' in asker.one('put', secure.origin)['why']
        assert not proxy.connections and 'authorization' not in server.seen[0].headers


@pytest.mark.holds('S17')
def test_an_http_proxy_gets_the_whole_url(asker):
    with serving(passing) as proxy, asking(proxies=[proxy.origin.replace('//', '//me:pass%21@')]) as asker:
        for how in METHODS:
            assert 'value' in asker.one(how, 'http://elsewhere.invalid:8080', name='a/../b')
        target = 'http://elsewhere.invalid:8080/v1/AUTH_a/c/a/../b'
        assert [seen.target.partition('?')[0] for seen in proxy.seen] == [target] * 4
        assert {seen.headers['proxy-authorization'] for seen in proxy.seen} == {'Basic bWU6cGFzcyE='}
        assert {seen.headers['host'] for seen in proxy.seen} == {'elsewhere.invalid:8080'}


@pytest.mark.holds('S17')
def test_an_http_proxy_tunnels_tls(tmp_path):
    pem = certificate(tmp_path / 'ca.pem')
    with serving(passing) as proxy, serving(tls=pem) as server:
        with asking(proxies=[proxy.origin], ca_file=str(pem)) as asker:
            assert asker.one('put', server.origin) == {'value': 201}
        assert [seen.method for seen in proxy.seen] == ['CONNECT']
        assert [seen.body for seen in server.seen] == [b'abcde']


def test_a_server_that_never_greets():
    with serving(lambda talk: talk.hang()) as server, asking(conn_timeout=1.0, response_timeout=1.0) as asker:
        result, seconds = asker.together([call('head', server.origin.replace('http:', 'https:'))])
        assert 'within' in result[0]['why'] or 'nothing came' in result[0]['why']
        assert seconds < 30


@pytest.mark.parametrize('origin', ('ftp://127.0.0.1', 'http://127.0.0.1:port', 'http://', 'nothing'))
def test_no_http_goes_there(asker, origin):
    result = asker.one('put', origin)
    assert result['remedy'] and f'PUT {origin}' in result['why'] or origin == 'nothing'


@pytest.mark.parametrize('proxy', ('ftp://127.0.0.1:1', '127.0.0.1:1', ''))
def test_a_proxy_that_is_no_url(proxy):
    with asking(proxies=[proxy]) as asker:
        assert all(asker.one('put', f'{scheme}://127.0.0.1:1')['remedy'] for scheme in ('http', 'https'))


@pytest.mark.parametrize('scheme', ('http', 'https'))
def test_a_proxy_that_refuses(scheme):
    with serving(answering('403 No')) as proxy:
        with asking(proxies=[proxy.origin.replace('//', '//me:hidden@')]) as asker:
            result = asker.one('put', f'{scheme}://127.0.0.1:1')
        assert 'hidden' not in result['text'] and result['remedy']
        assert ('sync_proxy' if scheme == 'https' else '403') in result['why']


def test_each_proxy_has_its_turn():
    with serving(passing) as one, serving(passing) as two, asking(proxies=[one.origin, two.origin]) as asker:
        asker.together([call('put', 'http://elsewhere.invalid') for _ in range(30)])
        assert one.seen and two.seen
