"""The login of `swiftahead warm` and `purge`: options and environment of the `swift` command."""
import argparse
import os
import subprocess
import sys

import pytest
from helpers.common.answering import KEY, PROJECT, TOKEN, USER, answering, ask, forget_logins, one_sentence
from swiftclient import shell

from swiftahead.cli import credentials, main
from swiftahead.cli.commands import parser

# python-swiftclient calls Keystone's client in ways that it advises against
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')
V3 = {'OS_USERNAME': 'tester', 'OS_PASSWORD': KEY, 'OS_PROJECT_NAME': PROJECT, 'OS_USER_DOMAIN_NAME': 'Default',
      'OS_PROJECT_DOMAIN_NAME': 'Default'}


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    forget_logins(monkeypatch)


@pytest.fixture
def server():
    with answering() as server:
        yield server


def set_all(monkeypatch, **values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def keystone(monkeypatch, server, **more):
    set_all(monkeypatch, OS_AUTH_URL=f'{server.url}/v3', **{**V3, **more})


# v1, and what is ready

def test_a_login_of_v1_comes_from_the_environment(server, monkeypatch):
    set_all(monkeypatch, ST_AUTH=f'{server.url}/auth/v1.0', ST_USER=USER, ST_KEY=KEY)
    assert main(['warm', 'c']) == 0


def test_a_token_that_is_ready_needs_no_login(server, monkeypatch):
    set_all(monkeypatch, OS_STORAGE_URL=f'{server.url}/v1/AUTH_own', OS_AUTH_TOKEN='ready')
    assert main(['warm', 'c']) == 0
    asked, = server.asked
    assert (asked.path, asked.headers['x-auth-token']) == ('/v1/AUTH_own/c?prefetch=warm', 'ready')


def test_a_storage_url_of_ones_own_counts_before_that_of_the_login(server):
    assert ask(server, 'warm', 'c', '--os-storage-url', f'{server.url}/v1/AUTH_own') == 0
    assert server.asked[0].path == '/v1/AUTH_own/c?prefetch=warm'


@pytest.mark.parametrize('token', ['AUTH_tk\nX-Evil: 1', ' AUTH_tk', 'AUTH tk', 'AUTH_tk\n', 'AUTH_ü', 'AUTH\x00'])
def test_a_token_that_no_header_may_hold_is_not_told(server, token, capsys):
    assert main(['warm', 'c', '--os-auth-token', token, '--os-storage-url', f'{server.url}/v1/A']) == 2
    said = one_sentence(capsys)
    assert 'the token holds what no header may' in said and 'tk' not in said.replace('token', '')
    assert server.asked == []


@pytest.mark.parametrize('key', [f'{KEY}\nX-Evil: 1', f' {KEY}', f'{KEY}\udcff'])
def test_nor_is_such_a_key(server, key, capsys):
    assert ask(server, 'warm', 'c', key=key) == 2
    assert 'user or key hold what no header may' in one_sentence(capsys)


def test_a_wrong_key_is_said_with_the_address(server, capsys):
    assert ask(server, 'warm', 'c', key='wrong') == 2
    assert one_sentence(capsys).startswith(f'swiftahead: {server.url}/auth/v1.0: Auth GET failed')
    assert server.asked == []


def test_an_answer_that_is_no_login_is_said(server, capsys):
    server.storage_url = ''
    assert ask(server, 'warm', 'c') == 2
    assert 'no storage URL and token in the answer' in one_sentence(capsys)


@pytest.mark.parametrize('url', ['nonsense', 'ftp://h', 'http://h:x/', 'http://[::1', 'http://', 'http://h:99999'])
def test_an_address_that_is_none_is_said(url, capsys):
    assert main(['warm', 'c', '-A', url, '-U', USER, '-K', KEY]) == 2
    assert one_sentence(capsys).startswith(f'swiftahead: {url}: ')


@pytest.mark.parametrize('given', [
    {}, {'ST_USER': USER, 'ST_KEY': KEY}, {'ST_AUTH': 'http://h', 'ST_USER': USER}, {'OS_AUTH_TOKEN': 'x'},
    {'OS_STORAGE_URL': 'http://h/v1/A'}, {**V3}, {'OS_AUTH_URL': 'http://h/v3', 'OS_USERNAME': USER},
    {'OS_AUTH_TYPE': 'v3applicationcredential', 'OS_AUTH_URL': 'http://h/v3'}])
def test_without_a_login_it_is_said_what_to_set(monkeypatch, given, capsys):
    set_all(monkeypatch, **given)
    assert main(['warm', 'c']) == 2
    assert 'set ST_AUTH, ST_USER and ST_KEY, or OS_AUTH_URL' in one_sentence(capsys)


# Keystone

def test_a_login_of_v3_comes_from_the_environment(server, monkeypatch):
    keystone(monkeypatch, server)
    assert main(['warm', 'c']) == 0
    login, = server.logins
    assert login['identity']['password']['user'] == {
        'name': 'tester', 'password': KEY, 'domain': {'name': 'Default'}}
    assert login['scope'] == {'project': {'name': PROJECT, 'domain': {'name': 'Default'}}}
    assert (server.asked[0].path, server.asked[0].headers['x-auth-token']) == (
        '/v1/AUTH_test/c?prefetch=warm', TOKEN)


def test_a_login_of_v3_may_be_given_by_options(server):
    assert main(['warm', 'c', '--os-auth-url', f'{server.url}/v3', '--auth-version', '3', '--os-user-id', 'u',
                 '--os-password', KEY, '--os-project-id', 'p']) == 0
    login, = server.logins
    assert login['identity']['password']['user'] == {'id': 'u', 'password': KEY}
    assert login['scope'] == {'project': {'id': 'p'}}


def test_a_region_counts(server, monkeypatch):
    keystone(monkeypatch, server, OS_REGION_NAME='two')
    assert main(['warm', 'c']) == 0
    assert server.asked[0].path == '/v1/AUTH_test2/c?prefetch=warm'


@pytest.mark.parametrize('given, why', [
    ({'OS_PASSWORD': 'wrong'}, 'Unauthorized'), ({'OS_REGION_NAME': 'three'}, 'Endpoint for object-store not'),
    ({'OS_AUTH_URL': 'http://127.0.0.1:1/v3'}, 'Connection refused'),
    ({'OS_PROJECT_NAME': ''}, 'No project name or project id'), ({'OS_AUTH_VERSION': '2'}, ''),
    ({'OS_AUTH_URL': 'nonsense'}, ''), ({'OS_AUTH_TYPE': 'v3oidc'}, ''),
    ({'OS_AUTH_VERSION': '7', 'ST_AUTH': 'http://h', 'ST_USER': 'u', 'ST_KEY': 'k'}, 'Unknown auth_version 7')])
def test_a_login_that_keystone_refuses_is_one_sentence(server, monkeypatch, given, why, capsys):
    keystone(monkeypatch, server)
    set_all(monkeypatch, **given)
    assert main(['warm', 'c']) == 2
    assert why in one_sentence(capsys) and not any('prefetch' in asked.path for asked in server.asked)


def test_what_keystone_needs_and_is_not_installed_is_one_sentence(server):
    """In a process in which it cannot be imported."""
    code = ('import sys\nsys.modules["keystoneclient"] = None\n'
            'from swiftahead.cli import main\nsys.exit(main(["warm", "c"]))')
    environ = {'PATH': os.environ['PATH'], **V3, 'OS_AUTH_URL': f'{server.url}/v3'}
    done = subprocess.run([sys.executable, '-c', code], env=environ, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr == f'swiftahead: {credentials.NO_KEYSTONE}\n'
    assert "pip install 'python-swiftclient[keystone]'" in done.stderr


# the same as the swift command

def long_options(parsed, prefix=''):
    return {text for action in parsed._actions for text in action.option_strings
            if text.startswith(f'--{prefix}') and '_' not in text}


def warms_options():
    commands = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return long_options(commands.choices['warm'])


def test_the_options_are_those_of_the_swift_command():
    swifts = argparse.ArgumentParser(add_help=False)
    shell.add_default_args(swifts)
    login = long_options(swifts, 'os-') - {'--os-help'}
    assert len(login) > 20 and login <= warms_options()
    assert {'--auth', '--user', '--key', '--auth-version', '--insecure', '--timeout'} <= warms_options()


def test_the_environment_is_that_of_the_swift_command(monkeypatch):
    set_all(monkeypatch, ST_AUTH='a', ST_USER='b', ST_KEY='c', SWIFTCLIENT_INSECURE='yes', OS_AUTH_VERSION='3',
            **{f'OS_{name.upper().replace("-", "_")}': name for name in credentials.OS_OPTIONS})
    ours, swifts = (argparse.ArgumentParser(add_help=False) for _ in range(2))
    credentials.add_arguments(ours)
    shell.add_default_args(swifts)
    expected = vars(swifts.parse_args([]))
    told = vars(ours.parse_args([]))
    assert {**told, 'timeout': None} == {name: expected[name] for name in told}


def test_help_tells_no_secret(monkeypatch, capsys):
    set_all(monkeypatch, ST_KEY='a-secret', OS_PASSWORD='a-secret', OS_AUTH_TOKEN='a-secret')
    with pytest.raises(SystemExit):
        main(['purge', '--help'])
    assert 'a-secret' not in capsys.readouterr().out
