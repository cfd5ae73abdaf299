"""The process that looks into one visitor's video: `python -m tasks.inference.web.worker NUMBER`.

Orders come as lines of JSON on standard input; it ends with that, so with its server. Answers go as lines of JSON to
the open file of that number: nothing that a library prints gets among them. Before it reads anything of a visitor's it
gives up what it does not need: the network, and memory, processor time and sizes of files beyond what it was told.
"""

import ctypes
import json
import os
import queue
import resource
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from fer_models.errors import FerError, Refused

if TYPE_CHECKING:
    from tasks.inference.moments import Explainer
    from tasks.inference.predictor import Predictor

_MB = 10**6
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
_NO_MEMORY = "This video needs more memory than it may take here; try a smaller or shorter one."


def main(number: int) -> None:
    """Do what is ordered until there are no more orders."""
    leave_network()
    quieten()
    orders: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_take_orders, args=[orders], daemon=True).start()
    with os.fdopen(number, "w", encoding="utf-8", buffering=1) as answers:
        worker = Worker(lambda message: print(json.dumps(message), file=answers))
        while True:
            worker.obey(json.loads(orders.get()))


def leave_network() -> None:
    """Give up the network, and what root may do, where the system lets a process do so."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK)


def quieten() -> None:
    """Keep what libraries of C and C++ say off the terminal; what Python says of a fault still shows."""
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _take_orders(orders: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)  # the server is gone, whatever is being done


class Worker:
    """Does what it is told: `begin`, then `answer`, then `explain` as often as wanted.

    Args:
        send: takes messages for the server.
    """

    def __init__(self, send: Any) -> None:
        self._send = send
        self._predictor: Predictor | None = None
        self._explainer: Explainer | None = None
        self._models: list[str] | None = None
        self._detector_model: str | None = None

    def obey(self, order: dict[str, Any]) -> None:
        """Do what is ordered, and say how it ended."""
        try:
            {"begin": self._begin, "answer": self._answer, "explain": self._explain}[order["order"]](order)
            self._send({"done": True})
        except Refused as error:
            self._send({"refused": str(error)})
        except MemoryError:
            self._send({"refused": _NO_MEMORY})
        except FerError as error:
            self._send({"failed": str(error)})
        except Exception as error:
            traceback.print_exc()
            kind = type(error).__name__
            self._send({"refused": _NO_MEMORY} if "Exhausted" in kind else {"failed": f"{kind}: {error}"})

    def _begin(self, order: dict[str, Any]) -> None:
        self._detector_model = order["detector_model"]
        self._load(order["models"])
        limit_resources(order["memory_mb"] * _MB, order["file_bytes"])

    def _load(self, models: list[str]) -> "Predictor":
        from tasks.inference.web.answering import load

        if self._predictor is None or models != self._models:
            self._predictor, self._models = load(models, self._detector_model), models
            self._explainer = None
        return self._predictor

    def _answer(self, order: dict[str, Any]) -> None:
        from tasks.inference.web.answering import answer

        self._send({"step": "Getting ready", "share": None})
        predictor = self._load(order["models"])
        folder = Path(order["folder"])
        answer(
            predictor,
            folder / order["upload"],
            60 * order["minutes"],
            lambda step, share: self._send({"step": step, "share": share}),
            order["faces"],
        )

    def _explain(self, order: dict[str, Any]) -> None:
        from tasks.inference.moments import Explainer
        from tasks.inference.web.explaining import explain

        predictor = self._load(order["models"])
        if self._explainer is None:
            self._explainer = Explainer(predictor.members)
        explain(predictor, self._explainer, Path(order["folder"]), order["track"], order["time_s"])


def limit_resources(memory_bytes: int, file_bytes: int) -> None:
    """Let this process take no more memory than so much beside what it holds, and write no larger file; no core."""
    held = psutil.Process().memory_info().vms
    for kind, most in (
        (resource.RLIMIT_AS, held + memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a lower one is set already
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main(int(sys.argv[1]))
