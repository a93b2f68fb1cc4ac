"""operations

Follows 0001.
"""

from collections.abc import Sequence

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:  # noqa: PLR0915
    op.create_table(
        "api_answer",
        sa.Column("token", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token", "key", name=op.f("pk_api_answer")),
    )
    with op.batch_alter_table("api_answer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_answer_at"), ["at"], unique=False)

    op.create_table(
        "api_token",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("scope", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("revoked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("last_used_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_token_digest")),
    )
    op.create_table(
        "channel_memory",
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "name", name=op.f("pk_channel_memory")),
    )
    op.create_table(
        "daemon",
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("command", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("host", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("beat_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.Column("reload_wanted", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reload_done", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reload_said", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_daemon")),
    )
    op.create_table(
        "feed_file",
        sa.Column("feed", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=False),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "key", name=op.f("pk_feed_file")),
    )
    with op.batch_alter_table("feed_file", schema=None) as batch_op:
        batch_op.create_index("ix_feed_file_feed_at", ["feed", "at"], unique=False)

    op.create_table(
        "guard_place",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guard_place")),
    )
    op.create_table(
        "guard_plan",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reasons", sa.LargeBinary(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("decided_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("decided_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("decided_run", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("note", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("kind IN ('quantities', 'catalogue')", name=op.f("ck_guard_plan_kind")),
        sa.CheckConstraint("state IN ('open', 'approved', 'rejected', 'settled')", name=op.f("ck_guard_plan_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guard_plan")),
    )
    with op.batch_alter_table("guard_plan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_guard_plan_run"), ["run"], unique=False)
        batch_op.create_index("ix_guard_plan_state", ["state"], unique=False)

    op.create_table(
        "guard_position",
        sa.Column("mark", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("location", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("mark", "item", "location", name=op.f("pk_guard_position")),
    )
    op.create_table(
        "hook",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("told_to", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("not_before", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("stopped", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("problem", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("delivered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_hook_failures")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hook")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("topic", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("event", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("differs", sa.Boolean(), nullable=False),
        sa.Column("received_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("sent_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("orders", sa.LargeBinary(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("why", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("handled_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('new', 'done', 'quarantined', 'parked')", name=op.f("ck_inbox_state")),
        sa.CheckConstraint("copies >= 0", name=op.f("ck_inbox_copies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_received_at", ["received_at"], unique=False)
        batch_op.create_index("ix_inbox_state", ["state", "channel", "id"], unique=False)
        batch_op.create_index("ix_inbox_topic", ["channel", "topic", "received_at"], unique=False)
        batch_op.create_index("uq_inbox_delivery", ["channel", "topic", "event", "digest"], unique=True)
        batch_op.create_index(
            "uq_inbox_event",
            ["channel", "topic", "event"],
            unique=True,
            sqlite_where=sa.text("NOT differs"),
            postgresql_where=sa.text("NOT differs"),
        )

    op.create_table(
        "outgoing",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("hook", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("delivered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_outgoing_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing")),
    )
    with op.batch_alter_table("outgoing", schema=None) as batch_op:
        batch_op.create_index("ix_outgoing_hook_made_at", ["hook", "made_at"], unique=False)
        batch_op.create_index(
            "ix_outgoing_queue",
            ["hook", "id"],
            unique=False,
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )
        batch_op.create_index(
            "uq_outgoing_waiting",
            ["hook", "type", "subject"],
            unique=True,
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )

    op.create_table(
        "schedule",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("rule", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("next_run_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("lease_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("asked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("told", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schedule")),
    )
    op.create_table(
        "guard_key",
        sa.Column("plan", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("item", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("why", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("state IN ('held', 'released', 'overtaken', 'ended')", name=op.f("ck_guard_key_state")),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_guard_key_key")),
        sa.ForeignKeyConstraint(["plan"], ["guard_plan.id"], name=op.f("fk_guard_key_plan")),
        sa.PrimaryKeyConstraint("plan", "key", name=op.f("pk_guard_key")),
    )
    with op.batch_alter_table("guard_key", schema=None) as batch_op:
        batch_op.create_index(
            "uq_guard_key_held",
            ["key"],
            unique=True,
            sqlite_where=sa.text("state = 'held'"),
            postgresql_where=sa.text("state = 'held'"),
        )

    op.create_table(
        "quantity_key_page",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("page", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["quantity_key.id"], name=op.f("fk_quantity_key_page_key")),
        sa.PrimaryKeyConstraint("key", "page", name=op.f("pk_quantity_key_page")),
    )
    with op.batch_alter_table("quantity_key_page", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quantity_key_page_page"), ["page"], unique=False)

    with op.batch_alter_table("webhook", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("uq_webhook_channel_event"))

    op.drop_table("webhook")
    with op.batch_alter_table("channel", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "unreadable_why", sqlmodel.sql.sqltypes.AutoString(), server_default=sa.text("''"), nullable=False
            )
        )
        batch_op.add_column(sa.Column("catch_up_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("reviewed", sqlmodel.sql.sqltypes.AutoString(), server_default=sa.text("''"), nullable=False)
        )

    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.create_index(
            "ix_ledger_entry_cost",
            ["item"],
            unique=False,
            sqlite_where=sa.text("unit_cost <> ''"),
            postgresql_where=sa.text("unit_cost <> ''"),
        )
        batch_op.create_index("ix_ledger_entry_recorded_at", ["recorded_at"], unique=False)

    with op.batch_alter_table("order_hint", schema=None) as batch_op:
        batch_op.add_column(sa.Column("noted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table("position", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "stated_by", sqlmodel.sql.sqltypes.AutoString(), server_default=sa.text("'upgrade'"), nullable=False
            )
        )
        batch_op.create_index(
            "ix_position_oversold",
            ["item"],
            unique=False,
            sqlite_where=sa.text("on_hand - reserved - withheld < 0"),
            postgresql_where=sa.text("on_hand - reserved - withheld < 0"),
        )

    with op.batch_alter_table("quantity_key", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("unreadable", sqlmodel.sql.sqltypes.AutoString(), server_default=sa.text("''"), nullable=False)
        )
        batch_op.add_column(sa.Column("kept", sa.Boolean(), server_default=sa.text("(false)"), nullable=False))
        batch_op.add_column(
            sa.Column("risen", sqlmodel.sql.sqltypes.AutoString(), server_default=sa.text("''"), nullable=False)
        )
        batch_op.add_column(sa.Column("disputed", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch_op.create_index("ix_quantity_key_identity_read_at", ["identity", "read_at"], unique=False)
        batch_op.create_index(
            "ix_quantity_key_wanted",
            ["identity"],
            unique=False,
            sqlite_where=sa.text("read_wanted"),
            postgresql_where=sa.text("read_wanted"),
        )

    with op.batch_alter_table("quantity_write", schema=None) as batch_op:
        batch_op.add_column(sa.Column("within_s", sa.Float(), nullable=True))
        batch_op.create_index("ix_quantity_write_sent_at", ["sent_at"], unique=False)

    with op.batch_alter_table("sales_order", schema=None) as batch_op:
        batch_op.add_column(sa.Column("absent_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))


def downgrade() -> None:  # noqa: PLR0915
    with op.batch_alter_table("sales_order", schema=None) as batch_op:
        batch_op.drop_column("absent_at")

    with op.batch_alter_table("quantity_write", schema=None) as batch_op:
        batch_op.drop_index("ix_quantity_write_sent_at")
        batch_op.drop_column("within_s")

    with op.batch_alter_table("quantity_key", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_quantity_key_wanted", sqlite_where=sa.text("read_wanted"), postgresql_where=sa.text("read_wanted")
        )
        batch_op.drop_index("ix_quantity_key_identity_read_at")
        batch_op.drop_column("disputed")
        batch_op.drop_column("risen")
        batch_op.drop_column("kept")
        batch_op.drop_column("unreadable")

    with op.batch_alter_table("position", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_position_oversold",
            sqlite_where=sa.text("on_hand - reserved - withheld < 0"),
            postgresql_where=sa.text("on_hand - reserved - withheld < 0"),
        )
        batch_op.drop_column("stated_by")

    with op.batch_alter_table("order_hint", schema=None) as batch_op:
        batch_op.drop_column("noted_at")

    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_entry_recorded_at")
        batch_op.drop_index(
            "ix_ledger_entry_cost", sqlite_where=sa.text("unit_cost <> ''"), postgresql_where=sa.text("unit_cost <> ''")
        )

    with op.batch_alter_table("channel", schema=None) as batch_op:
        batch_op.drop_column("reviewed")
        batch_op.drop_column("catch_up_since")
        batch_op.drop_column("unreadable_why")

    op.create_table(
        "webhook",
        sa.Column("id", sa.INTEGER(), nullable=False),
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
        batch_op.create_index(batch_op.f("uq_webhook_channel_event"), ["channel", "event"], unique=1)

    with op.batch_alter_table("quantity_key_page", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quantity_key_page_page"))

    op.drop_table("quantity_key_page")
    with op.batch_alter_table("guard_key", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_guard_key_held", sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'")
        )

    op.drop_table("guard_key")
    op.drop_table("schedule")
    with op.batch_alter_table("outgoing", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_outgoing_waiting",
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_outgoing_queue",
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )
        batch_op.drop_index("ix_outgoing_hook_made_at")

    op.drop_table("outgoing")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_inbox_event", sqlite_where=sa.text("NOT differs"), postgresql_where=sa.text("NOT differs")
        )
        batch_op.drop_index("uq_inbox_delivery")
        batch_op.drop_index("ix_inbox_topic")
        batch_op.drop_index("ix_inbox_state")
        batch_op.drop_index("ix_inbox_received_at")

    op.drop_table("inbox")
    op.drop_table("hook")
    op.drop_table("guard_position")
    with op.batch_alter_table("guard_plan", schema=None) as batch_op:
        batch_op.drop_index("ix_guard_plan_state")
        batch_op.drop_index(batch_op.f("ix_guard_plan_run"))

    op.drop_table("guard_plan")
    op.drop_table("guard_place")
    with op.batch_alter_table("feed_file", schema=None) as batch_op:
        batch_op.drop_index("ix_feed_file_feed_at")

    op.drop_table("feed_file")
    op.drop_table("daemon")
    op.drop_table("channel_memory")
    op.drop_table("api_token")
    with op.batch_alter_table("api_answer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_answer_at"))

    op.drop_table("api_answer")
