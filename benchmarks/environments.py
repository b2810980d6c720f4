"""A virtual environment for each peer, made once in a cache folder outside the checkout.

    python -m benchmarks.environments [NAME ...]      # make them and print their versions

The folder is FRUGAL_BENCH_VENVS, else ~/.cache/frugal-benchmarks. PyTorch is pinned, since the
newest build for any machine brings several gigabytes of GPU libraries.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

TORCH = "torch==2.13.0"
REQUIREMENTS = {
    "flaml": ("flaml[automl]", "pyarrow"),
    "autogluon": ("autogluon.tabular[lightgbm,catboost,xgboost,fastai]", TORCH, "pyarrow"),
    "lightautoml": ("lightautoml", TORCH, "pyarrow"),
    "mljar": ("mljar-supervised", "pyarrow"),
    "duckdb": ("duckdb==2.0.0",),
}
# What a result's row says about its environment.
NAMED = (
    "flaml",
    "autogluon.tabular",
    "lightautoml",
    "mljar-supervised",
    "lightgbm",
    "catboost",
    "xgboost",
    "xgboost-cpu",
    "optuna",
    "duckdb",
    "scikit-learn",
    "numpy",
    "pandas",
    "torch",
)


def folder() -> Path:
    """Where the environments are."""
    given = os.environ.get("FRUGAL_BENCH_VENVS")
    return Path(given) if given else Path.home() / ".cache" / "frugal-benchmarks"


def python(name: str) -> str:
    """The interpreter of an environment, made where it is missing.

    Raises
    ------
    subprocess.CalledProcessError
        Its packages cannot be installed.
    """
    if name == "ours":
        return sys.executable
    home = folder() / name
    interpreter, complete = home / "bin" / "python", home / "complete"
    if not complete.exists():
        venv.create(home, with_pip=True)
        command = [str(interpreter), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]]
        subprocess.run(command, check=True)
        complete.touch()
    return str(interpreter)


@functools.cache
def versions(name: str) -> dict[str, str]:
    """Versions of the packages that matter, and of Python."""
    script = (
        "import json, platform, importlib.metadata as m\n"
        "found = {'python': platform.python_version()}\n"
        f"for name in {NAMED!r}:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    command = [python(name), "-c", script]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(answer.stdout))


if __name__ == "__main__":
    for wanted in sys.argv[1:] or REQUIREMENTS:
        print(wanted, versions(wanted))
