"""What an object's owner and a client say of freshness: read strictly, and held in hits and joins."""
import time
from email.utils import formatdate
from math import inf

import pytest
from helpers.common.builders import NAME, NOW, link
from helpers.filter.filtered import Proxy
from hypothesis import given
from hypothesis import strategies as st
from swift.common.concurrency import Event, sleep, spawn

from swiftahead.cache import Stamp, Store
from swiftahead.cache.headers import directives, lifetime_of, time_of, wishes_of

PATH = '/v1' + NAME.path
LARGE = bytes(range(256)) * 400
DATE = 'Thu, 18 Aug 2050 02:01:18 GMT'
EPOCH = 2544400878.0


@pytest.mark.parametrize('header, seconds', [
    ('max-age=3600', 3600), ('MaX-aGe=3600', 3600), ('max-age="3600"', 3600), ('foobar, max-age=3600', 3600),
    ('max-age=003600', 3600), ('max-age=2147483648', 2147483648), ('max-age=99999999999', 99999999999),
    (' max-age=5 ,, public', 5), ('max-age=5,', 5), ('', inf), (',', inf), ('public, foo="bar, max-age=1"', inf),
    # two values: the shorter one
    ('max-age=1800, max-age=1', 1), ('max-age=1, max-age=1800', 1),
    # of another directive
    ('extension="max-age=100", max-age=1', 1), ('max-age=1, extension="max-age=100"', 1),
    ('extension="max-age=100", max-age="1"', 1), ('x-max-age=9', inf), (r'e="\"", max-age=7', 7),
    # no numbers
    ("max-age='3600'", 0), ('max-age=a100', 0), ('max-age=100a', 0), ('max-age=-100', 0), ('max-age=3600.0', 0),
    ('max-age=1_0', 0), ('max-age', 0), ('max-age=""', 0), ('max-age=+5', 0), (f'max-age={"9" * 19}', 0),
    # malformed
    ('max-age =100', 0), ('max-age= 100', 0), ('public; max-age=60', 0), ('max-age=60 public', 0), ('=,=;', 0),
    ('e="max-age=60', 0), ('max-age=60\n', 0), ('max-age=\xb2', 0),
    # a shared cache goes by what is for shared caches
    ('s-maxage=3600', 3600), ('max-age=3600, s-maxage=1', 1), ('s-maxage=1, max-age=3600', 1),
    ('max-age=1, s-maxage=3600', 3600), ('max-age=9, s-maxage=x', 0),
    ('no-cache', 0), ('No-Cache="set-cookie", max-age=60', 0), ('must-revalidate, max-age=3', 3),
    ('proxy-revalidate', inf), ('immutable, max-age=60', 60)])
def test_a_stored_cache_control(header, seconds):
    assert lifetime_of(header, None).after(NOW) == seconds


@pytest.mark.parametrize('header, keepable', [
    ('no-store', False), ('private', False), ('Private="x", max-age=60', False), ('no-store; max-age=60', False),
    ('private = x', False), ('max-age=60', True), ('public; max-age=60', True), ('x="no-store"', True)])
def test_what_no_shared_cache_may_keep(header, keepable):
    assert lifetime_of(header, None).keepable is keepable


@pytest.mark.parametrize('date, time', [
    (DATE, EPOCH), ('0', 0), ('', 0), ('-1', 0), ('never', 0), ('\xff', 0), (DATE[:-1], 0),
    ('Thu, 18 Aug 2050 02:01:18 UTC', 0), ('Thu, 18 Aug 50 02:01:18 GMT', 0),
    ('Thu 18 Aug 2050 02:01:18 GMT', 0),
    ('Thu, 18  Aug  2050 02:01:18 GMT', 0), ('Thu, 18-Aug-2050 02:01:18 GMT', 0),
    ('Thu, 18 Aug 2050 02.01.18 GMT', 0), ('Thu, 18 Aug 2050 2:01:18 GMT', 0),
    ('THU, 18 Aug 2050 02:01:18 GMT', 0),
    ('Wed, 18 Aug 2050 02:01:18 GMT', 0), ('Thu, 18 Aug 2050 02:01:18 +0200', 0),
    ('Thu, 99 Aug 2050 02:01:18 GMT', 0), ('Thu, 18 Aug 99999 02:01:18 GMT', 0)])
def test_a_stored_expires(date, time):
    assert time_of(date) == time
    assert lifetime_of(None, date).after(NOW) == time - NOW


@pytest.mark.parametrize('header, seconds', [
    ('max-age=3600', 3600), ('max-age=0', 0), ('s-maxage=5', 5), ('public', EPOCH - NOW), ('', EPOCH - NOW)])
def test_expires_counts_where_no_age_is_given(header, seconds):
    assert lifetime_of(header, DATE).after(NOW) == seconds


@pytest.mark.parametrize('header, age', [
    (None, inf), ('', inf), ('max-age=5', 5), ('max-age=0', 0), ('max-age=x', 0), ('max-stale', inf), ('=,=;', 0),
    ('max-age=9, max-age=3', 3)])
def test_the_age_that_a_client_accepts(header, age):
    assert wishes_of(header).age == age


@given(st.text(st.characters(max_codepoint=255)))
def test_no_header_is_too_odd(text):
    assert lifetime_of(text, text).after(NOW) >= -NOW
    assert wishes_of(text).age >= 0
    assert wishes_of(text).is_past is (bool((directives(text) or {}).keys() & {'no-cache', 'no-store'}))


# some letters more would take hours where the time grows with their square
LONG = 1_000_000
SECONDS = 30


@pytest.mark.parametrize('text', [
    f'max-age=1,{" " * LONG}(', f'{" " * LONG}(', f'a={" " * LONG}', '\t ' * LONG + ';', f'a="{"x" * LONG}',
    f'{"a=" * LONG}', f'{"," * LONG}(', f'a="{chr(92) * LONG}'], ids=range(8))
def test_no_header_takes_long_to_read(text):
    begun = time.process_time()
    lifetime_of(text, text), wishes_of(text)
    assert time.process_time() - begun < SECONDS


# the filter whole

class Clocked(Proxy):
    """A filter with an object, whose clock the test moves."""

    def __init__(self, folder, body=LARGE, freshness='max-age', **stored):
        Store.create(folder / 'cache')
        super().__init__(folder / 'cache', folder / 'queue', freshness=freshness)
        self.swift.put(PATH, body, **stored)
        self.now = NOW
        self.runtime.clock = lambda: self.now

    def cached(self, **more):
        """As one read and the sidecar leave it."""
        body, self.stored = self.swift.objects[PATH][1], dict(self.swift.objects[PATH][0][7:])
        kept = {key.replace('-', '_'): value for key, value in self.stored.items()}
        link(self.runtime.store(), body, Stamp('', self.now), **{**kept, **more})
        return self

    def read(self, after=0.0, **headers):
        """How a read is answered so many seconds later, and what the backend is asked meanwhile."""
        self.now += after
        self.swift.requests.clear()
        resp = self.request(**headers)
        return resp.headers['Cache-Status'].removeprefix('swiftahead; '), [one[0] for one in self.swift.requests]


@pytest.fixture
def proxies(tmp_path):
    made = []

    def make(*args, **more):
        made.append(Clocked(tmp_path / str(len(made)), *args, **more))
        return made[-1]
    yield make
    for proxy in made:
        proxy.close()


@pytest.mark.parametrize('stored, after, method', [
    ({'Cache_Control': 'max-age=60'}, 59, None), ({'Cache_Control': 'max-age=60'}, 60, 'HEAD'),
    ({'Cache_Control': 's-maxage=5, max-age=60'}, 6, 'HEAD'), ({'Cache_Control': 'no-cache'}, 0, 'HEAD'),
    ({'Expires': formatdate(NOW + 60, usegmt=True)}, 59, None),
    ({'Expires': formatdate(NOW + 60, usegmt=True)}, 60, 'HEAD'), ({'Expires': '0'}, 1, 'HEAD'),
    ({'Cache_Control': 'must-revalidate'}, 599, None), ({}, 599, None), ({}, 600, 'HEAD')])
def test_a_hit_asks_when_its_owner_wants_it(proxies, stored, after, method):
    proxy = proxies(**stored).cached()
    status, asked = proxy.read(after)
    assert status == ('hit; detail=validated' if method else 'hit')
    assert asked == ([method] if method else [])


def test_a_head_begins_the_lifetime_anew(proxies):
    proxy = proxies(Cache_Control='max-age=60').cached()
    assert proxy.read(61) == ('hit; detail=validated', ['HEAD'])
    assert proxy.read(59) == ('hit', [])
    assert proxy.read(2) == ('hit; detail=validated', ['HEAD'])


@pytest.mark.parametrize('stored', ['no-cache', 'max-age=1, must-revalidate', 'max-age=1, proxy-revalidate',
                                    's-maxage=1', 'max-age=1'])
def test_nothing_stale_is_served_while_the_backend_is_down(proxies, stored):
    proxy = proxies(Cache_Control=stored).cached()
    proxy.swift.objects.clear()
    proxy.swift._denied = lambda env: 503
    proxy.now += 2
    assert proxy.request().status_int == 503


@pytest.mark.parametrize('wanted, after, method', [
    ('max-age=10', 9, None), ('max-age=10', 10, 'HEAD'), ('max-age=0', 0, 'HEAD'), ('max-age=700', 599, None),
    ('max-age=700', 600, 'HEAD'), ('max-stale=900', 600, 'HEAD'), ('max-age=x', 0, 'HEAD')])
def test_a_client_can_want_a_newer_answer(proxies, wanted, after, method):
    proxy = proxies().cached()
    _, asked = proxy.read(after, Cache_Control=wanted)
    assert asked == ([method] if method else [])


@pytest.mark.parametrize('stored, kept', [
    ({'Cache_Control': 'no-cache'}, False), ({'Cache_Control': 'max-age=0'}, False), ({'Expires': '-1'}, False),
    ({'Cache_Control': 'max-age=1'}, True), ({}, True)])
def test_what_is_small_is_not_kept_to_be_validated_each_time(proxies, stored, kept):
    for body, is_captured in ((b'small', kept), (LARGE, True)):
        status, _ = proxies(body, **stored).read()
        assert status == ('fwd=miss; stored' if is_captured else 'fwd=miss')


# reading along

def joined(proxy, after, **headers):
    """The status of who comes so many seconds after another who is being answered, and that answer's headers."""
    gate = Event()
    proxy.swift.before = lambda number: gate.wait() if number == 1 else None
    first = spawn(proxy.request)
    while not proxy.swift.requests:
        sleep()
    proxy.now += after
    second = spawn(proxy.request, **headers)
    for _ in range(20):
        sleep()
    gate.send()
    first.wait()
    resp = second.wait()
    assert resp.body == LARGE
    return resp.headers['Cache-Status'].removeprefix('swiftahead; '), resp.headers


@pytest.mark.parametrize('stored, after, wanted, is_joined', [
    ({}, 3, '', True), ({'Cache_Control': 'max-age=5'}, 3, '', True),
    ({'Cache_Control': 'max-age=3'}, 3, '', False), ({'Cache_Control': 'no-cache'}, 0, '', False),
    ({'Expires': formatdate(NOW + 2, usegmt=True)}, 3, '', False),
    ({}, 3, 'max-age=4', True), ({}, 3, 'max-age=3', False), ({}, 0, 'max-age=0', False)])
def test_who_reads_along_gets_nothing_older(proxies, stored, after, wanted, is_joined):
    status, headers = joined(proxies(**stored), after, **({'Cache_Control': wanted} if wanted else {}))
    assert status == ('fwd=miss; collapsed' if is_joined else 'fwd=miss')
    assert headers.get('Age') == (str(after) if is_joined else None)


# one HEAD for several

def test_a_client_that_wants_to_know_how_it_is_now_is_not_told_how_it_was(proxies):
    proxy = proxies().cached()
    gate = Event()
    inner, proxy.app.app = proxy.app.app, lambda env, start: (gate.wait(), inner(env, start))[1]
    readers = [spawn(proxy.request, Cache_Control='max-age=0') for _ in range(2)]
    for _ in range(20):
        sleep()
    gate.send()
    assert {reader.wait().headers['Cache-Status'] for reader in readers} == {'swiftahead; hit; detail=validated'}
    assert proxy.asked('HEAD') == 2


# answers from past the cache

NEWER, OLDER = '1799999999.50000', '1799999998.00000'


@pytest.mark.parametrize('headers', [{'X_Newest': 'true'}, {'Cache_Control': 'no-cache'},
                                     {'Origin': 'https://a.example'}])
@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_an_answer_from_past_the_cache_that_is_newer_ends_the_entry(proxies, headers, method):
    proxy = proxies().cached()
    proxy.swift.put(PATH, b'new', timestamp=NEWER)
    proxy.request(method, **headers)
    assert proxy.read() == ('fwd=stale; detail=changed; stored', ['HEAD', 'GET'])


def test_one_that_is_older_or_the_same_does_not(proxies):
    proxy = proxies().cached()
    for timestamp in (OLDER, '1799999999.00000'):
        proxy.swift.put(PATH, b'old', timestamp=timestamp)
        proxy.request(Cache_Control='no-cache')
    assert proxy.read() == ('hit', [])


@pytest.mark.parametrize('headers, status', [
    ({'X_Newest': 'true'}, 'fwd=stale; detail=changed'), ({'Cache_Control': 'no-cache'}, 'hit')])
def test_a_404_counts_where_all_replicas_were_asked(proxies, headers, status):
    proxy = proxies().cached()
    proxy.swift.objects.clear()
    assert proxy.request(**headers).status_int == 404
    assert proxy.read()[0] == status


def test_the_sidecar_is_to_drop_just_that_file(proxies):
    proxy = proxies().cached()
    with proxy.runtime.store().entry(NAME) as entry:
        identity = entry.identity
    proxy.swift.put(PATH, b'new', timestamp=NEWER)
    told = []
    proxy.runtime.forget = lambda *args: told.append(args)
    proxy.request(X_Newest='true')
    assert told == [(NAME, identity)]


def test_a_time_that_nobody_can_read_ends_nothing(proxies):
    proxy = proxies().cached()
    proxy.swift.put(PATH, b'new', timestamp='bogus')
    assert proxy.request(Cache_Control='no-cache').body == b'new'
    assert proxy.read() == ('hit', []) and proxy.errors == ['errors.entry']


def test_who_may_not_read_ends_nothing(proxies):
    proxy = proxies().cached()
    proxy.swift.put(PATH, b'new', timestamp=NEWER)
    proxy.swift._denied = lambda env: 403
    proxy.request(X_Newest='true')
    proxy.swift._denied = lambda env: None
    assert proxy.read() == ('hit', [])
