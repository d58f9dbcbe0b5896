"""What our saved objects ask of Elasticsearch, in a form that runs without Kibana. Pure."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.kql import read

FOLDER = Path(__file__).parents[2] / "observability" / "kibana"
DATA_VIEW = "orderflow-logs"
RECORDS = "___records___"
"""What a Lens column counts when it counts lines."""

SavedObject = dict[str, Any]


def saved_objects() -> list[SavedObject]:
    """All of them, as in the files."""
    texts = [file.read_text() for file in sorted(FOLDER.glob("*.ndjson"))]
    found = [json.loads(line) for text in texts for line in text.splitlines()]
    return [one for one in found if "exportedCount" not in one]


def of_type(name: str) -> list[SavedObject]:
    return [one for one in saved_objects() if one["type"] == name]


def search_source(search: SavedObject) -> dict[str, Any]:
    """A saved search's query and filters, or a dashboard's."""
    found: dict[str, Any] = json.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    return found


def panels(dashboard: SavedObject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard["attributes"]["panelsJSON"])
    return found


def formats(data_view: SavedObject) -> dict[str, Any]:
    """A data view's formatters, by field."""
    found: dict[str, Any] = json.loads(data_view["attributes"]["fieldFormatMap"])
    return found


def layer(lens: SavedObject) -> dict[str, Any]:
    """The one layer of a chart."""
    [found] = lens["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    whole: dict[str, Any] = found
    return whole


def saved_queries() -> dict[str, str]:
    """By each saved search's title, the `query_string` that finds the same lines."""
    return {one["attributes"]["title"]: read(search_source(one)["query"]["query"]).lucene for one in of_type("search")}


def panel_queries() -> dict[str, str]:
    """By each chart's title, the `query_string` of the lines that it is about."""
    return {
        one["attributes"]["title"]: read(one["attributes"]["state"]["query"]["query"]).lucene for one in of_type("lens")
    }


def aggregations() -> dict[str, dict[str, Any]]:
    """By each chart's title, the `aggs` that its columns stand for. Each aggregation is named as its column."""
    return {one["attributes"]["title"]: _nested(layer(one)) for one in of_type("lens")}


def referenced_fields() -> set[str]:
    """Every field that any of the objects names."""
    return {field for one in saved_objects() for field in fields_of(one)}


def fields_of(one: SavedObject) -> set[str]:
    about = one["attributes"]
    match one["type"]:
        case "index-pattern":
            return {about["timeFieldName"], *formats(one)}
        case "search":
            query = read(search_source(one)["query"]["query"])
            return {*query.fields, *about["columns"], *(field for field, _ in about["sort"])}
        case "lens":
            query = read(about["state"]["query"]["query"])
            return {*query.fields, *_column_fields(layer(one)["columns"].values())} - {RECORDS}
        case "dashboard":
            return set(read(search_source(one)["query"]["query"]).fields)
        case other:
            raise AssertionError(f"a kind of object that is not known here: {other}")


def _column_fields(columns: Any) -> Iterator[str]:
    for column in columns:
        yield column["sourceField"]
        if sorted_by := column["params"].get("sortField"):
            yield sorted_by
        if "filter" in column:
            yield from read(column["filter"]["query"]).fields


def _nested(chart: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: chart["columns"][name] for name in chart["columnOrder"]}
    aggs = {
        name: found
        for name, column in columns.items()
        if not column["isBucketed"] and (found := _metric(column)) is not None
    }
    for name, column in reversed(columns.items()):
        if column["isBucketed"]:
            aggs = {name: _bucket(column, columns) | ({"aggs": aggs} if aggs else {})}
    return aggs


def _bucket(column: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    params = column["params"]
    if column["operationType"] == "date_histogram":
        # Kibana finds an interval by the width of the screen.
        return {"date_histogram": {"field": column["sourceField"], "fixed_interval": "1m", "min_doc_count": 1}}
    assert column["operationType"] == "terms", column
    by = params["orderBy"].get("columnId")
    key = "_key" if by is None else "_count" if columns[by]["operationType"] == "count" else by
    order = {key: params["orderDirection"]}
    return {"terms": {"field": column["sourceField"], "size": params["size"], "order": order}}


def _metric(column: Mapping[str, Any]) -> dict[str, Any] | None:
    """None for what each bucket has anyway: its count."""
    field, params = column["sourceField"], column["params"]
    match column["operationType"]:
        case "count":
            assert field == RECORDS
            return None
        case "average":
            return {"avg": {"field": field}}
        case "max" | "min" as extreme:
            return {extreme: {"field": field}}
        case "median":
            return {"percentiles": {"field": field, "percents": [50]}}
        case "percentile":
            return {"percentiles": {"field": field, "percents": [params["percentile"]]}}
        case "last_value":
            newest = [{params["sortField"]: {"order": "desc"}}]
            return {"top_hits": {"size": 1, "sort": newest, "_source": False, "docvalue_fields": [field]}}
        case other:
            raise AssertionError(f"a column that is not known here: {other}")
