"""Writes config/README.md's list of keys from config.schema.yaml: python -m config.describe"""

from pathlib import Path

import yaml

from deepsr.settings import load_schema

HERE = Path(__file__).parent
INTRODUCTION = """# Configuration

`config.yaml` is used unless `--configfile` names another; that one is then used alone, unless it has neither `datasets` nor
`experiments`: then its keys lie over `config.yaml`. `config.schema.yaml` is the law:
an unknown key, a wrong type or a value out of range ends the run in one sentence before anything is computed.

| file | what it runs |
|---|---|
| `config.yaml` | the default: demo clips, minutes on a laptop |
| `reds-mini.yaml` | six clips of REDS, fetched alone: a first real result |
| `reds.yaml` | REDS at full size |
| `article.yaml` | the article's own settings on REDS (an oracle) |
| `ablations.yaml` | x2, number of flow settings, temporal radius, on the demo clips |
| `sigma-sweep.yaml` | the article's open question: which blur? Draws gain over sigma (an oracle) |

An experiment names the data set it trains on and those it is scored on, and overrides `defaults` key by key (`drafts` as a
whole). Write numbers as `1.0e-4`, since YAML reads `1e-4` as text, and clip names of digits in quotes, since it reads `011`
as a number. Names of clips and videos may hold letters of all languages, digits, spaces and most signs, but none that end a
path or a scheduler's command: quotes, commas, semicolons, slashes, and `$ # & | % * ? < > [ ] { }` are refused.

Snakemake reads a file that `--configfile` names before any code of the workflow. Its errors (wrong YAML, no such file, not
UTF-8) are therefore Snakemake's, without the line; `python -m deepsr.settings FILE` names it. `--config seed=2` changes a
single key of the top level. What stands in braces there (`--config 'experiments={one: {scale: 2}}'`) reaches the workflow as
text, so numbers inside are refused: write such settings into a file.

The keys, written by `python -m config.describe` from the schema:
"""


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
        return "list of names, or all"
    kind = node.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else kind


def _default(node):
    if "default" not in node or node["default"] == {}:
        return ""
    return f"`{yaml.safe_dump(node['default'], default_flow_style=True).removesuffix('...' + chr(10)).strip()}`"


def describe():
    """The text of config/README.md."""
    schema = load_schema(HERE / "config.schema.yaml")
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {values} | {default} | {text} |" for key, values, default, text in rows(schema, schema)]
    return INTRODUCTION + "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "README.md").write_text(describe())
