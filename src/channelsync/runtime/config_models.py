"""What can be configured, group by group. The text under each setting is its documentation.

It appears in config.example.toml and in the file that `channelsync init` writes, both made from here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from channelsync.runtime.config_alert import AlertConfig
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_guard import ChannelGuardConfig, GuardConfig
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.config_rules import Group, RuleConfig, RuleValuesConfig
from channelsync.runtime.config_values import (
    CivilTime,
    DatabaseUrl,
    Duration,
    Flag,
    ListenOn,
    Name,
    Proxy,
    PublicUrl,
    Share,
    Sku,
    TimeZone,
    TimeZoneOrNone,
    VaultKeys,
    Whole,
)


class Settings(BaseModel):
    """A connector's settings before its model is known, or of a connector that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SellerConfig(Group):
    """Who sells. One seller a database."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "My shop"
    """Shown at the head of reports and alerts. Nothing depends on it."""

    time_zone: TimeZone = "UTC"
    """Name in the time zone database, e.g. "Europe/London": what a day is in reports. Stored times are UTC whatever
    stands here. Default UTC, for a wrong guess would move sales to another day unseen."""


class DatabaseConfig(Group):
    """Where positions, orders and the ledger are kept."""

    url: DatabaseUrl = "sqlite:///channelsync.db"
    """sqlite:///FILE, beside this file unless the path is absolute (sqlite:////var/lib/channelsync.db), or
    postgresql://USER:PASSWORD@HOST/DATABASE. Default SQLite: it needs no server. Take PostgreSQL for more than
    one daemon. With a password in it, write url = { env = "DATABASE_URL" } or url = { file = "..." }."""


class SecretsConfig(Group):
    """The vault: secrets that `channelsync channels connect` asks for and tokens that are renewed, sealed in the
    database."""

    keys: Annotated[VaultKeys, Field(examples=[[{"file": "channelsync.key"}]])] = ()
    """What seals secrets; `channelsync secrets key` makes one. The first seals, all unseal: to replace a key, put the
    new one first, run `channelsync secrets reseal`, then take the old one away. Default none: no secret can be kept,
    so { stored = "NAME" } cannot be used. Whoever loses the keys must connect every channel anew."""


class WebConfig(Group):
    """How the outside reaches us."""

    public_url: Annotated[PublicUrl, Field(examples=["https://agent.example.com"])] = ""
    """The address under which channels reach our webhook receiver; a channel's deliveries go to /webhooks/ and its
    name below it. Default none: no webhook is registered, and orders are found by polling."""

    listen: ListenOn = "127.0.0.1:8080"
    """Address and port of our own server: webhooks, the API, health. "0.0.0.0:8080" takes connections from everywhere.
    Default this machine only: a reverse proxy in front of it speaks HTTPS to the outside. "": no server."""

    metrics: Annotated[ListenOn, Field(examples=["127.0.0.1:9464"])] = ""
    """Address and port where /metrics is served, apart from everything else, for it tells about your business. Default
    none: no metrics."""

    trusted_proxies: Annotated[tuple[Proxy, ...], Field(examples=[["10.0.0.0/8"]])] = ()
    """Addresses and networks of reverse proxies. Only of these is it believed who their client was (X-Forwarded-For,
    X-Forwarded-Proto). Default none."""

    body_limit: Annotated[int, Field(strict=True, ge=10_000, le=100_000_000)] = 1_000_000
    """Bytes that the body of a request may have; what is longer is cut off and refused. Default 1000000: no channel
    sends more."""

    api_rate: Annotated[int, Field(strict=True, ge=6, le=1_000_000)] = 600
    """Requests a minute that each token of the API may make, a sixth of them at once; what comes sooner is answered
    429 with the wait. Default 600: more than a script needs, and little enough that one that runs wild harms nobody
    else."""

    keep_bodies: Duration = timedelta(days=7)
    """How long the sealed body of a webhook is kept, to look at. It holds what the channel knows of the buyer. Default
    7d. Without keys below [secrets] no body is kept at all."""

    keep_deliveries: Duration = timedelta(days=30)
    """How long it is kept that a webhook came and what became of it. Default 30d: longer than any channel repeats."""


class BackupConfig(Group):
    """Backups of the database that the daemon makes by itself. `channelsync backup create` makes one at any time."""

    folder: Annotated[str, Field(examples=["backups"])] = ""
    """Where they are written; beside this file unless the path is absolute. Take another disk than the database's, or
    copy them elsewhere. Default none: no backup is made."""

    at: CivilTime = "02:00"
    """When, each day, in the seller's time zone. Default 02:00: few orders come then."""

    keep: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 14
    """How many are kept; the oldest are deleted, never the newest that is whole. Default 14: two weeks."""


class LogConfig(Group):
    """What is logged to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe lines that are written. Default info: what was taken in, pushed and found."""

    format: Literal["auto", "json", "console"] = "auto"
    """json: one object a line. console: for people. Default auto: console on a terminal, json elsewhere."""


class ScheduleConfig(Group):
    """How often things are done. A number with its unit: "90s", "5m", "12h", "7d"."""

    order_poll: Duration = timedelta(minutes=1)
    """Between two reads of a channel's new orders, while there are any. Default 1m: one cheap call; webhooks, where a
    channel has them, come sooner, and a poll finds what they lost. A channel whose budget is small is asked less."""

    order_poll_quiet: Duration = timedelta(minutes=5)
    """The longest pause between two reads of a channel's new orders: it is asked a tenth as long after the last order
    as that is ago, within these bounds. Default 5m: what sells while nobody asks is scarce at worst, and scarce
    quantities are read every tick anyway. As long as order_poll, or shorter: always as order_poll says."""

    publish_tick: Duration = timedelta(minutes=1)
    """Between two rounds of reading scarce quantities and writing due ones. Default 1m: in simulated sell-outs this
    oversold a quarter of what 5m did."""

    quantity_sweep: Duration = timedelta(hours=6)
    """Between two reads of every quantity that a channel shows, scarce or not. Default 6h: finds hand edits on the
    same day without using up the channel's read budget."""

    listing_pull: Duration = timedelta(days=1)
    """Between two reads of all listings with their state. Default 1d: new and closed listings are seen the day
    after at the latest, and a full read is the dearest call there is."""

    order_audit: Duration = timedelta(days=1)
    """Between two proofs that no order is missing, by the channel's own list of order ids. Default 1d: the day
    is what channels list orders by."""

    housekeeping: Duration = timedelta(hours=1)
    """Between two rounds of releasing what ran out and closing what is settled. Default 1h: none of it is
    urgent."""

    comparison: Annotated[CivilTime, Field(examples=["03:30"])] = "03:30"
    """When every quantity of a channel is read and compared with what it should be: a time of the day, or a cron
    expression such as "30 3 * * 0" (on Sundays), in the channel's time zone. Default 03:30: few orders come then, and
    the read budget is free. "": never."""

    maintenance: Annotated[CivilTime, Field(examples=["04:30"])] = "04:30"
    """When old rows are taken away, and SQLite's file is looked after; as for comparison, in the seller's time zone.
    Default 04:30: after the comparisons. "": never."""

    keep: Duration = timedelta(days=90)
    """How long reads, writes, predictions and closed findings are kept; so far back `explain --at` can look. Default
    90d. The ledger, orders and runs are kept for ever: `verify` needs them."""

    webhook_check: Duration = timedelta(hours=6)
    """Between two looks at whether each channel still tells us of everything, which some stop doing unasked; what is
    amiss is mended. Default 6h: polls find the orders meanwhile, only later."""

    account_check: Duration = timedelta(days=1)
    """Between two questions to each channel whether our credentials are good. Default 1d: tokens that end when nobody
    uses them live on, and a revoked one is found before it is needed."""


class LimitsConfig(Group):
    """How much may be used, and for how long."""

    hot_read_share: Share = 0.5
    """Share, 0 to 1, of a channel's read budget for reading scarce quantities each tick. Default 0.5: the other
    half is for orders and the sweep. 0 reads none of them out of turn."""

    hot_probability: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.001
    """Units are scarce when the channels sell more than is there before we hear of it with a larger probability than
    this, between 0 and 1. Default 0.001. More lets fewer numbers be read every tick: for a large catalogue that would
    spend its read budget on units of which hardly any sell."""

    lease: Duration = timedelta(seconds=30)
    """How long a daemon owns a channel after its last sign of life (PostgreSQL only). Default 30s: another has taken
    over before the next tick."""


class LocationConfig(Group):
    """A place where units are and from which they ship."""

    name: Annotated[Name, Field(examples=["main"])]
    """Letters, digits, - and _. Stands in the ledger: never change it once units were booked there."""

    priority: Whole = 100
    """Where a channel names no locations, those of a smaller number ship first; equal ones in the order of this
    file. Default 100, so that there is room on either side."""

    kept_by: Annotated[Name | None, Field(examples=["amazon-eu"])] = None
    """The channel that keeps units here, counts them and ships them itself, as Amazon does (FBA): they are shown with
    all others and sold by no other channel. The channel names the place in its `remotes`. Default none: it is ours."""


class ChannelConfig(Group):
    """One account of the seller on one marketplace or shop."""

    name: Annotated[Name, Field(examples=["shop-uk"])]
    """Letters, digits, - and _. Stands in orders, logs and findings. Under another name the account's channel goes on
    where it was; secrets in the vault and rules of the database, which name it, are to be given anew."""

    connector: Annotated[str, Field(examples=["memory"])]
    """Which code talks to it: the name of an installed connector; `channelsync config check` lists them."""

    locations: Annotated[tuple[Name, ...], Field(examples=[["main"]])] = ()
    """The locations whose units this channel sells, in the order in which they ship. Default none named: all, by
    their priority."""

    time_zone: Annotated[TimeZoneOrNone, Field(examples=["Europe/London"])] = ""
    """By whose clock its nightly comparison goes: a name in the time zone database. Default the seller's."""

    remotes: Annotated[dict[str, Name], Field(default_factory=dict, examples=[{"70001": "main"}])]
    """The channel's own locations, by its id, and ours that feed each, or at which what the channel keeps there is
    counted (`kept_by`). Default none: the channel keeps one number for all locations."""

    mode: Literal["live", "observe", "off"] = "live"
    """live: quantities are written. observe: orders are booked and pushes predicted, nothing is written. off: the
    channel is not called at all. For a cut-over channel by channel; `channelsync channels mode` overrides it. Default
    live."""

    paused: Flag = False
    """true: no quantity is raised here; lowerings go on, so that pausing never oversells. `channelsync channels pause`
    does the same for a while. Default false."""

    oversell_target: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.01
    """Probability, between 0 and 1, that this channel shows more than is left while it is running out; computed
    buffers are sized by it. Default 0.01: one sell-out in a hundred."""

    drift: Literal["repair", "adopt", "ask"] = "repair"
    """What follows a quantity that no order explains. repair: ours is written again. adopt: the difference is
    booked as an adjustment of on hand. ask: a finding waits, and it is only lowered until you answer. Default
    repair: the ledger is the truth."""

    settings: InstanceOf[BaseModel] = Field(default_factory=Settings)
    """What the connector needs. Each has its own keys: see the examples at the end."""

    rules: RuleValuesConfig = Field(default_factory=RuleValuesConfig)
    """How much of what is available this channel may show, for all its listings. [[rule]] says it for fewer."""

    guard: ChannelGuardConfig = Field(default_factory=ChannelGuardConfig)
    """Where this channel's limits of what one run may change differ from those of [guard]."""


class PartConfig(Group):
    """One kind of part of a bundle."""

    sku: Annotated[Sku, Field(examples=["MUG-BLUE"])]
    """The part; may be a bundle itself."""

    units: Annotated[int, Field(strict=True, ge=1, le=10**6, examples=[2])]
    """Base units of the part in one bundle."""


class BundleConfig(Group):
    """A SKU that is made of others."""

    sku: Annotated[Sku, Field(examples=["MUG-SET"])]
    """The bundle's own SKU."""

    kind: Literal["virtual", "prebuilt", "both"] = "virtual"
    """virtual: put together when it is sold, as many as the parts allow. prebuilt: counted by itself, its parts
    stay out of it. both: pre-built ones ship first, then parts are used. Default virtual."""

    parts: Annotated[tuple[PartConfig, ...], Field(min_length=1, examples=[[{"sku": "MUG-BLUE", "units": 2}]])]
    """What one bundle takes, each part once."""


class SkuClassConfig(Group):
    """SKUs that share rules."""

    name: Annotated[Name, Field(examples=["fragile"])]
    """Letters, digits, - and _. Named by `class` in [[rule]]."""

    skus: Annotated[tuple[Sku, ...], Field(min_length=1, examples=[["MUG-BLUE", "MUG-RED"]])]
    """The SKUs of the class."""


class Config(Group):
    """The whole configuration, valid and complete."""

    seller: SellerConfig = Field(default_factory=SellerConfig)
    database: DatabaseConfig = Field(default_factory=DatabaseConfig)
    secrets: SecretsConfig = Field(default_factory=SecretsConfig)
    web: WebConfig = Field(default_factory=WebConfig)
    backup: BackupConfig = Field(default_factory=BackupConfig)
    alert: AlertConfig = Field(default_factory=AlertConfig)
    log: LogConfig = Field(default_factory=LogConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    guard: GuardConfig = Field(default_factory=GuardConfig)
    locations: tuple[LocationConfig, ...] = Field(default=(), alias="location")
    channels: tuple[ChannelConfig, ...] = Field(default=(), alias="channel")
    rules: tuple[RuleConfig, ...] = Field(default=(), alias="rule")
    bundles: tuple[BundleConfig, ...] = Field(default=(), alias="bundle")
    sku_classes: tuple[SkuClassConfig, ...] = Field(default=(), alias="sku_class")
    feeds: tuple[FeedConfig, ...] = Field(default=(), alias="feed")
    hooks: tuple[HookConfig, ...] = Field(default=(), alias="hook")
