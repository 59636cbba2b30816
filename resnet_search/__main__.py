"""`python -m resnet_search` is the command `resnet-search`."""

from __future__ import annotations

import sys

from resnet_search.cli.main import main

sys.exit(main())
