import json

from job import job, quiet

from deepsr.data.sequence import identity, read_index
from deepsr.errors import InputError
from deepsr.files import write_file
from deepsr.networks.onnx_export import to_onnx

with quiet():
    import keras

    from deepsr.train.devices import find_gpu

    find_gpu(0)

with job(snakemake):
    try:
        model = keras.saving.load_model(snakemake.input.model, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a damaged file
        raise InputError(f"{snakemake.input.model}: is damaged ({error}); delete it and run again.") from error
    clips = zip(snakemake.params.clips, snakemake.input.indexes, strict=True)
    facts = snakemake.params.facts | {"clips": {clip: identity(read_index(path)) for clip, path in clips}}
    facts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    network = to_onnx(model, facts)
    write_file(snakemake.output.onnx, network.SerializeToString())
