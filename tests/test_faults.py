"""The workflow under faults: killed, continued, damaged, out of room, and given hostile input."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import onnx
import pandas as pd
import pytest
from conftest import mostly_slow
from kill_anywhere import Run, kill_anywhere

from deepsr.data.sequence import read_index
from deepsr.errors import InputError
from deepsr.files import atomic, write_file
from deepsr.networks.inference import open_predictor
from deepsr.tables import read_table, write_table

TABLE = "results/psnr.csv"
MODEL = "results/experiments/single/model.onnx"
RULES = ["index_clip", "choose_patches", "make_drafts", "train_network", "export_network", "evaluate_clip", "collect_psnr"]


@pytest.mark.slow
def test_killed_anywhere_it_ends_with_the_same_bytes(finished, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # pytest shows it if the test fails
    assert kill_anywhere(finished, RULES, 4, seed, tmp_path, [TABLE]) == []


@pytest.mark.slow
def test_after_a_failure_the_old_table_does_not_pass_for_new(finished, copy_of):
    """The failed jobs' outputs are gone, and what an earlier run made of them is newer than all that is left."""
    project = copy_of(finished)
    project.config["defaults"]["training"]["epochs"] = 1
    script = project.path / "scripts/train_network.py"
    text = script.read_text()
    script.write_text(f"raise SystemExit(1)\n{text}")
    assert project.run(TABLE, "--keep-going", check=False).returncode
    script.write_text(text)
    all_of_them = {"train_network": 3, "export_network": 3, "evaluate_clip": 3, "collect_psnr": 1}
    assert project.planned(TABLE) == all_of_them
    assert project.planned(TABLE, "--rerun-triggers", "mtime") == all_of_them


def wait_until(condition, run):
    while not condition():
        assert run.process.poll() is None, run.log.read_text()
        time.sleep(0.05)


def test_a_killed_training_continues_exactly(finished, copy_of):
    project = copy_of(finished)
    folder = project.path / "results/experiments/single"
    for name in ("model.onnx", "model.keras"):
        (folder / name).unlink()
    run = Run(project, MODEL)
    wait_until((folder / "checkpoint.npz").exists, run)
    run.process.kill()
    run.process.wait()
    if (folder / "checkpoint.npz").exists():  # else it has just ended
        project.run(MODEL)
        assert "training continues at step" in (project.path / "results/logs/train_network/single.log").read_text()
    project.run(MODEL)
    assert (folder / "model.onnx").read_bytes() == (finished.path / MODEL).read_bytes()
    before, after = (pd.read_csv(p.path / "results/experiments/single/history.csv") for p in (finished, project))
    pd.testing.assert_frame_equal(before.drop(columns="patches_per_s"), after.drop(columns="patches_per_s"))


@pytest.mark.slow
def test_a_checkpoint_of_zero_bytes_is_not_continued(finished, copy_of):
    project = copy_of(finished)
    folder = project.path / "results/experiments/single"
    for name in ("model.onnx", "model.keras"):
        (folder / name).unlink()
    (folder / "checkpoint.npz").touch()
    assert "checkpoint.npz: the checkpoint is damaged" in project.run(MODEL).stdout
    assert (folder / "model.onnx").read_bytes() == (finished.path / MODEL).read_bytes()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(finished, copy_of):
    project = copy_of(finished)
    training = {"learning_rate": 1.0, "warmup_steps": 0, "schedule": "constant", "epochs": 3, "average": 0.0}
    project.config["experiments"]["single"] |= {"training": training}
    # No rate that the config allows drives this network to infinity, so it is raised behind the config's back.
    project.replace("deepsr/train/optimizer.py", "rate = settings.learning_rate *", "rate = 1e38 * settings.learning_rate *")
    done = project.run(MODEL, check=False)
    assert done.returncode and "Traceback" not in done.stdout
    assert "the loss is not finite" in done.stdout and "lower learning_rate" in done.stdout
    assert (project.path / "results/experiments/single/model.last-good.keras").exists()
    assert not (project.path / "results/experiments/single/model.keras").exists()


def sleep_in_jobs(project):
    """Let index_clip run for ever."""
    project.replace(
        "deepsr/data/frames.py", "def index_images(", "def index_images(*_):\n    __import__('time').sleep(600)\n\n\ndef _("
    )


@pytest.mark.slow
def test_no_job_outlives_its_run(project):
    sleep_in_jobs(project)
    run = Run(project, "results/clips/tiny/tower.json")
    wait_until(lambda: jobs_of(run), run)
    time.sleep(5)  # it is past its imports
    jobs = jobs_of(run)
    run.process.kill()
    run.process.wait()
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def jobs_of(run):
    found = subprocess.run(["pgrep", "-P", str(run.process.pid)], capture_output=True, text=True, check=False)
    return found.stdout.split()


def test_two_runs_at_once_are_refused_and_the_first_is_unharmed(project):
    sleep_in_jobs(project)
    first = Run(project, "results/clips/tiny/tower.json")
    wait_until(lambda: "index_clip" in first.rules, first)
    second = project.run("results/clips/tiny/tower.json", check=False)
    assert second.returncode and "Directory cannot be locked" in second.stdout
    assert first.process.poll() is None
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()


@pytest.mark.slow
def test_locks_of_a_run_that_submitted_jobs_stay(finished, copy_of):
    project = copy_of(finished)
    lock = project.path / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(f"{TABLE}\n")
    (project.path / ".snakemake/submitting").touch()
    done = project.run(TABLE, "--forceall", check=False)
    assert done.returncode and "--unlock" in done.stdout
    (project.path / ".snakemake/submitting").unlink()
    project.run("-n", TABLE)
    assert lock.exists()  # planning alone removes nothing
    project.run(TABLE)
    assert not lock.exists()


def test_what_killed_writers_left_is_removed(tmp_path):
    for name in (".a.12.part.csv", ".a.b.12.part.csv", ".a.x.part.csv"):
        (tmp_path / name).touch()
    with atomic(tmp_path / "a.csv") as part:
        part.write_text("new")
    # Another file's part, perhaps being written just now, is left alone.
    assert sorted(os.listdir(tmp_path)) == [".a.b.12.part.csv", ".a.x.part.csv", "a.csv"]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.slow
def test_damaged_intermediates_are_named_and_made_again(finished, copy_of):
    """Each in another experiment, so that one run meets them all."""
    project = copy_of(finished)
    experiments = project.path / "results/experiments"
    shard = next((project.path / "results/drafts/tiny").glob("x4_bicubic_bicubic*/harbour.npz"))
    damaged = {shard: cut, experiments / "deepsr/model.keras": flip, experiments / "article/model.onnx": flip}
    for path, damage in damaged.items():
        damage(path)
    for path in experiments.glob("*/tiny/tower.csv"):
        path.unlink()
    (experiments / "single/model.keras").unlink()
    (experiments / "deepsr/model.onnx").unlink()
    done = project.run(TABLE, "--keep-going", check=False)
    assert done.returncode and "Traceback" not in done.stdout
    for path in damaged:
        name = str(path.relative_to(project.path))
        assert any(f": {name}: " in line and "delete it and run again" in line for line in done.stdout.splitlines()), name
        path.unlink()
    project.run(TABLE)
    assert (project.path / TABLE).read_bytes() == (finished.path / TABLE).read_bytes()


@pytest.mark.parametrize("text", ["", "frame,top\n1,2\n", "frame,top,left\n1,2,3\n1,2", "frame,top,left\n1,2,x\n", "\0\0"])
def test_a_damaged_table_is_named(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="t.csv: is damaged.*delete it and run again"):
        read_table(path, ["frame", "top", "left"])


def test_tables_and_texts_read_back(tmp_path):
    table = pd.DataFrame({"frame": [0, 1], "psnr": [20 / 3, np.inf]})
    write_table(table, tmp_path / "new/t.csv", digits=4)
    assert (tmp_path / "new/t.csv").read_text() == "frame,psnr\n0,6.6667\n1,inf\n"
    write_table(table, tmp_path / "new/t.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "new/t.csv", ["frame"]), table)
    for content in ("é\n", b"\xff"):
        write_file(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == (content.encode() if content == "é\n" else content)


def test_changed_weights_of_a_network_are_noticed(finished, tmp_path):
    model = onnx.load(finished.path / MODEL)
    for tensor in model.graph.initializer:
        data = bytearray(tensor.raw_data)
        data[2] ^= 1
        changed = onnx.ModelProto.FromString(model.SerializeToString())
        next(t for t in changed.graph.initializer if t.name == tensor.name).raw_data = bytes(data)
        onnx.save(changed, tmp_path / "model.onnx")
        with pytest.raises(InputError, match="not those that were written"):
            open_predictor(tmp_path / "model.onnx")


def test_a_frame_deleted_after_it_was_indexed_is_named(finished, copy_of):
    project = copy_of(finished)
    index = project.path / "results/clips/tiny/tower.json"
    (project.path / "results/experiments/single/tiny/tower.csv").unlink()
    index.write_text(index.read_text().replace("03.png", "gone.png"))
    done = project.run("results/experiments/single/tiny/tower.csv", check=False)
    assert done.returncode and "Traceback" not in done.stdout
    assert "tests/clips/tower/gone.png: cannot be read" in done.stdout


@pytest.mark.parametrize(
    "fault, end",
    mostly_slow([
        ("raise InputError('it is 100% wrong')", r"Its log ends: \d\d:\d\d:\d\d it is 100% wrong\n"),
        ("log.info('at work'); os.kill(os.getpid(), 9)", r"Its log ends: \d\d:\d\d:\d\d at work\n"),
        ("os.kill(os.getpid(), 9)", "It was killed, perhaps for too much memory.\n"),
    ]),
)  # fmt: skip
def test_a_failed_job_and_its_log_are_told_however_it_failed(project, fault, end):
    clip = "a=b"
    shutil.copytree(project.path / "tests/clips/tower", project.path / "tests/clips" / clip)
    project.config["datasets"]["tiny"]["test"] = [clip, "tower"]
    imports = "import os\n    from deepsr.errors import InputError"
    work = f"if snakemake.wildcards.clip == {clip!r}:\n        {fault}"
    project.replace("scripts/index_clip.py", "as log:", f"as log:\n    {imports}\n    {work}")
    targets = [f"results/clips/tiny/{name}.json" for name in (clip, "tower")]
    said = project.run("--keep-going", "--", *targets, check=False).stdout
    assert re.findall(r"^results/logs/(.*): the job failed\.", said, re.M) == [f"index_clip/tiny/{clip}.log"]
    assert re.search(re.escape(f"{clip}.log: the job failed. ") + end, said)
    if "wrong" in fault:
        assert f"index_clip tiny {clip}: it is 100% wrong" in said


@pytest.fixture
def mounted(project):
    """The project's results folder on a file system of its own, which the test may fill or write-protect."""
    folder = project.path / "results"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("file systems can be mounted by root only")

    mount("size=64m")
    yield project, mount
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_too_little_memory(project):
    project.replace("scripts/index_clip.py", "as log:", "as log:\n    bytearray(2**62)")
    done = project.run("results/clips/tiny/tower.json", check=False)
    assert done.returncode
    assert "too little memory (" in done.stdout and "--set-resources index_clip:mem_mb=" in done.stdout
    assert "deepsr" not in done.stdout.partition("Traceback")[2]


def test_full_disk(mounted):
    project, mount = mounted
    target = "results/clips/tiny/tower.json"
    filler = project.path / "results/filler"
    with pytest.raises(OSError), open(filler, "wb") as file:
        while True:
            file.write(bytes(4096))
    done = project.run(target, check=False)
    assert done.returncode and not (project.path / target).exists()
    assert "cannot be written (No space left on device); make room" in done.stdout
    assert "deepsr" not in done.stdout.partition("Traceback")[2]
    filler.unlink()
    project.run(target)
    assert len(read_index(project.path / target)["members"]) == 7


@pytest.mark.parametrize("there, words", [(True, "Write-protected output files"), (False, "Read-only file system")])
@pytest.mark.slow
def test_write_protected_results(mounted, there, words):
    project, mount = mounted
    target = "results/clips/tiny/tower.json"
    if there:
        project.run(target)
        (project.path / "tests/clips/tower/06.png").unlink()
    mount("remount", "ro")
    done = project.run(target, check=False)
    assert done.returncode and words in done.stdout and (target if there else "results/clips/tiny") in done.stdout
    assert "Traceback" not in done.stdout
    mount("remount", "rw")
    project.run(target)
    assert len(read_index(project.path / target)["members"]) == (6 if there else 7)


NAMES = [
    "-rf",
    "..",
    "a\nb",
    "a{b}c",
    "<b>",
    "$HOME",
    "a/../../b",
    "a' ; touch pwned #\"",
    "take 1, morning",
    "a & b",
    "50%",
]


@pytest.mark.parametrize("name", mostly_slow(NAMES))
def test_unsafe_clip_names_are_refused(project, name):
    project.config["datasets"]["tiny"]["test"] = [name]
    if "/" not in name and name != "..":
        shutil.copytree(project.path / "tests/clips/tower", project.path / "tests/clips" / name)
    done = project.run("-n", check=False)
    assert done.returncode and "Traceback" not in done.stdout
    assert "holds characters that are unsafe in a path; rename the clip" in done.stdout


UNUSUAL = ["a  b", "été 夜", "=:@!~+()^"]


@pytest.mark.slow
def test_unusual_clip_names_reach_submitted_jobs(project):
    for name in UNUSUAL:
        shutil.copytree(project.path / "tests/clips/tower", project.path / "tests/clips" / name)
    project.config["datasets"]["tiny"]["test"] = UNUSUAL
    submit = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sh", "--seconds-between-status-checks", "1"]
    targets = [f"results/clips/tiny/{name}.json" for name in UNUSUAL]
    project.run("--jobs", "3", *submit, "--", *targets)
    assert all((project.path / target).exists() for target in targets)


@pytest.mark.slow
def test_unusual_clip_names_work(finished, copy_of):
    project, names = copy_of(finished), UNUSUAL
    for name in names:
        shutil.copytree(project.path / "tests/clips/tower", project.path / "tests/clips" / name)
    project.config["datasets"]["tiny"]["test"] = names
    project.config["experiments"] = {"single": project.config["experiments"]["single"]}
    project.run(TABLE)
    table = pd.read_csv(project.path / TABLE)
    assert list(table["sequence"]) == [*names, "mean"]
    assert len(set(table["psnr_deepsr"])) == 1  # they are the same clip


@pytest.mark.parametrize(
    "keys, value",
    mostly_slow([
        (("datasets", "tiny", "path"), "tests/clips; touch pwned"),
        (("datasets", "tiny", "path"), "$(touch pwned)"),
        (("seed",), "; touch pwned"),
        (("experiments", "a; touch pwned"), {}),
        (("datasets", "../out"), {"source": "folder", "path": "tests/clips"}),
        (("defaults", "degradation"), "cv2; touch pwned"),
    ]),
)  # fmt: skip
def test_values_are_never_run(project, keys, value):
    node = project.config
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    done = project.run("-n", check=False)
    assert done.returncode and "Traceback" not in done.stdout and "config" in done.stdout
    assert not (project.path / "pwned").exists()


@pytest.mark.slow
def test_yaml_tags_are_never_run(project):
    arguments = project.command("-n")
    project.replace("config.yaml", "seed: 1", "seed: !!python/object/apply:os.system ['touch pwned']")
    done = project.execute(arguments)
    assert done.returncode and "Traceback" not in done.stdout
    assert not (project.path / "pwned").exists()


def plan(project, *arguments):
    """A dry run without --configfile."""
    return project.execute([sys.executable, "-m", "snakemake", "-n", *arguments])


@pytest.mark.parametrize(
    "data, sentence",
    mostly_slow([
        (b"seed: 1\nexperiments: {a: [}\n", "config/config.yaml: line 2: "),
        (b"seed: 1\nseed: 2\n", "config/config.yaml: line 2: 'seed' stands twice; merge or rename them."),
        (b"seed: !mine 1\n", "config/config.yaml: line 1: could not determine a constructor for the tag '!mine'."),
        ("seed: 1\n".encode("utf-16"), "config/config.yaml: cannot be read ('utf-8' codec"),
        (None, "config/config.yaml: cannot be read (No such file or directory); correct the path"),
    ]),
)  # fmt: skip
def test_a_default_config_that_cannot_be_read_is_one_sentence(project, data, sentence):
    path = project.path / "config/config.yaml"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    done = plan(project)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1 and last.startswith("Error: ") and sentence in last, done.stdout


def test_single_keys_lie_over_the_default_config(project):
    (project.path / "look.yaml").write_text("figures: {dpi: 60}\n")
    done = plan(project, "--configfile", "look.yaml", "--config", "seed=2")
    assert done.returncode == 0 and "train_network" in done.stdout, done.stdout
    done = plan(project, "--config", "experiments={mine: {scale: 2}}", "datasets={demo: {source: demo}}")
    assert done.returncode and "experiments.mine.scale is '2'; it must be one of 2, 3, 4 (it is text:" in done.stdout


@pytest.mark.slow
def test_code_in_a_model_file_is_never_run(finished, copy_of, tmp_path):
    """A .keras file with a Lambda layer, whose code is in the file, as the weights to start from."""
    project = copy_of(finished)
    with zipfile.ZipFile(project.path / "results/experiments/single/model.keras") as good:
        members = {name: good.read(name) for name in good.namelist()}
    function = b'{"class_name": "__lambda__", "config": {"code": "4wAAAA=="}}'
    layer = b'{"module": "keras.layers", "class_name": "Lambda", "config": {"name": "evil", "function": %s}}' % function
    members["config.json"] = members["config.json"].replace(b'"layers": [', b'"layers": [' + layer + b", ", 1)
    assert layer in members["config.json"]
    with zipfile.ZipFile(project.path / "evil.keras", "w") as evil:
        for name, data in members.items():
            evil.writestr(name, data)
    project.config["experiments"]["single"]["start"] = "evil.keras"
    done = project.run(MODEL, check=False)
    assert done.returncode and "Traceback" not in done.stdout
    assert "evil.keras: is not a Keras model that can be read" in done.stdout


@pytest.mark.slow
def test_a_start_that_is_not_there_is_named(project):
    project.config["experiments"]["single"]["start"] = "../nowhere.keras"
    done = project.run("-n", check=False)
    assert done.returncode and "nowhere.keras" in done.stdout and "Traceback" not in done.stdout
