"""Kibana's saved objects: whole, valid for the Kibana of the Compose file, and about fields that our log lines have."""

import json
import re
from typing import Any

import pytest
import yaml

from contracts.queues import QueueState
from tests.support.kibana import (
    DATA_VIEW,
    FOLDER,
    SavedObject,
    aggregations,
    fields_of,
    formats,
    layer,
    panel_queries,
    panels,
    referenced_fields,
    saved_objects,
    saved_queries,
    search_source,
)

ROOT = FOLDER.parents[1]
OBJECTS = saved_objects()
BY_KEY = {(one["type"], one["id"]): one for one in OBJECTS}
STACK = yaml.safe_load((ROOT / "docker-compose.observability.yml").read_text())["services"]
MAPPINGS = json.loads((ROOT / "observability/elasticsearch/mappings.json").read_text())["template"]["mappings"]

# Of each type the version of its form that Kibana 8.19 reads at least, and what its schema for that version takes:
# an object with another attribute is refused. What must be there, and what may be.
READ = {"index-pattern": "8.0.0", "search": "10.5.0", "lens": "8.9.0", "dashboard": "10.3.0"}
NEEDED = {
    "index-pattern": {"title", "timeFieldName", "fields"},
    "search": {"title", "columns", "sort", "grid", "hideChart", "isTextBasedQuery", "kibanaSavedObjectMeta"},
    "lens": {"title", "visualizationType", "state"},
    "dashboard": {"title", "panelsJSON", "optionsJSON", "kibanaSavedObjectMeta"},
}
ALLOWED = {
    "index-pattern": {
        *("name", "type", "fieldFormatMap", "fieldAttrs", "runtimeFieldMap", "sourceFilters", "typeMeta"),
        *("allowNoIndex", "allowHidden"),
    },
    "search": {
        *("description", "rowHeight", "rowsPerPage", "breakdownField", "usesAdHocDataView", "timeRestore", "timeRange"),
        *("refreshInterval", "viewMode", "hideAggregatedPreview", "sampleSize", "headerRowHeight", "visContext"),
        "density",
    },
    "lens": {"description"},
    "dashboard": {
        *("description", "timeRestore", "timeFrom", "timeTo", "refreshInterval", "controlGroupInput", "version"),
        "sections",
    },
}
# What Lens can do with a field of each of Elasticsearch's types.
NUMBERS = {"long", "integer", "float", "double"}
TAKES = {
    "terms": {"keyword"},
    "date_histogram": {"date"},
    "average": NUMBERS,
    "median": NUMBERS,
    "percentile": NUMBERS,
    "max": NUMBERS | {"date"},
    "min": NUMBERS | {"date"},
    "last_value": NUMBERS | {"date", "keyword"},
}


def named(one: SavedObject) -> str:
    return f"{one['type']} {one['id']}"


def each(*types: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", [one for one in OBJECTS if one["type"] in (types or READ)], ids=named)


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def mapped(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Elasticsearch's type by each field's dotted name."""
    found: dict[str, str] = {}
    for name, about in properties.items():
        if "properties" in about:
            found |= mapped(about["properties"], f"{prefix}{name}.")
        else:
            found[prefix + name] = about["type"]
    return found


FIELDS = mapped(MAPPINGS["properties"])
PINNED = version(STACK["kibana"]["image"].removeprefix("kibana:"))


def test_what_there_is() -> None:
    """One data view, the four saved searches, a dashboard, and its charts; none twice."""
    assert len(BY_KEY) == len(OBJECTS)
    assert {one["id"] for one in OBJECTS if one["type"] == "search"} >= {
        "orderflow-story",
        "orderflow-errors",
        "orderflow-refusals",
        "orderflow-alerts",
    }
    assert [one["id"] for one in OBJECTS if one["type"] == "index-pattern"] == [DATA_VIEW]
    dashboards = [one for one in OBJECTS if one["type"] == "dashboard"]
    shown = {(reference["type"], reference["id"]) for one in dashboards for reference in one["references"]}
    assert shown >= {key for key in BY_KEY if key[0] == "lens"}
    assert {
        "Orders by outcome",
        "Durations of steps and undos",
        "Errors by service",
        "Queue states",
    } <= panel_queries().keys()


@each()
def test_an_object_is_one_that_the_pinned_kibana_imports(one: SavedObject) -> None:
    """Each object has the form of a version that the pinned Kibana reads, with all it needs and nothing it refuses."""
    assert PINNED[:2] >= (8, 19), "look up what this Kibana reads"
    assert version(one["coreMigrationVersion"]) <= PINNED
    assert version(one["typeMigrationVersion"]) <= version(READ[one["type"]])
    attributes = one["attributes"].keys()
    assert attributes >= NEEDED[one["type"]]
    assert attributes <= NEEDED[one["type"]] | ALLOWED[one["type"]]
    # In which Kibana, by whom and when it was saved says nothing here, and would change with each export.
    assert not one.keys() & {
        "updated_at",
        "created_at",
        "created_by",
        "updated_by",
        "version",
        "namespaces",
        "originId",
    }


@each()
def test_references_lead_somewhere(one: SavedObject) -> None:
    """Whatever an object refers to is there as well, and every name that it is referred to by is used."""
    text = json.dumps(one["attributes"])
    names = [reference["name"] for reference in one["references"]]
    assert len(set(names)) == len(names)
    for reference in one["references"]:
        assert (reference["type"], reference["id"]) in BY_KEY
        match one["type"]:
            case "lens":
                [of_layer] = one["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]
                assert reference["name"] == f"indexpattern-datasource-layer-{of_layer}"
            case "dashboard":
                panel, name = reference["name"].split(":")
                assert f'"panelIndex\\":\\"{panel}\\"' in text
                assert f'"panelRefName\\":\\"{name}\\"' in text
            case _:
                assert reference["name"] in text
    # A panel, a search or a chart without its reference is one that Kibana can't show.
    wanted = {"index-pattern": 0, "search": 1, "lens": 1}
    assert len(names) == (wanted[one["type"]] if one["type"] in wanted else len(panels(one)))


@each("search", "lens")
def test_all_is_about_our_data_view(one: SavedObject) -> None:
    """Every search and every chart is about our log lines, asked for in KQL."""
    assert [reference["id"] for reference in one["references"]] == [DATA_VIEW]
    source = search_source(one) if one["type"] == "search" else one["attributes"]["state"]
    assert source["query"]["language"] == "kuery"
    assert source.get("filter", source.get("filters")) == []


@each()
def test_each_field_is_mapped(one: SavedObject) -> None:
    """Each field that an object names is in the data stream's mapping."""
    assert fields_of(one) <= FIELDS.keys()


def test_the_check_of_fields_sees_them_all() -> None:
    """No field of the mapping is named anywhere in the files without being counted as referenced."""
    text = "\n".join(json.dumps(one) for one in OBJECTS)
    named_somewhere = {field for field in FIELDS if re.search(rf"(?<![\w.]){re.escape(field)}(?![\w.])", text)}
    # A word of Kibana's own, or of our descriptions.
    assert named_somewhere - {"message"} == referenced_fields() - {"message"}


@each("lens")
def test_a_chart_can_be_drawn(one: SavedObject) -> None:
    """A chart's columns suit their fields' types, are in order, and all that it draws is a column."""
    chart = layer(one)
    columns = chart["columns"]
    assert set(chart["columnOrder"]) == set(columns)
    # What lines are put in comes before what is counted of them.
    bucketed = [columns[name]["isBucketed"] for name in chart["columnOrder"]]
    assert bucketed == sorted(bucketed, reverse=True)
    for column in columns.values():
        if column["operationType"] != "count":
            assert FIELDS[column["sourceField"]] in TAKES[column["operationType"]]
    drawn = one["attributes"]["state"]["visualization"]
    [layer_id] = one["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]
    [about] = drawn.get("layers", [drawn])
    assert about["layerId"] == layer_id
    match one["attributes"]["visualizationType"]:
        case "lnsPie":
            used = [*about["primaryGroups"], *about["metrics"]]
        case "lnsXY":
            used = [about["xAccessor"], *about["accessors"], about["splitAccessor"]]
        case "lnsDatatable":
            used = [column["columnId"] for column in about["columns"]]
        case other:
            raise AssertionError(f"a chart that is not known here: {other}")
    assert sorted(used) == sorted(columns)


@each("dashboard")
def test_panels_lie_side_by_side(one: SavedObject) -> None:
    """A dashboard's panels are within its 48 columns, and none covers another."""
    taken: set[tuple[int, int]] = set()
    for panel in panels(one):
        place = panel["gridData"]
        assert place["i"] == panel["panelIndex"]
        assert place["x"] + place["w"] <= 48
        assert version(panel["version"]) <= PINNED
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


def test_trace_ids_lead_to_jaeger() -> None:
    """A line's trace id is a link to its trace in Jaeger."""
    found = formats(BY_KEY["index-pattern", DATA_VIEW])["trace.id"]
    assert found["id"] == "url"
    assert found["params"]["urlTemplate"] == "http://127.0.0.1:16686/trace/{{value}}"


def test_durations_are_read_as_nanoseconds() -> None:
    """A duration is told in milliseconds, from the nanoseconds that ECS has."""
    found = formats(BY_KEY["index-pattern", DATA_VIEW])["event.duration"]
    assert (found["id"], found["params"]["inputFormat"]) == ("duration", "nanoseconds")
    assert found["params"]["outputFormat"] == "asMilliseconds"


def test_each_query_has_its_form_for_elasticsearch() -> None:
    """Each saved search and each chart has a query, and each chart aggregations, that run without Kibana."""
    assert len(saved_queries()) == len([one for one in OBJECTS if one["type"] == "search"])
    assert panel_queries().keys() == aggregations().keys()
    assert aggregations()["Orders by outcome"] == {
        "outcome": {"terms": {"field": "orderflow.outcome", "size": 10, "order": {"_count": "desc"}}}
    }
    assert "*:*" not in {**saved_queries(), **panel_queries()}.values()


def test_the_data_view_is_of_our_data_stream() -> None:
    """The data view shows the data stream that the shipper fills, by the lines' own time."""
    about = BY_KEY["index-pattern", DATA_VIEW]["attributes"]
    assert (about["title"], about["timeFieldName"]) == ("logs-orderflow-*", "@timestamp")
    assert '"index_patterns": ["logs-orderflow-*"]' in (ROOT / "observability/elasticsearch/setup.py").read_text()


def test_each_event_that_is_asked_for_is_one_that_services_tell() -> None:
    """No query asks for an event, a level or an outcome that our services never write."""
    written = (ROOT / "docs/telemetry.md").read_text().partition("| `event.action` |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`([a-z]+-[a-z-]+)`", written))
    asked = set(re.findall(r'"([a-z]+-[a-z-]+)"', " ".join([*saved_queries().values(), *panel_queries().values()])))
    # Told of together in one row.
    told |= {"undo-done"}
    assert asked
    assert asked <= told


def test_each_state_of_a_queue_has_its_place() -> None:
    """The charts of task queues have room for each state and each queue."""
    changes = aggregations()["Changes of a queue's state"]
    assert changes["state"]["terms"]["size"] >= len(QueueState)
