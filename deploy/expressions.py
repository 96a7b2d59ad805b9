"""Every PromQL expression of dashboards and rules, and what is drawn of it, for the scripts that check them. Python's own library only."""

import json
import pathlib
import re
from typing import NamedTuple

DEPLOY = pathlib.Path(__file__).parent


class Expression(NamedTuple):
    """`kind` is panel, annotation, variable, record or alert; `name` says where it stands."""

    kind: str
    name: str
    text: str


def dashboards():
    """File name without extension -> what Grafana reads."""
    return {file.stem: json.loads(file.read_text()) for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))}


def of_dashboard(name, dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield Expression("panel", f"{name}: {panel['id']} {panel['title']}: {target['refId']}", target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        yield Expression("annotation", f"{name}: annotation {annotation['name']}", annotation["expr"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield Expression("variable", f"{name}: variable {variable['name']}", variable["query"]["query"])


def legend(target, labels):
    """What Grafana calls a series with such labels."""
    return re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), target["legendFormat"])


def has_colour(panel, name):
    """Whether an override of a panel gives a series of that name its colour, as Grafana's matcher byRegexp has it."""
    colours = [one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"] if any(given["id"] == "color" for given in one["properties"])]
    return any(re.search(f"^{pattern}$", name) for pattern in colours)


def of_rules(file):
    """The rules of a file of this folder: what it takes of YAML is `key: value` on a line, and `expr: >-` with lines below."""
    kind = name = text = None
    for line in [*(DEPLOY / "prometheus" / file).read_text().splitlines(), "- end:"]:
        begins = re.match(r"\s*- (record|alert|name|end): ?(\S*)", line)
        if begins:
            if text is not None:
                yield Expression(kind, name, " ".join(text))
            kind, name, text = begins[1], begins[2], None
        elif expression := re.match(r"\s*expr: (.*)", line):
            text, depth = [] if expression[1] == ">-" else [expression[1]], len(line) - len(line.lstrip())
            open_lines = expression[1] == ">-"
        elif text is not None and open_lines and len(line) - len(line.lstrip()) > depth:
            text.append(line.strip())
        elif line.strip() and text is not None:
            open_lines = False


def rules():
    return [*of_rules("rules.yml"), *of_rules("alerts.yml")]


def metrics(expression):
    """The names of metrics in an expression: what is left of its words without strings, labels, ranges and operators."""
    text = re.sub(r'"[^"]*"', '""', expression)
    text = re.sub(r"label_values\(([^{,]*)(\{[^}]*\})?,[^)]*\)", r"\1", text)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)", " ", text)
    words = re.findall(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?![\w:]* *\()", text)
    # A duration after `offset` begins with a digit, so it is no word; what is left are operators.
    return {word for word in words if word not in {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"}}
