"""From the user's config to complete, checked settings. Every error is one sentence that names the key."""

import copy
import difflib
import json
import math
import os
import sys
from importlib import import_module
from pathlib import Path

import jsonschema
import yaml

from deepsr.data.chains import check_chain, shrinking
from deepsr.drafts import draft_kind
from deepsr.errors import InputError
from deepsr.evaluate.protocols import PROTOCOLS
from deepsr.names import check_name
from deepsr.networks.model_file import with_model
from deepsr.registry import check_modules


def load_yaml(path):
    """The mapping that a YAML file holds.

    Raises InputError if there is no such file, or no mapping in it, for syntax errors, tags, a key that stands twice, and a
    mapping within itself.
    """
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.load(file, _Loader)
        json.dumps(values, default=str)  # refuses a mapping within itself
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", error)
        raise InputError(f"{path}: cannot be read ({reason}); correct the path, or save the file as UTF-8.") from error
    except (TypeError, ValueError) as error:  # a date that is none, for example
        raise InputError(f"{path}: a value cannot be read ({error}); correct it.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path}: {line}{problem}.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no `key: value`; config/config.yaml as it came shows what a config needs.")
    return values


def load_schema(path):
    """The JSON schema of the config. Where the file says `registry: module.NAMES`, the names in that dictionary or list
    become the allowed values, so that the config allows what is added there.
    """

    def filled(node):
        if isinstance(node, list):
            return [filled(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = {key: filled(value) for key, value in node.items()}
        if isinstance(node.get("registry"), str):
            module, _, names = node.pop("registry").rpartition(".")
            node["enum"] = list(getattr(import_module(module), names))
        return node

    return filled(load_yaml(path))


def complete(config, schema):
    """The config with all defaults filled in, so that each experiment has all of its settings.

    Raises InputError for an unknown key, a wrong type or value, and for errors that the schema cannot express.
    """
    config = copy.deepcopy(config)
    videos = config.get("videos") if isinstance(config, dict) else None
    if isinstance(videos, dict) and videos.get("deinterlace") is False:
        videos["deinterlace"] = "off"  # YAML reads off, without quotes, as false
    _check(config, schema)
    definitions = schema["$defs"]
    defaults = config.pop("defaults", {})
    for key in ("seed", "gpus"):
        config.setdefault(key, schema["properties"][key]["default"])
    for key in ("figures", "videos"):
        config[key] = _with_defaults(config.get(key, {}), schema["properties"][key], definitions)
    if defaults.get("model"):
        raise InputError("config: defaults.model: a trained network belongs to one experiment; name it there.")
    for name, dataset in config["datasets"].items():
        check_name(name, f"config: datasets.{name}")
        if "degradation" in dataset:
            dataset["degradation"] = check_chain(dataset["degradation"], f"datasets.{name}.degradation")
        if "evaluation" in dataset:
            dataset["evaluation"] = _expand_protocol(dataset["evaluation"])
    for name, experiment in config["experiments"].items():
        check_name(name, f"config: experiments.{name}")
        base, own = with_model(name, experiment, defaults) if experiment.get("model") else (defaults, experiment)
        experiment = _overlay(base, own)
        experiment["evaluation"] = _expand_protocol(experiment.get("evaluation", {}))
        given = experiment.get("drafts", {})
        experiment = _with_defaults(experiment, definitions["experiment"], definitions)
        check_modules(experiment)
        experiment["drafts"] = _of_kind(experiment["drafts"], given)
        experiment["train"] = [experiment["train"]] if isinstance(experiment["train"], str) else experiment["train"]
        experiment["start"] = experiment["start"] and os.path.expanduser(experiment["start"])
        experiment["seeds"] = experiment["seeds"] or [config["seed"]]
        experiment["degradation"] = check_chain(experiment["degradation"], f"experiments.{name}.degradation")
        config["experiments"][name] = experiment
        _check_experiment(name, config)
    for name in repeats(config["experiments"]):
        if name in config["experiments"]:
            raise InputError(f"config: experiments.{name} is also the name of a repeat that `seeds` asks for; rename it.")
    return config


def repeats(experiments):
    """The further trainings of experiments with several seeds: {NAME_seedSEED: (NAME, SEED)} for all seeds but the first."""
    return {f"{name}_seed{seed}": (name, seed) for name, each in experiments.items() for seed in each["seeds"][1:]}


def _overlay(base, extra):
    """`base`, changed by the keys of `extra`. Nested mappings are merged, except drafts, which are one choice."""
    merged = copy.deepcopy(base)
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "drafts":
            value = _overlay(merged[key], value)
        merged[key] = value
    return merged


def _expand_protocol(evaluation):
    """The evaluation with the values of the protocol that it names, unless it gives a value of its own."""
    own = {key: value for key, value in evaluation.items() if key != "protocol"}
    return PROTOCOLS.get(evaluation.get("protocol"), {}) | own


def _with_defaults(value, schema, definitions):
    """The value with the schema's default for each key that is missing, in nested mappings and lists, too."""
    schema = _resolve(schema, definitions)
    if isinstance(value, list):
        return [_with_defaults(item, schema.get("items", {}), definitions) for item in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for key, node in schema.get("properties", {}).items():
        node = _resolve(node, definitions)
        if key not in filled and "default" in node:
            filled[key] = copy.deepcopy(node["default"])
        if key in filled:
            filled[key] = _with_defaults(filled[key], node, definitions)
    return filled


def _of_kind(drafts, given):
    """The completed settings of drafts, without defaults of keys that only other kinds have. given: before completion."""
    kind = draft_kind(drafts["kind"])
    return {key: value for key, value in drafts.items() if key in {"kind", *given, *kind.required, *kind.optional}}


def _resolve(node, definitions):
    """A node of the schema, with the definition that its $ref names copied into it."""
    return {**definitions[node["$ref"].rsplit("/", 1)[1]], **node} if "$ref" in node else node


def _check(config, schema):
    """Raise InputError, in one sentence, for the error that says most about what does not fit the schema."""
    error = jsonschema.exceptions.best_match(_Validator(schema).iter_errors(config))
    if error is None:
        return
    path = ".".join(map(str, error.absolute_path))
    subject, parent = (f"config: {path}", f"config: {path}.") if path else ("config", "config: ")
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        close = difflib.get_close_matches(str(unknown), known, 1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}."
        raise InputError(f"{parent}{unknown} is not a known key; {hint}")
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        raise InputError(f"{parent}{missing} is missing; add it (config/README.md).")
    if error.validator == "enum":
        allowed = ", ".join(map(str, error.validator_value))
        hint = _TEXT_OF_THE_COMMAND_LINE if error.instance in map(str, error.validator_value) else ""
        raise InputError(f"{subject} is {error.instance!r}; it must be one of {allowed}{hint}.")
    if error.validator == "oneOf":
        raise InputError(f"{subject} is {error.instance!r}; it must be a list of clip names, or all.")
    hint = ""
    if error.validator == "type" and isinstance(error.instance, str):
        if _read_without_quotes(error.instance) != error.instance:
            hint = _TEXT_OF_THE_COMMAND_LINE
        elif _is_number(error.instance):
            hint = f" (YAML reads {error.instance} as text; write numbers as 1.0e-4, with point and sign, without quotes)"
    if error.validator == "type" and error.validator_value == "string" and isinstance(error.instance, int):
        hint = " (YAML reads it as a number; write it in quotes, as '011')"
    raise InputError(f"{subject} is wrong: {error.message}{hint}.")


_TEXT_OF_THE_COMMAND_LINE = " (it is text: write it without quotes, in a file, since --config makes text of all in braces)"


def _read_without_quotes(text):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _enum(validator, allowed, value, schema):
    if not any(type(value) is type(known) and value == known for known in allowed):
        yield jsonschema.ValidationError(f"{value!r} is not one of {allowed}")


# Stricter than JSON Schema, for which 4.0 is an integer and NaN, being less than nothing, is in every range.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"enum": _enum},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: type(value) is int,
            "number": lambda _, value: type(value) is int or (type(value) is float and math.isfinite(value)),
        }
    ),
)


def _check_experiment(name, config):
    key, experiment = f"experiments.{name}", config["experiments"][name]
    for role in ("train", "score"):
        for dataset in experiment[role]:
            if dataset not in config["datasets"]:
                known = ", ".join(config["datasets"])
                raise InputError(f"config: {key}.{role} names the data set {dataset!r}; known are {known}.")
    trained_on = [config["datasets"][dataset] for dataset in experiment["train"]]
    ways = sorted({shrinking(dataset.get("degradation", experiment["degradation"])) for dataset in trained_on})
    if len(ways) > 1:
        raise InputError(f"config: {key}.train: its data sets are made small by {' and '.join(ways)}; choose one way.")
    drafts, scale = experiment["drafts"], experiment["scale"]
    kind, given = draft_kind(drafts["kind"]), set(drafts) - {"kind"}
    if wrong := (set(kind.required) - given) | (given - {*kind.required, *kind.optional}):
        known = sorted([*kind.required, *(f"{key} (if wanted)" for key in kind.optional)])
        raise InputError(
            f"config: {key}.drafts of kind {drafts['kind']} take {' and '.join(known) or 'no other key'}; "
            f"add or remove {', '.join(sorted(wrong))}."
        )
    for setting in drafts.get("settings", []) + ([drafts["recurrence"]] if "recurrence" in drafts else []):
        alpha = setting["alpha"]
        if setting["flow"] == "farneback" and (not 1 <= alpha <= 255 or alpha != int(alpha)):
            raise InputError(f"config: {key}.drafts: alpha of farneback is its window in pixels, 1 to 255, but is {alpha}.")
    size = experiment["patches"]["size"]
    if size % scale:
        near = f"{size // scale * scale} or {size // scale * scale + scale}"
        raise InputError(f"config: {key}.patches.size is {size}, which scale {scale} does not divide; choose {near}.")
    _check_start(key, name, config["experiments"])
    if size - 2 * experiment["training"]["border"] < 2:  # the total variation needs neighbours
        raise InputError(f"config: {key}.training.border leaves less than 2 pixels of a patch; make it smaller.")


def _check_start(key, name, experiments):
    """Raise InputError for a start that is not there or leads back to itself.

    It is looked for now, since Snakemake would take an older network for a source file if no rule can make it again.
    """
    start, chain = experiments[name].get("start"), [name]
    if start and start not in experiments and not Path(start).is_file():
        close = difflib.get_close_matches(start, experiments, 1)
        hint = f"did you mean {close[0]}?" if close else "name an experiment, or a .keras file that is there."
        raise InputError(f"config: {key}.start is {start}, neither an experiment nor a file; {hint}")
    if experiments.get(start, {}).get("model"):
        raise InputError(f"config: {key}.start: {start} is no training but a file, which cannot be trained on.")
    while start in experiments:
        chain.append(start)
        if start in chain[:-1]:
            raise InputError(f"config: {key}.start goes in a circle ({' from '.join(chain)}); begin one without.")
        start = experiments[start].get("start")


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses a mapping with one key twice; the usual one silently keeps the last."""

    def compose_mapping_node(self, anchor):
        node, found = super().compose_mapping_node(anchor), set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in found:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} stands twice; merge or rename them", problem_mark=key.start_mark
                )
            found.add(key.value)
        return node


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        try:
            load_yaml(argument)
        except InputError as error:
            sys.exit(str(error))
