"""Attacks on the place between a hit and Swift's own answer: what first readers ask for, names, connections and
headers, on a proxy whose cache is warm and on one without the filter."""
import os
import re
from contextlib import closing

import pytest
from helpers.common.trying import tries
from helpers.filter import equivalence
from helpers.filter.equivalence import ASKS, differences, facts_of
from helpers.lab import clients
from helpers.lab.equivalence_lab import BODY, PLAIN, SLOW, put
from helpers.lab.rawhttp import Raw, raw
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope='module')
def lab(compared_lab):
    return compared_lab


# A3

@pytest.mark.holds('A3')
def test_the_first_reader_changes_nothing_for_the_next(lab, swift, cached, objects):
    container, asks = f'{clients.account(lab)}/gold', [ask for ask in ASKS if ask.method == 'GET'][::5]
    paths = [put(lab, container, f'poison-{number}', BODY[:70_000]) for number in range(len(asks))]
    facts = facts_of(swift.get(paths[0]))
    for path, ask in zip(paths, asks, strict=True):
        cached.ask(path, ask, facts)
        assert not differences(swift.get(path), cached.get(path)), ask
    for path, ask in zip(paths, asks, strict=True):
        clients.until_hit(lab, path)
        assert not differences(swift.get(path), cached.get(path)), ask


@pytest.mark.holds('A3')
@tries(10, **SLOW)
@given(asks=st.lists(equivalence.asks(), min_size=1, max_size=4))
def test_first_readers_who_ask_for_anything_change_nothing(lab, swift, cached, objects, asks):
    path = put(lab, f'{clients.account(lab)}/gold', f'poison-{os.urandom(8).hex()}', BODY[:70_000])
    facts = facts_of(swift.get(path))
    for ask in asks:
        cached.ask(path, ask, facts)
    assert not differences(swift.get(path), cached.get(path))
    clients.until_hit(lab, path)
    assert not differences(swift.get(path), cached.get(path))


# A5

@pytest.mark.holds('A5')
@pytest.mark.parametrize('name', ['a.css', 'a/private.js', 'x;.png', 'x?.ico', 'static/robots.txt', 'x%0a.css'])
def test_no_name_makes_a_private_object_public(lab, objects, name):
    path = put(lab, f'{clients.account(lab)}/gold', name, BODY[:10], {'Content-Type': 'text/css'})
    clients.until_hit(lab, path)
    for other in (path, path.replace('%3F', '?')):
        answers = [clients.request(lab, 'GET', other, proxy=proxy, token='') for proxy in (0, 1)]
        assert [answer.status for answer in answers] == [401, 401]
        assert 'cache-status' not in answers[0].headers


@pytest.mark.holds('A5')
def test_a_path_behind_an_object_is_not_the_object(swift, cached, objects):
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


@pytest.mark.holds('A7')
@pytest.mark.parametrize('label', ['gold-plain', 'gold-empty', 'ec-plain'])
@pytest.mark.parametrize('pipelined', [False, True])
def test_the_next_answer_begins_where_the_last_one_ends(lab, objects, label, pipelined):
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


@pytest.mark.holds('A7')
@pytest.mark.parametrize('how', SMUGGLED)
def test_what_may_be_read_in_two_ways_is_read_as_without_the_filter(lab, objects, how):
    seen, token, (lines, body) = [], clients.token(lab), SMUGGLED[how]
    hidden = raw('GET', objects['gold-empty'], token, 'Connection: close')
    for proxy in (0, 1):
        with closing(Raw(lab, proxy)) as client:
            client.send(raw('GET', objects['gold-plain'], token, *lines, body=body) + hidden)
            client.no_more()
            received = client.read()
            seen.append((re.findall(rb'HTTP/1.1 (\d+ .*)\r\n', received), received.count(BODY[:5000])))
    assert seen[0] == seen[1] and seen[0][0]


@pytest.mark.holds('A7')
def test_a_read_that_is_broken_off_spoils_no_other(lab, cached, objects):
    for _ in range(5):
        with closing(Raw(lab, 0)) as client:
            client.send(raw('GET', objects['gold-large'], clients.token(lab)))
            assert client.read(1000).startswith(b'HTTP/1.1 200 OK')
        assert cached.get(objects['gold-small']).body == PLAIN['small'][0]


@pytest.mark.holds('A7')
def test_a_hit_that_cannot_be_ended_ends_the_connection(lab, objects):
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


@pytest.mark.holds('A8')
def test_a_name_is_no_header_and_no_log_line(lab, swift, cached, objects):
    for name in ODD:
        path = put(lab, f'{clients.account(lab)}/gold', f'odd-{name}', BODY[:50])
        clients.until_hit(lab, path)
        expected, found = swift.get(path), cached.get(path)
        assert not differences(expected, found) and 'X-Injected' not in repr(found.headers)
    for program in ('proxy1', 'sidecar'):
        text = lab.log(program).read_bytes()
        assert not re.search(rb'[\x00-\x08\x0b-\x1f\x7f]', text), program
        assert not any(line.startswith((b'X-Injected', b'HTTP/1.1 200')) for line in text.splitlines())


@pytest.mark.holds('A8')
@pytest.mark.parametrize('value', [
    'a\x1b[2Jb', 'a\x00b', 'a\x7fb', 'a\tb', 'a\r\n b', 'a\nX-Injected: yes', 'a\x85b', '<b>',
    'a%0D%0AX-Injected: yes', '=?utf-8?q?=0D=0AX-Injected=3A_yes?='])
def test_metadata_comes_back_as_swift_gives_it(lab, objects, value):
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
