"""What an answer holds of its object, and which parts have the whole fetched: alone, and through the filter."""
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers.common.builders import NOW, container_info, headers_for
from helpers.common.faults import PATH
from helpers.filter.filtered import Proxy

from swiftahead.cache import Store
from swiftahead.middleware.decide import AnsweredPart, is_manifest, is_worth_fetching, part_of
from swiftahead.queues import Access

BODY = random.Random(1).randbytes(1000)
RANGE = 'bytes=100-199'


# answers

@pytest.mark.parametrize('status, content_range, part', [
    ('200 OK', None, AnsweredPart(1000, True)),
    ('206 Partial Content', 'bytes 0-999/1000', AnsweredPart(1000, True)),
    ('206 Partial Content', 'bytes 900-999/1000', AnsweredPart(1000, True)),
    ('206 Partial Content', 'bytes 0-998/1000', AnsweredPart(1000, False)),
    ('206 Partial Content', 'bytes 0-0/1', AnsweredPart(1, True)),
    # multipart/byteranges has it in its parts alone
    ('206 Partial Content', None, AnsweredPart(0, False)),
    ('206 Partial Content', 'bytes 0-998/*', AnsweredPart(0, False)),
    ('206 Partial Content', 'bytes */1000', AnsweredPart(0, False)),
    ('206 Partial Content', 'bytes 0-1/1' + '0' * 5000, AnsweredPart(0, False)),
    ('206 Partial Content', 'bytes 0-1/\N{ARABIC-INDIC DIGIT THREE}', AnsweredPart(0, False)),
    ('304 Not Modified', None, AnsweredPart(0, False)),
    ('404 Not Found', 'bytes 0-999/1000', AnsweredPart(0, False))])
def test_what_an_answer_holds(status, content_range, part):
    headers = [('Content-Length', '1000'), *([('Content-Range', content_range)] if content_range else [])]
    assert part_of(status, headers) == part


@pytest.mark.parametrize('headers, expected', [
    ([('X-Static-Large-Object', 'True')], True), ([('x-static-large-object', 'true')], True),
    ([('X-Static-Large-Object', 'False')], False), ([('X-Object-Manifest', 'c/p')], False), ([], False)])
def test_a_manifest_is_known_by_its_header(headers, expected):
    assert is_manifest(headers) is expected


def worth(length=1000, key='HTTP_RANGE', headers=None, **options):
    settings = SimpleNamespace(**{'fetch_whole': 1000, 'max_object_size': 1000, 'capture': True, **options})
    return is_worth_fetching(AnsweredPart(length, False), headers or headers_for(BODY), {key: 'x'}, settings, NOW)


@pytest.mark.parametrize('key', ['HTTP_RANGE', 'HTTP_IF_RANGE', 'HTTP_IF_MATCH', 'HTTP_IF_NONE_MATCH',
                                 'HTTP_IF_MODIFIED_SINCE', 'HTTP_IF_UNMODIFIED_SINCE'])
def test_what_is_not_captured_because_of_a_header_is_worth_fetching(key):
    assert worth(key=key)


def test_what_is_captured_is_not_fetched_too():
    assert not worth(key='HTTP_ACCEPT')


@pytest.mark.parametrize('options', [
    {'fetch_whole': 999}, {'max_object_size': 999}, {'fetch_whole': 0}, {'capture': False}, {'length': 1001},
    {'length': 0}, {'length': 0, 'fetch_whole': 0}, {'headers': headers_for(BODY, Cache_Control='no-store')},
    {'headers': headers_for(BODY, Cache_Control='private')}, {'headers': headers_for(BODY)[:1]}], ids=str)
def test_what_is_too_large_or_not_to_be_kept_is_not_worth_fetching(options):
    assert not worth(**options)


# through the filter

@pytest.fixture
def make(tmp_path):
    made = []

    def make(body=BODY, more=None, **conf):
        Store.create(tmp_path / 'cache')
        made.append(Proxy(tmp_path / 'cache', tmp_path / 'queue.db', **conf))
        made[-1].swift.put(PATH, body, **(more or {}))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def noted(proxy, **asked):
    """The access record that a read leaves; None where there is none."""
    answer = proxy.request(**asked)
    assert answer.status_int in (200, 206, 304)
    found = proxy.records(Access)
    return found[0] if found else None


def test_a_range_of_what_is_not_there_has_it_fetched(make):
    record = noted(make(), Range=RANGE)
    assert (record.fetch, record.cut, record.bytes, record.outcome) == (True, True, len(BODY), 'miss')


def test_the_range_is_answered_by_swift(make):
    answer = make().request(Range=RANGE)
    assert (answer.status_int, answer.body) == (206, BODY[100:200])
    assert answer.headers['Cache-Status'] == 'swiftahead; fwd=miss'


@pytest.mark.parametrize('asked', [
    {}, {'Range': 'bytes=0-1,4-5'}, {'If_Modified_Since': 'Fri, 15 Jan 2100 08:00:00 GMT'},
    {'Range': RANGE, 'If_Range': '"other"'}], ids=['whole', 'ranges', 'not modified', 'if-range'])
def test_only_what_tells_its_length_and_was_not_captured_is_fetched(make, asked):
    assert noted(make(), **asked).fetch is ('If_Range' in asked)


@pytest.mark.parametrize('asked', [{'method': 'HEAD'}, {'X_No_Prefetch': 'true', 'Range': RANGE},
                                   {'X_Newest': 'true', 'Range': RANGE}], ids=str)
def test_what_leaves_no_traces_fetches_nothing(make, asked):
    assert noted(make(), **asked) is None


def test_a_container_that_opted_out_has_nothing_fetched(make):
    info = container_info(**{'x-container-meta-prefetch': 'off'})
    assert noted(make(), Range=RANGE, info=info) is None


@pytest.mark.parametrize('size, expected', [('999', False), ('1000', True), ('0', False)])
def test_the_limit_is_an_option(make, size, expected):
    assert noted(make(fetch_whole=size), Range=RANGE).fetch is expected


def test_a_hit_fetches_nothing_and_tells_how_far_it_went(make):
    proxy = make()
    proxy.request()
    proxy.flush()
    store = proxy.runtime.store()
    for item in list(store.spool_files()):
        store.admit(item.entry_name)
    proxy.records(Access)
    for asked, cut in (({}, False), ({'Range': RANGE}, True), ({'Range': 'bytes=900-'}, False)):
        record = noted(proxy, **asked)
        assert (record.outcome, record.fetch, record.cut, record.bytes) == ('hit', False, cut, len(BODY))


def test_a_manifest_is_told_on_miss_and_hit(make):
    proxy = make(more={'X_Static_Large_Object': 'True'})
    assert noted(proxy).manifest
    store = proxy.runtime.store()
    for item in list(store.spool_files()):
        store.admit(item.entry_name)
    record = noted(proxy)
    assert record.manifest and record.outcome == 'hit'


def test_what_cannot_be_recorded_is_answered(make):
    proxy = make()
    proxy.runtime.settings = replace(proxy.runtime.settings, fetch_whole='no number')
    assert proxy.request(Range=RANGE).body == BODY[100:200]
    assert 'errors.record' in proxy.counts


@pytest.mark.parametrize('length, is_worth', [(64 * 1024, False), (64 * 1024 + 1, True)])
def test_how_small_an_object_is_its_own_length_tells_and_not_that_of_the_part(length, is_worth):
    settings = SimpleNamespace(capture=True, fetch_whole=2**20, max_object_size=2**20)
    headers = headers_for(b'the part', Cache_Control='no-cache')
    assert is_worth_fetching(AnsweredPart(length, False), headers, {'HTTP_RANGE': 'x'}, settings, NOW) is is_worth
