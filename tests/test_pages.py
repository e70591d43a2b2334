"""The pages for people: links lead somewhere, commands plan, and names, paths and versions are those of the project."""

import fnmatch
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import distributions

import av
import cv2
import pytest
import yaml
from conftest import ROOT, Project
from packaging.requirements import Requirement

from deepsr.settings import complete, load_schema, load_yaml

TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
)
FILES = {name for name in TRACKED.stdout.splitlines() if (ROOT / name).exists()}
FOLDERS = {name.rpartition("/")[0] for name in FILES}
PAGES = sorted(name for name in FILES if name.endswith(".md"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them: lower case, spaces become hyphens, other signs go."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text(page), flags=re.S), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    """A page's links to files of the repository: (the link, the name of the file or folder, the anchor)."""
    for link in re.findall(r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", text(page), flags=re.S)):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = (ROOT / page).parent / path if path else ROOT / page
            yield link, str(target.resolve().relative_to(ROOT.resolve())), anchor


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link, name, anchor in links(page):
        assert name in FILES | FOLDERS, f"{page}: {link} leads nowhere"
        assert not anchor or anchor in anchors(name), f"{page}: {link} has no such heading"


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(text("README.md").splitlines()) <= 120
    found, new = set(), {"README.md"}
    while new:
        found |= new
        new = {name for page in new for _, name, _ in links(page) if name in PAGES} - found
    assert set(PAGES) - found <= {"tests/clips/README.md", "results/README.md", "data/README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    """Names in backquotes that begin with a folder of the repository; results/, data/ and videos/ are made by runs."""
    tops = {name.split("/")[0] for name in FOLDERS if name} - {"results", "data"}
    for name in re.findall(r"`([\w./-]+)`", text(page)):
        if name.split("/")[0] in tops and "/" in name and "path/" not in name:
            assert name.rstrip("/") in FILES | FOLDERS, f"{page} names {name}, which is not there"


def commands(page):
    """The commands in a page's blocks of shell, without comments: lists of words."""
    for block in re.findall(r"^```sh\n(.*?)^```", text(page), re.M | re.S):
        for line in block.splitlines():
            for command in line.split("&&"):
                if words := shlex.split(command, comments=True):
                    yield words


COMMANDS = {page: list(commands(page)) for page in PAGES}
# Programs that are not run here. Of all commands the files that they name are looked for.
OTHERS = {".", "bash", "cd", "docker", "export", "git", "nano", "pre-commit", "ruff", "snakefmt", "uv"}


def plans():
    """Every snakemake command of the pages, once; all but the README's first one are for the slow tests."""
    found = {(*words[1:],) for page in PAGES for words in COMMANDS[page] if words[0].endswith("snakemake")}
    first = "--cores", "8", "results/psnr.csv"
    for words in sorted({tuple(word for word in words if word != "-n") for words in found}):
        yield pytest.param(words, id=" ".join(words), marks=[] if words == first else pytest.mark.slow)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the project with the video that the pages speak of."""
    project = Project(tmp_path_factory.mktemp("clone") / "deepsr")
    (project.path / "videos").mkdir()
    with av.open(str(project.path / "videos/holiday.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=25, width=96, height=64, pix_fmt="yuv420p")
        for path in sorted((ROOT / "tests/clips/harbour").iterdir()):
            frame = av.VideoFrame.from_ndarray(cv2.imread(str(path))[:64, :96], format="bgr24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
    return project


@pytest.mark.parametrize("arguments", list(plans()))
def test_workflow_commands_plan(clone, arguments):
    unlock = "--unlock" in arguments
    done = clone.execute([sys.executable, "-m", "snakemake", *(() if unlock else ("-n",)), *arguments])
    assert done.returncode == 0, done.stdout
    assert ("Unlocked" if unlock else "This was a dry-run") in done.stdout


@pytest.mark.parametrize("page", ["README.md", "docs/data.md"])
def test_a_config_with_own_clips_is_right(page):
    config, own = (
        load_yaml(ROOT / "config/config.yaml"),
        yaml.safe_load(re.search(r"```yaml\n(.*?)```", text(page), re.S)[1]),
    )
    for key, entries in own.items():
        for name, entry in entries.items():
            config[key].setdefault(name, {}).update(entry)
    config = complete(config, load_schema(ROOT / "config/config.schema.yaml"))
    assert config["datasets"]["mine"]["source"] == "folder" and "mine" in config["experiments"]["deepsr"]["score"]


@pytest.mark.parametrize("page", PAGES)
def test_other_commands_name_what_is_there(page):
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text("requirements-test.txt"), re.M))
    for program, *words in COMMANDS[page]:
        if program.endswith(("python", "python3")):
            module = words[words.index("-m") + 1] if "-m" in words else words[0]
            if module not in ("venv", "pytest"):
                path = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
                assert path in FILES, f"{page}: {path} is not there"
                for option in re.findall(r"--[\w-]+", " ".join(words)):
                    assert f'"{option}"' in text(path), f"{page}: {path} has no {option}"
        elif not program.endswith(("snakemake", "pip")):
            assert program in OTHERS, f"{page}: say how {program} is tested"
        for word in words:
            if re.fullmatch(r"[\w-]+(/[\w.-]+)*\.(txt|yaml|py)|\.ci/run|envs/\w+", word):
                assert word in FILES, f"{page}: {word} is not there"
            name, _, version = re.sub(r"\[.*\]", "", word).partition("==")
            if version and name in pinned:
                assert version == pinned[name], f"{page}: {word}, but the requirements have {pinned[name]}"


def allowed(python):
    """Whether pyproject.toml allows a Python such as 3.12; its form is ">=3.11,<3.14"."""
    least, above = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PYPROJECT["requires-python"]).groups()
    return int(least) <= int(python.removeprefix("3.")) < int(above)


def test_every_place_names_the_same_pythons():
    pythons = [f"3.{minor}" for minor in range(30) if allowed(f"3.{minor}")]
    workflow = yaml.safe_load(text(".github/workflows/ci.yaml"))
    assert workflow["jobs"]["checks"]["strategy"]["matrix"]["python"] == pythons
    assert workflow["jobs"]["checks"]["steps"][-1] == {"run": "bash .ci/run"}
    for page in ("README.md", "docs/install.md"):
        assert re.search(rf"CPython {', '.join(pythons[:-1])} (and|or) {pythons[-1]}", text(page))
    for name in ("requirements.txt", "requirements-test.txt"):
        assert f"--universal --generate-hashes --no-strip-extras --no-emit-index-url --python-version {pythons[0]}" in text(
            name
        )
    conda = re.search(r"python =(3\.\d+)", text("envs/deepsr.yaml"))[1]
    assert allowed(conda) and f"FROM python:{conda}-slim" in text("envs/Dockerfile")


def test_both_requirements_pin_the_same_versions():
    pin = re.compile(r"^([\w.-]+)(?:\[\w+\])?(==[\w.]+)", re.M)
    pins = [{"".join(found) for found in pin.findall(text(f"requirements{kind}.txt"))} for kind in ("", "-test")]
    names = [{pin.split("==")[0] for pin in versions} for versions in pins]
    assert {pin for pin in pins[1] if pin.split("==")[0] in names[0]} <= pins[0]
    asked = {re.match(r"[\w-]+", entry)[0] for entry in PYPROJECT["dependencies"]}
    assert asked <= names[0] and names[0] - names[1] <= {"cffi", "pycparser"}


def test_what_is_needed_with_an_extra_is_pinned_with_it():
    """Otherwise pip may look at a newer version for the extra, finds no hash of it, and refuses the whole file."""
    pins, needed = text("requirements-test.txt"), []
    for package in distributions():
        for requirement in map(Requirement, package.requires or []):
            if requirement.extras and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                needed += [f"{requirement.name}[{','.join(sorted(requirement.extras))}]"] * (f"\n{package.name}==" in pins)
    assert "coverage[toml]" in needed  # of pytest-cov
    assert [name for name in needed if f"\n{name}==" not in pins] == []


def test_every_place_names_the_same_version():
    citation = yaml.safe_load(text("CITATION.cff"))
    newest = re.search(r"^## (\S+) \((\S+)\)", text("CHANGELOG.md"), re.M)
    assert newest.groups() == (citation["version"], citation["date-released"])
    assert citation["version"] == PYPROJECT["version"] and citation["license"] == PYPROJECT["license"]


def test_hooks_use_the_tools_of_the_environment():
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system" and (program == "python" or f"\n{program}==" in text("requirements-test.txt"))


def test_the_architecture_page_shows_the_rules_and_rooms():
    page = text("docs/architecture.md")
    rules = set(re.findall(r"^rule (\w+):", "".join(text(name) for name in FILES if name.endswith(".smk")), re.M))
    boxes = {name for box in re.findall(r"\w+\[(.*?)\]", page.partition("```\n")[0]) for name in box.split(", ")}
    assert all(fnmatch.filter(rules, name) for name in boxes), f"{boxes} are not all rules"
    rooms = {name.split("/")[1] for name in FILES if re.fullmatch(r"deepsr/\w+/__init__.py", name)}
    shared = {name.split("/")[1] for name in FILES if re.fullmatch(r"deepsr/\w+.py", name)} - {"__init__.py"}
    assert all(f"`deepsr/{room}/" in page or re.search(rf"\*\*{room}\b", page) for room in rooms)
    assert all(f"`{module}`" in page or f"/{module}`" in page for module in shared)


def test_the_cluster_page_tells_what_rules_ask_for():
    rules = "".join(text(name) for name in FILES if name.endswith(".smk"))
    rows = re.findall(r"^\| (\w+)[^|]* \|[^|]*\| (\d+)", text("docs/cluster.md"), re.M)
    assert len(rows) >= 5
    for rule, memory in rows:
        assert re.search(rf"^rule {rule}:(?:\n(?!rule ).*)*?mem_mb=growing\({memory}\b", rules, re.M), (rule, memory)
