"""Writes config/README.md's list of keys from config.schema.yaml: python -m config.describe"""

from pathlib import Path

import yaml

from deepsr.settings import load_schema

HERE = Path(__file__).parent
MARKER = "`python -m config.describe` writes this list of the keys from the schema:\n"


def rows(schema, node, path=""):
    """(key, type or values, default, description) of every key below a schema node."""
    node = {**schema["$defs"][node["$ref"].rsplit("/", 1)[1]], **node} if "$ref" in node else node
    if path:
        yield path, _values(node), _default(node), node.get("description", "").replace("|", "\\|")
    for key, child in node.get("properties", {}).items():
        if path != "defaults" and key != "defaults":
            yield from rows(schema, child, f"{path}.{key}" if path else key)
    if isinstance(node.get("additionalProperties"), dict):
        yield from rows(schema, node["additionalProperties"], f"{path}.NAME")
    if isinstance(node.get("items"), dict) and "properties" in node["items"]:
        for key, child in node["items"]["properties"].items():
            yield from rows(schema, child, f"{path}[].{key}")


def _values(node):
    if "enum" in node:
        return ", ".join(map(str, node["enum"]))
    if "oneOf" in node:
        return "list of names and patterns, or all"
    kind = node.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else kind


def _default(node):
    if "default" not in node or node["default"] == {}:
        return ""
    return f"`{yaml.safe_dump(node['default'], default_flow_style=True).removesuffix('...' + chr(10)).strip()}`"


def describe():
    """The text of config/README.md: what stands there up to the list, and the list."""
    introduction = (HERE / "README.md").read_text(encoding="utf-8").partition(MARKER)[0]
    schema = load_schema(HERE / "config.schema.yaml")
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {values} | {default} | {text} |" for key, values, default, text in rows(schema, schema)]
    return introduction + MARKER + "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "README.md").write_text(describe(), encoding="utf-8")
