"""Docker, podman or buildah: what builds the image and runs it, each in its own way, for `image.py`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "image"
SUITE = "bookworm"
STOP_SECONDS = 10.0
"""How long the image may take to stop; engines wait longer, so that it shows."""

HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108
INSIDE = {"CHANNELSYNC_CONFIG": "/mnt/config.toml"}


class Failed(Exception):
    """The image does not do what it should, or cannot be built here."""


class Running(Protocol):
    """A container that runs. port: of its server, on this machine."""

    port: int

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in it, as its user."""

    def stopped(self) -> int:
        """Sends SIGTERM and returns its exit code; kills it after a while."""

    def log(self) -> str:
        """What it wrote."""


class Engine(Protocol):
    """What builds and runs images here."""

    def build(self, tag: str, base: str, mounts: Sequence[str]) -> None:
        """Builds the Dockerfile."""

    def said(self, tag: str) -> Mapping[str, Any]:
        """The image's configuration, by the names of the OCI."""

    def once(self, tag: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the image with other arguments, to its end."""

    def start(self, tag: str, folder: Path) -> Running:
        """Runs the image as it says itself. folder: with `config` (read-only) and `data`."""

    def clean(self, tag: str) -> None:
        """Takes away what was made."""


def ran(*command: str | Path, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command and returns what it printed. Raises Failed with that where it fails and `check` is set."""
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, text=True, capture_output=True, check=False, **more)  # noqa: S603
    if check and done.returncode != 0:
        raise Failed(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return done


class Daemon:
    """Docker or podman."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.volume = f"channelsync-check-{os.getpid()}"

    def build(self, tag: str, base: str, mounts: Sequence[str]) -> None:
        """Builds with the engine's own configuration of the network."""
        if mounts:
            raise Failed("--mount is for buildah; give Docker the certificates by its own configuration")
        given = ("--build-arg", f"PYIMAGE={base}") if base else ()
        ran(self.program, "build", *given, *labels(), "--tag", tag, ROOT)

    def said(self, tag: str) -> Mapping[str, Any]:
        """The image's configuration."""
        config: Mapping[str, Any] = json.loads(ran(self.program, "image", "inspect", tag).stdout)[0]["Config"]
        return config

    def once(self, tag: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the image to its end."""
        return ran(self.program, "run", "--rm", *self._options(folder), tag, *arguments, check=False)

    def start(self, tag: str, folder: Path) -> Running:
        """Runs the image in the background."""
        options = (*self._options(folder), "--publish", "127.0.0.1::8080")
        name = ran(self.program, "run", "--detach", *options, tag).stdout.strip()
        return DaemonRunning(self.program, name)

    def clean(self, tag: str) -> None:
        """Takes the volume away; the image stays."""
        ran(self.program, "volume", "rm", "--force", self.volume, check=False)

    def _options(self, folder: Path) -> tuple[str, ...]:
        variables = [part for name, value in INSIDE.items() for part in ("--env", f"{name}={value}")]
        return (*HARDENED, *variables, "--volume", f"{folder / 'config'}:/mnt:ro", "--volume", f"{self.volume}:/data")


class DaemonRunning:
    """A container of Docker or podman."""

    def __init__(self, program: str, name: str) -> None:
        self.program, self.name = program, name
        self.port = int(ran(program, "port", name, "8080/tcp").stdout.split()[0].rpartition(":")[2])

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the container."""
        return ran(self.program, "exec", self.name, *command, check=False)

    def stopped(self) -> int:
        """Stops it as an engine does; the longest wait is beyond what is allowed, so that it shows."""
        ran(self.program, "stop", "--time", str(int(STOP_SECONDS * 3)), self.name)
        code = int(ran(self.program, "inspect", "--format", "{{.State.ExitCode}}", self.name).stdout)
        ran(self.program, "rm", "--force", self.name, check=False)
        return code

    def log(self) -> str:
        """What it wrote."""
        done = ran(self.program, "logs", self.name, check=False)
        return done.stdout + done.stderr


class Buildah:
    """buildah in chroot isolation, as root: no daemon, no registry."""

    def __init__(self) -> None:
        self.options = ("--storage-driver", "vfs", "--root", str(WORK / "store"), "--runroot", str(WORK / "run"))
        self.container = ""

    def _buildah(self, *arguments: str | Path) -> str:
        return ran("buildah", *self.options, *arguments).stdout

    def build(self, tag: str, base: str, mounts: Sequence[str]) -> None:
        """Builds the Dockerfile on `base`, else on a base of Debian's packages."""
        network = ("--isolation", "chroot", "--format", "docker", "--network", "host")
        shown = [part for one in (*host_mounts(), *mounts) for part in ("--volume", f"{one}:ro")]
        named = base or self._made_base(network)
        self._buildah("bud", *network, *shown, "--build-arg", f"PYIMAGE={named}", *labels(), "--tag", tag, ROOT)

    def said(self, tag: str) -> Mapping[str, Any]:
        """The image's configuration, with the health check that the OCI's own form has no word for."""
        told = json.loads(self._buildah("inspect", "--type", "image", tag))
        config: dict[str, Any] = told["OCIv1"]["config"]
        return config | {"Healthcheck": told["Docker"]["config"].get("Healthcheck")}

    def once(self, tag: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the image to its end."""
        said = self.said(tag)
        return ran(*self._contained(tag, folder, [*said["Entrypoint"], *arguments], {}), check=False)

    def start(self, tag: str, folder: Path) -> Running:
        """Runs the image; its server listens on a port of this machine that is free."""
        said = self.said(tag)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        variables = {"CHANNELSYNC_WEB__LISTEN": f"127.0.0.1:{port}"}
        command = self._contained(tag, folder, [*said["Entrypoint"], *said["Cmd"]], variables)
        return ChrootRunning(command, self._as_user(said, variables), port, folder / "log")

    def clean(self, tag: str) -> None:
        """Takes all of it away but the base, which takes longest to make."""
        shutil.rmtree(WORK / "store", ignore_errors=True)
        shutil.rmtree(WORK / "run", ignore_errors=True)

    def _made_base(self, network: Sequence[str]) -> str:
        """An image of Debian's minimal system with Python."""
        context = WORK / "base"
        context.mkdir(parents=True, exist_ok=True)
        if not (context / "base.tar").exists():
            packages = "--include=python3,python3-venv,ca-certificates"
            ran("mmdebstrap", "--variant=minbase", packages, SUITE, context / "unfinished.tar")
            (context / "unfinished.tar").rename(context / "base.tar")
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        (context / "Dockerfile").write_text(f"FROM scratch\nADD base.tar /\nENV PATH={path}\n")
        self._buildah("bud", *network, "--tag", "localhost/python", context)
        return "localhost/python"

    def _contained(self, tag: str, folder: Path, command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
        """The command line that runs a command as the image's first process, in namespaces of its own."""
        self.container = self.container or self._buildah("from", tag).strip()
        root = self._buildah("mount", self.container).strip()
        script = f"""set -e
mount --make-rprivate /
mount --bind {root} {root}
mount -o remount,bind,ro {root}
mount --bind {folder}/config {root}/mnt
mount -o remount,bind,ro {root}/mnt
mount --bind {folder}/data {root}/data
mount -t tmpfs tmpfs {root}/tmp
mount -t proc proc {root}/proc
mount -t tmpfs tmpfs {root}/dev
for one in null zero random urandom; do : > {root}/dev/$one; mount --bind /dev/$one {root}/dev/$one; done
exec chroot {root} "$@"
"""  # noqa: S108
        as_user = self._as_user(self.said(tag), variables)
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", *as_user, *command]

    @staticmethod
    def _as_user(said: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
        """What comes before a command in the chroot: the image's user, folder and variables, and no rights at all."""
        user, group = said["User"].split(":")
        rights = ["--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        told = [*said["Env"], *(f"{name}={value}" for name, value in (INSIDE | dict(variables)).items())]
        change = ["setpriv", f"--reuid={user}", f"--regid={group}", *rights]
        return [*change, "env", "--ignore-environment", f"--chdir={said['WorkingDir']}", *told]


class ChrootRunning:
    """A process in a chroot and namespaces of its own."""

    def __init__(self, command: Sequence[str], as_user: Sequence[str], port: int, log: Path) -> None:
        self.port, self._as_user, self._log = port, as_user, log
        with log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603
        self.first = self._first_process()

    def _first_process(self) -> str:
        """The number that the first process of the container has on this machine."""
        own = self.process.pid
        while self.process.poll() is None:
            children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
            if children:
                return children[0]
            time.sleep(0.01)  # noqa: TID251
        raise Failed(f"it did not start:\n{self.log()}")

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the container's namespaces."""
        enter = ("nsenter", "--target", self.first, "--mount", "--pid", "--root", "--wd")
        return ran(*enter, *self._as_user, *command, check=False)

    def stopped(self) -> int:
        """Sends SIGTERM to the first process."""
        ran("kill", "-TERM", self.first)
        try:
            return self.process.wait(STOP_SECONDS * 3)
        finally:
            self.process.kill()

    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()


def labels() -> tuple[str, ...]:
    """The build arguments that say which commit this is; nothing outside a checkout."""
    done = ran("git", "-C", ROOT, "rev-parse", "HEAD", check=False)
    return ("--build-arg", f"REVISION={done.stdout.strip()}") if done.returncode == 0 else ()


def host_mounts() -> list[str]:
    """What this machine needs to download anything."""
    found = []
    bundle = os.environ.get("SSL_CERT_FILE")  # noqa: TID251 - a script, not the agent
    if bundle:
        found.append(f"{Path(bundle).parent}:/etc/ssl/certs")
    if Path("/etc/pip.conf").exists():
        found.append("/etc/pip.conf:/etc/pip.conf")
    return found


def engine_of(name: str) -> Engine:
    """The engine of that name; empty: the first that works here. Raises Failed where none does."""
    for program in ("docker", "podman"):
        works = name in ("", program) and shutil.which(program) and ran(program, "info", check=False).returncode == 0
        if works:
            return Daemon(program)
    if name in ("", "buildah") and shutil.which("buildah") and shutil.which("mmdebstrap") and os.geteuid() == 0:
        return Buildah()
    raise Failed("no engine works here: start Docker, or, as root, apt-get install buildah mmdebstrap")
