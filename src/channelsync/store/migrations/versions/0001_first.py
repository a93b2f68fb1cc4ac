"""first

Follows nothing.
"""

from collections.abc import Sequence

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:  # noqa: PLR0915
    op.create_table(
        "audited_day",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("theirs", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("checked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "day", name=op.f("pk_audited_day")),
    )
    op.create_table(
        "channel",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("identity", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("cursor", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("covered_to", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("orders_asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("orders_failed", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unreadable_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("stop", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("zeroed", sa.Boolean(), nullable=False),
        sa.Column("mode", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("connected_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("budgets", sa.LargeBinary(), nullable=False),
        sa.Column("breaker", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel")),
    )
    with op.batch_alter_table("channel", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_channel_identity"), ["identity"], unique=False)

    op.create_table(
        "channel_secret",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "name", name=op.f("pk_channel_secret")),
    )
    op.create_table(
        "finding",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("fingerprint", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("summary", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("closed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("closed_why", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
    )
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_kind"), ["kind"], unique=False)
        batch_op.create_index(
            "uq_finding_open",
            ["fingerprint"],
            unique=True,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "imported_file",
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_imported_file")),
    )
    op.create_table(
        "item",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sku", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("barcode", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("sku_class", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("merged_into", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["merged_into"], ["item.id"], name=op.f("fk_item_merged_into")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("sku", name=op.f("uq_item_sku")),
    )
    with op.batch_alter_table("item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_item_barcode"), ["barcode"], unique=False)

    op.create_table(
        "lease",
        sa.Column("identity", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_lease")),
    )
    op.create_table(
        "order_hint",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("order", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "order", name=op.f("pk_order_hint")),
    )
    op.create_table(
        "rule",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("scope", sa.LargeBinary(), nullable=False),
        sa.Column("says", sa.LargeBinary(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule")),
    )
    op.create_table(
        "run",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("command", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("undone_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_table(
        "sales_order",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("order", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("content", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("placed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("first_seen_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("booked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("unmapped", sa.Integer(), nullable=False),
        sa.Column("said", sa.LargeBinary(), nullable=False),
        sa.Column("booked", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "order", name=op.f("pk_sales_order")),
    )
    with op.batch_alter_table("sales_order", schema=None) as batch_op:
        batch_op.create_index("ix_sales_order_channel_placed_at", ["channel", "placed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sales_order_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sales_order_unmapped"), ["unmapped"], unique=False)

    op.create_table(
        "unreadable_order",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("order", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("seen_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "order", name=op.f("pk_unreadable_order")),
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("event", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("topic", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("orders", sa.LargeBinary(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("handled_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    with op.batch_alter_table("webhook", schema=None) as batch_op:
        batch_op.create_index("uq_webhook_channel_event", ["channel", "event"], unique=True)

    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.Column("after", sa.LargeBinary(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_change_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
    )
    with op.batch_alter_table("change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_change_run"), ["run"], unique=False)

    op.create_table(
        "incoming",
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("location", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reference", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("units > 0", name=op.f("ck_incoming_units")),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_incoming_item")),
        sa.PrimaryKeyConstraint("item", "location", "reference", name=op.f("pk_incoming")),
    )
    op.create_table(
        "item_alias",
        sa.Column("sku", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_item_alias_item")),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_item_alias")),
    )
    with op.batch_alter_table("item_alias", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_item_alias_item"), ["item"], unique=False)

    op.create_table(
        "ledger_entry",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("location", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("withheld", sa.BigInteger(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("recorded_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("order", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("line", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reservation", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("lot", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("unit_cost", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("currency", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("previous", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_ledger_entry_number")),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_ledger_entry_item")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
    )
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_entry_channel_order", ["channel", "order"], unique=False)
        batch_op.create_index(batch_op.f("ix_ledger_entry_run"), ["run"], unique=False)
        batch_op.create_index("uq_ledger_entry_item_location_number", ["item", "location", "number"], unique=True)

    op.create_table(
        "listing",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("listing", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sku", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("barcode", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reasons", sa.LargeBinary(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.Column("sells_below_zero", sa.Boolean(), nullable=False),
        sa.Column("fulfilled_by_channel", sa.Boolean(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("multiple", sa.Integer(), nullable=False),
        sa.Column("mapped_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mapped_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("seen_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("gone_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("multiple >= 1", name=op.f("ck_listing_multiple")),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_listing_item")),
        sa.PrimaryKeyConstraint("channel", "listing", name=op.f("pk_listing")),
    )
    with op.batch_alter_table("listing", schema=None) as batch_op:
        batch_op.create_index("ix_listing_channel_sku", ["channel", "sku"], unique=False)
        batch_op.create_index(batch_op.f("ix_listing_item"), ["item"], unique=False)

    op.create_table(
        "position",
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("location", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("withheld", sa.BigInteger(), nullable=False),
        sa.Column("counted_up_to", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("head", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("entries >= 0", name=op.f("ck_position_entries")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_position_reserved")),
        sa.CheckConstraint("withheld >= 0", name=op.f("ck_position_withheld")),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_position_item")),
        sa.PrimaryKeyConstraint("item", "location", name=op.f("pk_position")),
    )
    op.create_table(
        "quantity_key",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("identity", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("remote", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("listing", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("page", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("multiple", sa.Integer(), nullable=False),
        sa.Column("ours", sa.Boolean(), nullable=False),
        sa.Column("sells_below_zero", sa.Boolean(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("answered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("committed", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("rise", sa.BigInteger(), nullable=False),
        sa.Column("rise_from", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("rise_to", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("repairs", sa.Integer(), nullable=False),
        sa.Column("held", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel_held", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("read_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("read_wanted", sa.Boolean(), nullable=False),
        sa.Column("hot", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("not_before", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("generation >= 0", name=op.f("ck_quantity_key_generation")),
        sa.CheckConstraint("multiple >= 1", name=op.f("ck_quantity_key_multiple")),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_quantity_key_item")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quantity_key")),
    )
    with op.batch_alter_table("quantity_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quantity_key_channel"), ["channel"], unique=False)
        batch_op.create_index(
            "ix_quantity_key_hot",
            ["identity"],
            unique=False,
            sqlite_where=sa.text("hot"),
            postgresql_where=sa.text("hot"),
        )
        batch_op.create_index("ix_quantity_key_identity_due_at", ["identity", "due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_quantity_key_item"), ["item"], unique=False)
        batch_op.create_index(
            "ix_quantity_key_page",
            ["page"],
            unique=False,
            sqlite_where=sa.text("page <> ''"),
            postgresql_where=sa.text("page <> ''"),
        )
        batch_op.create_index("uq_quantity_key_identity_key_remote", ["identity", "key", "remote"], unique=True)

    op.create_table(
        "reservation",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("location", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("order", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("line", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("open >= 0", name=op.f("ck_reservation_open")),
        sa.ForeignKeyConstraint(["item"], ["item.id"], name=op.f("fk_reservation_item")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
    )
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.create_index("ix_reservation_channel_order", ["channel", "order"], unique=False)
        batch_op.create_index("ix_reservation_item_location", ["item", "location"], unique=False)

    op.create_table(
        "effect",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("order", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.Column("earliest", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("latest", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("booked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("settled", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("settled_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_effect_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effect")),
    )
    with op.batch_alter_table("effect", schema=None) as batch_op:
        batch_op.create_index(
            "ix_effect_open",
            ["key"],
            unique=False,
            sqlite_where=sa.text("settled IN ('', 'shown')"),
            postgresql_where=sa.text("settled IN ('', 'shown')"),
        )

    op.create_table(
        "listing_key",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("listing", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_listing_key_key")),
        sa.PrimaryKeyConstraint("channel", "listing", "key", name=op.f("pk_listing_key")),
    )
    with op.batch_alter_table("listing_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_listing_key_key"), ["key"], unique=False)

    op.create_table(
        "prediction",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("shown", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("why", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_prediction_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prediction")),
    )
    with op.batch_alter_table("prediction", schema=None) as batch_op:
        batch_op.create_index("ix_prediction_channel_at", ["channel", "at"], unique=False)
        batch_op.create_index("ix_prediction_key_at", ["key", "at"], unique=False)

    op.create_table(
        "provisional",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("location", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("takes", sa.LargeBinary(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.Column("plausible", sa.BigInteger(), nullable=False),
        sa.Column("window_from", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("window_to", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("found_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("closed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("closed_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("open >= 0 AND open <= units", name=op.f("ck_provisional_open")),
        sa.CheckConstraint("plausible >= 0", name=op.f("ck_provisional_plausible")),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_provisional_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provisional")),
    )
    with op.batch_alter_table("provisional", schema=None) as batch_op:
        batch_op.create_index(
            "ix_provisional_open",
            ["key"],
            unique=False,
            sqlite_where=sa.text("open > 0"),
            postgresql_where=sa.text("open > 0"),
        )

    op.create_table(
        "quantity_read",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("answered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("meaning", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_quantity_read_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quantity_read")),
    )
    with op.batch_alter_table("quantity_read", schema=None) as batch_op:
        batch_op.create_index("ix_quantity_read_key_answered_at", ["key", "answered_at"], unique=False)

    op.create_table(
        "quantity_write",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=True),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sent_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("answered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("visible_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("closed_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("why", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_quantity_write_key")),
        sa.PrimaryKeyConstraint("key", "generation", name=op.f("pk_quantity_write")),
    )
    with op.batch_alter_table("quantity_write", schema=None) as batch_op:
        batch_op.create_index(
            "ix_quantity_write_open",
            ["key"],
            unique=False,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )


def downgrade() -> None:  # noqa: PLR0915
    with op.batch_alter_table("quantity_write", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_quantity_write_open",
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("quantity_write")
    with op.batch_alter_table("quantity_read", schema=None) as batch_op:
        batch_op.drop_index("ix_quantity_read_key_answered_at")

    op.drop_table("quantity_read")
    with op.batch_alter_table("provisional", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_provisional_open", sqlite_where=sa.text("open > 0"), postgresql_where=sa.text("open > 0")
        )

    op.drop_table("provisional")
    with op.batch_alter_table("prediction", schema=None) as batch_op:
        batch_op.drop_index("ix_prediction_key_at")
        batch_op.drop_index("ix_prediction_channel_at")

    op.drop_table("prediction")
    with op.batch_alter_table("listing_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_listing_key_key"))

    op.drop_table("listing_key")
    with op.batch_alter_table("effect", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_effect_open",
            sqlite_where=sa.text("settled IN ('', 'shown')"),
            postgresql_where=sa.text("settled IN ('', 'shown')"),
        )

    op.drop_table("effect")
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.drop_index("ix_reservation_item_location")
        batch_op.drop_index("ix_reservation_channel_order")

    op.drop_table("reservation")
    with op.batch_alter_table("quantity_key", schema=None) as batch_op:
        batch_op.drop_index("uq_quantity_key_identity_key_remote")
        batch_op.drop_index(
            "ix_quantity_key_page", sqlite_where=sa.text("page <> ''"), postgresql_where=sa.text("page <> ''")
        )
        batch_op.drop_index(batch_op.f("ix_quantity_key_item"))
        batch_op.drop_index("ix_quantity_key_identity_due_at")
        batch_op.drop_index("ix_quantity_key_hot", sqlite_where=sa.text("hot"), postgresql_where=sa.text("hot"))
        batch_op.drop_index(batch_op.f("ix_quantity_key_channel"))

    op.drop_table("quantity_key")
    op.drop_table("position")
    with op.batch_alter_table("listing", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_listing_item"))
        batch_op.drop_index("ix_listing_channel_sku")

    op.drop_table("listing")
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.drop_index("uq_ledger_entry_item_location_number")
        batch_op.drop_index(batch_op.f("ix_ledger_entry_run"))
        batch_op.drop_index("ix_ledger_entry_channel_order")

    op.drop_table("ledger_entry")
    with op.batch_alter_table("item_alias", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_item_alias_item"))

    op.drop_table("item_alias")
    op.drop_table("incoming")
    with op.batch_alter_table("change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_change_run"))

    op.drop_table("change")
    with op.batch_alter_table("webhook", schema=None) as batch_op:
        batch_op.drop_index("uq_webhook_channel_event")

    op.drop_table("webhook")
    op.drop_table("unreadable_order")
    with op.batch_alter_table("sales_order", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sales_order_unmapped"))
        batch_op.drop_index(batch_op.f("ix_sales_order_expires_at"))
        batch_op.drop_index("ix_sales_order_channel_placed_at")

    op.drop_table("sales_order")
    op.drop_table("run")
    op.drop_table("rule")
    op.drop_table("order_hint")
    op.drop_table("lease")
    with op.batch_alter_table("item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_item_barcode"))

    op.drop_table("item")
    op.drop_table("imported_file")
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_finding_open", sqlite_where=sa.text("closed_at IS NULL"), postgresql_where=sa.text("closed_at IS NULL")
        )
        batch_op.drop_index(batch_op.f("ix_finding_kind"))

    op.drop_table("finding")
    op.drop_table("channel_secret")
    with op.batch_alter_table("channel", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_channel_identity"))

    op.drop_table("channel")
    op.drop_table("audited_day")
