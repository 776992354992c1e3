"""The filter's place, in pipelines that Swift's own loadapp makes: where it is right, an object that is cached is
answered; elsewhere all goes on to proxy-server, whose object servers nobody runs here."""
import logging
import random
import time
from dataclasses import replace
from typing import ClassVar

import pytest
from helpers.common.builders import NAME, container_info, make_swift_dir, meta_for
from helpers.filter.filtered import ProxyLog, allow, infocache
from swift.common.concurrency import Timeout, sleep
from swift.common.swob import Request
from swift.common.utils import logs
from swift.common.wsgi import ConfigString, PipelineWrapper, loadapp, loadcontext, loadwsgi
from swift.proxy.server import required_filters

from swiftahead.cache import Store
from swiftahead.middleware import recorder
from swiftahead.middleware.filter import PrefetchFilter, pipeline_error

BODY = b'of the cache'
EGGS = {'cache': 'swift#memcache', 'prefetch': 'swiftahead#prefetch', 'other': 'swiftahead#prefetch'}
OPTIONS = {
    'keymaster': 'encryption_root_secret = ' + 'A' * 44,
    'cache': 'memcache_servers = 127.0.0.1:1'}
# what may stand left of the filter, as Swift's sample has it
LEFT = ['catch_errors', 'gatekeeper', 'healthcheck', 'proxy-logging', 'cache', 'listing_formats', 'bulk',
        'tempurl', 'ratelimit', 'formpost', 'tempauth', 'staticweb', 'copy', 'container-quotas', 'account-quotas',
        'slo', 'dlo', 'versioned_writes', 'symlink', 'keymaster', 'encryption']
COMPLETE = 'catch_errors gatekeeper tempauth copy dlo slo versioned_writes symlink'


def sections(folder, names):
    conf = [f'[DEFAULT]\nswift_dir = {folder}\n', '[app:proxy-server]\nuse = egg:swift#proxy\n']
    ours = f'cache_dir = {folder}/cache\nqueue = sqlite:{folder}/q\nfreshness = max-age\n'
    for name in sorted({*names, 'prefetch', 'slo', 'cache', 'catch_errors', 'gatekeeper'}):
        egg = EGGS.get(name, f'swift#{name.replace("-", "_")}')
        more = ours if 'swiftahead' in egg else OPTIONS.get(name, '')
        conf.append(f'[filter:{name}]\nuse = egg:{egg}\n{more}\n')
    return '\n'.join(conf)


def conf(folder, pipeline):
    names = pipeline.replace('proxy-server', '').split()
    return f'{sections(folder, names)}\n[pipeline:main]\npipeline = {pipeline}\n'


def filters(app):
    """The filters of an app, from left to right, however they came there."""
    while app is not None:
        if isinstance(app, PrefetchFilter):
            yield app
        app = getattr(app, 'app', None)


class Pipeline:
    """A pipeline whose cache holds one object."""

    def __init__(self, text, modify=True):
        self.app = loadapp(ConfigString(text), allow_modify_pipeline=modify)
        self.filters = list(filters(self.app))
        self.log = ProxyLog()
        for found in self.filters:
            found.logger = self.log

    @property
    def names(self):
        return [type(app).__name__ for app in self.app._pipeline]

    def ask(self, method='GET', query=''):
        env = {'REQUEST_METHOD': method, 'QUERY_STRING': query, 'swift.authorize': allow,
               'swift.authorize_override': True, 'swift.infocache': infocache(container_info())}
        path = '/v1' + (f'/{NAME.account}/{NAME.container}' if query else NAME.path)
        body = b'' if method in ('PUT', 'POST') else None
        resp = Request.blank(path, environ=env, body=body).get_response(self.app)
        return resp.status_int, resp.body

    def broken(self):
        """Requests that passed through each of the filters since its place is wrong."""
        return [count_of(found._runtime.metrics, 'passed_broken', 'pipeline-error')
                for found in self.filters]

    def close(self):
        for found in self.filters:
            if found._runtime is not None:
                with Timeout(30):
                    while not found._runtime.recorder.idle:
                        sleep(0.001)
                found._runtime.recorder.close()
                found._runtime.metrics.close()


def count_of(counters, name, reason):
    return counters.values[counters.slot(name, reason)]


class Handler(logs.ThreadSafeSysLogHandler):
    """Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name."""
    made: ClassVar[list[logging.Handler]] = []

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.made.append(self)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_swift_dir(tmp_path, monkeypatch)
    monkeypatch.setattr(recorder, 'LONGEST_PAUSE', 0)
    monkeypatch.setattr(logs, 'ThreadSafeSysLogHandler', Handler)
    store, meta = Store.create(tmp_path / 'cache'), replace(meta_for(BODY), fetched_at=time.time())
    store.admit(store.keep(meta, BODY, None))
    return tmp_path


@pytest.fixture
def load(folder):
    """A pipeline of these names, with what Swift adds to it."""
    loaded = []

    def load(pipeline, modify=True, text=None):
        loaded.append(Pipeline(text or conf(folder, pipeline), modify))
        return loaded[-1]

    yield load
    for pipeline in loaded:
        pipeline.close()
    while Handler.made:
        Handler.made.pop().close()


def assert_passes_through(pipeline, *said):
    """Nothing is answered, and one line says why, however many requests come."""
    answers = [pipeline.ask(), pipeline.ask('HEAD'), pipeline.ask('PUT'), pipeline.ask('POST', 'prefetch=warm')]
    assert [status for status, _ in answers] == [503, 503, 503, 404]
    wrong, = pipeline.log.errors
    assert wrong.startswith('requests pass through: ')
    assert [text for text in said if text not in wrong] == []
    assert pipeline.broken() == [4] * len(pipeline.filters)


@pytest.mark.parametrize('left', [
    'catch_errors gatekeeper proxy-logging cache listing_formats tempauth copy slo dlo versioned_writes symlink '
    'proxy-logging', 'catch_errors gatekeeper proxy-logging cache tempauth slo symlink proxy-logging',
    ' '.join(LEFT), 'proxy-logging tempauth proxy-logging', 'tempauth', ''])
def test_what_swift_adds_stands_left_of_the_filter(load, left):
    pipeline = load(f'{left} prefetch proxy-server')
    assert pipeline.names[-2:] == ['PrefetchFilter', 'Application']
    assert {'CatchErrorMiddleware', 'GatekeeperMiddleware', 'ListingFilter', 'ServerSideCopyMiddleware',
            'DynamicLargeObject', 'VersionedWritesMiddleware'} <= set(pipeline.names)
    assert pipeline.ask() == (200, BODY) and pipeline.log.errors == []


def test_swift_adds_nothing_right_of_the_filter_whatever_stands_left(load, folder):
    app = load('prefetch proxy-server').app._pipeline_final_app
    required = {spec['name'] for spec in required_filters}
    for seed in range(100):
        chosen = random.Random(seed).sample(LEFT, seed % len(LEFT))
        text = conf(folder, ' '.join([*chosen, 'prefetch proxy-server']))
        context = loadcontext(loadwsgi.APP, ConfigString(text))
        app.modify_wsgi_pipeline(PipelineWrapper(context))
        names = [found.entry_point_name for found in context.filter_contexts]
        assert required <= set(names) and names[-1] == 'prefetch', chosen


MIDDLEWARE = {
    'slo': 'StaticLargeObject', 'dlo': 'DynamicLargeObject', 'symlink': 'SymlinkMiddleware',
    'tempauth': 'TempAuth', 'copy': 'ServerSideCopyMiddleware', 'versioned_writes': 'VersionedWritesMiddleware',
    'keymaster encryption': 'KeyMaster, Decrypter', 'staticweb': 'StaticWeb',
    'proxy-logging': 'ProxyLoggingMiddleware', 'gatekeeper': 'GatekeeperMiddleware', 'cache': 'MemcacheMiddleware',
    'tempurl': 'TempURL', 'healthcheck': 'HealthCheckMiddleware'}


@pytest.mark.parametrize('between', MIDDLEWARE)
def test_what_stands_between_is_named_and_nothing_is_answered(load, between):
    left = ' '.join(name for name in COMPLETE.split() if name not in between.split())
    pipeline = load(f'{left} prefetch {between} proxy-server')
    wrong = pipeline_error(pipeline.filters[0])
    assert wrong.startswith('the prefetch filter must stand directly left of proxy-server, but ')
    assert MIDDLEWARE[between] in wrong and 'Move "prefetch" in [pipeline:main]' in wrong
    assert_passes_through(pipeline, wrong)


@pytest.mark.parametrize('pipeline, added', [
    ('catch_errors gatekeeper prefetch tempauth proxy-server', 'TempAuth, ServerSideCopyMiddleware'),
    ('catch_errors gatekeeper tempauth copy dlo prefetch slo proxy-server', 'StaticLargeObject, VersionedWrites'),
    ('tempauth prefetch copy slo proxy-server', 'ServerSideCopyMiddleware, DynamicLargeObject, StaticLargeObject'),
    ('prefetch catch_errors proxy-server', 'CatchErrorMiddleware, ListingFilter')])
def test_what_swift_adds_between_is_named(load, pipeline, added):
    """Right of what it must follow, where that stands right of the filter."""
    assert_passes_through(load(pipeline), f'but {added}')


def test_of_two_filters_the_right_one_answers_and_the_other_says_what_to_take_out(load):
    pipeline = load(f'{COMPLETE} prefetch prefetch proxy-server')
    assert pipeline.ask() == (200, BODY)
    assert pipeline.log.errors == ['requests pass through: the prefetch filter is in the pipeline twice. Take all '
                                   'but the last "prefetch" out of [pipeline:main]']
    assert pipeline.broken() == [1, 0]


def test_two_filters_under_two_names_are_the_filter_twice(load):
    pipeline = load(f'{COMPLETE} prefetch slo other proxy-server')
    assert pipeline.ask() == (200, BODY)
    assert 'twice' in pipeline_error(pipeline.filters[0]) and pipeline_error(pipeline.filters[1]) == ''


def test_without_a_gatekeeper_nothing_is_answered(load):
    pipeline = load('catch_errors tempauth prefetch proxy-server', modify=False)
    assert_passes_through(pipeline, 'there is no gatekeeper', 'Add "gatekeeper" to [pipeline:main]')


HIDDEN = {
    'a pipeline within a pipeline': '[pipeline:main]\npipeline = catch_errors gatekeeper slo tail\n'
                                    '[pipeline:tail]\npipeline = prefetch proxy-server\n',
    'left in one within': '[pipeline:main]\npipeline = catch_errors gatekeeper tail\n'
                          '[pipeline:tail]\npipeline = prefetch slo proxy-server\n',
    'right in one within': '[pipeline:main]\npipeline = catch_errors gatekeeper tail\n'
                           '[pipeline:tail]\npipeline = cache prefetch slo proxy-server\n',
    'filter-with': '[pipeline:main]\npipeline = catch_errors gatekeeper slo tail\n'
                   '[app:tail]\nuse = proxy-server\nfilter-with = prefetch\n',
    'filter-app': '[filter-app:main]\nuse = prefetch\nnext = proxy-server\n'}


@pytest.mark.parametrize('how', HIDDEN)
def test_where_swift_sees_no_pipeline_of_it_nothing_is_answered(load, folder, how):
    pipeline = load(None, text=sections(folder, []) + HIDDEN[how])
    assert len(pipeline.filters) == 1
    assert_passes_through(pipeline, 'are not in one pipeline that Swift made', 'Name both in [pipeline:main]')


def test_outside_of_swift_nothing_is_known():
    assert pipeline_error(object()) == ''
