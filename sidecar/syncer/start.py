"""Look for troubles of the syncer before the daemon starts."""
import configparser
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from swift.common.ring import Ring

from ...conf.process import told
from ..settings import SidecarSettings
from ..trouble import Trouble, told_to
from .client import conf_path, source_client
from .destination import REALMS
from .upstream import PROGRAM, running_on


def troubles(settings: SidecarSettings) -> Iterator[Trouble]:
    """Give each trouble that this process's user would meet as the syncer. No key of a realm is in the texts."""
    syncer, swift_dir, user = settings.syncer, settings.sidecar.swift_dir, settings.user
    rings = f'[sidecar] swift_dir = {swift_dir}: '
    if why := _of_devices(syncer.devices, user) or _of_disks(syncer, user):
        yield Trouble(f'[syncer] devices = {syncer.devices}: {why}')
    # the client needs the rings too
    if why := _of_ring(swift_dir, user):
        yield Trouble(rings + why)
    elif why := _of_client(settings):
        yield Trouble((f'[syncer] internal_client_conf_path = {syncer.internal_client_conf_path}: '
                       if syncer.internal_client_conf_path else rings) + why)
    if why := _of_ca_file(syncer.ca_file, user):
        yield Trouble(f'[syncer] ca_file = {syncer.ca_file}: {why}')
    if why := _of_realms(os.path.join(swift_dir, REALMS), user):
        yield Trouble(f'{rings}{REALMS} cannot be read, so that nothing is synced to its clusters: {why}',
                      passes=True)


def _of_devices(devices, user):
    if not os.path.isdir(devices):
        return "is no folder; name the one that the container-server's conf names as devices"
    if not os.access(devices, os.R_OK | os.X_OK):
        return f'the user {user} cannot read it; let that user read and enter each folder of this path'
    if pid := running_on(devices):
        return (f'{PROGRAM} runs on the same disks, pid {pid}: stop it first, with `swift-init container-sync '
                'stop` or by its service, and let it start no more')
    return ''


def _of_disks(syncer, user):
    """Tell in words why no disk can be used. A single one may be mended while the others are synced."""
    try:
        disks = [disk for disk in Path(syncer.devices).iterdir() if disk.is_dir()]
    except OSError as error:
        return _told(user, error)
    if syncer.dry_run or not disks or any(os.access(disk, os.W_OK | os.X_OK) for disk in disks):
        return ''
    return (f'the user {user} can write to no disk in it; give them to that user, or, where systemd keeps them '
            'read-only, add this folder to ReadWritePaths of the service')


def _of_ring(swift_dir, user):
    try:
        Ring(swift_dir, ring_name='container')
    except Exception as error:  # noqa: BLE001 - a damaged ring raises whatever its bytes lead to
        return (f'its container ring cannot be read: {_told(user, error)}; put container.ring.gz there, or name '
                'the folder that has it')
    return ''


def _of_client(settings):
    path = conf_path(settings)
    try:
        source_client(settings)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever Swift, PasteDeploy and the filters raise
        what = os.path.basename(path) if path else "Swift's built-in conf"
        return (f'{what} makes no client to read objects by: {_told(settings.user, error)}; Swift\'s '
                'internal-client.conf-sample shows such a conf')
    return ''


def _of_ca_file(path, user):
    if path is None:
        return ''
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        return f'cannot be read as certificates: {_told(user, error)}; name a PEM file, or take the option out'
    return ''


def _of_realms(path, user):
    """Tell in words why Swift cannot read the realms. The parser's own words hold lines of the file, and keys."""
    parser = configparser.ConfigParser()
    try:
        with open(path) as file:
            parser.read_file(file)
        for section in parser.sections():
            parser.items(section)
        parser.getfloat('DEFAULT', 'mtime_check_interval', fallback=300)
    except FileNotFoundError:
        # a cluster without realms
        return ''
    except OSError as error:
        return _told(user, error)
    except configparser.InterpolationError as error:
        return f'[{error.section}] {error.option} has a % that is not written %%'
    except configparser.Error as error:
        return f'{_where(error)} is not as in a conf: mend it there'
    except UnicodeDecodeError as error:
        return f'must be UTF-8, which byte {error.start} is not'
    except ValueError:
        return '[DEFAULT] mtime_check_interval must be a number of seconds'
    return ''


def _where(error):
    lines = [line for line, _ in getattr(error, 'errors', ())] or [getattr(error, 'lineno', None)]
    return f'line {lines[0]}' if lines[0] else 'a line'


def _told(user, error):
    if isinstance(error, PermissionError):
        return f'{told(error)}; let the user {user} read it, and enter each folder above it'
    return told_to(user, error)
