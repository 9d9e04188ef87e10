"""Environments for SDKs that cannot live in ours: made once of the pins beside the scripts, kept in a cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

SCRIPTS = Path(__file__).parent / "sdk_scripts"
INSTALL_SECONDS = 240


class SdkUnavailable(RuntimeError):
    """The SDK cannot be had here; the message is one line that says what is missing."""


def python_with(pins: Path) -> Path:
    """Return the Python of a virtual environment with exactly what the file pins. Raises SdkUnavailable."""

    def install(directory: Path) -> None:
        _run([sys.executable, "-m", "venv", str(directory)], missing="this Python cannot make virtual environments")
        pip = [str(_python(directory)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        patience = ["--retries", "1", "--timeout", "20"]
        _run(
            [*pip, *patience, "--require-hashes", "--requirement", str(pins)],
            missing=f"{pins.stem} could not be installed: is the package index within reach?",
        )

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _python(_made_once(f"python-{version}-{pins.stem}", [pins], install))


def node_modules() -> Path:
    """Return the directory whose `node_modules` are what the lock file pins. Raises SdkUnavailable."""
    pins = [SCRIPTS / "package.json", SCRIPTS / "package-lock.json"]
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise SdkUnavailable(f"no {command}: install Node.js 18 or newer")

    def install(directory: Path) -> None:
        for file in pins:
            shutil.copy(file, directory)
        patience = ["--fetch-retries=1", "--fetch-timeout=20000"]
        _run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *patience],
            missing="the Node.js SDKs could not be installed: is the npm registry within reach?",
            directory=directory,
        )

    return _made_once("node", pins, install)


def _made_once(name: str, pins: list[Path], install: Callable[[Path], None]) -> Path:
    """Return the directory of these pins, made now unless it is in the cache; half a directory is never seen there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem" / "sdks"
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in pins)).hexdigest()[:12]
    made = cache / f"{name}-{digest}"
    if made.exists():
        return made
    cache.mkdir(parents=True, exist_ok=True)
    begun = Path(mkdtemp(prefix=f"{name}.", dir=cache))
    try:
        install(begun)
        with suppress(OSError):  # a rival was faster; what it made is the same
            begun.rename(made)
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return made


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _run(command: list[str], *, missing: str, directory: Path | None = None) -> None:
    try:
        subprocess.run(command, cwd=directory, capture_output=True, check=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise SdkUnavailable(f"{missing} ({said[0] if said else error})") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SdkUnavailable(f"{missing} ({error})") from error
