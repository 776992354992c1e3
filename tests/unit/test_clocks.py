"""F8: clocks that jump, and times that are far away. A hit is never older than max_age, and nothing is fresh
for ever."""
import os

import pytest
from helpers.cache.cache_managers import evict_next, make_manager
from helpers.common.builders import NAME, NOW, FakeTokens, link, spool
from helpers.common.faults import PATH
from helpers.filter.filtered import Proxy, seen, word
from hypothesis import given
from hypothesis import strategies as st

from swiftahead.cache import Stamp, Store, entry
from swiftahead.conf.names import ObjectName
from swiftahead.freshness import Token
from swiftahead.queues import Admit

BODY = b'b' * 100_000
MAX_AGE = 600
HOUR, DAY = 3600, 86400
TOKEN = Token('t' * 32, timestamp='1799999998.00000')


class Clocks:
    """The time that goes by, and a wall clock that is set forward and back."""

    def __init__(self, wall=NOW):
        self.up = 1000.0
        self.ahead = wall - self.up

    def wall(self):
        return self.up + self.ahead


@pytest.fixture
def clocks(monkeypatch):
    clocks = Clocks()
    monkeypatch.setattr(entry, 'uptime', lambda: clocks.up)
    return clocks


@pytest.fixture
def make(tmp_path, clocks):
    made = []

    def make(freshness):
        folder = tmp_path / freshness
        Store.create(folder / 'cache')
        tokens = FakeTokens(TOKEN) if freshness == 'coherent' else None
        made.append(Proxy(folder / 'cache', folder / 'queue.db', tokens=tokens, freshness=freshness))
        made[-1].runtime.clock = clocks.wall
        made[-1].swift.put(PATH, BODY)
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def fill(proxy):
    """An entry that was captured just now."""
    assert proxy.request().body == BODY
    record, = proxy.records(Admit)
    proxy.runtime.store().admit(record.spool_name)
    proxy.swift.requests.clear()


def was_validated(proxy):
    """Whether a request asked all replicas."""
    resp = proxy.request()
    assert resp.body == BODY and word(resp).startswith('hit')
    return proxy.asked('HEAD') == 1


JUMPS = (-DAY, -HOUR, -MAX_AGE, -1, 0, 1, HOUR, DAY)
TIMES = (0, 1, MAX_AGE - 1, MAX_AGE, HOUR - 1, HOUR, HOUR + MAX_AGE - 1, DAY - 1, DAY + 1, DAY + MAX_AGE)


@pytest.mark.holds('F8')
@pytest.mark.parametrize('freshness', ['coherent', 'max-age'])
@pytest.mark.parametrize('jump', JUMPS)
def test_a_jump_between_fill_and_hit(make, clocks, freshness, jump):
    proxy = make(freshness)
    for seconds in TIMES:
        clocks.ahead = NOW
        fill(proxy)
        clocks.ahead += jump
        clocks.up += seconds
        validated = was_validated(proxy)
        assert validated or seconds < MAX_AGE, (jump, seconds)
        assert not validated or jump or seconds >= MAX_AGE
        # the clock is right or not, but it is the same now: trusted again
        assert not was_validated(proxy)
        clocks.up += MAX_AGE
        assert was_validated(proxy)
        proxy.runtime.store().drop(proxy.runtime.store().naming.entry(NAME))


@pytest.mark.holds('F8')
@given(steps=st.lists(st.tuples(st.sampled_from(TIMES), st.sampled_from(JUMPS)), min_size=1, max_size=8),
       freshness=st.sampled_from(['coherent', 'max-age']))
def test_jumps_between_hits(jumping, steps, freshness):
    """Whatever the clock does, no hit is older than max_age by the time that really went by."""
    proxies, clocks = jumping
    proxy = proxies[freshness]
    validated_at = clocks.up
    clocks.ahead = NOW
    link(proxy.runtime.store(), BODY, Stamp(TOKEN.value if freshness == 'coherent' else '', clocks.wall()))
    for seconds, jump in steps:
        clocks.up += seconds
        clocks.ahead += jump
        if was_validated(proxy):
            validated_at = clocks.up
        assert clocks.up - validated_at < MAX_AGE


@pytest.fixture(scope='module')
def jumping(tmp_path_factory):
    clocks = Clocks()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(entry, 'uptime', lambda: clocks.up)
        proxies = {}
        for freshness in ('coherent', 'max-age'):
            folder = tmp_path_factory.mktemp(freshness)
            Store.create(folder / 'cache')
            proxies[freshness] = Proxy(folder / 'cache', folder / 'queue.db', freshness=freshness,
                                       tokens=FakeTokens(TOKEN) if freshness == 'coherent' else None)
            proxies[freshness].runtime.clock = clocks.wall
            proxies[freshness].swift.put(PATH, BODY)
        yield proxies, clocks
        for proxy in proxies.values():
            proxy.close()


@pytest.mark.holds('F8')
@pytest.mark.parametrize('freshness', ['coherent', 'max-age'])
def test_after_a_restart_of_the_machine_all_is_validated_once(make, clocks, freshness):
    """Nobody knows what the clock did meanwhile."""
    proxy = make(freshness)
    fill(proxy)
    clocks.up, clocks.ahead = 5.0, clocks.wall() + 60
    assert [was_validated(proxy) for _ in range(3)] == [True, False, False]


@pytest.mark.holds('F8')
@pytest.mark.parametrize('fetched_at', [NOW + HOUR, NOW + 100 * 365 * DAY, 2.0**31 + 1, 1e10, 0.0])
def test_an_unstamped_entry_of_a_far_time_is_validated(make, clocks, fetched_at):
    """As the sidecar leaves it where memcached is away."""
    proxy = make('max-age')
    real, proxy.runtime.clock = proxy.runtime.clock, lambda: fetched_at
    fill(proxy)
    with proxy.runtime.store().entry(NAME) as found:
        blank(proxy.runtime.store(), found)
    proxy.runtime.clock = real
    assert [was_validated(proxy) for _ in range(2)] == [True, False]


def blank(store, found):
    with open(store.layout.entry(store.naming.entry(found.meta.name)), 'r+b') as file:
        file.seek(entry.STAMP_OFFSET)
        file.write(bytes(64))


@pytest.mark.holds('F8')
@pytest.mark.parametrize('at', [float('nan'), float('inf'), float('-inf'), 1e300])
def test_a_stamp_of_no_time_is_validated(make, clocks, at):
    for stamp in (Stamp(TOKEN.value, at), Stamp(TOKEN.value, NOW, at)):
        proxy = make('coherent')
        link(proxy.runtime.store(), BODY, stamp)
        assert was_validated(proxy)


# times that are far away

FAR = ['0000000001.00000', '2147483646.99999', '2147483648.00000', '4294967296.00001', '9999999999.99999']


@pytest.mark.holds('F8')
@pytest.mark.parametrize('freshness', ['coherent', 'max-age'])
@pytest.mark.parametrize('timestamp', FAR)
def test_far_timestamps(make, clocks, freshness, timestamp):
    proxy = make(freshness)
    proxy.swift.put(PATH, BODY, timestamp=timestamp)
    if freshness == 'coherent':
        proxy.runtime.tokens.ring.token = Token(TOKEN.value, timestamp=timestamp)
    plain = seen(proxy.plain())
    fill(proxy)
    clocks.ahead = float(timestamp)
    assert seen(proxy.request()) == plain
    assert proxy.log.errors == []


@pytest.mark.holds('F8')
@pytest.mark.parametrize('now', [1.0, 2.0**31, 2.0**32 + 1, 9_999_999_999.0, 10_000_000_001.0])
def test_clocks_of_a_far_time(make, clocks, now):
    """Before 1970 nobody is; a machine without a battery may begin there."""
    proxy = make('max-age')
    clocks.ahead = now - clocks.up
    fill(proxy)
    clocks.up += 61
    assert [was_validated(proxy) for _ in range(2)] == [False, False]
    assert proxy.log.errors == []


@pytest.mark.holds('F8')
@pytest.mark.parametrize('token', ['1799999999.00000_0000000000000002', '99999999999', 'soon', '-1', 'nan'])
def test_a_token_of_a_time_that_is_none_or_later_is_no_hit_and_no_error_of_the_clients(make, clocks, token):
    proxy = make('coherent')
    link(proxy.runtime.store(), b'old' * 10)
    proxy.runtime.tokens.ring.token = Token('u' * 32, timestamp=token)
    assert proxy.request().body == BODY


OFFSETS = ['1799999999.00000', '1799999999.00000_0000000000000001', '1799999999.00000_00000000000000ff',
           '1799999999.00001']


@pytest.mark.holds('F8')
@pytest.mark.parametrize('known', OFFSETS)
@pytest.mark.parametrize('found', OFFSETS)
def test_offsets_count_though_x_timestamp_drops_them(make, clocks, known, found):
    """What came is kept only if it is no older than the last write that is known."""
    proxy = make('coherent')
    proxy.runtime.tokens.ring.token = Token(TOKEN.value, timestamp=known)
    proxy.swift.put(PATH, BODY, timestamp=found.partition('_')[0], X_Backend_Timestamp=found)
    assert word(proxy.request()) == ('fwd=miss; stored' if found >= known else 'fwd=miss')


@pytest.mark.holds('F8')
def test_another_offset_is_another_version(make, clocks):
    proxy = make('coherent')
    for number, offset in enumerate(OFFSETS[:3]):
        proxy.runtime.tokens.ring.token = Token(str(number) * 32)
        proxy.swift.put(PATH, BODY, timestamp='1799999999.00000', X_Backend_Timestamp=offset)
        assert word(proxy.request()) in ('fwd=miss; stored', 'fwd=stale; detail=changed; stored')
        for record in proxy.records(Admit):
            proxy.runtime.store().admit(record.spool_name)
        assert word(proxy.request()) == 'hit; detail=validated'


@pytest.mark.holds('F8')
@pytest.mark.parametrize('ahead, served', [(-DAY, True), (-1, True), (0, False), (HOUR, False)])
def test_an_object_that_expires_does_so_by_the_clock_of_now(make, clocks, ahead, served):
    proxy = make('max-age')
    proxy.swift.put(PATH, BODY, X_Delete_At=str(int(NOW + HOUR)))
    fill(proxy)
    clocks.ahead = NOW + HOUR + ahead - clocks.up
    assert word(proxy.request()).startswith('hit') is served


# times of files

@pytest.mark.holds('F8')
def test_a_hit_mends_a_time_to_come(make, clocks):
    """Or else the file would be the last to be evicted after each restart, until that time has come."""
    proxy = make('max-age')
    path = proxy.runtime.store().layout.entry(link(proxy.runtime.store(), BODY, Stamp('', NOW)).entry_name)
    for wrong in (NOW + DAY, NOW - DAY, NOW + 100 * 365 * DAY):
        os.utime(path, (wrong, wrong))
        proxy.request()
        assert abs(path.stat().st_mtime - clocks.wall()) < 1


@pytest.mark.holds('F8')
@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_a_hit_of_a_small_object_is_noted_as_well(make, clocks, method):
    proxy = make('max-age')
    path = proxy.runtime.store().layout.entry(link(proxy.runtime.store(), b'small', Stamp('', NOW)).entry_name)
    os.utime(path, (NOW - DAY, NOW - DAY))
    proxy.request(method)
    assert abs(path.stat().st_mtime - clocks.wall()) < 1


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.mark.holds('F8')
def test_a_file_from_the_future_is_evicted_in_its_turn(store):
    """It comes last in the order of a restart; what is used after it goes later."""
    names = [link(store, BODY, name=ObjectName('a', 'c', str(number))).entry_name for number in range(4)]
    for name in names:
        os.utime(store.layout.entry(name), (1000, 1000))
    os.utime(store.layout.entry(names[2]), (NOW + 100 * 365 * DAY,) * 2)
    manager = make_manager(store, 2**30)
    for name in names[:2]:
        manager.touch(name)
    for _ in range(2):
        evict_next(manager)
    assert sorted(item.entry_name for item in store.linked()) == sorted(names[:2])


@pytest.mark.holds('F8')
def test_a_spool_file_from_the_future_goes_as_late_as_one_of_now(store):
    path = store.layout.spool / spool(store, BODY)
    os.utime(path, (NOW + DAY, NOW + DAY))
    assert store.sweep_spool(NOW - HOUR, NOW) == 0
    assert store.sweep_spool(NOW - 1, NOW + HOUR - 1) == 0 and path.exists()
    assert store.sweep_spool(NOW + 1, NOW + HOUR + 1) == 1 and not path.exists()


@pytest.mark.holds('F8')
def test_a_spool_file_that_a_server_dates_a_little_ahead_is_let_be(store):
    path = store.layout.spool / spool(store, BODY)
    os.utime(path, (NOW + 5, NOW + 5))
    store.sweep_spool(NOW - HOUR, NOW)
    assert path.stat().st_mtime == NOW + 5
