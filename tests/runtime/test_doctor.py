"""`channelsync doctor`, `status` and `health` as they are typed: what they look at, and how they end."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from channelsync.runtime.cli import main
from channelsync.runtime.cli.health_command import address_of


def points(ran: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in ran.rows:
        found.setdefault(row["what"], []).append(row["level"])
    return found


def test_a_sound_shop_has_nothing_wrong(shopkeeper: Any) -> None:
    shopkeeper.sells("MUG", 5)
    ran = shopkeeper.runs("doctor", "--json")
    found = points(ran)
    assert ran.code == 0, ran.out
    assert found["configuration"] == ["fine"]
    assert found["schema"] == found["integrity"] == ["fine"]
    assert found["daemon"] == ["notice"]


def test_a_wrong_configuration_is_a_point_like_any_other(shopkeeper: Any) -> None:
    shopkeeper.config.write_text(shopkeeper.config.read_text() + "\n[schedul]\n")
    ran = shopkeeper.runs("doctor", "--json")
    assert (ran.code, points(ran)) == (1, {"configuration": ["wrong"]})
    assert "schedule" in ran.rows[0]["found"]


def test_a_missing_file_is_told_and_not_made(shopkeeper: Any, sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.unlink()
    ran = shopkeeper.runs("doctor", "--json", "--only-wrong")
    assert (ran.code, points(ran)["database"]) == (1, ["wrong"])
    assert not path.exists()


def test_an_older_schema_is_told_with_what_to_do(shopkeeper: Any, sqlite_url: str) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    ran = shopkeeper.runs("doctor", "--json", "--only-wrong")
    (schema,) = [row for row in ran.rows if row["what"] == "schema"]
    assert (ran.code, schema["level"]) == (1, "wrong")
    assert "channelsync db upgrade" in schema["advice"]


def test_a_secret_file_that_everybody_may_read_is_wrong(shopkeeper: Any, tmp_path: Path) -> None:
    secret = tmp_path / "ping.txt"
    secret.write_text("https://ping.test/secret-address")
    shopkeeper.config.write_text('[alert]\nping_url = { file = "ping.txt" }\n' + shopkeeper.config.read_text())
    secret.chmod(0o644)
    ran = shopkeeper.runs("doctor", "--json", "--only-wrong")
    (wrong,) = [row for row in ran.rows if row["what"] == "files" and row["level"] == "wrong"]
    assert "ping.txt" in wrong["found"]
    assert "secret-address" not in ran.out
    secret.chmod(0o600)
    assert shopkeeper.runs("doctor").code == 0


def test_the_vaults_key_that_everybody_may_read_is_wrong(shopkeeper: Any, tmp_path: Path) -> None:
    key = tmp_path / "channelsync.key"
    key.write_text(Fernet.generate_key().decode())
    shopkeeper.config.write_text('[secrets]\nkeys = [{ file = "channelsync.key" }]\n' + shopkeeper.config.read_text())
    key.chmod(0o644)
    ran = shopkeeper.runs("doctor", "--json", "--only-wrong")
    (wrong,) = [row for row in ran.rows if row["what"] == "files" and row["level"] == "wrong"]
    assert "channelsync.key" in wrong["found"]
    key.chmod(0o600)
    assert shopkeeper.runs("doctor").code == 0


def test_after_init_nothing_is_wrong_and_only_the_owner_may_read_what_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    assert main(["--config", str(path), "init"], {}) == 0
    assert {one.name: oct(one.stat().st_mode & 0o777) for one in tmp_path.iterdir()} == dict.fromkeys(
        ("config.toml", "channelsync.key", "channelsync.db"), "0o600"
    )
    assert main(["--config", str(path), "doctor", "--json"], {}) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {row["what"] for row in rows if row["level"] != "fine"} == {"daemon", "clock"}


def test_status_shows_every_channel_and_ends_with_1_without_a_daemon(shopkeeper: Any) -> None:
    shopkeeper.sells("MUG", 5)
    ran = shopkeeper.runs("status")
    assert ran.code == 1
    assert "shop" in ran.out
    assert "market" in ran.out
    assert "No daemon runs" in ran.err
    assert {"channel", "numbers", "pushed"} <= set(ran.out.split())
    assert max(map(len, ran.out.splitlines())) <= 80
    told = shopkeeper.runs("status", "--json").document
    assert (told["alive"], [one["channel"] for one in told["channels"]]) == (False, ["shop", "market"])
    assert told["channels"][0]["numbers"] == 1


def test_health_without_a_daemon_is_1_by_port_and_by_database(shopkeeper: Any) -> None:
    assert shopkeeper.runs("health", "--url", "http://127.0.0.1:9").code == 1
    assert shopkeeper.runs("health", "--url", "ftp://x").code == 2
    ran = shopkeeper.runs("health", "--json")
    assert (ran.code, ran.document["by"], ran.document["alive"]) == (1, "database", False)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", ""),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:80", "http://[::1]:80"),
        ("10.0.0.5:81", "http://10.0.0.5:81"),
    ],
)
def test_a_server_that_listens_everywhere_is_asked_on_this_machine(listen: str, address: str) -> None:
    assert address_of(listen) == address
