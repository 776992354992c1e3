"""F11: what a worker does first, after its fork."""
import pytest
from helpers.common.builders import NAME, FakeSwift, close_logs, container_info, infocache
from swift.common.concurrency import GreenPool, Timeout, sleep
from swift.common.swob import Request

from swiftahead.cache import Store
from swiftahead.middleware import filter_factory


@pytest.mark.holds('F11')
def test_no_request_passes_by_while_the_first_one_makes_the_runtime(tmp_path):
    """A write that did would leave the token of what it replaces, and its old version would be served on."""
    Store.create(tmp_path / 'cache')
    swift = FakeSwift()
    swift.put('/v1' + NAME.path, b'body')
    app = filter_factory({}, cache_dir=str(tmp_path / 'cache'), queue=f'sqlite:{tmp_path}/cache/queue.db',
                         freshness='max-age')(swift)

    def read(_):
        env = {'swift.authorize': lambda req: None, 'swift.infocache': infocache(container_info())}
        return Request.blank('/v1' + NAME.path, environ=env).get_response(app)

    answers = list(GreenPool().imap(read, range(5)))
    with Timeout(20):
        while app._runtime.collapsed_reads.running or not app._runtime.recorder.idle:
            sleep(0.01)
    app._runtime.close()
    close_logs()
    assert [answer.headers.get('Cache-Status', 'none')[:10] for answer in answers] == ['swiftahead'] * 5
