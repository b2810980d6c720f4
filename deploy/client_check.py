"""Generate a client from the running service's OpenAPI description, and see that it works.

`make client-check`. The generator wants another typer than ours, so it gets an environment of its
own, from `client-check.lock` by hash, which goes away at the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from api.local_service import LocalService

HERE = Path(__file__).resolve().parent
LOCK = HERE / "client-check.lock"
PACKAGE = "frugal_generated"

# Run by the generated client's own environment: it knows nothing of ours.
CALLS = """
import sys
from importlib import import_module

url, token, job = sys.argv[1:]
generated = import_module("frugal_generated")


def call(group, name):
    return import_module(f"frugal_generated.api.{group}.{name}").sync_detailed


client = generated.AuthenticatedClient(base_url=url, token=token)
datasets = call("datasets", "list_datasets")(client=client)
assert datasets.status_code == 200, datasets
assert [one.state for one in datasets.parsed.items] == ["READY"], datasets.parsed
print("data sets are listed:", len(datasets.parsed.items))

JobRequest = import_module("frugal_generated.models").JobRequest
asked = JobRequest(dataset="0" * 32, target="y")
refused = call("jobs", "create_job")(client=client, body=asked)
assert refused.status_code == 404, refused
assert refused.parsed.code == "not_found", refused.parsed
print("a job without data is refused, with its code:", refused.parsed.code)

board = call("jobs", "get_leaderboard")(job, client=client)
assert board.status_code == 200, board
assert board.parsed.items[0].score > 0, board.parsed
best = board.parsed.items[0]
print("a leaderboard is read, with types:", best.model, best.score)

wrong = generated.AuthenticatedClient(base_url=url, token="wrong")
nobody = call("datasets", "list_datasets")(client=wrong)
assert nobody.status_code == 401, nobody
print("a wrong token is refused:", nobody.parsed.code)
"""


def main() -> int:
    """Exit code 0 when the generated client did what it should."""
    with tempfile.TemporaryDirectory(prefix="frugal-client-") as name:
        folder = Path(name)
        python = environment(folder / "venv")
        with LocalService(folder / "data") as service, service.client() as client:
            rows = "\n".join(f"{n % 7},{n % 11},{int(n % 7 == 3)}" for n in range(700))
            table = folder / "rows.csv"
            table.write_text(f"a,b,y\n{rows}\n")
            job = client.run(table, target="y", mode="eco", limits={"trials": 2})
            job.wait(progress=False)
            generate(python, url=service.url, folder=folder)
            command = [str(python), "-c", CALLS, service.url, service.token, job.id]
            return subprocess.run(command, cwd=folder).returncode


def environment(folder: Path) -> Path:
    """An environment with the generator and what its clients need; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([python, *install, "--require-hashes", "-r", LOCK], check=True)
    return python


def generate(python: Path, *, url: str, folder: Path) -> None:
    """Write the package of the generated client into the folder."""
    # The generator formats what it writes with the ruff beside it.
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    config = folder / "config.yaml"
    config.write_text(f"package_name_override: {PACKAGE}\n")
    tool = python.parent / "openapi-python-client"
    command: list[str | Path] = [tool, "generate", "--url", f"{url}/openapi.json", "--meta", "none"]
    command += ["--config", config, "--output-path", folder / PACKAGE, "--overwrite"]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    # It says for each kind of body that it has no code for, all of it: files that are uploads.
    left_out = sorted(set(re.findall(r"WARNING parsing (\S+ \S+)", done.stdout + done.stderr)))
    print("the generator leaves bodies out that are no JSON, of:", ", ".join(left_out) or "none")


if __name__ == "__main__":
    sys.exit(main())
