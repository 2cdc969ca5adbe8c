"""The kernel's own table, for Alembic to compare with."""

from datetime import datetime

from sqlalchemy import DateTime, Index, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from kernel.orm import Base


class IdempotencyKeyRow(Base):
    """An `Idempotency-Key` and what was answered; see `kernel.http.idempotency`."""

    __tablename__ = "kernel_idempotency_keys"
    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    __table_args__ = (Index("ix_kernel_idempotency_keys_created_at", "created_at"),)
