"""The programs of a lab: how each is started, and when it is ready."""
import http.client
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from swift.common.utils import config_true_value, readconf

from .checks import tool
from .confs import CLUSTER_DAEMONS, DAEMONS, LabLayout, user
from .ports import HOST, is_open
from .spec import SERVERS, LabSpec

SCRIPT = """\
#!{python}
import sys
from swiftahead.lab.launch import main
sys.exit(main({swift_dir!r}))
"""


@dataclass(frozen=True)
class Program:
    """
    :param script: console script of which the lab has a copy; '' for what is no Python program
    :param port: where it listens, or None
    :param always: whether it belongs to a lab that is up
    """
    name: str
    script: str
    conf: Path | None
    port: int | None = None
    always: bool = True

    def arguments(self, layout: LabLayout, *more: str) -> list[str]:
        """The command line."""
        if self.name == 'memcached':
            run_as = ['-u', user()] if os.geteuid() == 0 else []
            return [tool('memcached'), '-l', HOST, '-p', str(self.port), '-U', '0', '-m', '64', *run_as]
        if self.name == 'rsync':
            return [tool('rsync'), '--daemon', '--no-detach', f'--config={self.conf}']
        return [sys.executable, str(layout.bin / self.script), str(self.conf), *more]

    def is_ready(self, said: str) -> bool:
        """:param said: what its log has got since it was started"""
        if not self.port:
            # what Swift's daemons say when their conf has been read
            return 'Starting ' in said and self._has_cache_folder()
        return is_open(self.port) and (not self.script or _is_healthy(self.port))

    def _has_cache_folder(self):
        """The filter passes everything through until the sidecar has made it."""
        if self.name != 'sidecar':
            return True
        conf = readconf(str(self.conf))
        # where the prefetcher is off there is none to be waited for
        enabled = config_true_value(conf.get('prefetcher', {}).get('enabled', 'on'))
        return not enabled or os.path.isdir(conf['sidecar']['cache_dir'])


def programs(plan: LabSpec, layout: LabLayout) -> dict[str, Program]:
    """All that a lab can run, by name, in the order of their start."""
    found = [Program('memcached', '', None, plan.ports['memcached']),
             Program('rsync', '', layout.etc / 'rsyncd.conf', plan.ports['rsync'])]
    for node in plan.node_numbers:
        for server in SERVERS:
            name, conf = f'{server}{node}', layout.server_conf(server, node)
            found.append(Program(name, f'swift-{server}-server', conf, plan.ports[name]))
            found += [Program(f'{daemon}{node}', f'swift-{daemon}', conf, always=False)
                      for daemon in DAEMONS[server]]
    for number, name in enumerate(plan.proxy_names, 1):
        found.append(Program(name, 'swift-proxy-server', layout.server_conf('proxy', number),
                             plan.ports[name]))
    found.append(Program('sidecar', 'swiftahead-sidecar', layout.etc / 'swiftahead-sidecar.conf',
                         always=plan.sidecar))
    found += [Program(name, f'swift-{name}', layout.etc / f'{name}.conf', always=False)
              for name in CLUSTER_DAEMONS]
    return {program.name: program for program in found}


def write_scripts(layout: LabLayout, names: set[str]) -> None:
    """The lab's copies of console scripts; `lab.launch` says what for."""
    layout.bin.mkdir(exist_ok=True)
    for name in names:
        path = layout.bin / name
        path.write_text(SCRIPT.format(python=sys.executable, swift_dir=str(layout.etc)))
        path.chmod(0o755)


def _is_healthy(port):
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request('GET', '/healthcheck')
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
