"""In place of `tasks.inference.web.worker`: behaves as the first of its models is called."""

import json
import os
import signal
import sys

WAYS = {
    "gibberish": lambda out, order: out.write("{ no json\n"),
    "list": lambda out, order: out.write("[1]\n"),
    "flood": lambda out, order: out.write("x" * 10**6 + "\n"),
    "refused": lambda out, order: out.write(json.dumps({"refused": "It is no video."}) + "\n"),
    "failed": lambda out, order: out.write(json.dumps({"failed": "OSError: /a/secret/place"}) + "\n"),
    "crash": lambda out, order: os.kill(os.getpid(), signal.SIGSEGV),
    "killed": lambda out, order: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda out, order: os._exit(0),
    "silent": lambda out, order: None,
    "steps": lambda out, order: out.write(
        '{"step": "Reading", "share": 0.5}\n{"step": 7, "share": "x"}\n{"done": true}\n'
    ),
}

way = ""
with os.fdopen(int(sys.argv[1]), "w", buffering=1) as out:
    for line in sys.stdin:
        order = json.loads(line)
        if order["order"] == "begin":
            way = order["models"][0]
            with open(os.path.join(os.environ["TMPDIR"], "environment.json"), "w") as file:
                json.dump(dict(os.environ), file)
            out.write(json.dumps({"done": True}) + "\n")
        else:
            WAYS[way](out, order)
            out.flush()
