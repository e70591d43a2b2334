import json
from datetime import UTC, datetime
from pathlib import Path

from job import job

from deepsr.data.sequence import read_index
from deepsr.files import sha256, write_file
from deepsr.report import provenance

with job(snakemake):
    clips = {}
    for (dataset, clip), path in zip(snakemake.params.clips, snakemake.input.indexes, strict=True):
        clips.setdefault(dataset, {})[clip] = provenance.clip_facts(read_index(path))
    summaries = zip(snakemake.params.trained, snakemake.input.summaries, strict=True)
    facts = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "table_sha256": sha256(snakemake.input.table),
        "git": provenance.git_state() or "not a git checkout",
        "machine": provenance.machine(),
        "packages": provenance.packages(),
        "code": snakemake.params.numbers,
        "clips": clips,
        "networks": {name: json.loads(Path(path).read_text(encoding="utf-8")) for name, path in summaries},
        "models": {name: {"file": path, "sha256": sha256(path)} for name, path in snakemake.params.models.items()},
        "config": snakemake.params.config,
    }
    write_file(snakemake.output.provenance, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
