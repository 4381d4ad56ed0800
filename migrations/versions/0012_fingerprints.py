"""Fingerprints of images, so that a photo that came in before is found by an index.

Only expands. What the release before this one classifies beside this one has no fingerprint: such a photo is
not announced as a duplicate if it is uploaded again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BATCH = 10_000
_IMAGES = sa.text("SELECT id, sha256 FROM images WHERE id > :last ORDER BY id LIMIT :most")


def upgrade() -> None:
    table = op.create_table(
        "image_fingerprints",
        sa.Column(
            "image_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("images.id", name=op.f("fk_image_fingerprints_image_id_images")),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("sha256_head", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_fingerprints")),
    )
    connection = op.get_bind()
    last = 0
    while rows := connection.execute(_IMAGES, {"last": last, "most": _BATCH}).all():
        last = rows[-1].id
        found = [{"image_id": row.id, "sha256_head": _head(row.sha256)} for row in rows if row.sha256]
        if found:
            connection.execute(sa.insert(table), found)
    # After the rows are filled, because an index that exists slows down each insertion.
    op.create_index("ix_image_fingerprints_sha256_head", "image_fingerprints", ["sha256_head"])


def downgrade() -> None:
    op.drop_table("image_fingerprints")


def _head(sha256: str) -> int:
    return int.from_bytes(bytes.fromhex(sha256[:16]), "big", signed=True)
