"""The alerting rules as they are in their files, and the names of the metrics that they use."""

import re
from typing import Any

import yaml

from tests.support.alerting import PROMETHEUS

# Neither a label in a selector, nor a template's variable.
_METRIC = re.compile(
    r"(?<![.$\w])(?:orderflow|http|process|temporal|alertmanager|prometheus)_[a-z_]+\b(?!(?:=|!=|=~|!~)['\"])"
)
_LABELS = re.compile(r"\b(?:by|on|ignoring) \([^)]*\)")


def rules() -> list[dict[str, Any]]:
    found = []
    for file in sorted((PROMETHEUS / "rules").glob("*.yml")):
        found += [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """By name; of two rules with one name it would be an error."""
    found = [rule for rule in rules() if "alert" in rule]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def metrics_used() -> set[str]:
    """The metrics that expressions and texts ask for, by their names on a /metrics page."""
    records = {rule["record"] for rule in rules() if "record" in rule}
    told = [text for rule in rules() for text in (rule["expr"], *rule.get("annotations", {}).values())]
    for record in records:
        told = [text.replace(record, "") for text in told]
    return {metric for text in told for metric in metric_names(text)}


def metric_names(text: str) -> set[str]:
    """The metrics of an expression, or of a text with expressions in it."""
    return set(_METRIC.findall(_LABELS.sub("", text)))
