"""What a bad configuration is told: every fault at once, each with its place and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from channelsync.runtime import config
from channelsync.runtime.config_errors import ConfigInvalid
from channelsync.sdk.discovery import Catalogue

Complaints = Callable[..., list[str]]
ReadConfig = Callable[..., config.Loaded]

LOCATION = '[[location]]\nname = "main"\n'
CHANNEL = LOCATION + '[[channel]]\nname = "shop-uk"\nconnector = "bare"\n'
SHOP = LOCATION + '[[channel]]\nname = "shop-uk"\nconnector = "shop"\n[channel.settings]\n'

BAD: list[tuple[str, str, list[str]]] = [
    (
        "a typo in a table",
        "[databse]\n",
        ["unknown table or key 'databse', config.toml line 1: did you mean 'database'?"],
    ),
    (
        "a typo in a key",
        "[log]\n\nlevle = 'info'\n",
        ["unknown key 'levle' in [log], config.toml line 3: did you mean 'level'?"],
    ),
    (
        "a key that stands one table deeper",
        CHANNEL + "bufer = 2\n",
        ["unknown key 'bufer' in [[channel]] 'shop-uk', config.toml line 6: did you mean 'buffer' in [channel.rules]?"],
    ),
    (
        "a key that is like no other",
        LOCATION + "colour = 1\n",
        ["unknown key 'colour' in [[location]] 'main', config.toml line 3: known are kept_by, name, priority"],
    ),
    (
        "a word that is not to choose from",
        '[log]\nformat = "jsno"\n',
        [
            "'format' in [log] is \"jsno\", config.toml line 2: "
            "should be 'auto', 'json' or 'console'; did you mean 'json'?"
        ],
    ),
    (
        "a duration without a unit",
        "[schedule]\norder_poll = 60\n",
        [
            "'order_poll' in [schedule] is 60, config.toml line 2: "
            'should be a number with its unit in quotes: "90s", "5m", "12h" or "7d"'
        ],
    ),
    (
        "a duration of nothing",
        '[schedule]\norder_poll = "0s"\n',
        ["'order_poll' in [schedule] is \"0s\", config.toml line 2: should be 1s or more"],
    ),
    (
        "a number for a truth value",
        CHANNEL + "paused = 1\n",
        ["'paused' in [[channel]] 'shop-uk' is 1, config.toml line 6: should be true or false"],
    ),
    (
        "a truth value for a number",
        LOCATION + "priority = true\n",
        ["'priority' in [[location]] 'main' is true, config.toml line 3: should be a whole number"],
    ),
    (
        "a fraction for a number",
        LOCATION + "priority = 1.5\n",
        ["'priority' in [[location]] 'main' is 1.5, config.toml line 3: should be a whole number"],
    ),
    (
        "a probability of 1",
        CHANNEL + "oversell_target = 1.0\n",
        ["'oversell_target' in [[channel]] 'shop-uk' is 1.0, config.toml line 6: should be less than 1"],
    ),
    (
        "a time zone that is none",
        '[seller]\ntime_zone = "Europe/Londn"\n',
        [
            "'time_zone' in [seller] is \"Europe/Londn\", config.toml line 2: "
            "should be a name of the time zone database, such as Europe/London or UTC"
        ],
    ),
    (
        "a database of another kind",
        '[database]\nurl = "mysql://db/x"\n',
        [
            "'url' in [database] is \"mysql://db/x\", config.toml line 2: "
            "should be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        ],
    ),
    (
        "a name with a blank",
        '[[location]]\nname = "my place"\n',
        [
            "'name' in [[location]] 'my place' is \"my place\", config.toml line 2: "
            "should be letters, digits, - and _, a letter or digit first, 63 at most"
        ],
    ),
    (
        "an entry without a name",
        "[[location]]\npriority = 1\n",
        ["[[location]] number 1 has no key 'name', config.toml line 1: add it"],
    ),
    (
        "a table where an array belongs",
        '[channel]\nname = "x"\n',
        ["'channel' is not an array of tables, config.toml line 1: write [[channel]] above each entry"],
    ),
    (
        "an array where a table belongs",
        "[[log]]\n",
        ["'log' is not a table, config.toml line 1: write [log] once, and its keys below it"],
    ),
    (
        "two locations of one name",
        LOCATION + LOCATION,
        ["two locations are called 'main', config.toml line 4: the first is at config.toml line 2; rename one"],
    ),
    (
        "two channels whose names differ in capitals only",
        CHANNEL + '[[channel]]\nname = "Shop-UK"\nconnector = "bare"\n',
        ["two channels are called 'Shop-UK', config.toml line 7: the first is at config.toml line 4; rename one"],
    ),
    (
        "a channel without any location",
        '[[channel]]\nname = "a"\nconnector = "bare"\n',
        [
            "there is no location that could feed [[channel]] 'a', config.toml line 1: "
            'add a [[location]], for example with name = "main"'
        ],
    ),
    (
        "unknown and doubled locations of a channel",
        CHANNEL + 'locations = [\n  "mian",\n  "main",\n  "main",\n]\n',
        [
            "unknown location 'mian' in 'locations' of [[channel]] 'shop-uk', config.toml line 7: did you mean 'main'?",
            "location 'main' stands twice in 'locations' of [[channel]] 'shop-uk', config.toml line 9: remove one",
        ],
    ),
    (
        "a location that is kept by nobody we know, and one whose keeper does not know it",
        CHANNEL + '[[location]]\nname = "fba"\nkept_by = "shop-ku"\n[[location]]\nname = "far"\nkept_by = "shop-uk"\n',
        [
            "unknown channel 'shop-ku' in [[location]] 'fba', config.toml line 8: did you mean 'shop-uk'?",
            "the channel 'shop-uk' does not say which of its places 'far' is, config.toml line 11: "
            "name it in `remotes` of the channel, by the channel's id of the place: 'far'",
        ],
    ),
    (
        "units that a channel keeps are sold by another one, and counted by a feed",
        CHANNEL
        + '[channel.remotes]\nN = "fba"\n[[channel]]\nname = "till"\nconnector = "bare"\nlocations = ["fba"]\n'
        + '[channel.remotes]\nS = "fba"\n[[location]]\nname = "fba"\nkept_by = "shop-uk"\n'
        + '[[rule]]\nsku = "MUG"\nlocations = ["fba", "main"]\n[[rule]]\nlocation = "fba"\nbuffer = 1\n'
        + '[[feed]]\nname = "erp"\nkind = "folder"\nplace = "/srv/in"\nbasis = "physical"\nas_of = "modified"\n'
        + 'location = "fba"\n',
        [
            f"the units at 'fba' are kept by the channel 'shop-uk', which counts and ships them itself, config.toml "
            f"line {line}: name a location of yours"
            for line in (11, 13, 19, 21, 29)
        ],
    ),
    (
        "a channel that could only sell what it keeps itself",
        '[[location]]\nname = "fba"\nkept_by = "a"\n[[channel]]\nname = "a"\nconnector = "bare"\n'
        'remotes = { N = "fba" }\n',
        [
            "there is no location that could feed [[channel]] 'a', config.toml line 4: "
            'add a [[location]], for example with name = "main"'
        ],
    ),
    (
        "an unknown location behind a remote one",
        CHANNEL + '[channel.remotes]\n"70001" = "mian"\n',
        ["unknown location 'mian' in [channel.remotes] of 'shop-uk', config.toml line 7: did you mean 'main'?"],
    ),
    (
        "an unknown connector",
        LOCATION + '[[channel]]\nname = "a"\nconnector = "shp"\n',
        ["unknown connector 'shp' in [[channel]] 'a', config.toml line 5: did you mean 'shop'?"],
    ),
    (
        "settings that the connector does not know, lacks, or wants otherwise",
        SHOP + 'shp = "x"\npages = "many"\ntoken = "shhh-very-secret"\n',
        [
            "[channel.settings] of 'shop-uk' has no key 'shop', config.toml line 6: add it",
            "unknown key 'shp' in [channel.settings] of 'shop-uk', config.toml line 7: did you mean 'shop'?",
            "'pages' in [channel.settings] of 'shop-uk' is \"many\", config.toml line 8: "
            "should be a valid integer, unable to parse string as an integer",
        ],
    ),
    (
        "a secret that is missing, empty, or misspelled",
        SHOP + 'shop = { env = "NOT_SET" }\ntoken = { file = "nowhere/token" }\nold_tokens = [{ evn = "X" }]\n',
        [
            "the environment variable NOT_SET is not set (shop in [channel.settings] of 'shop-uk'), "
            "config.toml line 7: set it before channelsync starts",
            "the secret file {folder}/nowhere/token cannot be read (No such file or directory) "
            "(token in [channel.settings] of 'shop-uk'), config.toml line 8: mount it, or correct the path",
            "entry 1 of 'old_tokens' in [channel.settings] of 'shop-uk' is not right, "
            'config.toml line 9: should be text, { env = "NAME" } or { file = "PATH" }',
        ],
    ),
    (
        "a bundle that contains itself",
        '[[bundle]]\nsku = "A"\nparts = [{ sku = "B", units = 1 }]\n'
        '[[bundle]]\nsku = "B"\nparts = [{ sku = "A", units = 1 }]\n',
        [
            "the bundle 'A' contains itself (A -> B -> A), config.toml line 1: "
            "a bundle cannot contain itself; take one of these parts out"
        ],
    ),
    (
        "two bundles that contain themselves",
        "".join(f'[[bundle]]\nsku = "{sku}"\nparts = [{{ sku = "{sku}", units = 1 }}]\n' for sku in "AB"),
        [
            "the bundle 'A' contains itself (A -> A), config.toml line 1: "
            "a bundle cannot contain itself; take one of these parts out",
            "the bundle 'B' contains itself (B -> B), config.toml line 4: "
            "a bundle cannot contain itself; take one of these parts out",
        ],
    ),
    (
        "a secret that is missing where empty text would be wrong too",
        '[database]\nurl = { env = "DATABASE_URL" }\n',
        [
            "the environment variable DATABASE_URL is not set (url in [database]), config.toml line 2: "
            "set it before channelsync starts"
        ],
    ),
    (
        "a bundle of nothing, one of too few, and one twice",
        '[[bundle]]\nsku = "A"\nparts = []\n[[bundle]]\nsku = "B"\nparts = [{ sku = "C", units = 0 }]\n'
        '[[bundle]]\nsku = "B"\nparts = [{ sku = "C", units = 1 }]\n',
        [
            "'parts' in [[bundle]] 'A' is not right, config.toml line 3: should have 1 or more",
            "'units' in parts number 1 of [[bundle]] 'B' is 0, config.toml line 6: "
            "should be greater than or equal to 1",
            "two bundles are called 'B', config.toml line 8: the first is at config.toml line 5; rename one",
        ],
    ),
    (
        "SKUs that differ in capitals, blanks or Unicode form only",
        '[[bundle]]\nsku = "SET"\nparts = [{ sku = "MUG 1", units = 1 }]\n'
        '[[rule]]\nsku = "mug 1"\nbuffer = 1\n[[sku_class]]\nname = "c"\nskus = ["MUG1",\n"TÉ", "TE\u0301"]\n',
        [
            "the SKUs 'mug 1' and 'MUG 1' differ only in capitals, blanks or Unicode form, config.toml line 5: "
            "the other is at config.toml line 3; write both alike",
            "the SKUs 'MUG1' and 'MUG 1' differ only in capitals, blanks or Unicode form, config.toml line 9: "
            "the other is at config.toml line 3; write both alike",
            "the SKUs 'TE\u0301' and 'TÉ' differ only in capitals, blanks or Unicode form, config.toml line 10: "
            "the other is at config.toml line 10; write both alike",
        ],
    ),
    (
        "a SKU with a blank at its end, and one in two classes",
        '[[sku_class]]\nname = "a"\nskus = ["X ", "X"]\n[[sku_class]]\nname = "b"\nskus = ["Z"]\n'
        '[[sku_class]]\nname = "c"\nskus = ["Z"]\n',
        [
            "entry 1 of 'skus' in [[sku_class]] 'a' is \"X \", config.toml line 3: "
            "has blanks at its ends or characters that cannot be seen; remove them",
            "the SKU 'Z' is in class 'c' and, at config.toml line 6, in 'b', config.toml line 9: "
            "a SKU may be in one class, once; remove it from one",
        ],
    ),
    (
        "a rule for nobody",
        CHANNEL + '[[rule]]\nchannel = "shop-us"\nlocation = "moon"\nclass = "odd"\nbuffer = 1\n',
        [
            "[[rule]] number 1 cannot be followed, config.toml line 6: class odd + channel shop-us + location moon "
            "cannot be combined; what can: listing, item, class and channel alone; channel with a listing, an item "
            "or a class; location alone or with an item",
            "unknown channel 'shop-us' in [[rule]] number 1, config.toml line 7: did you mean 'shop-uk'?",
            "unknown location 'moon' in [[rule]] number 1, config.toml line 8: known are main",
            "unknown class 'odd' in [[rule]] number 1, config.toml line 9: there is none to choose from",
        ],
    ),
    (
        "rules that say nothing, or something impossible",
        CHANNEL
        + "[channel.rules]\nlast_units = { at_or_below = 1 }\n[[rule]]\n[[rule]]\nshare = 101\n"
        + '[[rule]]\nbuffer = "lots"\n[[rule]]\nbuffer = "computed"\n'
        + '[[rule]]\nlast_units = { at_or_below = 1, preferred = ["shop"] }\n',
        [
            "[channel.rules] of 'shop-uk' cannot be followed, config.toml line 6: last_units couples all channels "
            "and cannot be set for channel shop-uk; set it for an item, class or everything",
            "[[rule]] number 1 cannot be followed, config.toml line 8: it says nothing; give it a value or remove it",
            "'share' in [[rule]] number 2 is 101, config.toml line 10: should be less than or equal to 100",
            "'buffer' in [[rule]] number 3 is \"lots\", config.toml line 12: "
            'should be units (2), a percentage ("10%"), "computed", or { p = 0.01, at_most = 20 }',
            "[[rule]] number 4 cannot be followed, config.toml line 13: buffer is computed, but no channel is named "
            "whose oversell_target holds; write buffer = { p = 0.01 }, or name a channel",
            "unknown channel 'shop' in 'preferred' of [rule.last_units] of [[rule]] number 5, config.toml line 16: "
            "did you mean 'shop-uk'?",
        ],
    ),
]


@pytest.mark.fault(63, "refused with line and remedy")
@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_file_is_refused_with_line_and_remedy(
    complaints: Complaints, tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert complaints(text) == [line.replace("{folder}", str(tmp_path)) for line in expected]


def test_faults_of_all_tables_are_reported_at_once_in_the_order_of_the_file(complaints: Complaints) -> None:
    told = complaints("".join(f"[{name}]\nnope = 1\n" for name in ("log", "seller", "limits")) + LOCATION + LOCATION)

    assert [int(line.split(":")[0].split(" line ")[1]) for line in told] == [2, 4, 6, 10]


UNREADABLE = [
    (b"[seller]\nname = \n", "this is no TOML (invalid value), config.toml line 2: mend the line"),
    (b"[seller]\nname = 'a'\nname = 'b'\n", "this is no TOML (cannot overwrite a value), config.toml line 3: mend"),
    (b"[seller]\nname = '''a\n", "this is no TOML (expected \"'''\"), config.toml line 3: mend the line"),
    (b"[seller]\nname = 'caf\xe9'\n", "the text is not UTF-8, config.toml line 2: save the file as UTF-8"),
]


@pytest.mark.parametrize(("raw", "expected"), UNREADABLE)
def test_a_file_that_is_no_toml_names_the_line(tmp_path: Path, catalogue: Catalogue, raw: bytes, expected: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(raw)

    with pytest.raises(ConfigInvalid) as refused:
        config.load(path, {}, catalogue=catalogue, secrets_folder=tmp_path)

    assert str(refused.value).startswith(expected)


def test_a_file_of_ten_thousand_brackets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"a = {'[' * 10_000}{']' * 10_000}")

    with pytest.raises(ConfigInvalid, match=r"config.toml is nested too deeply"):
        config.load(path, {})


def test_a_file_that_is_not_there_is_told_with_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"there is no configuration file .*: write one with `channelsync init`"):
        config.load(tmp_path / "config.toml", {})


OUTSIDE = [
    (
        {"CHANNELSYNC_DATABSE__URL": "x"},
        "CHANNELSYNC_DATABSE__URL names no setting, environment variable CHANNELSYNC_DATABSE__URL: "
        "did you mean CHANNELSYNC_DATABASE__URL?",
    ),
    (
        {"CHANNELSYNC_DATABASE_URL": "x"},
        "CHANNELSYNC_DATABASE_URL names no setting, environment variable CHANNELSYNC_DATABASE_URL: "
        "did you mean CHANNELSYNC_DATABASE__URL? Table and key are joined by two underscores",
    ),
    (
        {"CHANNELSYNC_CHANNEL__SHP_UK__MODE": "live"},
        "CHANNELSYNC_CHANNEL__SHP_UK__MODE names no setting, environment variable CHANNELSYNC_CHANNEL__SHP_UK__MODE: "
        "did you mean CHANNELSYNC_CHANNEL__SHOP_UK__MODE?",
    ),
    (
        {"CHANNELSYNC_LOG": "x", "CHANNELSYNC_LOG__LEVEL__X": "x"},
        "CHANNELSYNC_LOG__LEVEL__X names no setting, environment variable CHANNELSYNC_LOG__LEVEL__X: "
        "it names more than a key; end it with a key",
    ),
    (
        {"CHANNELSYNC_RULE__1__BUFFER": "2"},
        "CHANNELSYNC_RULE__1__BUFFER names no setting, environment variable CHANNELSYNC_RULE__1__BUFFER: "
        "there is no such entry",
    ),
    (
        {"CHANNELSYNC_LOG__LEVEL": "loud"},
        "'level' in [log] is not right, environment variable CHANNELSYNC_LOG__LEVEL: "
        "should be 'debug', 'info', 'warning' or 'error'",
    ),
    (
        {"CHANNELSYNC_LOG__LEVEL_FILE": "/nowhere/level"},
        "the secret file /nowhere/level cannot be read (No such file or directory), "
        "secret file /nowhere/level, named by CHANNELSYNC_LOG__LEVEL_FILE: mount it, or correct the path",
    ),
]


@pytest.mark.parametrize(("environ", "expected"), OUTSIDE)
def test_a_fault_from_outside_the_file_names_the_variable(
    complaints: Complaints, environ: dict[str, str], expected: str
) -> None:
    assert complaints(CHANNEL, environ) == [expected]


def test_a_value_that_may_be_a_secret_is_never_repeated(complaints: Complaints) -> None:
    told = complaints(SHOP + "shop = 'a'\ntoken = 123456789\n", {"CHANNELSYNC_DATABASE__URL": "my://secret@x"})

    assert len(told) == 2
    assert not any("123456789" in line or "secret@" in line for line in told)
