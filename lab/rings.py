"""The rings, built with Swift's own builder."""
from pathlib import Path

from swift.common.ring import RingBuilder

from .spec import EC_FRAGMENTS, LabSpec

PART_POWER = 6
# the same lab gets the same rings again, even on other ports, so that its data is found
SEED = 'swiftahead'


def write_rings(plan: LabSpec, etc: Path) -> None:
    for server in ('account', 'container'):
        _write(plan, etc / f'{server}.ring.gz', server, plan.replicas)
    for index, policy in enumerate(plan.policies):
        replicas = EC_FRAGMENTS if plan.is_ec(policy) else plan.replicas
        _write(plan, etc / f'object{f"-{index}" if index else ""}.ring.gz', 'object', replicas)


def _write(plan, path, server, replicas):
    builder = RingBuilder(PART_POWER, replicas, 0)
    for node in plan.node_numbers:
        for device in plan.devices:
            port = plan.ports[f'{server}{node}']
            builder.add_dev({'region': 1, 'zone': node, 'ip': '127.0.0.1', 'port': port, 'weight': 1.0,
                             'replication_ip': '127.0.0.1', 'replication_port': port, 'device': device})
    builder.rebalance(seed=SEED)
    builder.get_ring().save(str(path))
