import json

from job import job

from deepsr.errors import InputError
from deepsr.files import atomic
from deepsr.onnx_export import from_keras, to_onnx

with job(snakemake):
    import keras  # after `job` has quietened TensorFlow

    try:
        model = keras.saving.load_model(snakemake.input.model, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on a damaged file
        raise InputError(f"{snakemake.input.model}: is damaged ({error}); delete it and run again.") from error
    facts = {key: json.dumps(value) for key, value in snakemake.params.facts.items()}
    network = to_onnx(from_keras(model), facts)
    with atomic(snakemake.output.onnx) as part:
        part.write_bytes(network.SerializeToString())
