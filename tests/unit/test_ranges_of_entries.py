"""A6: ranges of an entry are those of its body, whatever is asked for: never a byte of the file around it."""
import re
from types import SimpleNamespace

import pytest
from helpers.common.builders import NAME, NOW, ListLogger, headers_for, link
from helpers.common.trying import tries
from helpers.filter.equivalence import CONDITION_VALUES, RANGE_VALUES, RANGES, filled_in
from hypothesis import given
from hypothesis import strategies as st
from swift.common.swob import Request, Response

from swiftahead.cache import Store
from swiftahead.cache.entry import BLOCK, MAGIC
from swiftahead.middleware.exchange import Exchange
from swiftahead.middleware.hit import conditional

SIZES = [0, 1, 10, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7]
# what no file around a body consists of, and what tells each part of it from the others
BODIES = {size: bytes((size + number * 7 + number // 251) % 251 for number in range(size)) for size in SIZES}


@pytest.fixture(scope='module')
def stores(tmp_path_factory):
    found = {}
    for size, body in BODIES.items():
        found[size] = Store.create(tmp_path_factory.mktemp('c') / 'cache')
        link(found[size], body)
    return found


def asked(headers):
    req = Request.blank('/v1' + NAME.path)
    req.environ.update({'HTTP_' + key.upper().replace('-', '_'): value for key, value in headers.items()})
    return req


def from_bytes(body, headers):
    """What swob's engine makes of the same body in memory: status, headers, bytes."""
    response = Response(request=asked(headers), headers=dict(headers_for(body)), app_iter=Plain(body),
                        conditional_response=True)
    response.fix_conditional_response()
    return response.status, dict(response.headers), b''.join(response.response_iter)


class Plain:
    """A body in memory in the form that the engine asks for."""

    def __init__(self, body):
        self._body = body

    def __iter__(self):
        return iter([self._body])

    def app_iter_range(self, start, stop):
        return iter([self._body[start:stop]])

    def app_iter_ranges(self, ranges, content_type, boundary, size):
        for start, stop in ranges:
            yield b'--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%s\r\n' % (
                boundary, content_type, start, stop - 1, size, self._body[start:stop])
        yield b'--%s--' % boundary


def from_entry(store, headers):
    """The same of an entry; None where it is left to proxy-server."""
    runtime = SimpleNamespace(settings=SimpleNamespace(), logger=ListLogger(), clock=lambda: NOW)
    exchange = Exchange(None, runtime, store, asked(headers), NAME, lambda *args: got.extend(args))
    got = []
    with store.entry(NAME) as entry:
        answer = conditional(exchange, entry, [])
        if answer is None:
            return None
        body = b''.join(answer())
    return got[0], dict(got[1]), body


def same(store, size, headers):
    headers = {key: filled_in(value, facts(size)) for key, value in headers.items()}
    expected, found = from_bytes(BODIES[size], headers), from_entry(store, headers)
    if found is None:
        assert expected[0].startswith('412')
        return
    assert without_boundary(found) == without_boundary(expected)
    assert MAGIC not in found[2] and b'"account"' not in found[2]


def facts(size):
    etag = dict(headers_for(BODIES[size]))['Etag']
    return {'size': str(size), 'last': str(max(0, size - 1)), 'longer': str(size + 1000), 'etag': etag,
            'modified': 'Fri, 15 Jan 2027 08:00:00 GMT', 'before': 'Fri, 15 Jan 2027 07:59:59 GMT',
            'after': 'Fri, 15 Jan 2027 08:00:01 GMT'}


def without_boundary(answer):
    status, headers, body = answer
    drawn = re.search('boundary=([0-9a-f]{32})', headers['Content-Type'])
    boundary = drawn.group(1) if drawn else 'no boundary'
    headers = {key: value.replace(boundary, 'B') for key, value in headers.items()}
    return status, headers, body.replace(boundary.encode(), b'B')


@pytest.mark.holds('A6')
@pytest.mark.parametrize('size', SIZES)
def test_each_known_range_is_that_of_the_body(stores, size):
    for value in RANGES:
        same(stores[size], size, {'Range': value})


@pytest.mark.holds('A6')
@tries(300)
@given(size=st.sampled_from(SIZES), range=RANGE_VALUES, condition=st.one_of(st.none(), CONDITION_VALUES),
       name=st.sampled_from(['If-Range', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since']))
def test_any_range_is_that_of_the_body(stores, size, range, condition, name):
    same(stores[size], size, {'Range': range, **({name: condition} if condition is not None else {})})


@pytest.mark.holds('A6')
@pytest.mark.parametrize('size', SIZES)
def test_a_suffix_longer_than_the_object_is_the_object(stores, size):
    """What CVE-2017-7529 was about."""
    for suffix in (size + 1, size + 4096, 2**31, 2**63 - size, 2**63, 2**64 - 1):
        found = from_entry(stores[size], {'Range': f'bytes=-{suffix}'})
        assert found is not None and found[2] == BODIES[size]


@pytest.mark.holds('A6')
def test_ranges_that_multiply_the_body_are_refused(stores):
    """What CVE-2011-3192 was about."""
    size = 3 * BLOCK + 7
    for ranges in ([f'{start}-' for start in range(200)], [f'{start}-{start}' for start in range(1000)]):
        status, _, body = from_entry(stores[size], {'Range': 'bytes=' + ','.join(ranges)}) or ('', {}, b'')
        assert status.startswith('416') and len(body) < 1000
