"""The filter whole, over a small app that answers as proxy-server does, with a real cache and queue."""
import os
import time

import pytest
from helpers.common.builders import NAME, FakeSwift, FakeTokens, container_info, infocache, link, spool
from helpers.filter.filtered import tell
from swift.common.concurrency import Timeout, sleep
from swift.common.swob import Request, Response

from swiftahead.cache import Stamp, Store
from swiftahead.freshness import Token
from swiftahead.middleware import filter_factory
from swiftahead.queues import Access, Admit, Forget, Warm, open_queue

PATH = '/v1' + NAME.path
BODY = os.urandom(100_000)


def allow(req):
    return None


def deny(req):
    return Response(status=403)


def by_acl(req):
    return None if req.acl == 'me' else Response(status=403)


class Proxy:
    """A filter in front of a FakeSwift."""

    def __init__(self, folder, **conf):
        self.swift = FakeSwift()
        self.swift.put(PATH, BODY)
        self.folder = folder
        self.queue = open_queue(f'sqlite:{folder}/queue.db')
        conf = {'cache_dir': str(folder), 'queue': f'sqlite:{folder}/queue.db', 'freshness': 'max-age',
                'memcache_servers': '127.0.0.1:1', **conf}
        self.app = filter_factory({}, **conf)(self.swift)

    def request(self, method='GET', path=PATH, authorize=allow, info=None, env=None, **headers):
        env = {'REQUEST_METHOD': method, 'REMOTE_ADDR': '10.0.0.1',
               'swift.infocache': infocache(info or container_info()), **(env or {})}
        if authorize is not None:
            env['swift.authorize'] = authorize
        req = Request.blank(path, environ=env,
                            headers={key.replace('_', '-'): value for key, value in headers.items()})
        resp = req.get_response(self.app)
        # read whole, as a client does
        assert resp.body is not None
        return resp

    def records(self, count):
        found = []
        with Timeout(20):
            while len(found) < count:
                sleep(0.01)
                leased = self.queue.lease(100, 60)
                self.queue.done([item.id for item in leased])
                found += [item.record for item in leased]
        return found

    def asked(self):
        asked, self.swift.requests[:] = list(self.swift.requests), []
        return [(method, path) for method, path, _ in asked]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'cache'


@pytest.fixture
def store(folder):
    return Store.create(folder)


@pytest.fixture
def proxies(folder):
    made = []

    def make(**conf):
        made.append(Proxy(folder, **conf))
        return made[-1]

    yield make
    for proxy in made:
        # Swift's get_logger leaves the handler of an earlier logger open
        for handler in proxy.app.logger.logger.handlers:
            handler.close()
        if proxy.app._runtime is not None:
            recorder = proxy.app._runtime.recorder
            with Timeout(20):
                while not recorder.idle:
                    sleep(0.01)
            recorder.close()
        proxy.queue.close()


@pytest.fixture
def proxy(store, proxies):
    return proxies()


def fresh(store, body=BODY, **more):
    """An entry that max-age trusts now."""
    return link(store, body, Stamp('', time.time()), **more)


def status(resp):
    return resp.headers.get('Cache-Status')


def test_a_miss_is_captured_and_said(proxy, store):
    resp = proxy.request()
    assert (resp.status_int, resp.body, status(resp)) == (200, BODY, 'swiftahead; fwd=miss; stored')
    access, admit = proxy.records(2)
    assert isinstance(access, Access) and access.outcome == 'miss' and access.bytes == len(BODY)
    assert isinstance(admit, Admit)
    store.admit(admit.spool_name)
    again = proxy.request()
    assert (again.body, status(again)) == (BODY, 'swiftahead; hit')
    assert proxy.asked() == [('GET', PATH)]


def test_a_hit_needs_no_backend_and_has_the_same_headers(proxy, store):
    plain = proxy.request(X_Newest='true')
    fresh(store)
    proxy.asked()
    hit = proxy.request()
    ours = ('Age', 'Cache-Status', 'X-Object-Prefetched')
    assert hit.body == plain.body
    assert ({key: value for key, value in hit.headers.items() if key not in ours}
            == {key: value for key, value in plain.headers.items() if key not in ours})
    assert proxy.asked() == []


@pytest.mark.parametrize('origin, said', [('read', None), ('prefetch', 'True'), ('warm', 'True')])
def test_what_was_fetched_ahead_is_said(proxy, store, origin, said):
    fresh(store, origin=origin)
    assert proxy.request().headers.get('X-Object-Prefetched') == said


def test_nothing_is_said_when_the_operator_does_not_want_it(proxies, store):
    fresh(store, origin='prefetch')
    hit = proxies(cache_status='off').request()
    assert not {'Age', 'Cache-Status', 'X-Object-Prefetched'} & set(hit.headers)


def test_a_hit_is_not_for_those_who_may_not_read(proxy, store):
    fresh(store)
    denied = proxy.request(authorize=deny)
    assert denied.status_int == 403
    assert status(denied) is None
    assert proxy.asked() == [('GET', PATH)]


def test_no_cache_file_is_opened_before_authorisation_succeeded(proxy, store, monkeypatch):
    fresh(store)
    opened = []
    monkeypatch.setattr(Store, 'entry', lambda *args: opened.append(args))
    proxy.request(authorize=deny)
    assert opened == []
    proxy.request()
    assert opened


@pytest.mark.parametrize('acl, code', [('me', 200), ('you', 403), (None, 403)])
def test_the_containers_acl_counts(proxy, store, acl, code):
    fresh(store)
    info = container_info(**({'x-container-read': acl} if acl else {}))
    assert proxy.request(authorize=by_acl, info=info).status_int == code


def test_the_acl_is_taken_back_before_a_request_is_passed_on(proxy, store):
    seen = []

    def authorize(req):
        seen.append(req.acl)
        return Response(status=403)

    proxy.request(authorize=authorize, info=container_info(**{'x-container-read': 'x'}))
    assert seen == [None, 'x', None]


def test_without_a_cache_folder_requests_pass_until_there_is_one(proxies, folder):
    proxy = proxies()
    assert proxy.request().body == BODY
    Store.create(folder)
    proxy.app._runtime._look_at = 0.0
    assert status(proxy.request()) == 'swiftahead; fwd=miss; stored'


def test_head_is_answered_from_the_entry_without_a_body(proxy, store):
    fresh(store)
    resp = proxy.request('HEAD')
    assert (resp.body, resp.content_length, status(resp)) == (b'', len(BODY), 'swiftahead; hit')


def test_a_head_that_misses_is_not_captured(proxy, store):
    proxy.request('HEAD')
    assert list(store.spool_files()) == []


def test_no_prefetch_may_hit_but_leaves_nothing(proxy, store):
    assert status(proxy.request(X_No_Prefetch='true')) == 'swiftahead; fwd=miss'
    fresh(store)
    assert status(proxy.request(X_No_Prefetch='1')) == 'swiftahead; hit'
    proxy.request()
    record, = proxy.records(1)
    assert record.outcome == 'hit'
    assert list(store.spool_files()) == []


def test_what_waits_for_admission_is_not_captured_again(proxy, store):
    assert [status(proxy.request()) for _ in range(3)] == [
        'swiftahead; fwd=miss; stored', 'swiftahead; fwd=miss; collapsed', 'swiftahead; fwd=miss; collapsed']
    proxy.app._runtime.collapsed_reads.close()
    assert [status(proxy.request()) for _ in range(2)] == ['swiftahead; fwd=miss'] * 2
    proxy.swift.put(PATH, BODY, timestamp='1800000009.00000')
    assert status(proxy.request()) == 'swiftahead; fwd=miss; stored'


def test_what_was_not_admitted_is_captured_again(proxy, store):
    proxy.request()
    store.sweep_spool(time.time() + 10)
    proxy.app._runtime.collapsed_reads.close()
    assert status(proxy.request()) == 'swiftahead; fwd=miss; stored'


def test_no_prefetch_holds_for_all_requests_of_a_transaction(proxy, store):
    shared = infocache(container_info())
    proxy.request(env={'swift.infocache': shared}, X_No_Prefetch='true')
    proxy.request(env={'swift.infocache': shared, 'REMOTE_ADDR': ''})
    assert list(store.spool_files()) == []


def test_sub_requests_belong_to_the_client_who_asked(proxy, store):
    shared = infocache(container_info())
    proxy.request(env={'swift.infocache': shared, 'REMOTE_USER': 'me'})
    proxy.request(env={'swift.infocache': shared, 'REMOTE_ADDR': ''})
    proxy.request(env={'REMOTE_USER': 'you'})
    clients = [record.client for record in proxy.records(4) if isinstance(record, Access)]
    assert clients[0] == clients[1] != clients[2]


@pytest.mark.parametrize('headers', [{'Range': 'bytes=0-9'}, {'If_None_Match': '"x"'}])
def test_parts_and_conditional_answers_are_not_captured(proxy, store, headers):
    resp = proxy.request(**headers)
    assert status(resp) == 'swiftahead; fwd=miss'
    assert list(store.spool_files()) == []


@pytest.mark.parametrize('path, info', [
    ('/v1/AUTH_test/c/none', container_info()), (PATH, container_info(404))])
def test_what_is_not_there_is_not_kept(proxy, store, path, info):
    proxy.request(path=path, info=info)
    assert list(store.spool_files()) == []


def test_a_changed_object_is_found_by_validation_and_forgotten(proxies, store):
    proxy = proxies(freshness='validate')
    fresh(store)
    assert status(proxy.request()) == 'swiftahead; hit; detail=validated'
    proxy.swift.put(PATH, b'new', timestamp='1800000001.00000')
    resp = proxy.request()
    assert (resp.body, status(resp)) == (b'new', 'swiftahead; fwd=stale; detail=changed; stored')
    assert any(isinstance(record, Forget) and record.identity for record in proxy.records(4))


def test_validation_asks_all_replicas_for_the_object_and_nothing_else(proxies, store):
    proxy = proxies(freshness='validate')
    fresh(store)
    proxy.request(Range='bytes=0-1', If_None_Match='"x"', X_Backend_Etag_Is_At='X-Object-Sysmeta-A')
    (method, _, headers), = proxy.swift.requests
    assert method == 'HEAD'
    assert headers['HTTP_X_NEWEST'] == 'true'
    assert not {'HTTP_RANGE', 'HTTP_IF_NONE_MATCH', 'HTTP_X_BACKEND_ETAG_IS_AT'} & set(headers)


@pytest.mark.parametrize('token, stamped', [
    (None, False), (Token('t', pending=True), False), (Token('t'), False), (Token('t', timestamp='1'), True)])
def test_only_an_answer_that_is_known_to_be_current_is_stamped(proxies, store, token, stamped):
    """A token that knows of no write cannot tell whether this one replica has missed one."""
    proxy = proxies(freshness='coherent')
    proxy.app._ready().tokens.ring = FakeTokens(token)
    proxy.request()
    store.admit(next(store.spool_files()).entry_name)
    with store.entry(NAME) as entry:
        assert (entry.stamp is not None) is stamped


def test_an_answer_that_missed_the_last_write_is_not_kept(proxies, store):
    proxy = proxies(freshness='coherent')
    proxy.app._ready().tokens.ring = FakeTokens(Token('t', timestamp='1800000000.00000'))
    assert proxy.request().body == BODY
    assert list(store.spool_files()) == []


def test_a_deleted_object_is_not_served(proxies, store):
    proxy = proxies(freshness='validate')
    fresh(store)
    del proxy.swift.objects[PATH]
    assert proxy.request().status_int == 404


def test_a_damaged_entry_is_a_miss_and_is_forgotten(proxy, store):
    path = store.layout.entry(fresh(store).entry_name)
    path.write_bytes(path.read_bytes()[:5000])
    assert proxy.request().body == BODY
    assert any(isinstance(record, Forget) for record in proxy.records(3))


def test_a_bad_block_is_replaced_from_the_backend(proxy, store):
    path = store.layout.entry(fresh(store).entry_name)
    with open(path, 'r+b') as file:
        file.seek(4096 + 80_000)
        file.write(b'\0\1\2\3')
    resp = proxy.request()
    assert (resp.body, status(resp)) == (BODY, 'swiftahead; hit')
    (method, _, headers), = proxy.swift.requests
    assert (method, headers['HTTP_RANGE']) == ('GET', 'bytes=65536-99999')


def test_a_bad_block_of_a_changed_object_ends_the_answer(proxy, store):
    path = store.layout.entry(fresh(store).entry_name)
    with open(path, 'r+b') as file:
        file.seek(4096 + 80_000)
        file.write(b'\0\1\2\3')
    proxy.swift.put(PATH, b'x' * len(BODY), timestamp='1800000001.00000')
    with pytest.raises(Exception, match='412'):
        proxy.request()


def test_a_full_spool_means_no_capture(proxies, store):
    spool(store, b'x' * 10_000)
    proxy = proxies(spool_size='8 KiB')
    resp = proxy.request()
    assert (resp.body, status(resp)) == (BODY, 'swiftahead; fwd=miss')


@pytest.mark.parametrize('told, captured', [
    ('{"spool_size": 8192}', False), ('{"spool_size": 1000000}', True), ('{"spool_size": "much"}', True),
    ('[]', True), ('no JSON', True)])
def test_the_sidecar_tells_how_large_the_spool_may_be(proxy, store, told, captured):
    spool(store, b'x' * 10_000)
    store.layout.report.write_text(told)
    assert status(proxy.request()) == 'swiftahead; fwd=miss' + captured * '; stored'


@pytest.mark.parametrize('told, is_captured', [
    ({}, True), ({'max_object_size': len(BODY)}, True), ({'max_object_size': len(BODY) - 1}, False),
    ({'max_object_size': True}, True), ({'max_object_size': -1}, True), ({'max_object_size': 'some'}, True),
    ({'free_space': 0}, True), ({'free_space': 90}, False), ({'free_space': 91}, True)])
def test_the_sidecar_tells_what_may_be_captured(proxy, store, monkeypatch, told, is_captured):
    disk = os.statvfs_result((4096, 4096, 10**6, 10**6 // 2, 10**6 // 2, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, 'statvfs', lambda path: disk)
    tell(store.layout.cache_dir, **told)
    assert status(proxy.request()) == 'swiftahead; fwd=miss' + is_captured * '; stored'


def test_what_the_sidecar_tells_later_is_in_force_within_a_second(proxy, store):
    proxy.request()
    tell(store.layout.cache_dir, max_object_size=1)
    proxy.app._runtime._look_at = 0.0
    proxy.app._runtime.store()
    assert proxy.app._runtime.settings.max_object_size == 1
    # until it tells something else
    store.layout.report.unlink()
    proxy.app._runtime._look_at = 0.0
    proxy.app._runtime.store()
    assert proxy.app._runtime.settings.max_object_size == 1


def test_a_spool_size_of_its_own_goes_before_the_sidecars(proxies, store):
    spool(store, b'x' * 10_000)
    store.layout.report.write_text('{"spool_size": 8192}')
    assert status(proxies(spool_size='1 MiB').request()) == 'swiftahead; fwd=miss; stored'


def test_a_spool_that_cannot_be_written_means_no_capture(proxy, store):
    store.layout.spool.rmdir()
    resp = proxy.request()
    assert resp.body == BODY


def test_an_error_of_ours_is_not_the_clients(proxy, store, monkeypatch):
    monkeypatch.setattr('swiftahead.middleware.get.identify', lambda *args: 1 / 0)
    resp = proxy.request()
    assert (resp.status_int, resp.body) == (200, BODY)


@pytest.mark.parametrize('method, path', [
    ('GET', '/v1/AUTH_test/c'), ('GET', '/v1/AUTH_test'), ('GET', '/info'), ('OPTIONS', PATH),
    ('PUT', '/v1/AUTH_test/c'), ('POST', '/v1/AUTH_test/c')])
def test_what_is_not_ours_is_passed_on_untouched(proxy, method, path):
    env = Request.blank(path, environ={'REQUEST_METHOD': method}).environ
    before = dict(env)
    proxy.app(env, lambda *args: None)
    assert env == before
    assert proxy.asked() == [(method, path)]


def test_warm_and_forget_become_records(proxy, store):
    warm = proxy.request('POST', '/v1/AUTH_test/c?prefetch=warm&prefix=p%C3%A9&limit=5')
    forget = proxy.request('POST', '/v1/AUTH_test/c?prefetch=forget&name=o')
    assert (warm.status_int, forget.status_int) == (202, 202)
    first, second = proxy.records(2)
    assert isinstance(first, Warm) and (first.prefix, first.limit) == ('pé', 5)
    assert isinstance(second, Forget) and second.object == 'o'
    assert proxy.asked() == []


@pytest.mark.parametrize('query', ['xprefetch=1', 'z=prefetch=1', 'xprefetch=warm'])
def test_what_only_looks_like_control_is_swifts(proxy, store, query):
    assert proxy.request('POST', f'/v1/AUTH_test/c?{query}').status_int == 201
    assert proxy.asked() == [('POST', '/v1/AUTH_test/c')]


def test_a_hit_is_logged_with_its_policy(proxy, store):
    fresh(store)

    req = Request.blank(PATH, environ={'swift.authorize': allow, 'swift.infocache': infocache(container_info())})
    req.get_response(proxy.app)
    assert req.headers['X-Backend-Storage-Policy-Index'] == '0'


def test_control_is_for_those_who_may_write_to_the_container(proxy, store):
    path = '/v1/AUTH_test/c?prefetch=warm'
    info = container_info(**{'x-container-read': 'me', 'x-container-write': 'you'})
    assert proxy.request('POST', path, authorize=by_acl, info=info).status_int == 403
    info = container_info(**{'x-container-write': 'me'})
    assert proxy.request('POST', path, authorize=by_acl, info=info).status_int == 202


@pytest.mark.parametrize('query', ['prefetch=wram', 'prefetch=warm&limit=x'])
def test_a_wrong_control_request_is_told_what_to_send(proxy, store, query):
    resp = proxy.request('POST', f'/v1/AUTH_test/c?{query}')
    assert resp.status_int == 400 and b'must be' in resp.body


def test_wrong_options_stop_the_start(folder):
    with pytest.raises(ValueError, match='max_age = soon'):
        filter_factory({}, cache_dir=str(folder), queue=f'sqlite:{folder}/q', max_age='soon')


def test_nothing_is_made_before_the_first_request(proxies, folder):
    proxies()
    assert not folder.exists()
