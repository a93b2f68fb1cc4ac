"""A place on a real SFTP server: its key is pinned, and each failure says what to do next."""

import builtins
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.files.place import NoSuchFile, TooLarge
from channelsync.sdk.files.sftp import SftpPlace
from channelsync_files.settings import FilesSettings

asyncssh = pytest.importorskip("asyncssh", reason="the extra `sftp` is not installed")
pytestmark = pytest.mark.processes

ORDERS = {
    "path": "bestellungen",
    "columns": {"order": "o", "sku": "s", "units": "u", "placed_at": "p", "changed_at": "c"},
}


def settings_of(server: dict[str, object], **more: object) -> FilesSettings:
    return FilesSettings.model_validate({**server, "orders": ORDERS, **more})


@pytest.fixture
async def place(sftp_server: dict[str, object]):
    place = SftpPlace(settings_of(sftp_server, file_bytes_max=100).server, "till")
    yield place
    await place.aclose()


async def failing(settings: FilesSettings) -> NeedsSeller | TryLater:
    place = SftpPlace(settings.server, "till")
    with pytest.raises((NeedsSeller, TryLater)) as caught:
        await place.entries("bestellungen")
    await place.aclose()
    return caught.value


async def test_files_are_written_whole_listed_read_and_moved(base: Path, place: SftpPlace) -> None:
    await place.put("mengen", "b.csv", b"one")
    await place.put("mengen", "b.csv", b"two")
    (base / "mengen" / ".hidden").touch()
    (base / "mengen" / "folder").mkdir()
    assert [(one.name, one.size) for one in await place.entries("mengen")] == [("b.csv", 3)]
    assert await place.fetch("mengen", "b.csv") == b"two"
    await place.make("mengen/done")
    await place.make("mengen/done")
    await place.move("mengen", "b.csv", "mengen/done", "1.b.csv")
    assert await place.entries("mengen") == []
    assert (base / "mengen" / "done" / "1.b.csv").read_bytes() == b"two"


@pytest.mark.parametrize(
    ("path", "folder"), [("", "."), ("/", "."), ("/a/b/", "a/b"), ("//srv/a", "/srv/a"), ("/a%20b", "a b")]
)
def test_a_folder_is_below_the_one_we_begin_in_or_with_two_slashes_anywhere(path: str, folder: str) -> None:
    server = {"place": f"sftp://files.example{path}", "username": "u", "password": "p", "host_keys": ["k"]}
    assert SftpPlace(settings_of(server).server, "till")._base == folder


async def test_a_part_left_by_a_crash_is_in_nobodys_way(base: Path, place: SftpPlace) -> None:
    (base / "mengen" / ".b.csv.part").write_text("half of it")
    await place.put("mengen", "b.csv", b"whole")
    assert [path.name for path in (base / "mengen").iterdir()] == ["b.csv"]


async def test_what_is_not_there_or_too_large_is_said(base: Path, place: SftpPlace) -> None:
    (base / "mengen" / "a.csv").write_bytes(b"x" * 101)
    with pytest.raises(TooLarge):
        await place.fetch("mengen", "a.csv")
    with pytest.raises(NoSuchFile):
        await place.fetch("mengen", "b.csv")
    with pytest.raises(NoSuchFile):
        await place.move("mengen", "b.csv", "mengen", "c.csv")
    with pytest.raises(NeedsSeller, match="Create the folder"):
        await place.entries("nowhere")


async def test_a_link_is_neither_listed_nor_read(base: Path, place: SftpPlace) -> None:
    (base / "mengen" / "real.csv").write_text("x")
    (base / "bestellungen" / "link.csv").symlink_to(base / "mengen" / "real.csv")
    assert await place.entries("bestellungen") == []
    with pytest.raises(NoSuchFile):
        await place.fetch("bestellungen", "link.csv")


async def test_a_folder_that_leads_out_of_the_place_is_not_used(base: Path, sftp_server: dict[str, object]) -> None:
    (base / "place").mkdir()
    (base / "place" / "bestellungen").symlink_to(base / "bestellungen")
    within = {**sftp_server, "place": f"{sftp_server['place']}place"}
    error = await failing(settings_of(within))
    assert "leads out of the place" in str(error)


async def test_a_server_with_another_key_is_not_talked_to(sftp_server: dict[str, object]) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    error = await failing(settings_of(sftp_server, host_keys=[other]))
    assert isinstance(error, NeedsSeller)
    assert "shows another key" in error.what_to_do


async def test_a_wrong_password_needs_the_seller_and_is_not_told(sftp_server: dict[str, object]) -> None:
    error = await failing(settings_of(sftp_server, password="other-password-9"))
    assert isinstance(error, NeedsSeller)
    assert "does not let us in" in error.what_to_do
    assert "other-password-9" not in repr((error, error.__cause__))


@pytest.mark.parametrize(
    ("key", "said"), [({"private_key": "no key"}, "password or key"), ({"host_keys": ["no key"]}, "host_keys")]
)
async def test_a_key_that_is_none_needs_the_seller(sftp_server: dict[str, object], key: dict, said: str) -> None:
    error = await failing(settings_of(sftp_server, **key))
    assert isinstance(error, NeedsSeller)
    assert said in error.what_to_do


async def test_a_key_of_ours_lets_us_in(base: Path) -> None:
    ours, theirs = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))

    class Door(asyncssh.SSHServer):
        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: object) -> bool:
            return (username, key) == ("till", ours.convert_to_public())

    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[theirs],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(base).encode()),
    )
    async with listening:
        server = {
            "place": f"sftp://127.0.0.1:{listening.get_port()}/",
            "username": "till",
            "private_key": ours.export_private_key("pkcs8-pem", passphrase="open sesame").decode(),
            "passphrase": "open sesame",
            "host_keys": [theirs.export_public_key().decode()],
        }
        place = SftpPlace(settings_of(server).server, "till")
        assert await place.entries("bestellungen") == []
        await place.aclose()
        wrong = await failing(settings_of(server, passphrase="open barley"))
    assert "password or key" in str(wrong)


async def test_a_server_that_is_gone_is_tried_later_and_found_again(base: Path, sftp_server: dict[str, object]) -> None:
    settings = settings_of(sftp_server)
    place = SftpPlace(settings.server, "till")
    assert await place.entries("bestellungen") == []
    place._connection.abort()  # as when the network drops it
    await place._connection.wait_closed()
    assert await place.entries("bestellungen") == []
    await place.aclose()
    gone = settings.model_copy(update={"place": "sftp://127.0.0.1:1/"})
    assert isinstance(await failing(gone), TryLater)


@asynccontextmanager
async def serving(base: Path, kind: type[asyncssh.SFTPServer]):
    """A server that lets everybody in and behaves as `kind` does."""

    class Door(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        sftp_factory=lambda channel: kind(channel, chroot=str(base).encode()),
    )
    async with listening:
        server = {"place": f"sftp://127.0.0.1:{listening.get_port()}/", "username": "till", "password": "any"}
        place = SftpPlace(settings_of({**server, "host_keys": [key.export_public_key().decode()]}).server, "till")
        yield place
        await place.aclose()


async def test_a_connection_that_drops_at_the_rename_leaves_the_outcome_unknown(base: Path) -> None:
    class Drops(asyncssh.SFTPServer):
        def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
            super().posix_rename(oldpath, newpath)
            self.channel.get_connection().abort()

    async with serving(base, Drops) as place:
        with pytest.raises(OutcomeUnknown):
            await place.put("mengen", "a.csv", b"whole")
    assert (base / "mengen" / "a.csv").read_bytes() == b"whole"


async def test_a_connection_that_drops_before_the_rename_has_written_nothing(base: Path) -> None:
    class Drops(asyncssh.SFTPServer):
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            self.channel.get_connection().abort()
            return super().open(path, pflags, attrs)

    async with serving(base, Drops) as place:
        with pytest.raises(TryLater) as caught:
            await place.put("mengen", "a.csv", b"whole")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert not (base / "mengen" / "a.csv").exists()


async def test_a_right_that_is_missing_needs_the_seller(base: Path) -> None:
    class Denies(asyncssh.SFTPServer):
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            raise asyncssh.SFTPPermissionDenied("no")

    async with serving(base, Denies) as place:
        with pytest.raises(NeedsSeller, match=r"Give our user the right for it: till: write mengen/a\.csv"):
            await place.put("mengen", "a.csv", b"whole")


async def test_a_server_that_cannot_rename_over_a_file_is_served_too(base: Path) -> None:
    class Plain(asyncssh.SFTPServer):
        def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
            raise asyncssh.SFTPOpUnsupported("no")

        def fsync(self, file_obj: object) -> None:
            raise asyncssh.SFTPOpUnsupported("no")

    async with serving(base, Plain) as place:
        await place.put("mengen", "a.csv", b"one")
        await place.put("mengen", "a.csv", b"two")
    assert (base / "mengen" / "a.csv").read_bytes() == b"two"


async def test_without_the_library_the_extra_is_named(
    sftp_server: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def missing(name: str, *args: object, **more: object):
        if name == "asyncssh":
            raise ImportError(name)
        return imported(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    error = await failing(settings_of(sftp_server))
    assert "'.[sftp]'" in str(error)
