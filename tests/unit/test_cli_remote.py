"""`swiftahead warm` and `purge`: what is sent, which answers are believed, and what is never said."""
import json
import os

import pytest
from helpers.common.answering import KEY, NOWHERE, TAKEN, TOKEN, USER, answering, ask, forget_logins, one_sentence

from swiftahead.cli import main
from swiftahead.conf.names import NODE_HEADER

WARM, PURGE = 'warm', 'purge'


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    forget_logins(monkeypatch)


@pytest.fixture
def server():
    with answering() as server:
        yield server


@pytest.fixture
def other():
    with answering(headers={NODE_HEADER: 'proxy2:8080'}) as server:
        yield server


# what is sent

@pytest.mark.parametrize('arguments, path', [
    (['warm', 'c'], '/v1/AUTH_test/c?prefetch=warm'),
    (['warm', 'c', '--prefix', 'a b/ü', '--limit', '5'],
     '/v1/AUTH_test/c?prefetch=warm&prefix=a+b%2F%C3%BC&limit=5'),
    (['purge', 'c'], '/v1/AUTH_test/c?prefetch=forget'),
    (['purge', 'c', '--object', 'o&x'], '/v1/AUTH_test/c?prefetch=forget&name=o%26x'),
    (['purge', 'c d?', '--prefix', 'p'], '/v1/AUTH_test/c%20d%3F?prefetch=forget&prefix=p'),
    (['purge', 'c%2Fo'], '/v1/AUTH_test/c%252Fo?prefetch=forget'),
    (['purge', 'c%252Fo'], '/v1/AUTH_test/c%25252Fo?prefetch=forget'),
    (['purge', '%2e%2e'], '/v1/AUTH_test/%252e%252e?prefetch=forget'),
    (['purge', 'c#x'], '/v1/AUTH_test/c%23x?prefetch=forget'),
    (['purge', 'c?x=y&z'], '/v1/AUTH_test/c%3Fx%3Dy%26z?prefetch=forget'),
    (['purge', 'c;x'], '/v1/AUTH_test/c%3Bx?prefetch=forget'),
    (['purge', r'c\o'], '/v1/AUTH_test/c%5Co?prefetch=forget'),
    (['purge', 'c\no'], '/v1/AUTH_test/c%0Ao?prefetch=forget'),
    (['purge', 'x' * 256], f'/v1/AUTH_test/{"x" * 256}?prefetch=forget'),
    (['purge', '--', '-c'], '/v1/AUTH_test/-c?prefetch=forget'),
    (['purge', ' '], '/v1/AUTH_test/%20?prefetch=forget'),
    (['purge', '.'], '/v1/AUTH_test/.?prefetch=forget'), (['warm', '..'], '/v1/AUTH_test/..?prefetch=warm'),
    (['purge', '...'], '/v1/AUTH_test/...?prefetch=forget')])
def test_a_request_goes_to_that_container_alone(server, arguments, path, capsys):
    options = ['--auth', f'{server.url}/auth/v1.0', '--user', USER, '--key', KEY]
    assert main([arguments[0], *options, *arguments[1:]]) == 0
    asked, = server.asked
    assert (asked.method, asked.path, asked.headers['x-auth-token']) == ('POST', path, TOKEN)
    assert one_sentence(capsys) == 'taken\n'


def test_each_request_carries_what_swift_refuses_for_an_object(server):
    ask(server, WARM, 'c')
    assert server.asked[0].headers['x-delete-at'] == '1'


@pytest.mark.parametrize('url, why', [
    ('/v1/AUTH_test/c', 'nothing more'), ('/v1/AUTH_test/c/o', 'nothing more'), ('/v1/AUTH_test/', 'nothing more'),
    ('/v1/', 'nothing more'), ('/v1', 'nothing more'), ('', 'nothing more'), ('/', 'nothing more'),
    ('/v1//AUTH_test', 'nothing more'), ('//v1/AUTH_test', 'nothing more'), ('/v1/AUTH_test?x', 'nothing more'),
    ('/v1/AUTH_test?', 'nothing more'), ('/v1/AUTH_test#', 'nothing more'), ('/v1/AUTH_test#x', 'nothing more'),
    ('/v2/AUTH_test', 'nothing more'), ('/V1/AUTH_test', 'nothing more'), ('/x/v1/AUTH_test', 'nothing more'),
    ('/v1/AUTH_test\\c', 'nothing more'), ('/v1/AUTH test', 'nothing more'), ('/v1/AUTH_test ', 'nothing more'),
    *((f'/v1/{name}', 'without "/"') for name in ('AUTH_test%2Fc', 'AUTH_test%2fc%2fo', '%2F')),
    ('/v1/%00', 'zero byte'), ('/v1/A%00', 'zero byte'), ('/v1/%FF', 'must be UTF-8'),
    ('/v1/' + 'A' * 257, 'at most 256 bytes')])
def test_a_storage_url_that_is_not_an_accounts_is_refused(server, url, why, capsys):
    server.storage_url = server.url + url
    assert ask(server, PURGE, 'c') == 2
    said = one_sentence(capsys)
    assert said.startswith('swiftahead: storage URL ') and why in said and server.asked == []


@pytest.mark.parametrize('url', [
    'AUTH_test', 'ftp://h/v1/A', 'http:///v1/A', 'http://h:x/v1/A', 'http://h:99999/v1/A', 'http://h:0/v1/A',
    'http://user:pass@h/v1/A', 'http://[::1/v1/A', 'http://h\n/v1/A', '\nhttp://h/v1/A', 'http://h/v1/A\n',
    'http://h/v1/A\t', 'http://h/v1/A\x00', 'http://h\x7f/v1/A', 'http://:80/v1/A'])
def test_a_storage_url_that_is_no_url_is_refused(url, capsys):
    assert main([PURGE, 'c', '--os-auth-token', TOKEN, '--os-storage-url', url]) == 2
    assert one_sentence(capsys).startswith('swiftahead: storage URL ')


@pytest.mark.parametrize('account, path', [
    ('AUTH_a%20b', 'AUTH_a%20b'), ('AUTH_%C3%BC', 'AUTH_%C3%BC'), ('AUTH_ü', 'AUTH_%C3%BC'),
    ('AUTH_a%252Fb', 'AUTH_a%252Fb'), ('.a', '.a'), ('.', '.'), ('..', '..'), ('%2e%2E', '..'),
    ('a%3Fb%23', 'a%3Fb%23'), ('a:b@', 'a%3Ab%40')])
def test_an_account_may_be_called_anything_else(server, account, path):
    assert main([PURGE, 'c', '--os-auth-token', TOKEN, '--os-storage-url', f'{server.url}/v1/{account}']) == 0
    assert server.asked[0].path == f'/v1/{path}/c?prefetch=forget'


@pytest.mark.parametrize('arguments, why', [
    ([PURGE, 'c', '--object', 'a', '--prefix', 'b'], 'not allowed with'),
    ([PURGE, 'c', '--limit', '5'], 'unrecognized arguments'), ([WARM, 'c', '--object', 'o'], 'unrecognized'),
    ([PURGE, 'c', 'o'], 'unrecognized arguments'),
    ([WARM, 'c', '--limit', 'x'], "'x': must be a whole number of at least 1"),
    *(([WARM, 'c', '--limit', limit], 'must be a whole number of at least 1')
      for limit in ('', '0', '-1', '1000000001', '9' * 5000)),
    *(([WARM, 'c', '--timeout', value], 'must be a number of seconds')
      for value in ('0', '-1', 'nan', 'inf', 'soon', '')),
    *(([command, 'c', option, value], f'argument {option}: {value!a}: must be UTF-8, neither empty nor')
      for command, option in ((PURGE, '--object'), (PURGE, '--prefix'), (WARM, '--prefix'))
      for value in ('', 'a\0', '\udcff'))])
def test_options_that_make_no_sense_are_told_with_the_rule(arguments, why, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and why in capsys.readouterr().err


# which answers are believed

@pytest.mark.parametrize('status, headers, body, said', [
    (202, {}, b'taken\n', 'not taken: 202, but not by a prefetch filter'),
    (204, {}, b'', 'not taken: 204, but not by a prefetch filter'),
    (202, {NODE_HEADER: ''}, b'', 'not taken: 202, but not by'),
    (200, TAKEN, b'odd', 'not taken: odd'),
    (400, TAKEN, b'limit=x: must be', 'not taken: limit=x: must be'),
    (503, TAKEN, b'no records\n', 'not taken: no records'),
    (503, {}, b'<h1>no</h1>', 'not taken: 503 Service Unavailable'),
    (403, {}, b'', 'not taken: this user may not write to the container'),
    (401, {}, TOKEN.encode(), 'not taken: this user may not write to the container'),
    (404, {}, b'', 'not taken: no such container'), (999, {}, b'', 'not taken: 999')])
def test_only_what_the_filter_answers_counts(status, headers, body, said, capsys):
    with answering(status, headers, body) as server:
        assert ask(server, WARM, 'c') == 1
    assert one_sentence(capsys).startswith(said)


def test_what_a_server_says_moves_no_cursor_and_has_an_end(capsys):
    with answering(400, {NODE_HEADER: 'n\x1b[2J'}, b'a\x1b[2J\r\nb' + b'x' * 10**6) as server:
        assert ask(server, WARM, 'c') == 1
    said = one_sentence(capsys)
    assert '\x1b' not in said and len(said) < 1100


@pytest.mark.parametrize('status, taken', [(202, True), (400, False)])
def test_an_answer_as_json(status, taken, capsys):
    with answering(status) as server:
        assert ask(server, PURGE, 'c', '--json') == (not taken)
    assert json.loads(capsys.readouterr().out) == {
        'container': 'c', 'proxy': server.url, 'taken': taken, 'status': status, 'node': 'proxy1:8080',
        'said': 'taken'}


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_a_token(other, status, capsys):
    with answering(status, {'Location': f'{other.url}/v1/AUTH_test/c/o'}, b'') as server:
        assert ask(server, PURGE, 'c') == 1
    assert f'not taken: {status}, a redirect, which is not followed' in one_sentence(capsys)
    assert other.asked == []


# several proxies

def test_a_proxy_may_be_named(server, other, capsys):
    assert ask(server, WARM, 'c', '--proxy', f'{other.url}/') == 0
    assert server.asked == [] and other.asked[0].path == '/v1/AUTH_test/c?prefetch=warm'


def test_all_are_asked_and_each_is_a_line(server, other, capsys):
    assert ask(server, PURGE, 'c', '--all', '--proxy', server.url, '--proxy', other.url) == 0
    assert capsys.readouterr().out.splitlines() == [
        f'{server.url}: taken by proxy1:8080', f'{other.url}: taken by proxy2:8080']
    assert len(server.asked) == len(other.asked) == 1


def test_who_reads_no_further_keeps_no_proxy_from_being_asked(server, other, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as closed:
        monkeypatch.setattr('sys.stdout', closed)
        assert ask(server, PURGE, 'c', '--all', '--proxy', server.url, '--proxy', other.url) == 0
        monkeypatch.undo()
    assert [len(one.asked) for one in (server, other)] == [1, 1]


def test_where_one_is_down_the_others_are_asked_all_the_same(server, other, capsys):
    with answering() as gone:
        pass
    proxies = [word for one in (gone, other, server) for word in ('--proxy', one.url)]
    assert ask(server, PURGE, 'c', '--all', *proxies) == 2
    assert capsys.readouterr().out.splitlines() == [
        f'{gone.url}: not reached: Connection refused', f'{other.url}: taken by proxy2:8080',
        f'{server.url}: taken by proxy1:8080']


def test_where_one_does_not_take_it_that_is_the_exit_code(server, capsys):
    with answering(204, {}) as plain:
        assert ask(server, PURGE, 'c', '--all', '--proxy', plain.url, '--proxy', server.url, '--json') == 1
    told = json.loads(capsys.readouterr().out)
    assert told['taken'] is False
    assert [(row['proxy'], row['taken'], row['status'], row['node']) for row in told['proxies']] == [
        (plain.url, False, 204, None), (server.url, True, 202, 'proxy1:8080')]


def test_one_that_is_down_is_told_as_json(server, capsys):
    with answering() as gone:
        pass
    assert ask(server, PURGE, 'c', '--all', '--proxy', gone.url, '--json') == 2
    row, = json.loads(capsys.readouterr().out)['proxies']
    assert row == {'proxy': gone.url, 'taken': False, 'status': None, 'node': None, 'said': 'Connection refused'}


def test_two_addresses_of_one_node_are_not_all(server, capsys):
    with answering() as balancer:
        assert ask(server, PURGE, 'c', '--all', '--proxy', server.url, '--proxy', balancer.url) == 1
    assert capsys.readouterr().out.splitlines()[2].startswith('proxy1:8080 answered more than once')


@pytest.mark.parametrize('arguments, why', [
    (['--all'], '--all needs --proxy'), (['--proxy', 'http://h', '--proxy', 'http://i'], 'with --all alone'),
    (['--all', '--proxy', 'http://h', '--proxy', 'http://h/'], 'is there twice'),
    *((['--proxy', url], '--proxy ') for url in (
        '', 'h', 'h:8080', 'http://', 'http://h/v1', 'http://h/v1/AUTH_test/c', 'http://h?', 'http://u:p@h',
        'http://h:99999', 'ftp://h', 'http://h\n'))])
def test_proxies_that_make_no_sense_are_refused(arguments, why, capsys):
    assert main([PURGE, 'c', *arguments, *NOWHERE]) == 2
    assert why in one_sentence(capsys)
