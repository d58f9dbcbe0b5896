"""Stock and reservations."""

import sqlalchemy as sa
from alembic import op

revision = "inventory_0001"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stock",
        sa.Column("sku", sa.String(64), primary_key=True),
        sa.Column("available", sa.BigInteger, nullable=False),
        # The last word: whatever the code above does, stock does not go below zero.
        sa.CheckConstraint("available >= 0", name="stock_not_negative"),
    )
    op.create_table(
        "reservations",
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("sku", sa.String(64), primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("reservations")
    op.drop_table("stock")
