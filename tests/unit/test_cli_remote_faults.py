"""`swiftahead warm` and `purge` where what answers is slow, broken or nobody's."""
import socket
import threading

import pytest
from helpers.common.answering import KEY, USER, answering, ask, certificate, forget_logins, one_sentence

from swiftahead.cli import main
from swiftahead.conf.names import NODE_HEADER

WARM = 'warm'


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    forget_logins(monkeypatch)


@pytest.fixture
def server():
    with answering() as server:
        yield server


@pytest.fixture
def hanging():
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        listening.listen()
        yield f'http://127.0.0.1:{listening.getsockname()[1]}'


def test_a_proxy_that_hangs_is_not_waited_for_for_ever(server, hanging, capsys):
    assert ask(server, WARM, 'c', '--proxy', hanging, '--timeout', '0.2') == 2
    assert one_sentence(capsys) == f'swiftahead: {hanging}: no answer within 0.2 s\n'


def test_nor_is_a_login_that_hangs(hanging, capsys):
    assert main([WARM, 'c', '-A', hanging, '-U', USER, '-K', KEY, '-T', '0.2']) == 2
    assert one_sentence(capsys) == f'swiftahead: {hanging}: no answer within 0.2 s\n'


def test_an_address_where_nobody_listens_is_said(capsys):
    with answering() as server:
        pass
    assert ask(server, WARM, 'c') == 2
    assert one_sentence(capsys) == f'swiftahead: {server.url}/auth/v1.0: Connection refused\n'


@pytest.mark.parametrize('answer', [
    b'', b'rubbish\r\n\r\n',
    b'HTTP/1.1 202 OK\r\nContent-Length: 100\r\n' + f'{NODE_HEADER}: n\r\n\r\nhalf'.encode()],
    ids=['nothing', 'rubbish', 'half a body'])
def test_an_answer_that_breaks_off_is_said(server, answer, capsys):
    def serve():
        connection, _ = listening.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(answer)

    with socket.create_server(('127.0.0.1', 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f'http://127.0.0.1:{listening.getsockname()[1]}'
        code = ask(server, WARM, 'c', '--proxy', url)
        thread.join()
    assert code == 2 and one_sentence(capsys).startswith(f'swiftahead: {url}: ')


# TLS

@pytest.fixture(scope='module')
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp('tls') / 'server.pem')


def test_a_certificate_of_nobodys_is_refused(pem, capsys):
    with answering(tls=pem) as server:
        assert ask(server, WARM, 'c') == 2
        assert server.asked == []
    assert 'certificate verify failed' in one_sentence(capsys)


def test_a_certificate_that_is_known_is_taken(pem):
    with answering(tls=pem) as server:
        assert ask(server, WARM, 'c', '--os-cacert', str(pem)) == 0


def test_whoever_asks_for_it_gets_no_verification(pem, capsys):
    with answering(tls=pem) as server:
        assert ask(server, WARM, 'c', '--insecure', '--proxy', server.url) == 0
    assert one_sentence(capsys) == 'taken\n'


def test_a_ca_file_that_is_not_there_is_said(pem, capsys):
    with answering(tls=pem) as server:
        assert ask(server, WARM, 'c', '--os-cacert', '/not/there') == 2
    assert '/not/there' in one_sentence(capsys)
