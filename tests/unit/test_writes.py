"""Writes: which tokens are set, and when, around a small app that answers what it is told to."""
from types import SimpleNamespace

import pytest
from helpers.common.builders import NAME, NOW, FakeTokens, ListLogger, container_info, infocache, link
from swift.common.swob import Request, Response
from swift.common.utils import Timestamp

from swiftahead.cache import Store
from swiftahead.conf import FILTER
from swiftahead.freshness import ProcessTokens, Token
from swiftahead.middleware.runtime import Runtime
from swiftahead.middleware.writes import Write
from swiftahead.queues import Forget

PATH = '/v1' + NAME.path


class Writing:
    """The write of one object; `journal` has tokens, 'app', 'heard' and 'body' in their order."""

    def __init__(self, store=None):
        self.journal = []
        self.answer = '201 Created'
        self.envs = []
        self.records = []
        settings = FILTER.read({'cache_dir': '/not/there', 'queue': 'sqlite:/not/opened', 'freshness': 'max-age',
                                'detect_misplaced': 'off'})
        self.runtime = Runtime(settings, {}, ListLogger(), lambda: NOW)
        self.counted = []
        self.runtime.count = self.counted.append
        self.runtime.tokens = ProcessTokens(self.counted.append)
        self.runtime.tokens.ring = FakeTokens(journal=self.journal)
        self.runtime.store = lambda: store
        self.runtime.recorder = SimpleNamespace(add=self.records.append)

    def app(self, env, start_response):
        self.journal.append('app')
        self.envs.append(env)
        if isinstance(self.answer, Exception):
            raise self.answer
        start_response(self.answer, [])
        return self.body()

    def body(self):
        self.journal.append('body')
        yield b''

    def heard(self, status, headers, exc_info=None):
        self.journal.append(f'heard {status}')

    def __call__(self, method='PUT', authorize=None, info=None, headers=None):
        env = {'REQUEST_METHOD': method, 'swift.infocache': infocache(info or container_info())}
        if authorize is not None:
            env['swift.authorize'] = authorize
        req = Request.blank(PATH, environ=env, headers=headers or {})
        return Write(self.app, self.runtime, NAME)(req, self.heard)

    @property
    def tokens(self):
        return [item for item in self.journal if isinstance(item, Token)]

    @property
    def order(self):
        return ['token' if isinstance(item, Token) else item for item in self.journal]

    @property
    def sent_timestamp(self):
        return self.envs[0]['HTTP_X_TIMESTAMP']


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / 'cache')


@pytest.fixture
def writing():
    return Writing()


def by_acl(req):
    return None if req.acl == 'me' else Response(status=403)


def by_sync_key(req):
    return None if req.environ.get('swift_sync_key') == 'secret' else Response(status=403)


def test_a_token_is_set_before_the_app_is_asked_and_one_before_its_body_is_returned(writing):
    body = writing()
    assert writing.order == ['token', 'app', 'heard 201 Created', 'token']
    assert list(body) == [b'']


def test_the_first_token_is_pending_and_the_second_another(writing):
    writing()
    first, second = writing.tokens
    assert (first.pending, second.pending) == (True, False)
    assert first.value != second.value


def test_a_pending_token_says_no_timestamp(writing):
    writing()
    assert writing.tokens[0].timestamp == ''


@pytest.mark.parametrize('method, status', [
    ('PUT', '201 Created'), ('POST', '202 Accepted'), ('DELETE', '204 No Content'), ('DELETE', '404 Not Found')])
def test_a_write_that_took_effect_leaves_its_timestamp(writing, method, status):
    writing.answer = status
    writing(method)
    assert writing.tokens[1].timestamp == writing.sent_timestamp != ''


@pytest.mark.parametrize('method, status', [
    # 202 to a PUT: Swift has a newer one already
    ('PUT', '202 Accepted'), ('PUT', '404 Not Found'), ('POST', '404 Not Found'), ('PUT', '408 Request Timeout'),
    ('PUT', '412 x'), ('DELETE', '409 Conflict'), ('PUT', '503 Service Unavailable'),
    ('DELETE', '503 Service Unavailable')])
def test_a_write_that_failed_leaves_a_token_without_a_timestamp(writing, method, status):
    writing.answer = status
    writing(method)
    assert [(token.pending, token.timestamp) for token in writing.tokens] == [(True, ''), (False, '')]


def test_an_error_of_the_app_is_passed_on_after_the_second_token(writing):
    writing.answer = ZeroDivisionError('app')
    with pytest.raises(ZeroDivisionError, match='app'):
        writing()
    assert [(token.pending, token.timestamp) for token in writing.tokens] == [(True, ''), (False, '')]


def test_the_timestamp_that_a_client_sent_is_kept(writing):
    writing(headers={'X-Timestamp': '1234567890.12345'})
    assert writing.tokens[1].timestamp == writing.sent_timestamp == '1234567890.12345'


def test_a_timestamp_of_our_own_is_one_that_swift_understands(writing):
    writing()
    assert Timestamp(writing.sent_timestamp).internal == writing.tokens[1].timestamp


def test_a_timestamp_that_is_none_is_the_apps_to_refuse(writing):
    writing.answer = '400 Bad Request'
    writing(headers={'X-Timestamp': 'yesterday'})
    assert writing.order == ['app', 'heard 400 Bad Request']


@pytest.mark.parametrize('acl', [None, 'you'])
def test_a_write_that_is_refused_sets_no_token(writing, acl):
    writing.answer = '403 Forbidden'
    writing(authorize=by_acl, info=container_info(**({'x-container-write': acl} if acl else {})))
    assert writing.order == ['app', 'heard 403 Forbidden']


def test_a_write_that_the_containers_acl_allows_sets_tokens(writing):
    writing(authorize=by_acl, info=container_info(**{'x-container-write': 'me'}))
    assert len(writing.tokens) == 2


def test_the_read_acl_allows_no_write(writing):
    writing(authorize=by_acl, info=container_info(**{'x-container-read': 'me'}))
    assert writing.tokens == []


@pytest.mark.parametrize('key, count', [('secret', 2), ('wrong', 0)])
def test_the_containers_sync_key_counts(writing, key, count):
    writing(authorize=by_sync_key, info=container_info(**{'x-container-sync-key': key}))
    assert len(writing.tokens) == count


def test_authorisation_leaves_nothing_behind(writing):
    writing(authorize=by_acl, info=container_info(
        **{'x-container-write': 'me', 'x-container-sync-key': 'secret'}))
    assert not {'swob.ACL', 'swift_sync_key'} & set(writing.envs[0])


def test_memcached_out_of_reach_does_not_hurt_the_write(writing):
    writing.runtime.tokens.ring.reachable = False
    assert list(writing()) == [b'']
    assert writing.order == ['app', 'heard 201 Created', 'body']
    assert writing.counted.count('tokens_unreachable') == 2


def test_without_tokens_the_write_goes_its_way(writing):
    writing.runtime.tokens.ring = None
    writing()
    assert writing.order == ['app', 'heard 201 Created']


def test_what_was_deleted_is_forgotten(store):
    link(store, b'abc')
    writing = Writing(store)
    writing.answer = '204 No Content'
    writing('DELETE')
    assert writing.records == [Forget(NAME.account, NAME.container, object=NAME.object, at=NOW)]


def test_what_was_replaced_is_forgotten_where_memcached_went_away_meanwhile(store):
    link(store, b'abc')
    writing = Writing(store)
    writing.body = lambda: setattr(writing.runtime.tokens.ring, 'reachable', False)
    writing()
    assert writing.records == [Forget(NAME.account, NAME.container, object=NAME.object, at=NOW)]


def test_what_is_not_cached_need_not_be_forgotten(store):
    writing = Writing(store)
    writing('DELETE')
    assert writing.records == []


@pytest.mark.parametrize('method, status', [('PUT', '201 Created'), ('DELETE', '503 Service Unavailable')])
def test_what_was_not_deleted_is_not_forgotten(store, method, status):
    link(store, b'abc')
    writing = Writing(store)
    writing.answer = status
    writing(method)
    assert writing.records == []


def test_without_a_cache_folder_nothing_is_forgotten(writing):
    writing('DELETE')
    assert writing.records == [] and len(writing.tokens) == 2
