#!/usr/bin/env python3
"""Builds the image of the Dockerfile, runs it as a cautious operator would, and checks that it does its work.

    python3 deploy/image.py [--tag NAME] [--engine docker|podman|buildah] [--base IMAGE] [--mount HOST:INSIDE] [--keep]

Docker is taken where it runs, else podman, else buildah, which needs no daemon: there a base image without a registry
is made by mmdebstrap, and the built image is run in a chroot of its own namespaces. The Dockerfile is the same.

--base: another base than the Dockerfile's; with a digest, so that a build can be repeated.
--mount: buildah only: seen by the build, read-only. Where SSL_CERT_FILE is set, its folder is, as /etc/ssl/certs, and
    /etc/pip.conf where there is one: what this machine needs to download anything, the build needs too.

Checked: it starts as its own user with a read-only root, without capabilities, writing nowhere but /data and /tmp; its
health check; a forged and a genuine webhook; SIGTERM ends it within ten seconds, with 0; the webhook is kept.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engines import STOP_SECONDS, Engine, Failed, Running, engine_of

START_SECONDS = 60.0
KEY = base64.b64encode(b"a secret of this check alone").decode()
CONFIG = f"""\
[database]
url = "sqlite:////data/channelsync.db"
[[location]]
name = "main"
[[channel]]
name = "agora"
connector = "sandbox"
[channel.settings]
base_url = "http://127.0.0.1:9"
refresh_token = "none"
webhook_secrets = ["whsec_{KEY}"]
"""
LOOK = (
    "import os; said = dict(one.split(':', 1) for one in open('/proc/self/status')); "
    "print(os.getuid(), os.getgid(), int(said['CapEff'], 16), int(said['CapBnd'], 16), said['NoNewPrivs'].strip())"
)
WRITE = "import sys; open(sys.argv[1], 'w').close()"


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def expect(what: str, found: object, wanted: object) -> None:
    """Raises Failed unless both are equal."""
    if found != wanted:
        raise Failed(f"{what}: {found!r} instead of {wanted!r}")
    say(f"  {what}: {found}")


def until(what: str, holds: Callable[[], bool], seconds: float) -> float:
    """Waits until something holds; returns after how many seconds. Raises Failed."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise Failed(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.2)  # noqa: TID251 - a script, not the agent
    return time.monotonic() - began


def delivered(port: int, key: bytes, event: str) -> int:
    """The status of the answer to a webhook that is signed with a key."""
    body = json.dumps({"type": "order.changed", "data": {"order": {"id": "order-1"}}}).encode()
    stamp = str(int(time.time()))  # noqa: TID251 - a script, not the agent
    digest = hmac.new(key, f"{event}.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "content-type": "application/json",
        "webhook-id": event,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/webhooks/agora", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def check_running(running: Running, health: Sequence[str]) -> None:
    """Everything that is to be seen while it runs."""
    took = until("healthy", lambda: running.inside(*health).returncode == 0, START_SECONDS)
    say(f"  healthy after {took:.1f} s")
    seen = running.inside("python3", "-c", LOOK).stdout.split()
    expect("user, group, capabilities, bounding set, no new privileges", seen, ["10001", "10001", "0", "0", "1"])
    for path, code in (("/opt/venv/x", 1), ("/etc/x", 1), ("/data/x", 0), ("/tmp/x", 0)):  # noqa: S108 - inside
        expect(f"writing {path} fails", running.inside("python3", "-c", WRITE, path).returncode, code)
    expect("a forged webhook", delivered(running.port, b"another key", "event-0"), 401)
    expect("a genuine webhook", delivered(running.port, base64.b64decode(KEY), "event-1"), 200)
    expect("the same again", delivered(running.port, base64.b64decode(KEY), "event-1"), 200)


def check(engine: Engine, tag: str, folder: Path) -> None:
    """Runs the image and checks it. Raises Failed."""
    said = engine.said(tag)
    expect("user", said["User"], "10001:10001")
    expect("volume", list(said["Volumes"]), ["/data"])
    upgraded = engine.once(tag, folder, "db", "upgrade")
    expect(f"db upgrade ({upgraded.stderr.strip()})", upgraded.returncode, 0)
    running = engine.start(tag, folder)
    try:
        check_running(running, said["Healthcheck"]["Test"][1:])
    except BaseException:
        say(running.log())
        running.stopped()
        raise
    began = time.monotonic()
    code = running.stopped()
    took = time.monotonic() - began
    expect("exit code after SIGTERM", code, 0)
    if took > STOP_SECONDS:
        raise Failed(f"SIGTERM: it took {took:.1f} s")
    say(f"  stopped within {took:.1f} s")
    kept = engine.once(tag, folder, "inbox", "list", "--json")
    expect("webhooks that are kept", len(kept.stdout.splitlines()), 1)


def main(arguments: Sequence[str]) -> int:
    """Builds and checks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="deploy/image.py", description="Builds the image and checks it.")
    parser.add_argument("--tag", default="localhost/channelsync:check")
    parser.add_argument("--engine", default="", choices=["", "docker", "podman", "buildah"])
    parser.add_argument("--base", default="")
    parser.add_argument("--mount", action="append", default=[], metavar="HOST:INSIDE")
    parser.add_argument("--built", action="store_true", help="check an image that is there already")
    parser.add_argument("--keep", action="store_true", help="the image, where buildah has built it")
    told = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        engine = engine_of(told.engine)
        try:
            if not told.built:
                engine.build(told.tag, told.base, told.mount)
                say(f"built {told.tag} in {time.monotonic() - began:.0f} s")
            with tempfile.TemporaryDirectory() as made:
                folder = Path(made)
                folder.chmod(0o755)
                (folder / "config").mkdir()
                (folder / "config" / "config.toml").write_text(CONFIG)
                (folder / "data").mkdir()
                if os.geteuid() == 0:
                    os.chown(folder / "data", 10001, 10001)
                check(engine, told.tag, folder)
        finally:
            if not told.keep:
                engine.clean(told.tag)
    except Failed as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    say(f"the image does its work; {time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
