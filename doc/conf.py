"""Sphinx: plain pages, no extensions, no theme from elsewhere."""
from importlib.metadata import version as installed_version

project = 'swiftahead'
author = 'the swiftahead contributors'
copyright = 'the swiftahead contributors, Apache License 2.0'
release = version = installed_version('swiftahead')

extensions = []
exclude_patterns = ['_build']
html_theme = 'alabaster'
html_theme_options = {'description': 'Read-ahead for OpenStack Swift', 'page_width': '60rem'}
html_show_sourcelink = False
nitpicky = True
