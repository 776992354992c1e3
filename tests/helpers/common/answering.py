"""A small server for the commands that ask proxies: logins of v1 and of Keystone's v3, and control requests."""
import json
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from swiftahead.cli import main
from swiftahead.conf.names import NODE_HEADER

TOKEN = 'AUTH_tk-a-secret'
USER, KEY, PROJECT = 'test:tester', 'testing-is-secret', 'the project'
TAKEN = {NODE_HEADER: 'proxy1:8080'}
# nobody listens there
NOWHERE = ('--auth', 'http://127.0.0.1:1', '--user', USER, '--key', KEY)


class ControlRequest(NamedTuple):
    """A control request; its headers have lower-case names."""
    method: str
    path: str
    headers: dict[str, str]


class Server(ThreadingHTTPServer):
    """
    :param asked: control requests that came
    :param storage_url: what a login tells; the server's own account where none is given
    """
    daemon_threads = True

    def __init__(self, status=202, headers=None, body=b'taken\n', storage_url=None, tls: Path | None = None):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.url = f'{"https" if tls else "http"}://127.0.0.1:{self.server_port}'
        self.status, self.headers, self.body = status, TAKEN if headers is None else headers, body
        self.storage_url = storage_url or f'{self.url}/v1/AUTH_test'
        self.asked: list[ControlRequest] = []
        self.logins: list[dict] = []
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request, client_address):
        """A client that does not like the certificate goes away."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        right = (self.headers.get('X-Auth-User'), self.headers.get('X-Auth-Key')) == (USER, KEY)
        self._answer(200 if right else 401,
                     {'X-Storage-Url': self.server.storage_url, 'X-Auth-Token': TOKEN} if right else {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.path == '/v3/auth/tokens':
            return self._keystone(json.loads(body)['auth'])
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.server.asked.append(ControlRequest(self.command, self.path, headers))
        return self._answer(self.server.status, self.server.headers, self.server.body)

    do_PUT = do_DELETE = do_HEAD = do_POST

    def _keystone(self, auth):
        self.server.logins.append(auth)
        if auth['identity']['password']['user']['password'] != KEY:
            return self._answer(401, {}, b'{"error": {"code": 401, "message": "no"}}')
        expires = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
        endpoints = [{'interface': interface, 'region': region, 'region_id': region, 'id': region, 'url': url}
                     for interface, region, url in (
                         ('public', 'one', self.server.storage_url), ('internal', 'one', 'http://elsewhere/v1/A'),
                         ('public', 'two', self.server.storage_url + '2'))]
        token = {'methods': ['password'], 'expires_at': expires, 'issued_at': expires, 'audit_ids': ['a'],
                 'user': {'id': 'u', 'name': USER, 'domain': {'id': 'default', 'name': 'Default'}},
                 'project': {'id': 'p', 'name': PROJECT, 'domain': {'id': 'default', 'name': 'Default'}},
                 'catalog': [{'type': 'object-store', 'name': 'swift', 'id': 's', 'endpoints': endpoints}]}
        return self._answer(201, {'X-Subject-Token': TOKEN, 'Content-Type': 'application/json'},
                            json.dumps({'token': token}).encode())

    def _answer(self, status, headers, body=b''):
        self.send_response(status)
        for key, value in {**headers, 'Content-Length': str(len(body)), 'Connection': 'close'}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def answering(*args, **more) -> Iterator[Server]:
    with Server(*args, **more) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def certificate(path: Path) -> Path:
    """A key and its self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, '127.0.0.1')])
    now = datetime.now(timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address('127.0.0.1'))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(key, hashes.SHA256()))
    pem = serialization.Encoding.PEM
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return path


def forget_logins(monkeypatch) -> None:
    """Take the login of whoever runs the tests out of the environment."""
    for name in list(os.environ):
        if name.startswith(('ST_', 'OS_', 'SWIFTCLIENT_')) or name.lower().endswith('_proxy'):
            monkeypatch.delenv(name)


def ask(server: Server, *arguments: str, key: str = KEY) -> int:
    """The command's exit code, with a login of v1."""
    return main([*arguments, '--auth', f'{server.url}/auth/v1.0', '--user', USER, '--key', key])


def one_sentence(capsys) -> str:
    """What was said on stderr, or on stdout where nothing was said there; token and key never are."""
    out, err = capsys.readouterr()
    text = err or out
    assert TOKEN not in out + err and KEY not in out + err
    assert text.count('\n') == 1 and text.endswith('\n') and 'Traceback' not in text
    return text
