import pytest
from helpers.sync.misbehaving import ALL, BODIES, GOOD, LIES, answering, good, head, serving
from helpers.sync.patched import METHODS, REALM_KEY, USER_KEY, asking, call

# no method may have them, but for the DELETE's 204
STATUSES = (204, 400, 401, 403, 405, 411, 412, 413, 422, 429, 498, 500, 503, 507, 999)
# seconds; the limits of the hasty one together make two
GENEROUS = 30


@pytest.fixture(scope='module')
def hasty():
    with asking(conn_timeout=1.0, response_timeout=1.0) as asker:
        yield asker


@pytest.fixture(scope='module')
def asker():
    with asking() as asker:
        yield asker


def fine(asker, server, methods=METHODS):
    """Let each method succeed with the same connections. A busy machine may have some tries."""
    server.behave = good
    for how in methods:
        for _ in range(10):
            done = asker.one(how, server.origin, name=f'after-{how}')
            if 'within' not in str(done) and 'nothing came' not in str(done):
                break
        assert 'value' in done, done
        if how == 'head':
            assert done['value'][1] == '/v1/AUTH_a/c/after-head?symlink=get&multipart-manifest=get'


def check_error(result, server):
    assert 'why' in result, result
    text = result['text']
    signatures = [request.headers['x-container-sync-auth'].split()[-1] for request in server.seen]
    assert not any(secret in text for secret in (REALM_KEY, USER_KEY, *signatures))
    assert '\n' not in text and result['remedy'] and f'{server.origin}/v1/AUTH_a/c/o: ' in result['why']


@pytest.mark.holds('S17')
@pytest.mark.parametrize('name', ALL)
def test_a_bad_server_is_an_error_within_the_bound(hasty, name):
    with serving(ALL[name]) as server:
        results, seconds = hasty.together([call(how, server.origin) for how in METHODS])
        for result in results:
            check_error(result, server)
        assert seconds < GENEROUS
        fine(hasty, server)


@pytest.mark.holds('S17')
@pytest.mark.parametrize('name', BODIES)
def test_a_bad_body_of_an_answer_is_an_error_within_the_bound(hasty, name):
    with serving(BODIES[name]) as server:
        results, seconds = hasty.together([call(how, server.origin) for how in METHODS[1:]])
        for result in results:
            check_error(result, server)
        assert seconds < GENEROUS
        fine(hasty, server)


@pytest.mark.holds('S10', 'S17')
@pytest.mark.parametrize('status', STATUSES)
def test_statuses_that_are_errors(asker, status):
    with serving(answering(f'{status} Words', 'X-Timestamp: 1700000000.00000')) as server:
        methods = [how for how in METHODS if (how, status) != ('delete', 204)]
        results, _ = asker.together([call(how, server.origin) for how in methods])
        for result in results:
            check_error(result, server)
            assert result['status'] == status and f'answered {status}' in result['why']
        fine(asker, server)


@pytest.mark.holds('S10')
@pytest.mark.parametrize('name', LIES)
def test_no_timestamp_is_believed_that_is_none(asker, name):
    with serving(answering('200 OK', *LIES[name])) as server:
        check_error(asker.one('head', server.origin), server)


@pytest.mark.holds('S10')
@pytest.mark.parametrize(('how', 'status', 'value'), [
    ('head', 404, None), ('put', 201, 201), ('put', 202, 202), ('post', 202, 202), ('delete', 204, 204),
    ('delete', 404, 404), ('delete', 409, 409)])
def test_statuses_that_are_as_good_as_done(asker, how, status, value):
    with serving(answering(f'{status} Words')) as server:
        assert asker.one(how, server.origin) == {'value': value}


@pytest.mark.holds('S10', 'S12', 'S13')
@pytest.mark.parametrize(('how', 'status', 'remedy'), [
    ('put', 404, 'create the container'), ('post', 404, 'create the container'), ('put', 409, 'segments'),
    ('post', 409, 'newer'), ('head', 409, 'newer'), ('put', 401, 'X-Container-Sync-Key'), ('put', 507, 'disks')])
def test_statuses_say_what_mends_them(asker, how, status, remedy):
    with serving(answering(f'{status} Words')) as server:
        result = asker.one(how, server.origin)
        check_error(result, server)
        assert result['status'] == status and remedy in result['remedy']


@pytest.mark.holds('A13', 'S17')
@pytest.mark.parametrize('status', (300, 301, 302, 303, 307, 308))
def test_no_redirect_is_followed(asker, status):
    with serving() as elsewhere:
        lines = f'Location: {elsewhere.origin}/v1/AUTH_a/c/o', 'X-Timestamp: 1700000000.00000'
        with serving(answering(f'{status} There', *lines, body=b'there')) as server:
            for how in METHODS:
                result = asker.one(how, server.origin)
                check_error(result, server)
                assert result['status'] == status and 'no redirect is followed' in result['remedy']
        assert not elsewhere.connections


def once(talk):
    """Answer one request, and hang up when the next has come."""
    request = talk.request()
    if talk.number > 1:
        return
    talk.send(*head(GOOD[request.method], 'X-Timestamp: 1700000000.00000'))
    talk.request()


def first_hangs_up(talk):
    return once(talk) if talk.number == 1 else good(talk)


@pytest.mark.parametrize('how', ('head', 'post', 'delete'))
def test_a_request_is_repeated_where_a_kept_connection_dies(asker, how):
    with serving(first_hangs_up) as server:
        asker.one('head', server.origin)
        assert 'value' in asker.one(how, server.origin)
        seen = [(request.connection, request.method.lower()) for request in server.seen]
        assert seen == [(1, 'head'), (1, how), (2, how)]


def test_a_request_is_repeated_once_alone(asker):
    with serving(once) as server:
        asker.one('head', server.origin)
        check_error(asker.one('delete', server.origin), server)
        assert [seen.connection for seen in server.seen] == [1, 1, 2]


def test_a_put_is_never_repeated(asker):
    with serving(first_hangs_up) as server:
        asker.one('head', server.origin)
        check_error(asker.one('put', server.origin), server)
        assert [seen.method for seen in server.seen] == ['HEAD', 'PUT']


@pytest.mark.parametrize('how', METHODS)
def test_no_request_is_repeated_on_a_new_connection(asker, how):
    with serving(lambda talk: talk.request()) as server:
        check_error(asker.one(how, server.origin), server)
        assert len(server.seen) == 1


@pytest.mark.parametrize('how', METHODS)
def test_no_request_is_repeated_once_an_answer_began(asker, how):
    def behave(talk):
        if talk.number == 1:
            talk.send(*head(GOOD[talk.request().method], 'X-Timestamp: 1700000000.00000'))
            talk.request()
            talk.send(body=b'HTTP/1.1 20')
    with serving(behave) as server:
        asker.one('head', server.origin)
        check_error(asker.one(how, server.origin), server)
        assert len(server.seen) == 2


def test_connections_are_kept(asker):
    with serving() as server:
        for how in (*METHODS, 'listing'):
            assert 'value' in asker.one(how, server.origin)
        assert server.connections == 1


@pytest.mark.parametrize('run_on', (100, 100_000))
def test_an_answer_nobody_asked_for_is_not_the_next_ones(asker, run_on):
    def behave(talk):
        if talk.number > 1:
            return good(talk)
        talk.request()
        more = b'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n' * (run_on // 40)
        talk.send(*head('200 OK', 'X-Timestamp: 1700000000.00000'), body=more)
        return good(talk)
    with serving(behave) as server:
        assert 'value' in asker.one('head', server.origin)
        assert asker.one('put', server.origin) == {'value': 201}
        assert [seen.method for seen in server.seen] == ['HEAD', 'PUT']


def test_the_end_of_a_long_answer_is_not_read(asker):
    with serving(answering('201 Created', body=b'x' * 10_000_000)) as server:
        assert asker.one('put', server.origin) == {'value': 201}
        fine(asker, server)
        assert server.connections == 2


@pytest.mark.holds('S1')
def test_nobody_listens(asker):
    with serving() as server:
        pass
    result = asker.one('put', server.origin)
    check_error(result, server)
    assert 'connection refused' in result['why'] and 'X-Container-Sync-To' in result['remedy']


def test_an_unknown_host(hasty):
    result = hasty.one('head', 'http://nobody.invalid:1')
    assert 'host name' in result['why'] or 'connection' in result['why']


def slow(talk):
    talk.server.is_over.wait(1)
    good(talk)


def test_green_threads_send_at_the_same_time(asker):
    with serving(slow) as server:
        results, seconds = asker.together([call('put', server.origin) for _ in range(8)])
        assert results == [{'value': 201}] * 8 and server.connections == 8
        # one after the other they would take eight
        assert 1 <= seconds < 6
