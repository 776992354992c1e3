"""Log in with the ``swift`` command's options and environment, by python-swiftclient's own functions.

Also tell the fault of a request, at the login or later.
"""
import os
import warnings
from contextlib import suppress

from requests.exceptions import InvalidHeader
from swiftclient import ClientException, Connection, client
from swiftclient.service import get_conn, process_options
from swiftclient.utils import config_true_value
from urllib3.exceptions import HTTPError

from ..conf.arguments import argument
from ..conf.casts import seconds
from .main import CommandError

# the `swift` command's options --os-..., each with its variable OS_...
OS_OPTIONS = (
    'username', 'user-id', 'user-domain-id', 'user-domain-name', 'password', 'tenant-id', 'tenant-name',
    'project-id', 'project-name', 'project-domain-id', 'project-domain-name', 'auth-url', 'auth-type',
    'application-credential-id', 'application-credential-secret', 'auth-token', 'storage-url', 'region-name',
    'service-type', 'endpoint-type', 'cacert', 'cert', 'key')
VERSION_VARIABLES = ('ST_AUTH_VERSION', 'OS_AUTH_VERSION', 'OS_IDENTITY_API_VERSION')
KEYSTONE_VERSIONS = (*client.AUTH_VERSIONS_V2, *client.AUTH_VERSIONS_V3)
NO_HEADER = 'user or key hold what no header may'
NO_LOGIN = ('there is no login: set ST_AUTH, ST_USER and ST_KEY, or OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and '
            'what else your cloud tells users of the swift command to set, or OS_STORAGE_URL and OS_AUTH_TOKEN')
NO_KEYSTONE = ("Keystone's client is not installed, which auth versions 2 and 3 need; install it with: "
               "pip install 'python-swiftclient[keystone]'")
SECONDS = 60.0


class RemoteError(CommandError):
    """Tell that a proxy cannot be asked, or not with these arguments."""


def add_arguments(parser) -> None:
    group = parser.add_argument_group('login', "the swift command's own options and environment")
    group.add_argument('-A', '--auth', default=os.environ.get('ST_AUTH'), metavar='URL', help='default: $ST_AUTH')
    group.add_argument('-U', '--user', default=os.environ.get('ST_USER'), help='default: $ST_USER')
    group.add_argument('-K', '--key', default=os.environ.get('ST_KEY'), help='default: $ST_KEY')
    group.add_argument('-V', '--auth-version', '--os-identity-api-version', metavar='V', default=_auth_version(),
                       help='1.0, 2.0 or 3; default: $' + ', $'.join(VERSION_VARIABLES) + ' or 1.0')
    for name in OS_OPTIONS:
        variable = f'OS_{name.upper().replace("-", "_")}'
        group.add_argument(f'--os-{name}', default=os.environ.get(variable), metavar='X',
                           help=f'default: ${variable}')
    group.add_argument('--insecure', action='store_true',
                       default=config_true_value(os.environ.get('SWIFTCLIENT_INSECURE')),
                       help='do not verify TLS certificates; default: $SWIFTCLIENT_INSECURE')
    group.add_argument('-T', '--timeout', type=argument(seconds(0.1, 86400)), default=SECONDS, metavar='S',
                       help='seconds for which an answer is waited for (%(default)g)')


def _auth_version():
    return next((os.environ[name] for name in VERSION_VARIABLES if name in os.environ), '1.0')


def log_in(args) -> Connection:
    """Make a connection that has a storage URL and a token.

    :raises RemoteError: where the login is incomplete or fails, or where no header may hold the token
    """
    options = dict(vars(args))
    process_options(options)
    if args.insecure:
        warnings.filterwarnings('ignore', 'Unverified HTTPS request')
    connection = get_conn({**options, 'retries': 0})
    if not (connection.url and connection.token):
        _check(options)
        _ask_for_token(connection)
    if not _fits_a_header(connection.token):
        raise RemoteError('the token holds what no header may: give it as the server gave it')
    return connection


def _check(options):
    """Check the options of a login as the `swift` command does.

    :raises RemoteError: where one is missing, or where Keystone's client is needed and is not installed
    """
    if options['os_auth_type'] == 'v3applicationcredential':
        needed = ('auth', 'os_application_credential_id', 'os_application_credential_secret')
    elif options['auth_version'] == '3':
        needed = ('auth', 'key', 'os_user_id' if options['os_user_id'] else 'user')
    else:
        needed = ('auth', 'user', 'key')
    if not all(options[name] for name in needed):
        raise RemoteError(NO_LOGIN)
    if options['auth_version'] in KEYSTONE_VERSIONS and client.ksclient_v3 is None:
        raise RemoteError(NO_KEYSTONE)


def _ask_for_token(connection):
    where = one_line(connection.authurl)
    try:
        url, token = connection.get_auth()
    except UnicodeError:
        raise RemoteError(f'{where}: {NO_HEADER}') from None
    except (ClientException, OSError, HTTPError, ValueError, *_keystone_errors()) as error:
        raise RemoteError(f'{where}: {reason(error, connection.timeout)}') from None
    if not (url and token):
        raise RemoteError(f'{where}: no storage URL and token in the answer; is this where logins are answered?')


def _keystone_errors() -> tuple[type[Exception], ...]:
    """Name the errors of Keystone's client that python-swiftclient hands on as they are."""
    with suppress(ImportError):
        from keystoneauth1.exceptions import ClientException as KeystoneError
        return (KeystoneError,)
    return ()


def _fits_a_header(token):
    return token.isascii() and token.isprintable() and ' ' not in token


# -- faults of a request -----------------------------------------------------------------------------------

def one_line(text: str) -> str:
    """Make foreign text part of one line, without characters that move a terminal's cursor."""
    return ''.join(letter if letter.isprintable() else ' ' for letter in text).strip()


def reason(error: Exception, seconds: float) -> str:
    """Tell a request's fault in one line, without its headers."""
    if isinstance(error, InvalidHeader):
        # its text has the password
        return NO_HEADER
    first = _first(error)
    if 'timed out' in str(first):
        return f'no answer within {seconds:g} s'
    # the system's own words if there are any: the libraries' fill several lines
    text = getattr(first, 'strerror', None) or str(first) if isinstance(first, OSError) else str(error)
    return one_line(text) or type(error).__name__


def _first(error) -> BaseException:
    """Find the error from which all others came."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error
