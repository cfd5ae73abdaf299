"""Ends what a `fer up` started when that has died without doing so itself: killed, or its terminal gone with it.

`fer up` starts this beside its services: `python -m tasks.services.keeper PROCESS FOLDER`.
"""

import argparse
import signal
from pathlib import Path

from tasks.services.descendants import end_marked, mark_of, wait_for_end_of
from tasks.services.supervisor import remove_addresses


def keep(parent: int, home: Path) -> None:
    """Wait for the end of a `fer up`, then end what it left and forget it.

    Args:
        parent: its process, which started this one.
        home: folder of its services.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wait_for_end_of(parent)
    end_marked(mark_of(home))
    remove_addresses(home)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parent", type=int)
    parser.add_argument("home", type=Path)
    keep(**vars(parser.parse_args()))
