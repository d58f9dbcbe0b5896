"""The ledger of effects: what a step did for an order, once, whatever is repeated.

Temporal runs an activity at least once. The ledger turns that into one effect for each order and step: intent is
written before the outside is asked and the answer after, so that whoever comes second, after a crash or a duplicate
delivery, goes on from what is known. The outside must refuse a second effect for the same key by itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import Connection

from contracts.errors import Refusal
from contracts.steps import Receipt
from telemetry.metrics import EFFECTS_REPEATED
from workers.database import Database, insert_new

effects = sa.Table(
    "effects",
    sa.MetaData(),
    sa.Column("order_id", sa.String(64), primary_key=True),
    sa.Column("step", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reference", sa.String(255)),
    sa.Column("refusal_code", sa.String(64)),
    sa.Column("refusal_message", sa.String(500)),
    sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
)


class EffectState(StrEnum):
    PENDING = "pending"
    """Begun; whether the outside did it is not known yet."""
    DONE = "done"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"
    """Nothing of it is left, or nothing ever was: a late execution must not bring it about."""


class CalledOff(Refusal):
    """The effect was undone, perhaps before it began, so it may not be brought about any more."""

    def __init__(self) -> None:
        super().__init__("called_off", "This step was undone for this order and can't be done again.")


@dataclass(frozen=True, slots=True)
class Entry:
    state: EffectState
    reference: str | None
    refusal_code: str | None
    refusal_message: str | None


class Ledger:
    """The effects of one step (`step` is the second half of the key)."""

    def __init__(self, database: Database, step: str) -> None:
        self._database = database
        self._step = step

    def key(self, order_id: str) -> str:
        """The idempotency key for the outside: stable over retries, resets and duplicates, so never the attempt."""
        return f"{order_id}:{self._step}"

    async def once(
        self, order_id: str, act: Callable[[], Awaitable[Receipt]], revert: Callable[[], Awaitable[Receipt | None]]
    ) -> Receipt:
        """Bring the effect about, or give the receipt of the time it was.

        `act` and `revert` are idempotent by `key`. Raises the Refusal that `act` raised, then and ever after;
        CalledOff when the effect was undone, also when that happens during `act`: then it is reverted here.
        """
        entry = await self._begin(order_id, EffectState.PENDING)
        match entry.state:
            case EffectState.DONE:
                EFFECTS_REPEATED.add(1, {"step": self._step})
                return Receipt(reference=entry.reference or "")
            case EffectState.REFUSED:
                raise Refusal(entry.refusal_code or "refused", entry.refusal_message or "")
            case EffectState.UNDOING | EffectState.UNDONE:
                raise CalledOff
        try:
            receipt = await act()
        except Refusal as refusal:
            await self._settle(
                order_id,
                EffectState.REFUSED,
                refusal_code=refusal.code,
                refusal_message=refusal.message,
            )
            raise
        if await self._settle(order_id, EffectState.DONE, reference=receipt.reference):
            return receipt
        # Someone else settled it meanwhile: a second execution of the same step, or its undo.
        settled = await self._begin(order_id, EffectState.PENDING)
        if settled.state is EffectState.DONE:
            return Receipt(reference=settled.reference or "")
        standing = await revert()
        if settled.state is EffectState.REFUSED:
            raise Refusal(settled.refusal_code or "refused", settled.refusal_message or "")
        if settled.state is EffectState.UNDOING and standing is not None:
            return standing  # It is final; the undo that is under way finds the same.
        raise CalledOff

    async def undo(self, order_id: str, revert: Callable[[], Awaitable[Receipt | None]]) -> Receipt | None:
        """Take the effect back if there is one, and keep a late execution from bringing it about.

        `revert` returns None when nothing is left, or the receipt of an effect that can't be taken back any more,
        which is returned and stands as done. Raises what `revert` raises; the undo can then be tried again.
        """
        entry = await self._begin(order_id, EffectState.UNDONE)
        if entry.state in (EffectState.UNDONE, EffectState.REFUSED):
            return None
        await self._write(order_id, EffectState.UNDOING)
        standing = await revert()
        if standing is None:
            await self._write(order_id, EffectState.UNDONE)
        else:
            await self._write(order_id, EffectState.DONE, reference=standing.reference)
        return standing

    async def _begin(self, order_id: str, state: EffectState) -> Entry:
        """The entry as it stands, made with `state` if there was none."""
        now = datetime.now(UTC)
        entry = {"order_id": order_id, "step": self._step, "state": state, "begun_at": now, "updated_at": now}

        def begin(connection: Connection) -> Entry:
            connection.execute(insert_new(connection, effects), entry)
            found = connection.execute(
                sa.select(
                    effects.c.state, effects.c.reference, effects.c.refusal_code, effects.c.refusal_message
                ).where(self._is(order_id))
            )
            row = found.one()
            return Entry(EffectState(row[0]), row[1], row[2], row[3])

        return await self._database.transaction(begin, "ledger begin")

    async def _settle(self, order_id: str, state: EffectState, **values: str) -> bool:
        """Write the outcome of an effect that is still pending; False if it no longer is."""
        return await self._write(order_id, state, effects.c.state == EffectState.PENDING, **values)

    async def _write(
        self, order_id: str, state: EffectState, *conditions: sa.ColumnElement[bool], **values: str
    ) -> bool:
        update = (
            sa.update(effects)
            .where(self._is(order_id), *conditions)
            .values(state=state, updated_at=datetime.now(UTC), **values)
        )
        return await self._database.transaction(
            lambda connection: bool(connection.execute(update).rowcount), f"ledger {state}"
        )

    def _is(self, order_id: str) -> sa.ColumnElement[bool]:
        return sa.and_(effects.c.order_id == order_id, effects.c.step == self._step)
