"""The filter's place, in pipelines that Swift's own loadapp makes."""
import pytest
from helpers import close_logs, make_swift_dir
from swift.common.wsgi import ConfigString, loadapp

from swiftahead.middleware.filter import PrefetchFilter
from swiftahead.middleware.place import misplacement

# Swift's get_logger drops, and does not close, the handler of an earlier logger of the same name
pytestmark = pytest.mark.filterwarnings('ignore:unclosed <socket:ResourceWarning')
EGGS = {'cache': 'swift#memcache', 'prefetch': 'swiftahead#prefetch'}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """The filter of a pipeline, loaded with what Swift adds to it."""
    make_swift_dir(tmp_path, monkeypatch)

    def load(pipeline, modify=True):
        app = loadapp(ConfigString(conf(tmp_path, pipeline)), allow_modify_pipeline=modify)
        return next(found for found in app._pipeline if isinstance(found, PrefetchFilter))

    yield load
    close_logs()


def conf(folder, pipeline):
    sections = [f'[DEFAULT]\nswift_dir = {folder}\n', f'[pipeline:main]\npipeline = {pipeline}\n',
                '[app:proxy-server]\nuse = egg:swift#proxy\n']
    for name in sorted({*pipeline.split(), 'prefetch', 'cache'} - {'proxy-server'}):
        egg = EGGS.get(name, f'swift#{name.replace("-", "_")}')
        more = f'cache_dir = {folder}/x\nqueue = sqlite:{folder}/q\n' if name == 'prefetch' else ''
        sections.append(f'[filter:{name}]\nuse = egg:{egg}\n{more}')
    return '\n'.join(sections)


@pytest.mark.parametrize('pipeline', [
    'catch_errors gatekeeper proxy-logging cache listing_formats tempauth copy slo dlo versioned_writes symlink '
    'proxy-logging prefetch proxy-server',
    'catch_errors gatekeeper proxy-logging cache tempauth slo symlink proxy-logging prefetch proxy-server',
    'proxy-logging tempauth proxy-logging prefetch proxy-server',
    'tempauth prefetch proxy-server',
    'prefetch proxy-server'])
def test_what_swift_adds_stands_left_of_the_filter(load, pipeline):
    middleware = load(pipeline)
    names = [type(app).__name__ for app in middleware._pipeline]
    assert names[-2:] == ['PrefetchFilter', 'Application']
    assert {'GatekeeperMiddleware', 'DynamicLargeObject', 'ServerSideCopyMiddleware'} <= set(names)
    assert misplacement(middleware) is None


@pytest.mark.parametrize('pipeline, between', [
    ('catch_errors gatekeeper tempauth prefetch slo proxy-server', 'StaticLargeObject'),
    ('catch_errors gatekeeper tempauth slo prefetch symlink proxy-server', 'SymlinkMiddleware'),
    ('catch_errors gatekeeper prefetch tempauth proxy-server', 'TempAuth'),
    ('catch_errors gatekeeper tempauth prefetch proxy-logging proxy-server', 'ProxyLoggingMiddleware'),
    ('catch_errors gatekeeper tempauth prefetch copy slo proxy-server', 'ServerSideCopyMiddleware, ')])
def test_what_stands_between_is_named(load, pipeline, between):
    wrong = misplacement(load(pipeline))
    assert wrong.startswith('the prefetch filter must stand directly left of proxy-server')
    assert between in wrong and 'Move "prefetch" in [pipeline:main]' in wrong


def test_a_pipeline_without_a_gatekeeper_is_wrong(load):
    wrong = misplacement(load('catch_errors tempauth prefetch proxy-server', modify=False))
    assert 'there is no gatekeeper' in wrong and 'Add "gatekeeper" to [pipeline:main]' in wrong


def test_in_a_wrong_place_requests_pass_through_and_are_counted(load):
    middleware = load('catch_errors gatekeeper prefetch slo proxy-server')
    assert [middleware._ready() for _ in range(3)] == [None] * 3
    counters = middleware._runtime.metrics.counters
    assert counters.values[counters.slot('passed_broken', 'misplaced')] == 3


def test_outside_of_a_pipeline_nothing_is_known():
    assert misplacement(object()) is None
