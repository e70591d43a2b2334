import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from deepsr.errors import InputError
from deepsr.names import check_clip_name, check_file_name, check_name, digest
from deepsr.registry import KINDS, LOSSES, NETWORKS, check_modules
from deepsr.settings import complete, load_schema, load_yaml, repeats

CONFIG = Path(__file__).parent.parent / "config"
SCHEMA = load_schema(CONFIG / "config.schema.yaml")
SHIPPED = [*sorted(p for p in CONFIG.glob("*.yaml") if p.name != "config.schema.yaml"), Path(__file__).parent / "tiny.yaml"]


def config(**experiment):
    return {"datasets": {"demo": {"source": "demo"}}, "experiments": {"mine": experiment}}


def completed(**experiment):
    return complete(config(**experiment), SCHEMA)["experiments"]["mine"]


def loaded(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configs_are_right(path):
    assert complete(load_yaml(path), SCHEMA)["experiments"]


def test_an_experiment_without_seeds_has_that_of_the_config():
    assert completed()["seeds"] == [1] and completed(seeds=[4, 5])["seeds"] == [4, 5]
    assert complete({**config(), "seed": 7}, SCHEMA)["experiments"]["mine"]["seeds"] == [7]


def test_an_experiment_may_learn_from_several_data_sets_that_are_made_small_alike():
    sets = {"a": {"source": "demo"}, "b": {"source": "demo", "degradation": ["bicubic", {"noise": 5}]}}
    sets["c"] = {"source": "demo", "degradation": "blur"}
    asked = {"datasets": sets, "experiments": {"mine": {"train": ["a", "b"], "score": ["a"]}}}
    assert complete(asked, SCHEMA)["experiments"]["mine"]["train"] == ["a", "b"]
    assert completed()["train"] == ["demo"]
    asked["experiments"]["mine"]["train"] = ["a", "c"]
    with pytest.raises(InputError, match="mine.train: its data sets are made small by bicubic and blur; choose one way"):
        complete(asked, SCHEMA)


def test_seeds_beside_the_first_have_names_of_their_own():
    assert repeats({"a": {"seeds": [3, 1, 2]}, "b": {"seeds": [1]}}) == {"a_seed1": ("a", 1), "a_seed2": ("a", 2)}
    taken = {"datasets": {"demo": {"source": "demo"}}, "experiments": {"a": {"seeds": [1, 2]}, "a_seed2": {}}}
    with pytest.raises(
        InputError, match="experiments.a_seed2 is also the name of a repeat that `seeds` asks for; rename it"
    ):
        complete(taken, SCHEMA)


def test_an_empty_experiment_has_every_default():
    experiment = completed()
    assert experiment["scale"] == 4 and experiment["score"] == ["demo"] and experiment["drafts"] == {"kind": "bicubic"}
    assert set(experiment["training"]) == set(SCHEMA["$defs"]["training"]["properties"])
    assert set(experiment["patches"]) == set(SCHEMA["$defs"]["patches"]["properties"])
    whole = complete(config(), SCHEMA)
    assert whole["seed"] == 1 and whole["gpus"] == 0 and whole["figures"]["dpi"] == 150


def test_defaults_of_the_schema_fit_the_schema():
    complete(complete(config(drafts={"kind": "motion", "settings": [{}]}), SCHEMA), SCHEMA)


def test_the_schema_holds_nothing_but_json_schema():
    """A comma in a description that is not in quotes cuts it off, and makes the rest a keyword that nobody knows."""
    known = {*jsonschema.Draft202012Validator.VALIDATORS, "$schema", "$defs", "title", "description", "default"}

    def check(node):
        if isinstance(node, dict):
            assert set(node) <= known, node
            for keyword, value in node.items():
                if keyword in ("properties", "$defs"):
                    list(map(check, value.values()))
                elif keyword in ("items", "additionalProperties"):
                    check(value)

    check(SCHEMA)


def test_experiments_lie_over_the_defaults():
    given = {
        **config(training={"epochs": 7}, drafts={"kind": "bicubic"}),
        "defaults": {
            "scale": 2,
            "training": {"epochs": 3, "batch_size": 5},
            "drafts": {"kind": "gaussian", "sigmas": [1.5], "kernel": 5},
        },
    }
    given["experiments"]["other"] = {}
    found = complete(given, SCHEMA)["experiments"]
    assert found["mine"]["scale"] == 2
    assert (found["mine"]["training"]["epochs"], found["mine"]["training"]["batch_size"]) == (7, 5)
    assert found["mine"]["drafts"] == {"kind": "bicubic"}  # drafts are one choice, not merged
    assert found["other"]["training"]["epochs"] == 3
    assert found["other"]["drafts"] == {"kind": "gaussian", "sigmas": [1.5], "kernel": 5}


def test_experiments_share_nothing_that_can_be_changed():
    given = {**config(), "defaults": {"training": {"epochs": 3}}}
    given["experiments"]["other"] = {}
    found = complete(given, SCHEMA)["experiments"]
    found["mine"]["training"]["epochs"] = 99
    assert found["other"]["training"]["epochs"] == 3 and given["defaults"]["training"]["epochs"] == 3


def test_settings_of_motion_are_completed():
    (setting,) = completed(drafts={"kind": "motion", "settings": [{"radius": 1}]})["drafts"]["settings"]
    assert setting == {"flow": "dis", "alpha": 20.0, "radius": 1, "trust": 12.0, "iterations": 0}


def test_recurrent_drafts_need_no_other_key():
    explicit = completed(drafts={"kind": "recurrent", "recurrence": {}})["drafts"]
    assert explicit["recurrence"]["passes"] == 1 and "settings" not in explicit
    assert completed(drafts={"kind": "recurrent"})["drafts"] == explicit
    windows = {"kind": "recurrent", "settings": [{}]}
    assert completed(drafts=windows) == completed(drafts=windows | {"recurrence": {}})


MINE = "config: experiments.mine"


@pytest.mark.parametrize(
    "experiment, sentence",
    [
        ({"trainin": {}}, rf"{MINE}.trainin is not a known key; did you mean training\?"),
        ({"training": {"epoch": 3}}, rf"{MINE}.training.epoch is not a known key; did you mean epochs\?"),
        ({"zzz": 1}, f"{MINE}.zzz is not a known key; known keys: train, score"),
        ({5: 1}, f"{MINE}.5 is not a known key"),
        ({"scale": 5}, f"{MINE}.scale is 5; it must be one of 2, 3, 4"),
        ({"scale": "2"}, f"{MINE}.scale is '2'; it must be one of 2, 3, 4 .it is text: .* since --config makes text of all"),
        ({"training": {"epochs": "3"}}, f"{MINE}.training.epochs is wrong: '3' .* .it is text: write it without quotes"),
        ({"training": {"augment": "false"}}, f"{MINE}.training.augment is wrong: 'false' .*--config makes text"),
        ({"training": {"augment": "{"}}, f"{MINE}.training.augment is wrong: '{{' is not of type 'boolean'.$"),
        ({"scale": 4.0}, f"{MINE}.scale is 4.0; it must be one of 2, 3, 4"),
        ({"scale": True}, f"{MINE}.scale is True"),
        (
            {"degradation": "bilinear"},
            f"{MINE}.degradation is 'bilinear'; it must be one of bicubic, cv2, blur, or a list that begins so",
        ),
        ({"training": {"learning_rate": "1e-4"}}, f"{MINE}.training.learning_rate .*YAML reads 1e-4 as text.* 1.0e-4"),
        ({"training": {"learning_rate": "1.0e4"}}, f"{MINE}.training.learning_rate .*YAML reads 1.0e4 as text"),
        (
            {"training": {"learning_rate": "fast"}},
            f"{MINE}.training.learning_rate is wrong: 'fast' is not of type 'number'.$",
        ),
        ({"training": {"learning_rate": 0}}, f"{MINE}.training.learning_rate is wrong: 0 is less than or equal"),
        ({"training": {"learning_rate": float("nan")}}, f"{MINE}.training.learning_rate is wrong: nan"),
        (
            {"drafts": {"kind": "motion", "settings": [{"trust": float("inf")}]}},
            f"{MINE}.drafts.settings.0.trust is wrong: inf",
        ),
        ({"training": {"epochs": 4.0}}, f"{MINE}.training.epochs is wrong: 4.0 is not of type 'integer'"),
        ({"training": {"epochs": True}}, f"{MINE}.training.epochs is wrong: True"),
        ({"training": None}, f"{MINE}.training is wrong: None"),
        ({"score": "demo"}, f"{MINE}.score is wrong: 'demo' is not of type 'array'"),
        ({"score": ["demo", "demo"]}, f"{MINE}.score is wrong"),
        ({"train": "dmeo"}, f"{MINE}.train names the data set 'dmeo'; known are demo"),
        ({"score": ["demo", "reds"]}, f"{MINE}.score names the data set 'reds'; known are demo"),
        ({"drafts": {}}, f"{MINE}.drafts.kind is missing"),
        ({"drafts": {"kind": "motion"}}, f"{MINE}.drafts of kind motion take settings; add or remove settings"),
        (
            {"drafts": {"kind": "gaussian", "sigmas": [1.5]}},
            f"{MINE}.drafts of kind gaussian take kernel and sigmas; .*kernel",
        ),
        ({"drafts": {"kind": "bicubic", "kernel": 5}}, f"{MINE}.drafts of kind bicubic take no other key; .*kernel"),
        ({"drafts": {"kind": "gaussian", "sigmas": [1.5], "kernel": 4}}, f"{MINE}.drafts.kernel is 4"),
        (
            {"drafts": {"kind": "motion", "settings": [{"flow": "farneback", "alpha": 0.5}]}},
            f"{MINE}.drafts: alpha of farneback",
        ),
        (
            {"drafts": {"kind": "motion", "settings": [{"flow": "farneback", "alpha": 9.5}]}},
            f"{MINE}.drafts: alpha of farneback",
        ),
        (
            {"drafts": {"kind": "motion", "settings": [{"flow": "farneback", "alpha": 256}]}},
            f"{MINE}.drafts: alpha of farneback",
        ),
        ({"drafts": {"kind": "motion", "settings": [{"alpha": 1.0e9}]}}, f"{MINE}.drafts.settings.0.alpha .* 1000"),
        ({"model": ""}, f"{MINE}.model is wrong: '' should be non-empty"),
        ({"start": ""}, f"{MINE}.start is wrong: '' should be non-empty"),
        ({"patches": {"size": 12}}, f"{MINE}.training.border leaves less than 2 pixels of a patch"),
        ({"scale": 3, "patches": {"size": 27}, "training": {"border": 13}}, f"{MINE}.training.border leaves less than 2"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_experiment_is_one_sentence(experiment, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        complete({**config(), "experiments": {"mine": experiment}}, SCHEMA)
    assert "\n" not in str(caught.value)


def test_a_patch_may_be_a_little_larger_than_its_borders():
    assert completed(patches={"size": 16}, training={"border": 7})["patches"]["size"] == 16


def started(**starts):
    """A config of experiments by name, each with its start."""
    return {**config(), "experiments": {name: {"start": start} for name, start in starts.items()}}


def test_a_start_is_an_experiment_or_a_file(tmp_path):
    weights = tmp_path / "weights.keras"
    weights.touch()
    found = complete(started(one=None, two="one", three="two", four=str(weights)), SCHEMA)["experiments"]
    assert [experiment["start"] for experiment in found.values()] == [None, "one", "two", str(weights)]


@pytest.mark.parametrize(
    "starts, sentence",
    [
        ({"first": None, "other": "frist"}, r"^config: experiments.other.start is frist, .*; did you mean first\?$"),
        ({"first": "gone.keras"}, r"start is gone.keras, neither .*; name an experiment, or a .keras file that is there.$"),
        ({"one": "one"}, r"experiments.one.start goes in a circle \(one from one\)"),
        ({"one": "two", "two": "three", "three": "two"}, r"circle \(one from two from three from two\)"),
    ],
    ids=str,
)
def test_a_start_that_cannot_be_there_is_one_sentence(starts, sentence):
    with pytest.raises(InputError, match=sentence):
        complete(started(**starts), SCHEMA)


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({}, "config: datasets is missing"),
        (["a"], "config is wrong: .* is not of type 'object'"),
        ({"datasets": {"demo": {"source": "demo"}}}, "config: experiments is missing"),
        ({"datasets": {"demo": {"source": "demo"}}, "experiments": {}}, "config: experiments is wrong"),
        ({**config(), "sede": 1}, r"config: sede is not a known key; did you mean seed\?"),
        ({**config(), "datasets": {"x": {}}}, "config: datasets.x.source is missing"),
        (
            {**config(), "datasets": {"x": {"source": "demo", "test": [9]}}},
            "datasets.x.test.0 is wrong.*in quotes, as '011'",
        ),
        (
            {**config(), "datasets": {"x": {"source": "demo", "test": "al"}}},
            "datasets.x.test is 'al'.*list of clip names, or all",
        ),
        ({**config(), "experiments": {"../mine": {}}}, "experiments.../mine: the name '../mine' may only hold"),
        ({**config(), "experiments": {"a; rm -r b": {}}}, "the name 'a; rm -r b' may only hold"),
        ({**config(), "experiments": {2021: {}}}, "experiments.2021: YAML does not read the name 2021 as text"),
        ({**config(), "datasets": {"demo": {"source": "demo"}, True: {"source": "demo"}}}, "datasets.True: YAML does not"),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_rest_is_one_sentence(given, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        complete(given, SCHEMA)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("seed: 1\nseed: 2\n", "line 2: 'seed' stands twice; merge or rename them"),
        ("seed: 2001-99-99\n", "a value cannot be read .month must be in 1..12"),
        ("experiments:\n  a: {scale: 2}\n  b: {}\n  a: {scale: 4}\n", "line 4: 'a' stands twice"),
        ("seed: {a: 1", "line 1: expected"),
        ("seed: *nowhere", "line 1: found undefined alias"),
        ("? [a]\n: 1", "found unhashable key"),
        ("seed: \x00", "unacceptable character"),
        ("datasets: &a {b: *a}\n", "a value cannot be read .Circular reference detected"),
        ("# nothing\n", "holds no `key: value`"),
        ("- datasets\n", "holds no `key: value`"),
    ],
)
def test_yaml_that_cannot_be_read(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        loaded(tmp_path, text)
    assert "\n" not in str(caught.value) and "config.yaml" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="config.yaml: cannot be read .*No such file"):
        load_yaml(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_bytes(b"seed: \xff\xfe")
    with pytest.raises(InputError, match="config.yaml: cannot be read .*utf-8"):
        load_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir [{}]", "!!python/object/new:os.mkdir [{}]", "!!python/name:os.system"]
)
def test_tags_run_no_code(tmp_path, tag):
    made = tmp_path / "made"
    with pytest.raises(InputError, match="line 1: could not determine a constructor for the tag"):
        loaded(tmp_path, f"seed: {tag.format(made)}\n")
    assert not made.exists()


def test_merged_mappings_may_override(tmp_path):
    text = "a: &a {x: 1, y: 1}\nb: {deep: &b {<<: *a, x: 2}}\nc: {<<: *b, x: 3}\n"
    assert loaded(tmp_path, text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "name", ["000", "my clip", "it is (here)", "übung", "ü", "点", "a=b:c@d", "x" * 200, "a-b", "a.b", "a.csv.gz"]
)
def test_clip_names_that_are_safe(name):
    check_clip_name(name, "test")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "a\\b",
        ".hidden",
        "-rf",
        "a\nb",
        "a\x00b",
        " a",
        "a ",
        "{clip}",
        "a*",
        "a?",
        "[a]",
        "$HOME",
    ]
    + ["\udcff", "\ud800", "\x1f", "\x7f", "x" * 201, "点" * 67, "mean", "a.csv", "A.CSV"]
    + [f"a{character}b" for character in "'\"`,;#&|%<>{}*?[]$\\/"],
)
def test_clip_names_that_are_not(name):
    with pytest.raises(InputError, match="key: .* rename the clip"):
        check_clip_name(name, "key")


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "..", "a\n", "ü", "a;b"])
def test_names_that_are_not(name):
    with pytest.raises(InputError, match="key: the name"):
        check_name(name, "key")


def test_names_have_a_length_that_paths_allow():
    check_name("x" * 100, "key")
    with pytest.raises(InputError, match="has 101 characters; at most 100"):
        check_name("x" * 101, "key")


def test_other_files_are_called_by_their_kind():
    check_file_name("mean", "video", "key")  # a word that only the table keeps for itself
    with pytest.raises(InputError, match="^key: the video name 'a;b' holds .* rename the video"):
        check_file_name("a;b", "video", "key")


def test_allowed_names_come_from_the_registry(tmp_path, monkeypatch):
    assert SCHEMA["$defs"]["experiment"]["properties"]["network"]["enum"] == NETWORKS
    monkeypatch.setattr("deepsr.registry.NETWORKS", [*NETWORKS, "mine"])
    schema = load_schema(CONFIG / "config.schema.yaml")
    with pytest.raises(InputError, match="there is no .*networks/mine.py, which 'mine' names; write it, or"):
        complete(config(network="mine"), schema)
    with pytest.raises(InputError, match="network is 'your'; it must be one of deepsr, .*, mine"):
        complete(config(network="your"), schema)
    path = tmp_path / "schema.yaml"
    path.write_text("properties: {registry: {type: string}}\nlist: [{registry: deepsr.registry.NETWORKS, default: srcnn}]\n")
    found = load_schema(path)
    assert found["properties"] == {"registry": {"type": "string"}}  # a key of that name
    assert found["list"] == [{"enum": [*NETWORKS, "mine"], "default": "srcnn"}]


def test_a_module_that_is_named_but_not_written_is_refused():
    experiment = completed()
    for names, change in (
        (NETWORKS, lambda name: {"network": name}),
        (KINDS, lambda name: {"drafts": {"kind": name}}),
        (LOSSES, lambda name: {"training": {"loss": name}}),
    ):
        for name in names:
            check_modules(experiment | change(name))
    for change, words in (
        ({"network": "ghost"}, "there is no .*networks/ghost.py, which 'ghost' names; write it, or"),
        ({"network": "base"}, "networks/base.py: has no class Net, which"),
        ({"drafts": {"kind": "flow"}}, "drafts/flow.py: has no class Kind, which"),
        ({"training": {"loss": "ghost"}}, "there is no .*losses/ghost.py"),
    ):
        with pytest.raises(InputError, match=words):
            check_modules(experiment | change)


def test_a_module_that_is_no_python_or_only_speaks_of_its_class_is_refused(tmp_path, monkeypatch):
    experiment = completed()
    (tmp_path / "deepsr/drafts").mkdir(parents=True)
    monkeypatch.setattr("deepsr.registry.__file__", str(tmp_path / "deepsr/registry.py"))
    for text, words in (
        ("class Kind(\n", "drafts/mine.py, line 1: .*never closed; mend it"),
        ('"""\nclass Kind: the drafts\n"""\n', "drafts/mine.py: has no class Kind, which"),
    ):
        (tmp_path / "deepsr/drafts/mine.py").write_text(text)
        with pytest.raises(InputError, match=words):
            check_modules(experiment | {"model": "bought.onnx", "drafts": {"kind": "mine"}})


def test_a_trained_network_needs_no_module_of_its_network():
    experiment = completed()
    check_modules(experiment | {"model": "bought.onnx", "network": "ghost"})  # it is in the file


def test_a_file_that_snakemake_reads_itself_can_be_checked(tmp_path):
    (tmp_path / "good.yaml").write_text("seed: 1\n")
    (tmp_path / "bad.yaml").write_text("seed: 1\nexperiments: {a: [}\n")
    command = [sys.executable, "-m", "deepsr.settings", tmp_path / "good.yaml", tmp_path / "bad.yaml"]
    done = subprocess.run(command, cwd=CONFIG.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not done.stdout
    assert "bad.yaml: line 2: " in done.stderr and "Traceback" not in done.stderr
    assert subprocess.run(command[:-1], cwd=CONFIG.parent, check=False).returncode == 0


def test_digests_follow_the_content_alone():
    assert digest({"a": 1, "b": [1.5]}) == digest({"b": [1.5], "a": 1}) != digest({"a": 1, "b": [1.6]})


@pytest.mark.parametrize("value", ["off", "'off'"])
def test_off_may_be_written_without_quotes(tmp_path, value):
    """YAML reads the word off as false."""
    (tmp_path / "my.yaml").write_text(f"videos: {{deinterlace: {value}}}")
    assert complete(config() | load_yaml(tmp_path / "my.yaml"), SCHEMA)["videos"]["deinterlace"] == "off"
    with pytest.raises(InputError, match="videos.deinterlace is True; it must be one of auto, frames, fields, off"):
        complete(config() | {"videos": {"deinterlace": True}}, SCHEMA)
