"""What a saved query becomes, so that Elasticsearch can run it without Kibana."""

import pytest

from tests.support.kql import NotOurs, read


@pytest.mark.parametrize(
    ("kql", "lucene"),
    [
        ("", "*:*"),
        ("order.id : *", "order.id:*"),
        ('log.level: "error"', 'log.level:"error"'),
        ('log.level : ("error" or critical)', 'log.level:("error" OR critical)'),
        ("event.action : undo-*", r"event.action:undo\-*"),
        ('not a : "b"', '(*:* AND NOT a:"b")'),
        ("a : 1 or b : 2 and c : 3", "(a:1 OR (b:2 AND c:3))"),
        ("(a : 1 or b : 2) and not c : 3", "((a:1 OR b:2) AND (*:* AND NOT c:3))"),
        ("NOT a : 1 AND b : 2", "((*:* AND NOT a:1) AND b:2)"),
        (r'a : "x \"and\" y"', r'a:"x \"and\" y"'),
    ],
)
def test_the_same_in_lucene(kql: str, lucene: str) -> None:
    """Each form that our queries have becomes one that binds as KQL does: not before and, and before or."""
    assert read(kql).lucene == lucene


def test_the_fields_of_a_query() -> None:
    """Every field that a query asks about is found, and no value is taken for one."""
    assert read('a.b : ("c" or d) and not e : "f : g"').fields == {"a.b", "e"}


@pytest.mark.parametrize(
    "kql", ["error", "a :", "a : (b", "a : b)", "a : b c : d", "a : b or", "a > 3", "a : { b : c }", 'a : "b', "or : b"]
)
def test_what_is_beyond_is_refused(kql: str) -> None:
    """A query that is not of that form is refused, rather than turned into one that finds something else."""
    with pytest.raises(NotOurs):
        read(kql)
