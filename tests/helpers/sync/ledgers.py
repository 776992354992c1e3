"""Ledgers of a node that has a syncer, written as the syncer writes them, and the conf of that node."""
from contextlib import closing
from pathlib import Path

from swiftahead.sidecar.syncer.figures import SyncFigures
from swiftahead.sidecar.syncer.ledger import Ledger, SyncProgress


def syncer_conf(folder: Path, lines: str = '') -> Path:
    """The conf of a syncer alone; its devices are `folder`/node. :param lines: belong to [syncer]"""
    (folder / 'node').mkdir(exist_ok=True)
    path = folder / 'syncer.conf'
    path.write_text(f'[sidecar]\nswift_dir = {folder}\n[syncer]\nenabled = on\ndevices = {folder}/node\n{lines}\n')
    return path


def write(folder: Path, *figures: SyncFigures, device: str = 'sda', at: float = 0.0) -> None:
    """Keep the figures in the ledger of a device. :param at: time of the pass"""
    path = folder / 'node' / device
    path.mkdir(parents=True, exist_ok=True)
    with closing(Ledger(path)) as ledger:
        for one in figures:
            name = f'{one.account}/{one.container}'
            ledger.write(name, 'id', one.sync_to, SyncProgress(5, figures=one))
        ledger.keep_only({f'{one.account}/{one.container}' for one in figures}, at)
