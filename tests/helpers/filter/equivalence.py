"""One list of requests that a hit must answer as Swift does, strategies that make more of them, and how two
answers are compared.

Values may hold words in angle brackets, which stand for what is true of the object that is asked for.
"""
import http.client
import re
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from itertools import product
from typing import NamedTuple
from urllib.parse import urlsplit

from hypothesis import strategies as st

from swiftahead.lab import Lab

# of the moment, or what the filter adds; and what an EC policy's proxy-server had from just those nodes that
# it asked
UNCOMPARED = {'date', 'x-trans-id', 'x-openstack-request-id', 'age', 'cache-status', 'x-object-prefetched',
              'x-test-shown-x-backend-fragments', 'x-test-shown-x-object-sysmeta-ec-frag-index'}
BLOCK = 64 * 1024
RANGES = [f'bytes={value}' for value in (
    # one
    '0-0', '0-9', '5-', '100-199', '-1', '-5', '-<size>', '-<longer>', '-1000000000', '0-<last>', '<last>-',
    '<last>-<last>', '0-<longer>', '<last>-<longer>', '0-65535', '65530-65540', '65535-65535', '65536-', '-65537',
    # none
    '-0', '<size>-', '<size>-<longer>', '<longer>-', '9-3', '<size>-,<longer>-',
    # many, overlapping, in no order
    '0-1,4-5', '4-5,0-1', '0-5,3-8', '-5,0-0', '0-1,<longer>-', '<longer>-,0-1', '0-1,0-1,0-1,0-1', '0-,0-,0-',
    '65530-65540,0-0,-1', ','.join(['0-0'] * 50), ','.join(f'{start}-{start}' for start in range(0, 100, 2)),
    ','.join(f'{start}-{start}' for start in range(0, 102, 2)), ','.join(f'{start}-' for start in range(200)),
    # malformed
    '', 'abc', '-', '1', '--1', '1-2-3', '0-0,', ',0-0', ',', '0 - 1', ' 0-1', '0-1 , 4-5', '0-1\t', '0-1;4-5',
    '+0-1', '-+1', '0x0-0x1', '1_0-1_1', '\xb2-\xb3', '1-2,abc', '0-1,9-3', '1.0-2.0', '1e0-2',
    # large
    '9223372036854775807-', '9223372036854775808-', '-9223372036854775808', '0-18446744073709551616',
    f'{"9" * 100}-', f'0-{"9" * 5000}')] + [
    '', '0-1', 'bytes', 'bytes 0-1', 'bytes = 0-1', 'Bytes=0-1', 'BYTES=0-1', ' bytes=0-1', 'items=0-1',
    'bits=0-1', 'bytes=0-1, bytes=4-5', 'none']
ETAGS = ['*', '<etag>', '"<etag>"', 'W/"<etag>"', 'else', '"else"', 'W/"else"', '"else", "<etag>"',
         '"<etag>", "else"', '<etag>,else', '"else","other"', '*, "else"', '', '""', '"<etag>', '<etag>"', '"*"',
         '"<other>"', "'<etag>'", '<etag>-gzip']
DATES = ['<modified>', '<before>', '<after>', 'never', '', '0', '-1', '2037-01-01T00:00:00Z',
         'Thu, 01 Jan 2037 00:00:00 GMT', 'Fri, 31 Dec 9999 23:59:59 GMT', 'Sat, 01 Jan 10000 00:00:00 GMT',
         'Wed, 31 Dec 1969 23:59:59 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Mon, 01 Jan 0001 00:00:00 GMT',
         'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'Thu, 01 Jan 2037 00:00:00 +0100',
         '<modified>; length=1', 'Thu, 32 Jan 2037 25:61:61 GMT']
IF_RANGES = ['"<etag>"', '<etag>', 'W/"<etag>"', '"else"', '*', '', '<modified>', '<before>', '<after>', 'never']
ETAG_IS_AT = ['X-Object-Meta-Other', 'X-None, X-Object-Meta-Other', 'X-Object-Meta-Other, Etag', 'X-None', '']
IGNORE_RANGE = ['X-Object-Meta-Other', 'X-None, x-object-meta-other', 'X-None', '', 'X-Static-Large-Object',
                'Content-Type']
ORIGINS = ['https://one.example', 'https://other.example', 'null', '']
MORE = [
    {'Cache-Control': 'no-cache'}, {'Cache-Control': 'max-age=0, no-store'}, {'Cache-Control': 'max-age=0'},
    {'Cache-Control': 'only-if-cached'}, {'Cache-Control': '=,=;'}, {'Pragma': 'no-cache'},
    {'Accept-Encoding': 'gzip, br'}, {'Accept-Encoding': 'identity;q=0'}, {'Accept': 'application/json'},
    {'Accept': 'image/*;q=x'}, {'Accept-Language': 'de'}, {'Accept-Charset': 'utf-16'}, {'Content-Length': '0'},
    {'Content-Type': 'text/html'}, {'X-Newest': 'true'}, {'X-Newest': 'no'}, {'X-No-Prefetch': 'true'},
    {'X-Forwarded-For': '192.0.2.1'}, {'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https'},
    {'User-Agent': '<script>'}, {'Referer': 'https://one.example/'}, {'X-Object-Meta-Evil': 'yes'},
    {'X-Backend-Storage-Policy-Index': '1'}, {'X-Timestamp': '1.00000'}, {'X-Http-Method-Override': 'DELETE'},
    {'X-Open-Expired': 'true'}, {'Etag': 'else'}, {'X-Delete-At': '1'}, {'TE': 'trailers'}, {'Cookie': 'a=b'},
    {'Upgrade': 'h2c'}, {'X-Object-Manifest': 'a/b'}, {'X-Static-Large-Object': 'True'}]
QUERIES = ['multipart-manifest=get', 'multipart-manifest=get&format=raw', 'multipart-manifest=delete',
           'part-number=1', 'part-number=0', 'part-number=2', 'version-id=null', 'version-id=1700000000.00000',
           'version-id=x', 'format=json', 'symlink=get', 'x=y', 'limit=1', 'prefetch=warm',
           '=&&=', 'temp_url_sig=x']


class Ask(NamedTuple):
    method: str
    headers: dict[str, str]
    query: str = ''


def _headers():
    yield {}
    yield from ({'Range': value} for value in RANGES)
    for name, values in (('If-Match', ETAGS), ('If-None-Match', ETAGS), ('If-Modified-Since', DATES),
                         ('If-Unmodified-Since', DATES), ('If-Range', IF_RANGES), ('Origin', ORIGINS)):
        yield from ({name: value} for value in values)
    yield from _combined()
    yield from _of_middleware()
    yield from MORE


def _combined():
    yield from ({'If-Range': value, 'Range': range} for value, range in product(
        IF_RANGES, ('bytes=0-3', 'bytes=0-1,4-5', 'bytes=<size>-')))
    for match, range in product(('"<etag>"', '"else"', '*'), ('bytes=0-3', 'bytes=<size>-', 'bytes=9-3')):
        yield {'If-Match': match, 'Range': range}
        yield {'If-None-Match': match, 'Range': range}
    for match, date in product(('"<etag>"', '"else"'), ('<modified>', '<before>', '<after>', 'never')):
        yield {'If-None-Match': match, 'If-Modified-Since': date}
        yield {'If-Match': match, 'If-Unmodified-Since': date}
    yield {'If-Match': '"<etag>"', 'If-None-Match': '"<etag>"'}
    yield {'If-Modified-Since': '<after>', 'If-Unmodified-Since': '<before>'}
    yield {'If-Modified-Since': '<before>', 'Range': 'bytes=0-3'}
    yield {'If-Unmodified-Since': '<modified>', 'Range': 'bytes=0-3', 'If-Range': '<modified>'}
    yield {'Origin': 'https://one.example', 'Range': 'bytes=0-3', 'If-None-Match': '"else"'}


def _of_middleware():
    for name, match in product(ETAG_IS_AT, ('"<etag>"', '"<other>"', '*')):
        yield {'X-Test-Backend-Etag-Is-At': name, 'If-Match': match}
        yield {'X-Test-Backend-Etag-Is-At': name, 'If-None-Match': match}
        yield {'X-Test-Backend-Etag-Is-At': name, 'If-Range': match, 'Range': 'bytes=0-3'}
    for name, range in product(IGNORE_RANGE, ('bytes=0-3', 'bytes=<size>-')):
        yield {'X-Test-Backend-Ignore-Range-If-Metadata-Present': name, 'Range': range}


HEADERS = list(_headers())
ASKS = [*(Ask(method, headers) for headers in HEADERS for method in ('GET', 'HEAD')),
        *(Ask(method, headers, query) for query in QUERIES for headers in ({}, {'Range': 'bytes=0-3'})
          for method in ('GET', 'HEAD'))]

# -- more of them ------------------------------------------------------------------------------------------

_EDGES = st.sampled_from([0, 1, 2, 99, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2**31, 2**63 - 1, 2**63])
_NUMBERS = st.one_of(st.just(''), st.integers(0, 4 * BLOCK).map(str), _EDGES.map(str),
                     st.sampled_from(['<last>', '<size>', '<longer>']))
_ONE_RANGE = st.tuples(_NUMBERS, st.sampled_from(['-'] * 9 + ['', '--', ' - ']), _NUMBERS).map(''.join)
# what a header line may hold
TEXTS = st.text(st.characters(codec='latin-1', exclude_categories=('Cc',)), max_size=30).map(str.strip)
RANGE_VALUES = st.one_of(
    st.sampled_from(RANGES), TEXTS, TEXTS.map('bytes='.__add__),
    st.lists(_ONE_RANGE, min_size=1, max_size=8).map(lambda ranges: 'bytes=' + ','.join(ranges)))
CONDITION_VALUES = st.one_of(st.sampled_from(ETAGS + DATES + IF_RANGES), TEXTS,
                             st.lists(st.sampled_from(ETAGS), max_size=4).map(', '.join))
_OTHERS = st.sampled_from([{}, {}, *MORE, *({'Origin': value} for value in ORIGINS)])


@st.composite
def asks(draw, methods=('GET', 'GET', 'HEAD')) -> Ask:
    names = st.sampled_from(['If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since', 'If-Range'])
    headers = {**draw(st.dictionaries(names, CONDITION_VALUES, max_size=3)), **draw(_OTHERS)}
    if draw(st.booleans()):
        headers['Range'] = draw(RANGE_VALUES)
    if draw(st.integers(0, 4)) == 0:
        headers['X-Test-Backend-Etag-Is-At'] = draw(st.sampled_from(ETAG_IS_AT))
    if draw(st.integers(0, 4)) == 0:
        headers['X-Test-Backend-Ignore-Range-If-Metadata-Present'] = draw(st.sampled_from(IGNORE_RANGE))
    query = draw(st.sampled_from(['', '', '', '', *QUERIES]))
    return Ask(draw(st.sampled_from(methods)), headers, query)


# -- asking ------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Answer:
    """`headers` as they came: a name may be there twice."""
    version: int
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), '')

    @property
    def is_hit(self) -> bool:
        return self.header('cache-status').startswith('swiftahead; hit')

    @property
    def seen(self):
        """What must not differ, in a form that compares; multipart boundaries are drawn for each answer."""
        boundary = re.search('boundary=([0-9a-f]{32})', self.header('content-type'))
        drawn = boundary.group(1) if boundary else 'no boundary'
        # Swift writes this one in the order of a set, which each process has its own of
        headers = sorted((key, ''.join(sorted(value)) if 'Expose' in key else value.replace(drawn, 'B'))
                         for key, value in self.headers if key.lower() not in UNCOMPARED)
        return self.version, self.status, self.reason, headers, self.body.replace(drawn.encode(), b'B')


def differences(expected: Answer, found: Answer) -> list[tuple[object, object]]:
    """What a client can tell two answers by; bodies are cut short."""
    pairs = [(one, other) for one, other in zip(expected.seen[:3], found.seen[:3], strict=True) if one != other]
    one, other = expected.seen[3], found.seen[3]
    if one != other:
        pairs.append(([header for header in one if header not in other] or one,
                      [header for header in other if header not in one] or other))
    if expected.seen[4] != found.seen[4]:
        pairs.append((expected.body[:200], found.body[:200]))
    return pairs


class Client:
    """A client of one proxy, on one connection for as long as the server keeps it open.

    :param token: '' for none
    """

    def __init__(self, lab: Lab, proxy: int, token: str):
        self._client = http.client.HTTPConnection(urlsplit(lab.urls[proxy]).netloc, timeout=60)
        self._token = token

    def ask(self, path: str, ask: Ask, facts: dict[str, str] | None = None) -> Answer:
        for _ in range(2):
            # a server may close a connection that was idle
            with suppress(http.client.RemoteDisconnected, ConnectionError):
                return self._ask(path, ask, facts or {})
            self._client.close()
        return self._ask(path, ask, facts or {})

    def _ask(self, path, ask, facts):
        client = self._client
        client.putrequest(ask.method, f'{path}?{ask.query}' if ask.query else path, skip_accept_encoding=True)
        if self._token:
            client.putheader('X-Auth-Token', self._token)
        for key, value in ask.headers.items():
            client.putheader(key, filled_in(value, facts).encode('latin-1'))
        client.endheaders()
        response = client.getresponse()
        return Answer(response.version, response.status, response.reason, response.getheaders(), response.read())

    def get(self, path: str) -> Answer:
        return self.ask(path, Ask('GET', {}))

    def close(self) -> None:
        self._client.close()


def filled_in(value: str, facts: dict[str, str]) -> str:
    for word, fact in facts.items():
        value = value.replace(f'<{word}>', fact)
    return value


def facts_of(answer: Answer) -> dict[str, str]:
    """What the words in a list's values stand for; `answer` is that to a plain GET."""
    size = len(answer.body)
    modified = answer.header('last-modified')
    at = parsedate_to_datetime(modified).timestamp() if modified else 0
    return {'etag': answer.header('etag').strip('"'), 'size': str(size), 'last': str(max(0, size - 1)),
            'longer': str(size + 1000), 'modified': modified, 'before': formatdate(at - 1, usegmt=True),
            'after': formatdate(at + 1, usegmt=True), 'other': answer.header('x-object-meta-other')}
