"""Run ``swiftahead-sidecar``: read the conf, look whether all is right, and become the daemon."""
import os
import sys
from collections.abc import Callable
from configparser import Error
from contextlib import suppress
from functools import partial

from swift.common.daemon import run_daemon
from swift.common.storage_policy import reload_storage_policies
from swift.common.utils import config_true_value, monkey_patch, readconf, set_swift_dir, validate_configuration

from ..conf import ConfError
from ..conf.process import ending_at_once, told
from .settings import SECTION, SidecarSettings, check_client, read_settings


def prepared(path: str, once: bool, verbose: bool) -> Callable[[], int] | None:
    """Give the call that becomes the daemon and returns its exit code; None where the daemon cannot be started.

    :param path: of the conf
    :param once: whether to make one whole pass, and no more
    """
    def tell(text):
        # where it cannot be told, the exit code tells
        with suppress(OSError):
            print(f'swiftahead-sidecar: {path}: {text}', file=sys.stderr, flush=True)

    try:
        settings, conf = _read(path)
        # now that the policies are known
        from .daemon import Sidecar
        from .start import is_ready, prepare
        prepare(settings)
    except (ConfError, OSError) as error:
        tell(told(error))
        return None
    # as Swift's daemons have it
    once = once or not config_true_value(conf.get('daemonize', 'true'))
    if not is_ready(settings, conf, once, tell):
        return None
    # the daemon would do so itself, when it may be interrupted
    monkey_patch()
    options = {'section_name': SECTION, 'once': once, 'verbose': verbose}
    return partial(_pass if once else _stay, Sidecar, path, options)


def _read(path) -> tuple[SidecarSettings, dict]:
    """Give the settings, and the section as Swift's daemon reads it. Load the policies of its Swift.

    :raises ConfError:
    :raises OSError: where the conf cannot be read
    """
    settings = read_settings(path)
    try:
        conf = readconf(path, SECTION)
    except (Error, ValueError) as error:
        raise ConfError(told(error)) from None
    try:
        set_swift_dir(settings.sidecar.swift_dir)
        validate_configuration()
        reload_storage_policies()
    except (Error, OSError, ValueError, SystemExit) as error:
        raise ConfError(f'[sidecar] swift_dir = {settings.sidecar.swift_dir}: {told(error)}') from None
    check_client(settings)
    return settings, conf


def _stay(daemon, path, options):
    run_daemon(daemon, path, **options)
    return 0


def _pass(daemon, path, options):
    """Make one pass. The daemon closes standard error; an error that ends the pass is told there even so."""
    with open(os.dup(sys.stderr.fileno()), 'w', errors='backslashreplace') as stderr:
        try:
            # until the daemon handles the signal
            with ending_at_once():
                ran = run_daemon(daemon, path, **options)
        except SystemExit as end:
            print(f'swiftahead-sidecar: {path}: {end.code}', file=stderr)
            return 1
    # as a shell tells of a program that a signal ended
    return 128 + ran.stopped_by if ran.stopped_by else 0
