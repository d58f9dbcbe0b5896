"""A new step is cheap: one package, one line in the registry, one call in the workflow."""

import os
import shutil
from pathlib import Path

from tests.support.platform import running_platform

_SRC = Path(__file__).parent.parent.parent / "src"

_PACKAGE = '''"""Looking for fraud before any money moves."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from contracts.errors import Refusal
from contracts.registry import STEPS
from contracts.steps import Receipt, StepInput
from workers.context import StepContext


async def activities(context: StepContext) -> Sequence[Callable[..., Any]]:
    ledger = context.ledger()

    @activity.defn(name=STEPS["fraud"].activity)
    async def check_fraud(given: StepInput) -> Receipt:
        async def check() -> Receipt:
            if given.order.customer_id == "c-fraudster":
                raise Refusal("fraud_suspected", "The order looks like fraud.")
            return Receipt(reference=f"checked_{given.order.order_id}")

        async def nothing() -> None:
            """A check leaves nothing behind."""

        return await ledger.once(given.order.order_id, check, nothing)

    return [check_fraud]
'''
_LINE = '    _step("fraud", 8106, status="checking", activity="check_fraud", undo=None),\n'
_CALL = '            await self._step("fraud")\n'


def _insert_before(file: Path, anchor: str, line: str) -> None:
    text = file.read_text()
    assert text.count(anchor) == 1
    file.write_text(text.replace(anchor, line + anchor))


def test_a_fifth_step_takes_one_package_one_line_and_one_call(tmp_path: Path) -> None:
    """A fraud check so added is started, watched and stopped by the same commands, and orders run through it."""
    src = tmp_path / "src"
    shutil.copytree(_SRC, src, ignore=shutil.ignore_patterns("__pycache__"))
    (src / "workers" / "fraud").mkdir()
    (src / "workers" / "fraud" / "__init__.py").write_text(_PACKAGE)
    _insert_before(src / "contracts" / "registry.py", '    _step("payment",', _LINE)
    _insert_before(src / "workflow" / "order.py", '            await self._step("payment")\n', _CALL)

    python_path = os.pathsep.join([str(src), os.environ.get("PYTHONPATH", "")])
    with running_platform(tmp_path / "data", PYTHONPATH=python_path) as platform:
        status = platform.status()["fraud"]
        assert (status["state"], status["task_queue"]) == ("running", "fraud")

        order = platform.end(platform.place())
        assert order["status"] == "completed"
        assert [step["step"] for step in order["steps"]] == [
            "fraud",
            "payment",
            "inventory",
            "shipping",
            "notification",
        ]
        assert platform.effect("fraud", order["order_id"]) == "done"

        refused = platform.end(platform.place(customer_id="c-fraudster"))
        assert (refused["status"], refused["reason"]["code"]) == ("refused", "fraud_suspected")
        assert platform.charges(refused["order_id"]) == []

        platform.run("stop", "fraud")
        assert platform.status()["fraud"]["state"] == "stopped"
        waiting = platform.place()
        platform.until(waiting, "checking")
        platform.run("start", "fraud")
        assert platform.end(waiting)["status"] == "completed"
