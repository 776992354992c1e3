#!/usr/bin/env python3
"""The script of `make demo`; all it does is in main.py."""
import sys
from pathlib import Path

if __name__ == '__main__':
    # as a script this folder is on the path, where demo.py would hide the package demo
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from demo.main import main
    sys.exit(main())
