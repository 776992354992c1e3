"""Packaging: each top-level folder is one package of the namespace ``swiftahead``."""
from setuptools import setup

ROOMS = ('middleware', 'sidecar', 'cache', 'eviction', 'freshness', 'queues', 'metrics', 'misplaced', 'predict',
         'plan', 'conf', 'cli', 'lab')
# rooms within a room
INNER = ('eviction/policies', 'queues/sqlite', 'sidecar/mover', 'sidecar/prefetcher', 'sidecar/status',
         'sidecar/syncer')

PACKAGES = {f'swiftahead.{room}'.replace('/', '.'): room for room in (*ROOMS, *INNER)}

setup(
    packages=list(PACKAGES),
    package_dir=PACKAGES,
    data_files=[('share/swiftahead', [
        'etc/proxy-server.conf-sample',
        'etc/swiftahead-sidecar.conf-sample',
        'etc/swiftahead-sidecar.service',
        'etc/prometheus-alerts.yml-sample',
        'etc/statsd-exporter.yml-sample',
    ])],
)
