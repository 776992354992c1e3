"""Packaging: each top-level folder is one package of the namespace ``swiftahead``."""
from setuptools import setup

ROOMS = ('middleware', 'sidecar', 'cache', 'queues', 'predict', 'conf', 'cli', 'lab')

setup(
    packages=[f'swiftahead.{room}' for room in ROOMS],
    package_dir={f'swiftahead.{room}': room for room in ROOMS},
    data_files=[('share/swiftahead', [
        'etc/proxy-server.conf-sample',
        'etc/swiftahead-sidecar.conf-sample',
        'etc/swiftahead-sidecar.service',
        'etc/prometheus-alerts.yml-sample',
        'etc/statsd-exporter.yml-sample',
    ])],
)
