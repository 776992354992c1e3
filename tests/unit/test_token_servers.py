"""Which memcached servers the tokens are in, whatever form the conf has: those of Swift's own cache filter."""
import shutil
import time
from contextlib import closing

import pytest
from helpers.common.builders import NAME, ListLogger, close_logs, container_info, infocache, link, make_swift_dir
from helpers.common.counting import in_child
from helpers.common.faults import PATH
from helpers.filter.filtered import Odd, Proxy, ProxyLog, allow, word
from helpers.freshness.confforms import CACHE, ENDING, FORMS, ONE, THREE, TWO, Form
from helpers.freshness.memcacheds import Server, close
from swift.common.concurrency import GreenPool, eventlet
from swift.common.middleware.memcache import MemcacheMiddleware
from swift.common.swob import Request
from swift.common.wsgi import loadapp

from swiftahead.cache import Stamp, Store
from swiftahead.freshness import UNKNOWN, memcache_client
from swiftahead.middleware.filter import PrefetchFilter
from swiftahead.sidecar.cluster import client_app, token_ring, with_proxys_servers
from swiftahead.sidecar.settings import check_client, read_settings

# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
needs_memcached = pytest.mark.skipif(shutil.which('memcached') is None, reason='memcached is not installed')
PLAIN = FORMS['plain'].sections
BODY = b'of the cache'
forms = pytest.mark.parametrize('form', FORMS.values(), ids=FORMS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_swift_dir(tmp_path, monkeypatch)
    Store.create(tmp_path / 'cache')
    yield tmp_path
    close_logs()


def proxy_conf(folder, form, ours='', name='proxy-server.conf'):
    """:param ours: lines of the prefetch filter's section"""
    more = (f'{ENDING}[filter:gatekeeper]\nuse = egg:swift#gatekeeper\n[filter:catch_errors]\n'
            f'use = egg:swift#catch_errors\n[filter:prefetch]\nuse = egg:swiftahead#prefetch\n'
            f'cache_dir = {folder}/cache\nqueue = sqlite:{folder}/queue.db\n{ours}\n')
    return form.write(folder / name, 'catch_errors gatekeeper', 'prefetch proxy-server', more)


def caches(app):
    """The rings of Swift's cache filters, from left to right, however they came there."""
    while app is not None:
        if isinstance(app, MemcacheMiddleware):
            yield app.memcache
        app = getattr(app, 'app', None)


def swifts_servers(app):
    """Those of the cache filter that a request meets last."""
    return sorted(list(caches(app))[-1].memcache_servers)


class StartedProxy:
    """A proxy-server's app as Swift makes it of a conf, after its first request."""

    def __init__(self, conf):
        self.app = loadapp(str(conf))
        self.filter, = [one for one in self.app._pipeline if isinstance(one, PrefetchFilter)]
        self.filter.logger = self.log = ProxyLog()
        env = {'swift.authorize': allow, 'swift.infocache': infocache(container_info())}
        Request.blank(PATH, environ=env).get_response(self.app)
        self.runtime = self.filter._runtime

    def close(self):
        self.runtime.close()


@pytest.fixture
def start(folder):
    started = []

    def start(conf):
        started.append(StartedProxy(conf))
        return started[-1]
    yield start
    for one in started:
        one.close()


# the filter

@forms
def test_the_filters_are_those_that_swift_has_made_of_the_conf(folder, start, form):
    proxy = start(proxy_conf(folder, form))
    assert swifts_servers(proxy.app) == form.servers
    assert (proxy.runtime.tokens.ring.client.servers, proxy.log.errors) == (form.servers, [])


def test_the_filters_may_be_said_again_in_any_order(folder, start):
    proxy = start(proxy_conf(folder, FORMS['several'], f'memcache_servers = {TWO},{THREE}, {ONE}'))
    assert (proxy.runtime.tokens.ring.client.servers, proxy.log.errors) == ([ONE, TWO, THREE], [])


def test_other_servers_than_swifts_are_an_error_that_names_both_and_what_to_do(folder, start):
    proxy = start(proxy_conf(folder, FORMS['plain'], f'memcache_servers = {TWO}'))
    said, = proxy.log.errors
    assert said.startswith('every hit is validated by a HEAD, as with freshness = validate: ')
    assert f'[filter:prefetch] are {TWO}, but Swift\'s cache filter has {ONE}; take memcache_servers out' in said
    assert (proxy.runtime.tokens.ring, proxy.runtime.settings.freshness) == (None, 'validate')


def test_without_a_cache_filter_nobody_says_where_the_tokens_are(folder, start):
    proxy = start(proxy_conf(folder, Form([], '', cache='')))
    said, = proxy.log.errors
    assert 'came without the ring of Swift\'s cache filter' in said and 'add "cache"' in said
    assert (proxy.runtime.tokens.ring, proxy.runtime.settings.freshness) == (None, 'validate')


@pytest.mark.parametrize('default, ours', [('', f'memcache_servers = {ONE}'), (f'memcache_servers = {ONE}', '')])
def test_without_a_cache_filter_the_own_option_names_them(folder, start, default, ours):
    proxy = start(proxy_conf(folder, Form([], '', default, ''), ours))
    assert (proxy.runtime.tokens.ring.client.servers, proxy.log.errors) == ([ONE], [])


def test_tls_is_as_swifts_cache_filter_has_it(folder, start):
    text = f'{PLAIN}\ntls_enabled = true'
    proxy = start(proxy_conf(folder, Form([ONE], text)))
    swifts, = caches(proxy.app)
    pool = proxy.runtime.tokens.ring.client._connections[ONE]._connect.args[0]
    # the same rules, and connections of our own
    assert pool._tls_context is swifts._client_cache[ONE]._tls_context is not None
    assert pool is not swifts._client_cache[ONE]


@pytest.mark.parametrize('freshness', ['validate', 'max-age'])
def test_other_modes_need_no_servers(folder, start, freshness):
    proxy = start(proxy_conf(folder, FORMS['plain'], f'memcache_servers = {TWO}\nfreshness = {freshness}'))
    assert (proxy.runtime.tokens.ring, proxy.log.errors) == (None, [])


# requests, with a memcached

@pytest.fixture(scope='module')
def running():
    with closing(Server()) as server:
        yield server


@pytest.fixture
def server(running):
    running.flush()
    return running


@pytest.fixture
def make(tmp_path, server, monkeypatch):
    """A worker whose Swift has its cache on the running server; all have the same backend and folder."""
    # however busy the machine is
    monkeypatch.setattr(memcache_client, 'LONGEST_WAIT', 60.0)
    made, backend, store = [], Odd(), Store.create(tmp_path / 'cache')
    backend.put(PATH, BODY)

    def make(begin=True, **conf):
        conf = {'freshness': 'coherent', 'memcache_servers': server.address, **conf}
        made.append(Proxy(store.layout.cache_dir, tmp_path / f'{len(made)}.db', backend, begin=begin,
                          swifts_cache=server.swifts_ring(io_timeout=60.0), **conf))
        return made[-1]
    # as the sidecar would have fetched it
    link(store, BODY, Stamp(server.ring.ensure(NAME).value, time.time()))
    yield make
    for one in made:
        one.close()
        one.runtime.close()
        close(one.swifts_cache)


@needs_memcached
def test_hits_rely_on_tokens_where_the_servers_are_swifts(make):
    assert word(make().request()) == 'hit'


@needs_memcached
def test_hits_are_validated_where_the_servers_are_others_and_counted_by_that_reason(make):
    proxy = make(memcache_servers=ONE)
    assert [word(proxy.request()) for _ in range(3)] == ['hit; detail=validated'] * 3
    assert proxy.counts.count('validations.memcached-conf') == 3


@needs_memcached
def test_one_error_tells_of_it_however_many_requests_come(make):
    proxy = make(memcache_servers=ONE)
    for _ in range(3):
        proxy.request()
    assert [ONE in said for said in proxy.log.errors] == [True]


@needs_memcached
@pytest.mark.parametrize('method', ['PUT', 'POST', 'DELETE'])
def test_writes_are_told_to_swifts_servers_whatever_the_filter_names(make, server, method):
    before = server.ring.get(NAME)
    assert make(memcache_servers=ONE).request(method).status_int == 201
    assert server.ring.get(NAME) not in (before, None)


@needs_memcached
def test_what_was_written_where_the_conf_is_wrong_is_not_read_old_where_it_is_right(make):
    right, wrong = make(), make(memcache_servers=ONE)
    assert word(right.request()) == 'hit'
    wrong.request('POST')
    assert word(right.request()) != 'hit'


@needs_memcached
def test_readers_do_not_read_along_on_the_word_of_servers_in_doubt(make):
    proxy = make(memcache_servers=ONE)
    assert proxy.runtime.tokens.take(proxy.runtime.tokens.ask(NAME)) == UNKNOWN


@needs_memcached
def test_a_purge_is_told_to_swifts_servers_too(make, server):
    before = server.ring.get(NAME)
    resp = make(memcache_servers=ONE).request('POST', '/v1/AUTH_test/c?prefetch=forget&name=o')
    assert resp.body.endswith(b'other nodes validate their copies at the next read\n')
    assert server.ring.get(NAME).value != before.value


@needs_memcached
@pytest.mark.parametrize('named', ['', ONE])
def test_a_first_request_without_swifts_ring_does_not_decide_for_those_after_it(make, named):
    proxy = make(begin=False, memcache_servers=named)
    assert proxy.app._ready(None).awaits_ring
    assert word(proxy.request()) == ('hit; detail=validated' if named else 'hit')
    assert not proxy.runtime.awaits_ring


@needs_memcached
def test_first_requests_at_the_same_time_begin_once_and_rely_on_the_same_servers(make):
    proxy, pool = make(begin=False), GreenPool()
    words = list(pool.imap(lambda _: word(proxy.request()), range(20)))
    assert words == ['hit'] * 20
    assert [said for said in proxy.log.said if said.startswith('freshness tokens')] == [
        f'freshness tokens in memcached at {proxy.swifts_cache.memcache_servers[0]}']


@needs_memcached
@pytest.mark.parametrize('begin', [False, True], ids=['before the first request', 'after it'])
def test_a_worker_that_is_forked_has_connections_of_its_own(make, begin):
    proxy = make(begin=begin)
    before = proxy.runtime.tokens.ring if begin else None

    def first_request():
        eventlet.hubs.use_hub()
        return 0 if word(proxy.request()) == 'hit' and proxy.runtime.tokens.ring is not before else 1
    assert [in_child(first_request), in_child(first_request)] == [0, 0]
    proxy.ready()
    assert word(proxy.request()) == 'hit'


# the sidecar

SIDECAR = '[sidecar]\ncache_dir = {0}/cache\nqueue = sqlite:{0}/queue.db\n'
README = SIDECAR + 'swift_dir = {0}\n[pipeline:main]\npipeline = catch_errors proxy-logging cache proxy-server\n'


def settings_of(folder, text=README, log=None):
    """A sidecar's settings as its parts get them."""
    path = folder / 'sidecar.conf'
    path.write_text(text.format(folder))
    return with_proxys_servers(read_settings(str(path)), log or ProxyLog())


def assert_asks(settings, servers):
    """Tokens and the client's own cache are there."""
    app = client_app(settings, 'test')
    assert token_ring(settings, ListLogger()).client.servers == swifts_servers(app) == servers


@forms
def test_the_sidecars_are_those_of_the_proxy(folder, form):
    proxy_conf(folder, form)
    log = ProxyLog()
    assert_asks(settings_of(folder, log=log), form.servers)
    assert log.errors == []


@forms
def test_the_sidecars_own_conf_is_read_as_swift_reads_it(folder, form):
    conf = form.write(folder / 'sidecar.conf', 'catch_errors', 'proxy-server', SIDECAR.format(folder) + (
        f'{ENDING}[filter:catch_errors]\nuse = egg:swift#catch_errors\n'))
    settings = read_settings(str(conf))
    check_client(settings)
    assert_asks(with_proxys_servers(settings, ProxyLog()), form.servers)


def test_clients_of_one_conf_are_told_apart_in_the_log(folder):
    settings = settings_of(folder)
    names = [client_app(settings, name).logger.server for name in ('one', 'two')]
    assert names == ['one', 'two']


def test_what_the_sidecars_conf_names_counts_and_others_than_the_proxys_are_an_error(folder):
    proxy_conf(folder, FORMS['plain'])
    log = ProxyLog()
    assert_asks(settings_of(folder, README + FORMS['two sections'].sections, log), [TWO])
    said, = log.errors
    assert f'asked of memcached at {TWO}, but {folder}/proxy-server.conf has {ONE}; take memcache_servers' in said


def test_the_same_servers_in_another_order_are_no_error(folder):
    proxy_conf(folder, FORMS['several'])
    log = ProxyLog()
    settings_of(folder, f'{README}{CACHE}memcache_servers = {TWO},{THREE},{ONE}', log)
    assert log.errors == []


def test_of_several_proxies_the_one_counts_that_has_this_queue(folder):
    (folder / 'proxy-server').mkdir()
    other = proxy_conf(folder, FORMS['plain'], name='proxy-server.conf')
    other.write_text(other.read_text().replace('queue.db', 'other.db'))
    proxy_conf(folder, FORMS['two sections'], f'swift_dir = {folder}', 'proxy-server/1.conf')
    assert_asks(settings_of(folder), [TWO])


def test_a_proxy_that_has_no_filter_yet_tells_them_too(folder):
    FORMS['plain'].write(folder / 'proxy-server.conf', '', 'proxy-server', ENDING)
    assert_asks(settings_of(folder), [ONE])


def test_of_a_proxy_without_a_cache_filter_they_are_those_of_the_prefetch_filter(folder):
    proxy_conf(folder, Form([], '', cache=''), f'memcache_servers = {ONE}')
    assert_asks(settings_of(folder), [ONE])


def test_where_no_proxy_is_they_are_as_swift_finds_them_and_that_is_said(folder):
    (folder / 'memcache.conf').write_text(f'[memcache]\nmemcache_servers = {ONE}\n')
    log = ProxyLog()
    assert_asks(settings_of(folder, log=log), [ONE])
    said, = log.errors
    assert said.startswith(f'no conf of a proxy-server in {folder} tells its memcached servers: taken are {ONE}.')


@pytest.mark.parametrize('text', [
    'rubbish', '[pipeline:main]\npipeline = none\n',
    f'[pipeline:main]\npipeline = x proxy-server\n[filter:x]\nuse = egg:no-such-egg#x\n{ENDING}'])
def test_a_proxys_conf_that_cannot_be_loaded_is_said_and_ends_nothing(folder, text):
    (folder / 'proxy-server.conf').write_text(text)
    log = ProxyLog()
    assert_asks(settings_of(folder, log=log), ['127.0.0.1:11211'])
    assert log.errors[0].startswith(f'{folder}/proxy-server.conf cannot be loaded to learn its memcached servers')


def test_tls_of_the_proxy_is_the_sidecars_too(folder):
    text = f'{PLAIN}\ntls_enabled = true'
    proxy_conf(folder, Form([ONE], text))
    settings = settings_of(folder)
    pool = token_ring(settings, ListLogger()).client._connections[ONE]._connect.args[0]
    swifts, = caches(client_app(settings, 'test'))
    assert None not in (pool._tls_context, swifts._client_cache[ONE]._tls_context)


APP = '[app:proxy-server]\nuse = egg:swift#proxy\n'


@pytest.mark.parametrize('text', [
    f'[DEFAULT]\nuser = nobody\n{APP}', f'{APP}user = nobody', f'[DEFAULT]\nuser = daemon\n{APP}set user = nobody',
    f'[DEFAULT]\nuser = %(who)s\nwho = nobody\n{APP}',
    '[app:proxy-server]\nuse = base\n[app:base]\nuse = egg:swift#proxy\nuser = nobody',
    '[app:proxy-server]\nuse = config:other.ini#base'])
@pytest.mark.parametrize('place', ['proxy-server.conf', 'proxy-server/1.conf', 'proxy-server.conf.d/1.conf',
                                   'proxy-server/1.conf.d/1.conf'])
def test_the_user_is_whom_swift_would_run_the_proxy_as(folder, place, text):
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    # beside the file, or beside the folder
    for beside in path.parents[:2]:
        (beside / 'other.ini').write_text('[app:base]\nuse = egg:swift#proxy\nuser = nobody\n')
    (folder / 'sidecar.conf').write_text(README.format(folder))
    assert read_settings(str(folder / 'sidecar.conf')).user == 'nobody'
