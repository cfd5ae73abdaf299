"""Where the services of a folder keep their records and logs, below the folder that they run in."""

from pathlib import Path

HOME = Path("fer-data/services")
#: There while they run: their addresses.
RECORD = "services.json"
