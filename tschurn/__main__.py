"""python -m tschurn"""

from tschurn.cli import main

raise SystemExit(main())
