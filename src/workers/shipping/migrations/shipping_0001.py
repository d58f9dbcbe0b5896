"""The simulated carrier's own book."""

import sqlalchemy as sa
from alembic import op

revision = "shipping_0001"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "simulated_parcels",
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("tracking_number", sa.String(64)),
        sa.Column("pieces", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("simulated_parcels")
