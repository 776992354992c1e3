"""A11: what is learned or asked for in one account has nothing fetched of another, and nobody's reads are taken
for somebody else's."""
import json

import pytest
from helpers.cache.chain import Chain
from helpers.cache.prefetching import BODY, make_bench  # noqa: F401 - a fixture
from helpers.common.builders import NOW
from hypothesis import given
from hypothesis import strategies as st
from swift.common.utils import split_path

from swiftahead.conf.names import ObjectName
from swiftahead.predict import ManifestOrder, Read, SequenceLearner
from swiftahead.queues import Access, Warm

MINE, OTHERS = 'AUTH_test', 'AUTH_other'


@pytest.fixture
def bench(make):
    """Objects of the same names in two accounts."""
    bench = make(*'abcde', learner=Chain())
    bench.cluster.containers[f'/v1/{OTHERS}/c'] = {'X-Backend-Storage-Policy-Index': '0'}
    for object_ in 'abcdexyz':
        bench.cluster.put(ObjectName(OTHERS, 'c', object_), BODY)
    return bench


def read(object_, at, account=MINE, client='one', **more):
    return Access(account, 'c', object_, client, NOW + at, len(BODY), 'miss', **more)


def accounts_asked(bench):
    """As proxy-server reads the paths."""
    return {split_path(path, 2, 4, True)[1] for _, path, _ in bench.cluster.requests}


# sequences

@pytest.mark.holds('A11')
def test_what_was_learned_in_one_account_fetches_nothing_in_another(bench):
    bench.run(read('a', 0), read('b', 10), at=10)
    bench.run(read('a', 20, OTHERS), at=29.5)
    assert bench.fetched() == []
    bench.run(read('a', 30), at=39.5)
    assert bench.cluster.asked('GET') == [f'/v1/{MINE}/c/b']


@pytest.mark.holds('A11')
def test_one_client_in_two_accounts_is_two_sequences(bench):
    bench.run(read('a', 0), read('x', 1, OTHERS), read('b', 2), read('y', 3, OTHERS), at=3)
    bench.run(read('a', 100), read('x', 100, OTHERS), at=101.5)
    assert sorted(bench.cluster.asked('GET')) == [f'/v1/{OTHERS}/c/y', f'/v1/{MINE}/c/b']


@pytest.mark.holds('A11')
def test_reads_of_two_clients_in_turns_are_two_sequences(bench):
    bench.run(read('a', 0, client='one'), read('d', 1, client='two'), read('b', 2, client='one'),
              read('e', 3, client='two'), at=3)
    bench.run(read('a', 100, client='three'), at=101.5)
    assert bench.fetched() == ['b']


@pytest.mark.holds('A11')
def test_a_prefetch_leaves_another_accounts_object_of_that_name_alone(bench):
    bench.run(read('a', 0), read('b', 10), at=10)
    bench.run(read('a', 20), at=29.5)
    assert bench.store.has(ObjectName(MINE, 'c', 'b')) and not bench.store.has(ObjectName(OTHERS, 'c', 'b'))
    assert accounts_asked(bench) == {MINE}


READS = st.lists(st.tuples(st.sampled_from((MINE, OTHERS)), st.sampled_from('12'), st.sampled_from('abc'),
                           st.booleans()), max_size=40)
LIST = [('c', object_) for object_ in 'abcabc']


def predictions(reads, account):
    """What is expected of that account, read by read."""
    ahead, along, found = SequenceLearner(threshold=0.1), ManifestOrder(), []
    for owner in (MINE, OTHERS):
        along.know(owner, ('c', 'a'), LIST)
    for at, (owner, client, object_, opens) in reads:
        read = Read(owner, client, ('c', object_), float(at))
        found += [*ahead.observe(read), *along.observe(read, True, 1.0)]
        if opens and object_ == 'a':
            along.open(read)
    return [prediction for prediction in found if prediction.account == account]


@pytest.mark.holds('A11')
@given(READS)
def test_what_is_expected_of_an_account_does_not_depend_on_reads_of_others(reads):
    """Whoever reads what there, and opens which lists, at whatever time between."""
    timed = list(enumerate(reads))
    mine = [(at, read) for at, read in timed if read[0] == MINE]
    assert predictions(timed, MINE) == predictions(mine, MINE)
    assert all(prediction.key in LIST for prediction in predictions(timed, OTHERS))


# manifests

WAYS_OUT = ['/../AUTH_other/c/b', '//AUTH_other/c/b', '/c/../../AUTH_other/c/b', '/./../AUTH_other/c/b',
            'AUTH_other/c/b', '/AUTH_other/c/b', '/v1/AUTH_other/c/b', '/%2e%2e/AUTH_other/c/b',
            '/%2e%2e%2fAUTH_other/c/b', '/..%2FAUTH_other/c/b', '/c/b?x=/v1/AUTH_other/c/b', '/c\r\nX: y/b',
            'http://127.0.0.1/v1/AUTH_other/c/b', '/c/b#/AUTH_other']


@pytest.mark.holds('A11')
@pytest.mark.parametrize('name', WAYS_OUT)
def test_a_manifest_leads_to_no_other_account(bench, name):
    """It is its owner's to write, and may have been put there by other means than slo."""
    manifest = [{'name': item} for item in ('/c/b', name, '/c/d', name, '/c/e')]
    bench.cluster.put(ObjectName(MINE, 'c', 'a'), json.dumps(manifest).encode())
    bench.run(read('a', 0, manifest=True), at=0)
    for object_ in 'bd':
        bench.run(read(object_, 0.1), at=0.1)
    assert bench.cluster.asked('GET').count(f'/v1/{MINE}/c/e') == 1
    assert accounts_asked(bench) == {MINE}


@pytest.mark.holds('A11')
def test_who_reads_a_manifest_alone_has_no_segment_fetched(bench):
    """Who may not read its segments is refused at the first, and that is no read."""
    bench.cluster.put(ObjectName(MINE, 'c', 'a'), json.dumps([{'name': '/c/b'}, {'name': '/c/d'}]).encode())
    for at in range(3):
        bench.run(read('a', at, manifest=True), at=at)
    assert bench.fetched() == ['a']


@pytest.mark.holds('A11')
def test_a_manifest_of_one_account_is_not_read_along_in_another(bench):
    bench.cluster.put(ObjectName(MINE, 'c', 'a'), json.dumps([{'name': '/c/b'}, {'name': '/c/d'}]).encode())
    bench.run(read('a', 0, manifest=True), at=0)
    bench.run(read('b', 1, OTHERS), at=1)
    assert bench.cluster.asked('GET') == [f'/v1/{MINE}/c/a']


# warming

@pytest.mark.holds('A11')
def test_warming_a_container_fetches_nothing_from_elsewhere(bench):
    """Names that look like ways out are names."""
    for object_ in ('../../AUTH_other/c/x', '../x', '/v1/AUTH_other/c/x'):
        bench.cluster.put(ObjectName(MINE, 'c', object_), b'mine')
    bench.run(Warm(MINE, 'c'))
    assert accounts_asked(bench) == {MINE}
    assert not bench.store.has(ObjectName(OTHERS, 'c', 'x'))
    with bench.store.entry(ObjectName(MINE, 'c', '../../AUTH_other/c/x')) as entry:
        assert entry.whole() == b'mine'


@pytest.mark.holds('A11')
@pytest.mark.parametrize('container, prefix', [
    ('..', ''), ('../AUTH_other/c', ''), ('c/../../AUTH_other/c', ''), ('c', '../../AUTH_other/c/'), ('c', '/'),
    ('c?prefix=', ''), ('', 'AUTH_other/c')])
def test_a_warm_records_names_lead_to_no_other_account(bench, container, prefix):
    bench.run(Warm(MINE, container, prefix))
    assert accounts_asked(bench) <= {MINE}
    assert bench.cached() == []
