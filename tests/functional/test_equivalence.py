"""A hit cannot be told from Swift's own answer: the same requests to a proxy without the filter, and to one
whose cache is warm."""
import json
import os
import random
import re
from contextlib import closing
from urllib.parse import quote

import clients
import equivalence
import pytest
from equivalence import ASKS, Client, differences, facts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rawhttp import Raw, raw

from swiftahead.lab import Lab

EXAMPLES = int(os.environ.get('EQUIVALENCE_EXAMPLES', '100'))
SOME = {'deadline': None, 'derandomize': 'EQUIVALENCE_EXAMPLES' not in os.environ, 'database': None,
        'suppress_health_check': list(HealthCheck)}
BODY = bytes(range(256)) * 1200
ETAG_QUOTER = '\n[filter:etag_quoter]\nuse = egg:swift#etag_quoter\n'
ASKING = '\n[filter:asking]\npaste.filter_factory = asking:filter_factory\n'
# name -> body, headers; in a container of the default policy, from where each can be a hit
PLAIN = {
    'plain': (BODY[:150_000], {'Content-Type': 'text/plain; charset=utf-8'}),
    'empty': (b'', {}),
    'block': (BODY[:65536], {'Content-Type': 'text/html; charset="utf-8"'}),
    'small': (BODY[:1000], {'Content-Encoding': 'gzip', 'Content-Disposition': 'attachment; filename="x;y"',
                            'Cache-Control': 'public, max-age=60', 'X-Delete-At': '4000000000',
                            'Content-Language': 'de', 'Expires': 'Thu, 01 Jan 2037 00:00:00 GMT',
                            'X-Robots-Tag': 'noindex', 'Content-Type': ''}),
    'odd': (BODY[:100], {'X-Object-Meta-Farbe': 'grün\t"=;,\\'.encode().decode('latin-1'),
                         'X-Object-Meta-L': '\xff\x80', 'X-Object-Meta-Empty': ' ', 'X-Object-Meta-A_B': "'<&",
                         'Content-Type': 'a'}),
    'großer Name/?#;%': (BODY[:70000], {}),
    'large': (BODY * 10, {'Content-Type': 'application/octet-stream'}),
}
# never kept
PASSED = {'no-store': (BODY[:500], {'Cache-Control': 'no-store'}),
          'private': (BODY[:500], {'Cache-Control': 'private, max-age=60'})}


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """Two proxies, the second without the filter; an EC policy; quoted ETags where a container wants them."""
    before = os.environ.get('PYTHONPATH')
    tests = os.path.dirname(equivalence.__file__)
    os.environ['PYTHONPATH'] = os.pathsep.join([tests, *([before] if before else [])])
    try:
        with Lab(tmp_path_factory.mktemp('lab'), nodes=1, replicas=1, policies=('gold', 'ec'), proxies=2) as lab:
            for number, cache in ((1, 'prefetch '), (2, '')):
                change_pipeline(lab, f'proxy{number}', cache)
            yield lab
    finally:
        if before is None:
            del os.environ['PYTHONPATH']
        else:
            os.environ['PYTHONPATH'] = before


def change_pipeline(lab, name, cache):
    conf = lab.conf_path(name)
    text = conf.read_text().replace(' cache ', ' cache etag_quoter ', 1).replace(
        ' prefetch proxy-server', f' asking {cache}proxy-server')
    conf.write_text(text + ETAG_QUOTER + ASKING)
    lab.restart(name)


@pytest.fixture(scope='module')
def swift(lab):
    client = Client(lab, 1, clients.token(lab))
    yield client
    client.close()


@pytest.fixture(scope='module')
def cached(lab):
    client = Client(lab, 0, clients.token(lab))
    yield client
    client.close()


@pytest.fixture(scope='module')
def objects(lab):
    """Label -> path of each that can be a hit, warm."""
    paths = {}
    for container, policy, names in (('gold', 'gold', list(PLAIN)), ('ec', 'ec', ['plain', 'empty', 'large']),
                                     ('quoted', 'gold', ['plain'])):
        path = make_container(lab, container, **{'X-Storage-Policy': policy})
        paths.update({f'{container}-{name}': put(lab, path, name, *PLAIN[name]) for name in names})
    for path in paths.values():
        clients.until_hit(lab, path)
    return paths


def make_container(lab, name, **headers):
    path = f'{clients.account(lab)}/{name}'
    more = {'X-Container-Rfc-Compliant-Etags': 'true'} if name == 'quoted' else {}
    headers = {'X-Container-Meta-Access-Control-Allow-Origin': 'https://one.example',
               'X-Container-Meta-Access-Control-Expose-Headers': 'x-object-meta-other', **more, **headers}
    assert clients.request(lab, 'PUT', path, headers).status in (201, 202)
    return path


def put(lab, container, name, body, headers=None, query=''):
    path = f'{container}/{quote(name)}'
    sent = {'X-Object-Meta-Other': 'other-etag', **(headers or {})}
    sent = {key: value.encode('latin-1') for key, value in sent.items()}
    assert clients.request(lab, 'PUT', path + query, headers=sent, body=body).status == 201
    return path


def is_passed_on(ask, status, path):
    """What is no hit on purpose: what asks past caches or for a CORS answer, what proxy-server words by a
    quorum or, with an EC policy, of fragments, and what middleware on the left refuses."""
    headers = ask.headers
    if '/ec/' in path and (status in (304, 416) or ('Range' in headers and (
            path.endswith('/empty') or 'X-Test-Backend-Ignore-Range-If-Metadata-Present' in headers))):
        return True
    return (status in (400, 401, 403, 404, 412) or 'Origin' in headers or headers.get('X-Newest') == 'true'
            or headers.get('X-Open-Expired') == 'true'
            or headers.get('Cache-Control') in ('no-cache', 'max-age=0, no-store'))


def compare(swift, cached, path, asks, hits=True):
    """What differs, and what ought to have been a hit and was none."""
    facts = facts_of(swift.get(path))
    wrong = []
    for ask in asks:
        expected, found = swift.ask(path, ask, facts), cached.ask(path, ask, facts)
        if differences(expected, found):
            wrong.append((ask, differences(expected, found)))
        elif hits and not found.is_hit and not is_passed_on(ask, expected.status, path):
            wrong.append((ask, expected.status, found.header('cache-status')))
    return wrong


def assert_none(wrong):
    assert not wrong, '\n'.join(map(repr, [len(wrong), *wrong[:40]]))


LABELS = [*(f'gold-{name}' for name in PLAIN), 'ec-plain', 'ec-empty', 'ec-large', 'quoted-plain']


def part_for(label):
    """The whole list for one object, and for each other a part of its own; `slow` has the rest."""
    return ASKS if label == 'gold-plain' else random.Random(label).sample(ASKS, 60)


@pytest.mark.parametrize('label', LABELS)
def test_a_hit_is_swifts_answer(swift, cached, objects, label):
    assert_none(compare(swift, cached, objects[label], part_for(label)))


@pytest.mark.slow
@pytest.mark.parametrize('label', LABELS)
def test_a_hit_is_swifts_answer_to_the_whole_list(swift, cached, objects, label):
    assert_none(compare(swift, cached, objects[label], ASKS))


@pytest.mark.parametrize('name', PASSED)
def test_what_is_not_kept_is_swifts_answer(lab, swift, cached, objects, name):
    path = put(lab, f'{clients.account(lab)}/gold', name, *PASSED[name])
    assert_none(compare(swift, cached, path, part_for(name), hits=False))
    assert not cached.get(path).is_hit


@settings(max_examples=EXAMPLES, **SOME)
@given(asks=st.lists(equivalence.asks(), min_size=1, max_size=3), label=st.sampled_from(LABELS))
def test_whatever_is_asked_of_a_hit_swift_answers_so(swift, cached, objects, asks, label):
    assert_none(compare(swift, cached, objects[label], asks))


# what middleware on the left makes of several hits

def put_slo(lab, container):
    segments = [put(lab, container, f'segment-{number}', BODY[:size]) for number, size in ((1, 70_000), (2, 999))]
    manifest = json.dumps([{'path': path.partition('/AUTH_test')[2]} for path in segments]).encode()
    return put(lab, container, 'slo', manifest, query='?multipart-manifest=put'), segments


def put_dlo(lab, container):
    segments = [put(lab, container, f'dlo-segments/{number}', BODY[:70_000]) for number in (1, 2)]
    return put(lab, container, 'dlo', b'', {'X-Object-Manifest': 'gold/dlo-segments/'}), segments


def put_symlink(lab, container):
    target = put(lab, container, 'target', BODY[:70_000])
    return put(lab, container, 'symlink', b'', {'X-Symlink-Target': 'gold/target'}), [target]


def put_static_symlink(lab, container):
    target = put(lab, container, 'target-2', b'abc')
    sent = {'X-Symlink-Target': 'gold/target-2', 'X-Symlink-Target-Etag': '900150983cd24fb0d6963f7d28e17f72'}
    return put(lab, container, 'static', b'', sent), [target]


@pytest.mark.parametrize('make', [put_slo, put_dlo, put_symlink, put_static_symlink])
def test_what_is_made_of_hits_is_swifts_answer(lab, swift, cached, objects, make):
    path, parts = make(lab, f'{clients.account(lab)}/gold')
    for part in parts:
        clients.until_hit(lab, part)
    # slo gives one segment a second after the first ten, with and without the filter
    asked = [ask for ask in part_for(make.__name__) if ask.headers.get('Range', '').count(',') < 10]
    assert_none(compare(swift, cached, path, asked, hits=False))


# A3

def test_a3_the_first_reader_changes_nothing_for_the_next(lab, swift, cached, objects):
    container, asks = f'{clients.account(lab)}/gold', [ask for ask in ASKS if ask.method == 'GET'][::5]
    paths = [put(lab, container, f'poison-{number}', BODY[:70_000]) for number in range(len(asks))]
    facts = facts_of(swift.get(paths[0]))
    for path, ask in zip(paths, asks, strict=True):
        cached.ask(path, ask, facts)
        assert not differences(swift.get(path), cached.get(path)), ask
    for path, ask in zip(paths, asks, strict=True):
        clients.until_hit(lab, path)
        assert not differences(swift.get(path), cached.get(path)), ask


@settings(max_examples=max(10, EXAMPLES // 10), **SOME)
@given(asks=st.lists(equivalence.asks(), min_size=1, max_size=4))
def test_a3_first_readers_who_ask_for_anything_change_nothing(lab, swift, cached, objects, asks):
    path = put(lab, f'{clients.account(lab)}/gold', f'poison-{os.urandom(8).hex()}', BODY[:70_000])
    facts = facts_of(swift.get(path))
    for ask in asks:
        cached.ask(path, ask, facts)
    assert not differences(swift.get(path), cached.get(path))
    clients.until_hit(lab, path)
    assert not differences(swift.get(path), cached.get(path))


# A5

@pytest.mark.parametrize('name', ['a.css', 'a/private.js', 'x;.png', 'x?.ico', 'static/robots.txt', 'x%0a.css'])
def test_a5_no_name_makes_a_private_object_public(lab, objects, name):
    path = put(lab, f'{clients.account(lab)}/gold', name, BODY[:10], {'Content-Type': 'text/css'})
    clients.until_hit(lab, path)
    for other in (path, path.replace('%3F', '?')):
        answers = [clients.request(lab, 'GET', other, proxy=proxy, token='') for proxy in (0, 1)]
        assert [answer.status for answer in answers] == [401, 401]
        assert 'cache-status' not in answers[0].headers


def test_a5_a_path_behind_an_object_is_not_the_object(swift, cached, objects):
    for more in ('/a.css', '%2Fa.css', ';a.css', '%00.css', '.css', '/..%2Fplain'):
        expected, found = swift.get(objects['gold-plain'] + more), cached.get(objects['gold-plain'] + more)
        assert not differences(expected, found) and found.status in (404, 412) and not found.is_hit


# A7

FRAMED = [
    ('HEAD', ()), ('HEAD', ('Range: bytes=0-3',)), ('GET', ()), ('GET', ('Range: bytes=0-3',)),
    ('GET', ('Range: bytes=0-3,9-12',)), ('GET', ('If-None-Match: *',)), ('HEAD', ('If-None-Match: *',)),
    ('GET', ('Range: bytes=9999999-',)), ('GET', ('If-Match: x',)), ('GET', ('Content-Length: 0',)),
    ('GET', ('Content-Length: 5',), b'hello'),
    ('GET', ('Transfer-Encoding: chunked',), b'5\r\nhello\r\n0\r\n\r\n'),
    ('GET', ('Transfer-Encoding: chunked',), b'0\r\n\r\n'), ('GET', ())]


@pytest.mark.parametrize('label', ['gold-plain', 'gold-empty', 'ec-plain'])
@pytest.mark.parametrize('pipelined', [False, True])
def test_a7_the_next_answer_begins_where_the_last_one_ends(lab, objects, label, pipelined):
    """As on the proxy without the filter: requests one after the other, and all sent at once."""
    seen, token = [], clients.token(lab)
    requests = [(method, raw(method, objects[label], token, *lines, body=b''.join(body)))
                for method, lines, *body in FRAMED]
    for proxy in (0, 1):
        with closing(Raw(lab, proxy)) as client:
            if pipelined:
                client.send(b''.join(request for _, request in requests))
            for method, request in requests:
                if not pipelined:
                    client.send(request)
                seen.append(client.answer(method).seen)
    assert seen[:len(requests)] == seen[len(requests):]
    assert seen[2] == seen[-1]


SMUGGLED = {
    'length and chunks': (('Content-Length: 4', 'Transfer-Encoding: chunked'), b'0\r\n\r\n'),
    'two lengths': (('Content-Length: 0', 'Content-Length: 40'), b''),
    'a length that is none': (('Content-Length: +5',), b'hello'),
    'chunks in other words': (('Transfer-Encoding: xchunked',), b''),
    'a name with a space': (('Content-Length : 5',), b'hello')}


@pytest.mark.parametrize('how', SMUGGLED)
def test_a7_what_may_be_read_in_two_ways_is_read_as_without_the_filter(lab, objects, how):
    seen, token, (lines, body) = [], clients.token(lab), SMUGGLED[how]
    hidden = raw('GET', objects['gold-empty'], token, 'Connection: close')
    for proxy in (0, 1):
        with closing(Raw(lab, proxy)) as client:
            client.send(raw('GET', objects['gold-plain'], token, *lines, body=body) + hidden)
            client.no_more()
            received = client.read()
            seen.append((re.findall(rb'HTTP/1.1 (\d+ .*)\r\n', received), received.count(BODY[:5000])))
    assert seen[0] == seen[1] and seen[0][0]


def test_a7_a_read_that_is_broken_off_spoils_no_other(lab, cached, objects):
    for _ in range(5):
        with closing(Raw(lab, 0)) as client:
            client.send(raw('GET', objects['gold-large'], clients.token(lab)))
            assert client.read(1000).startswith(b'HTTP/1.1 200 OK')
        assert cached.get(objects['gold-small']).body == PLAIN['small'][0]


def test_a7_a_hit_that_cannot_be_ended_ends_the_connection(lab, objects):
    """A block is damaged, and the backend has another version by now, of which this filter was not told."""
    whole = b'damaged!' * 40_000
    path = put(lab, f'{clients.account(lab)}/gold', 'damaged', whole)
    clients.until_hit(lab, path)
    entry, = (entry for entry in lab.cache_dir.glob('v1/objects/*/*') if whole in entry.read_bytes())
    assert clients.request(lab, 'PUT', path, body=b'other' * 9, proxy=1).status == 201
    with entry.open('r+b') as file:
        file.seek(4096 + 200_000)
        file.write(b'DAMAGED!')
    with closing(Raw(lab, 0)) as client:
        client.send(raw('GET', path, clients.token(lab)) * 2)
        head, _, body = client.read().partition(b'\r\n\r\n')
    assert b'Content-Length: 320000' in head
    assert len(body) < 320_000 and whole.startswith(body)


# A8

ODD = ['\r\nX-Injected: yes', '\nHTTP/1.1 200 OK', '\r', '\x1b[2J\x1b]0;title\x07', '\x7f', '\x9b31m',
       '<script>alert(1)</script>', '"; X-Injected=yes; "', "' onload='"]


def test_a8_a_name_is_no_header_and_no_log_line(lab, swift, cached, objects):
    for name in ODD:
        path = put(lab, f'{clients.account(lab)}/gold', f'odd-{name}', BODY[:50])
        clients.until_hit(lab, path)
        expected, found = swift.get(path), cached.get(path)
        assert not differences(expected, found) and 'X-Injected' not in repr(found.headers)
    for program in ('proxy1', 'sidecar'):
        text = lab.log(program).read_bytes()
        assert not re.search(rb'[\x00-\x08\x0b-\x1f\x7f]', text), program
        assert not any(line.startswith((b'X-Injected', b'HTTP/1.1 200')) for line in text.splitlines())


@pytest.mark.parametrize('value', [
    'a\x1b[2Jb', 'a\x00b', 'a\x7fb', 'a\tb', 'a\r\n b', 'a\nX-Injected: yes', 'a\x85b', '<b>',
    'a%0D%0AX-Injected: yes', '=?utf-8?q?=0D=0AX-Injected=3A_yes?='])
def test_a8_metadata_comes_back_as_swift_gives_it(lab, objects, value):
    """Sent as raw bytes; what Swift takes, and gives, a hit gives too."""
    path, answers = f'{clients.account(lab)}/gold/meta-{value.encode().hex()}', []
    with closing(Raw(lab, 0)) as client:
        client.send(raw('PUT', path, clients.token(lab), f'X-Object-Meta-A: {value}',
                        'Content-Length: 3', body=b'abc'))
        is_taken = client.answer('PUT').status == 201
    if is_taken:
        clients.until_hit(lab, path)
    for proxy in (1, 0):
        with closing(Raw(lab, proxy)) as client:
            client.send(raw('GET', path, clients.token(lab)))
            answers.append(client.answer('GET'))
    assert not differences(*answers) and answers[1].is_hit == is_taken
