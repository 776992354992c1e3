"""Detection in the filter: after which answers, how often, and what comes of it."""
from configparser import ConfigParser

import pytest
from helpers.common.builders import NAME, container_info, headers_for
from helpers.common.faults import PATH
from helpers.filter import filtered
from helpers.filter.filtered import Backend, Proxy, tell, word
from swift.common import storage_policy
from swift.common.concurrency import Event, Timeout, sleep
from swift.common.swob import Response
from swift.common.utils import Timestamp

from swiftahead.cache import Store
from swiftahead.middleware import detector
from swiftahead.middleware.detector import Detector
from swiftahead.misplaced.search import Search
from swiftahead.misplaced.servers import StorageServers, Unknown
from swiftahead.misplaced.verdict import ContainerFacts, Replicas
from swiftahead.queues import Access, Admit, Misplaced, QueueError

KEY = 'HTTP_X_BACKEND_STORAGE_POLICY_INDEX'
WRITTEN_AT = '1799999999.00000'
BODY = b'0123456789'


class Cluster(Backend):
    """What one policy has not, others may have; as proxy-server does, it leaves the policy in the request."""

    def __init__(self):
        super().__init__()
        self.others: dict[int, tuple] = {}
        self.statuses: dict[int, int] = {}
        self.asked: list[dict] = []
        self.gate: Event | None = None

    def put_elsewhere(self, policy, timestamp=WRITTEN_AT, body=BODY, **more):
        self.others[policy] = headers_for(body, timestamp, **more), body

    def __call__(self, env, start_response):
        index = int(env.setdefault(KEY, '0'))
        if not index:
            return super().__call__(env, start_response)
        self.asked.append(env)
        if self.gate:
            self.gate.wait()
        if self._denied(env):
            return Response(status=403)(env, start_response)
        headers, body = self.others.get(index, ((), b''))
        return Response(status=self.statuses.get(index, 200 if headers else 404), body=body, headers=dict(headers),
                        conditional_response=True)(env, start_response)


class Facts:
    """What container and object servers say."""

    def __init__(self, patch):
        self.container: ContainerFacts | None = ContainerFacts(0, Timestamp(0))
        self.replicas_of = {index: Replicas(3, 3, index > 0, Timestamp.zero()) for index in range(3)}
        self.named: set[int] = set()
        patch.setattr(StorageServers, 'of_proxy', lambda app: self)

    def container_facts(self, account, container):
        if self.container is None:
            raise Unknown
        return self.container

    def all_replicas(self, name):
        return self.replicas_of

    def is_named(self, name, copy, index):
        return index in self.named


class Timer:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def policies(monkeypatch):
    conf = ConfigParser()
    conf.read_dict({f'storage-policy:{index}': {'name': f'p{index}', 'default': str(not index)}
                    for index in range(3)})
    monkeypatch.setattr(storage_policy, '_POLICIES', storage_policy.parse_storage_policies(conf))


@pytest.fixture
def facts(monkeypatch):
    return Facts(monkeypatch)


@pytest.fixture
def make(tmp_path, facts):
    made = []

    def make(reclaim_age=7 * 86400, **conf):
        Store.create(tmp_path / 'cache')
        tell(tmp_path / 'cache', reclaim_age=reclaim_age)
        proxy = Proxy(tmp_path / 'cache', tmp_path / 'queue.db', Cluster(), **conf)
        proxy.runtime.clock = lambda: float(WRITTEN_AT) + 60
        made.append(proxy)
        return proxy
    yield make
    for proxy in made:
        settle(proxy)
        proxy.close()


@pytest.fixture
def proxy(make):
    return make()


def settle(proxy):
    """Wait until nobody looks."""
    with Timeout(20):
        while proxy.runtime.detector and proxy.runtime.detector.running:
            sleep(0.001)


def records(proxy):
    settle(proxy)
    proxy.flush()
    return [item.record for item in proxy.queue.lease(100, 600, ('Misplaced',))]


def outcomes(proxy):
    settle(proxy)
    return [name.partition('.')[2] for name in proxy.counts if name.startswith('detections')]


def timed(proxy):
    """A detector anew, and the clock by which it counts seconds."""
    timer = Timer()
    proxy.runtime.detector = Detector(proxy.runtime, timer)
    return timer


# -- after which answers -----------------------------------------------------------------------------------

@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_what_lies_elsewhere_is_recorded(proxy, method):
    proxy.swift.put_elsewhere(2)
    assert proxy.request(method).status_int == 404
    assert records(proxy) == [Misplaced(*NAME.path.split('/')[1:], 2, WRITTEN_AT, 'PUT', proxy.runtime.clock())]
    assert outcomes(proxy) == ['recorded']


@pytest.mark.parametrize('headers', [{'Range': 'bytes=0-1'}, {'If_None_Match': '*'}])
def test_whatever_was_asked_of_it(proxy, headers):
    proxy.swift.put_elsewhere(1)
    assert proxy.request(**headers).status_int == 404
    assert len(records(proxy)) == 1


def test_the_client_does_not_wait(proxy):
    proxy.swift.gate = Event()
    proxy.swift.put_elsewhere(1)
    answer = proxy.request()
    running, counted = proxy.runtime.detector.running, outcomes_now(proxy)
    proxy.swift.gate.send()
    assert (answer.status_int, running, counted) == (404, 1, [])
    assert len(records(proxy)) == 1


def outcomes_now(proxy):
    return [name for name in proxy.counts if name.startswith('detections')]


def test_the_answer_is_the_apps(proxy):
    proxy.swift.put_elsewhere(1)
    assert filtered.seen(proxy.request()) == filtered.seen(proxy.plain())


def test_the_others_are_asked_with_nothing_of_the_clients(proxy):
    proxy.request(Range='bytes=0-1', If_Match='x', X_Trace='1')
    settle(proxy)
    assert [env[KEY] for env in proxy.swift.asked] == ['1', '2'] and proxy.asked('HEAD') == 0
    for env in proxy.swift.asked:
        assert (env['REQUEST_METHOD'], env['PATH_INFO'], env['HTTP_X_NEWEST']) == ('HEAD', PATH, 'true')
        assert env['swift.authorize_override'] and env['swift.source'] == 'SWA'
        assert not {'HTTP_RANGE', 'HTTP_IF_MATCH', 'HTTP_X_TRACE', 'HTTP_ORIGIN'} & env.keys()


@pytest.mark.parametrize('headers', [{'X_Newest': 'true'}, {'X_No_Prefetch': 'true'}, {KEY[5:]: '1'}])
def test_some_reads_ask_nobody(proxy, headers):
    proxy.request(**headers)
    settle(proxy)
    assert outcomes(proxy) == [] and not [env for env in proxy.swift.asked if env['REQUEST_METHOD'] == 'HEAD']


def test_a_container_that_is_not_there_asks_nobody(proxy):
    proxy.request(info=container_info(404))
    settle(proxy)
    assert proxy.swift.asked == []


def test_who_may_not_read_learns_nothing_and_triggers_nothing(proxy, monkeypatch):
    monkeypatch.setattr(filtered, 'allow', lambda req: Response(status=403))
    assert proxy.request().status_int == 403
    settle(proxy)
    assert proxy.swift.asked == []


@pytest.mark.parametrize('method, status', [('GET', 200), ('PUT', 201), ('DELETE', 201)])
def test_no_other_answer_than_404_of_a_read_asks_anybody(proxy, method, status):
    proxy.swift.put(PATH, BODY)
    assert proxy.request(method).status_int == status
    settle(proxy)
    assert proxy.swift.asked == []


def test_it_can_be_turned_off(make):
    proxy = make(detect_misplaced='off', serve_misplaced='on')
    proxy.swift.put_elsewhere(1)
    assert proxy.request().status_int == 404
    assert proxy.swift.asked == [] and proxy.runtime.detector is None


def test_where_there_is_one_policy_nobody_is_asked(proxy, monkeypatch):
    monkeypatch.setattr(storage_policy, '_POLICIES', storage_policy.parse_storage_policies(ConfigParser()))
    proxy.request()
    assert outcomes(proxy) == []


# -- how often ---------------------------------------------------------------------------------------------

def test_a_name_is_asked_for_once_in_a_while(proxy):
    timer = timed(proxy)
    for _ in range(3):
        proxy.request()
        settle(proxy)
        timer.now += detector.REMEMBERED_SECONDS / 4
    assert outcomes(proxy) == ['nothing']
    timer.now += detector.REMEMBERED_SECONDS + 1
    proxy.request()
    assert outcomes(proxy) == ['nothing', 'nothing']


def test_at_the_same_time_it_is_asked_for_once(proxy):
    proxy.swift.gate = Event()
    for _ in range(3):
        proxy.request()
    proxy.swift.gate.send()
    assert outcomes(proxy) == ['nothing']


@pytest.mark.parametrize('method', ['PUT', 'POST', 'DELETE'])
def test_after_a_write_it_is_asked_for_again(proxy, method):
    for one in ('HEAD', method, 'GET'):
        proxy.request(one)
        settle(proxy)
    assert outcomes(proxy) == ['nothing'] * 2


def test_a_reserved_name_is_asked_for_as_one(proxy):
    proxy.request(path='/v1/AUTH_test/c/%00o', X_Backend_Allow_Reserved_Names='true')
    settle(proxy)
    assert [env['HTTP_X_BACKEND_ALLOW_RESERVED_NAMES'] for env in proxy.swift.asked] == ['true'] * 2


def test_so_many_names_in_a_second(make):
    proxy = make(detect_rate='2')
    timer = timed(proxy)
    for number in range(4):
        proxy.request(path=f'{PATH}{number}')
        settle(proxy)
    assert outcomes(proxy) == ['nothing', 'nothing', 'limited', 'limited']
    timer.now += 0.5
    for number in range(2, 4):
        proxy.request(path=f'{PATH}{number}')
        settle(proxy)
    assert outcomes(proxy)[4:] == ['nothing', 'limited']
    timer.now += 100
    for number in range(4, 7):
        proxy.request(path=f'{PATH}{number}')
        settle(proxy)
    assert outcomes(proxy)[6:] == ['nothing', 'nothing', 'limited']


def test_a_rate_below_one_is_one(make):
    proxy = make(detect_rate='0.5')
    timer = timed(proxy)
    for now in (0, 1, 2):
        timer.now = 1000.0 + now
        proxy.request(path=f'{PATH}{now}')
        settle(proxy)
    assert outcomes(proxy) == ['nothing', 'limited', 'nothing']


def test_a_rate_of_none_is_none(make):
    proxy = make(detect_rate='0')
    proxy.request()
    assert outcomes(proxy) == ['limited']


def test_so_many_at_the_same_time(proxy):
    proxy.swift.gate = Event()
    for number in range(detector.RUNNING + 1):
        proxy.request(path=f'{PATH}{number}')
    assert outcomes_now(proxy) == ['detections.limited']
    proxy.swift.gate.send()
    settle(proxy)
    proxy.request(path=f'{PATH}{detector.RUNNING}')
    assert outcomes(proxy) == ['limited'] + ['nothing'] * (detector.RUNNING + 1)


# -- what comes of it --------------------------------------------------------------------------------------

@pytest.mark.parametrize('status', [500, 503, 401])
def test_what_is_not_known_is_asked_again(proxy, status):
    proxy.swift.statuses[2] = status
    for _ in range(2):
        proxy.request()
        settle(proxy)
    assert (outcomes(proxy), records(proxy)) == (['unknown', 'unknown'], [])


def test_what_is_found_is_recorded_though_another_policy_fails(proxy):
    proxy.swift.statuses[1] = 503
    proxy.swift.put_elsewhere(2)
    proxy.request()
    assert [one.policy_index for one in records(proxy)] == [2]


def test_each_copy_is_recorded_the_newest_first(proxy):
    proxy.swift.put_elsewhere(1)
    proxy.swift.put_elsewhere(2, timestamp='1799999999.50000')
    proxy.request()
    assert [one.policy_index for one in records(proxy)] == [2, 1]


def test_the_record_has_the_time_of_the_copy_with_its_offset(proxy):
    proxy.swift.put_elsewhere(1, timestamp='1799999999.50000_0000000000000003')
    proxy.request()
    assert records(proxy)[0].timestamp == '1799999999.50000_0000000000000003'


def test_a_container_that_nobody_knows_is_asked_for_again(proxy, facts):
    proxy.swift.put_elsewhere(1)
    facts.container = None
    proxy.request()
    assert (outcomes(proxy), records(proxy)) == (['unknown'], [])
    facts.container = ContainerFacts(0, Timestamp(0))
    proxy.request()
    assert len(records(proxy)) == 1


def test_what_lies_in_the_containers_true_policy_is_let_be(proxy, facts):
    proxy.swift.put_elsewhere(1)
    facts.container = ContainerFacts(1, Timestamp(0))
    proxy.request()
    assert (outcomes(proxy), records(proxy)) == (['settled'], [])


@pytest.mark.parametrize('policy', [0, 1, 2])
def test_what_a_tombstone_is_newer_than_is_let_be(proxy, facts, policy):
    proxy.swift.put_elsewhere(1)
    facts.named = {0, 1}
    facts.replicas_of[policy] = Replicas(3, 3, False, Timestamp(float(WRITTEN_AT) + 1))
    proxy.request()
    assert (outcomes(proxy), records(proxy)) == (['deleted'], [])


def test_what_a_row_names_may_be_deleted_all_the_same(proxy, facts):
    proxy.swift.put_elsewhere(1)
    facts.named, facts.container = {0, 1}, ContainerFacts(0, Timestamp(WRITTEN_AT))
    facts.replicas_of[2] = Replicas(3, 3, False, Timestamp(float(WRITTEN_AT) + 1))
    proxy.request()
    assert (outcomes(proxy), records(proxy)) == (['deleted'], [])


def test_a_post_since_makes_it_no_younger(proxy, facts):
    proxy.swift.put_elsewhere(1, X_Backend_Data_Timestamp='1799000000.00000')
    facts.container = ContainerFacts(0, Timestamp('1799000001.00000'))
    proxy.request()
    assert outcomes(proxy) == ['old']


@pytest.mark.parametrize('policy', [0, 1, 2])
def test_without_a_majority_of_servers_nothing_is_recorded(proxy, facts, policy):
    proxy.swift.put_elsewhere(1)
    facts.named = {0, 1}
    facts.replicas_of[policy] = Replicas(3, 1, False, Timestamp.zero())
    proxy.request()
    assert (outcomes(proxy), records(proxy)) == (['unknown'], [])


@pytest.mark.parametrize('why, named, outcome', [
    ('reclaimed', (), 'old'), ('reclaimed', (0,), 'recorded'), ('reclaimed', (1, 2), 'old'),
    ('container', (), 'old'), ('container', (0,), 'recorded'), ('container', (1,), 'recorded'),
    ('container', (2,), 'old')])
def test_what_is_old_needs_a_row(proxy, facts, why, named, outcome):
    proxy.swift.put_elsewhere(1)
    facts.named = set(named)
    if why == 'reclaimed':
        proxy.runtime.clock = lambda: float(WRITTEN_AT) + 7 * 86400
    else:
        facts.container = ContainerFacts(0, Timestamp(WRITTEN_AT))
    proxy.request()
    assert outcomes(proxy) == [outcome]
    assert len(records(proxy)) == (outcome == 'recorded')


def test_reclaim_age_can_be_set(make):
    proxy = make(reclaim_age=60)
    proxy.swift.put_elsewhere(1)
    proxy.request()
    assert outcomes(proxy) == ['old']


@pytest.mark.parametrize('told', [None, 'a week', True, 0, -1, float('nan'), [604800]])
@pytest.mark.parametrize('named, outcome', [((), 'old'), ((0,), 'recorded')])
def test_where_nobody_tells_reclaim_age_a_row_is_needed(make, facts, told, named, outcome):
    proxy = make(reclaim_age=told)
    proxy.swift.put_elsewhere(1)
    facts.named = set(named)
    proxy.request()
    assert outcomes(proxy) == [outcome]


def test_what_the_queue_does_not_take_is_seen_again(proxy, monkeypatch):
    proxy.swift.put_elsewhere(1)
    with monkeypatch.context() as patch:
        patch.setattr(proxy.runtime.recorder, 'put', refuse)
        proxy.request()
        assert outcomes(proxy) == ['unrecorded'] and 'not recorded' in proxy.log.errors[0]
    proxy.request()
    assert len(records(proxy)) == 1


def refuse(record):
    raise QueueError('full')


@pytest.mark.parametrize('error', [ValueError('what?'), Timeout(None)])
def test_a_fault_is_nobodys(proxy, monkeypatch, error):
    def fail(*_):
        raise error
    monkeypatch.setattr(detector, 'head_in_policy', fail)
    assert proxy.request().status_int == 404
    assert outcomes(proxy) == ['fault'] and proxy.runtime.detector.running == 0
    assert 'not looked for' in proxy.log.errors[0]


def test_it_is_recorded_once(proxy):
    proxy.swift.put_elsewhere(1)
    for _ in range(3):
        proxy.request()
        settle(proxy)
    assert len(records(proxy)) == 1


# -- shown at once -----------------------------------------------------------------------------------------

@pytest.fixture
def showing(make):
    proxy = make(serve_misplaced='on')
    proxy.swift.put_elsewhere(1)
    return proxy


@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_the_client_gets_it_at_once(showing, method):
    answer = showing.request(method)
    assert (answer.status_int, answer.body, word(answer)) == (
        200, BODY if method == 'GET' else b'', 'fwd=miss; detail=misplaced')
    assert len(records(showing)) == 1
    assert 'misplaced_served' in showing.counts and showing.swift.open == 0


def test_the_client_does_not_wait_for_the_record(showing, monkeypatch):
    written, put = Event(), showing.runtime.recorder.put
    monkeypatch.setattr(showing.runtime.recorder, 'put', lambda record: written.wait() and put(record))
    assert showing.request().status_int == 200
    written.send(True)
    assert len(records(showing)) == 1


def test_the_request_is_the_clients_own_though_the_app_changed_it(showing):
    app = showing.app.app
    showing.app.app = lambda env, start_response: [app(env, start_response), env.pop('HTTP_RANGE', None)][0]
    assert showing.request(Range='bytes=2-3').status_int == 206


def test_what_is_none_of_the_caches_business_is_not_shown(showing):
    assert showing.request(X_Newest='true').status_int == 404
    assert outcomes(showing) == []


@pytest.mark.parametrize('headers, status', [
    ({'Range': 'bytes=2-3'}, 206), ({'Range': 'bytes=99-'}, 416), ({'If_None_Match': '*'}, 304),
    ({'If_Match': 'x'}, 412)])
def test_as_it_asked_for_it(showing, headers, status):
    assert showing.request(**headers).status_int == status


def test_it_is_asked_for_as_the_client_and_authorised_anew(showing):
    showing.request(X_Trace='1')
    settle(showing)
    shown = showing.swift.asked[-1]
    assert (shown['REQUEST_METHOD'], shown[KEY], shown['HTTP_X_TRACE']) == ('GET', '1', '1')
    assert shown['HTTP_X_NEWEST'] == 'true'
    assert shown['swift.authorize'] is filtered.allow and 'swift.authorize_override' not in shown


def test_the_policy_that_answered_is_told_to_the_log(showing):
    env = {}
    showing.app.app = spying(showing.app.app, env)
    showing.request()
    assert env['first'][KEY] == '1'


def spying(app, found):
    def spy(env, start_response):
        found.setdefault('first', env)
        return app(env, start_response)
    return spy


def test_it_is_neither_kept_nor_learned_from(showing):
    for _ in range(3):
        assert word(showing.request()) == 'fwd=miss; detail=misplaced'
    assert showing.records((Admit, Access)) == []
    assert list(showing.runtime.store().spool_files()) == []


def test_it_is_recorded_once_however_often_it_is_shown(showing):
    for _ in range(3):
        showing.request()
        settle(showing)
    assert len(records(showing)) == 1


def test_it_is_recorded_again_when_that_was_long_ago(showing):
    timer = timed(showing)
    for _ in range(4):
        showing.request()
        settle(showing)
        timer.now += 100
    assert len(records(showing)) == 2


def test_a_tombstone_that_came_since_ends_it(showing, facts):
    assert showing.request().status_int == 200
    settle(showing)
    facts.replicas_of[0] = Replicas(3, 3, False, Timestamp(float(WRITTEN_AT) + 1))
    assert showing.request().status_int == 404


@pytest.mark.parametrize('home', [Replicas(3, 2, False, Timestamp.zero()), Replicas(3, 3, True, Timestamp.zero())],
                         ids=['one is silent', 'it is there by now'])
def test_all_who_should_have_it_must_have_told(showing, facts, home):
    facts.replicas_of[0] = home
    assert showing.request().status_int == 404
    assert len(records(showing)) == 1


def test_the_right_policys_servers_are_those_of_the_containers_true_policy(showing, facts):
    facts.container = ContainerFacts(2, Timestamp(0))
    facts.replicas_of[2] = Replicas(3, 2, False, Timestamp.zero())
    assert showing.request().status_int == 404


def test_what_may_not_be_recorded_is_not_shown(showing, facts):
    facts.container = ContainerFacts(0, Timestamp(WRITTEN_AT))
    assert showing.request().status_int == 404
    assert records(showing) == []


def test_who_wants_no_prefetch_is_shown_it_without_a_record(showing):
    assert showing.request(X_No_Prefetch='true').status_int == 200
    assert (records(showing), outcomes(showing)) == ([], ['unrecorded'])


def test_what_is_nowhere_is_looked_for_once(make):
    proxy = make(serve_misplaced='on')
    for _ in range(3):
        answer = proxy.request()
        assert (answer.status_int, word(answer)) == (404, 'fwd=miss')
    assert outcomes(proxy) == ['nothing']


def test_who_shows_is_limited_too(make):
    proxy = make(serve_misplaced='on', detect_rate='0')
    proxy.swift.put_elsewhere(1)
    assert proxy.request().status_int == 404
    assert outcomes(proxy) == ['limited']


def test_what_takes_too_long_is_not_shown(showing, monkeypatch):
    monkeypatch.setattr(detector, 'SERVE_SECONDS', 0.05)
    showing.swift.gate = Event()
    assert showing.request().status_int == 404
    showing.swift.gate.send()
    assert len(records(showing)) == 1


def test_what_is_gone_by_then_is_404(showing, monkeypatch):
    monkeypatch.setattr(Search, 'find', moving(showing, Search.find))
    answer = showing.request()
    assert (answer.status_int, word(answer)) == (404, 'fwd=miss')
    assert showing.swift.open == 0


def moving(proxy, find):
    def wrapper(*asked):
        found = find(*asked)
        proxy.swift.others.clear()
        return found
    return wrapper


def test_a_fault_shows_nothing(showing, monkeypatch):
    monkeypatch.setattr(detector, 'head_in_policy', lambda *_: 1 / 0)
    assert showing.request().status_int == 404
    assert outcomes(showing) == ['fault']


def test_what_is_there_is_not_looked_for(showing):
    showing.swift.put(PATH, b'home')
    assert showing.request().body == b'home'
    assert outcomes(showing) == []
