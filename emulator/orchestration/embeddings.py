"""`/v2/embeddings`: embeddings of all vendors' models in OpenAI's format."""

from collections.abc import Callable

from emulator.catalogue import orchestrated
from emulator.embeddings.gemini import check_batch
from emulator.embeddings.openai import render_list
from emulator.errors import ErrorResponse
from emulator.models import Family, Model
from emulator.orchestration.failures import ModuleFailure, from_provider
from emulator.orchestration.modules import Masks, mask_text, masking_of
from emulator.world import Json

_LOCATION = "Embedding Module"


def embed(body: Json, request_id: str, call: Callable[[Model], None]) -> Json:
    """Return the embeddings of texts. *call* calls the model, and raises `ModuleFailure` if that fails."""
    modules = body["config"]["modules"]
    wanted = modules["embeddings"]["model"]
    given = body["input"]["text"]
    texts = [given] if isinstance(given, str) else given
    providers, masks = masking_of(modules), Masks()
    steps: Json = {}
    if providers:
        texts = [mask_text(text, providers, masks) for text in texts]
        masked = texts[0] if isinstance(given, str) else texts
        steps["input_masking"] = {
            "message": "Embedding input is masked successfully.",
            "data": {"masked_input": masked},
        }
    try:
        model = _model(wanted["name"])
        call(model)
        result = _vectors(model, texts, wanted.get("params") or {})
    except (ModuleFailure, ErrorResponse) as error:
        failure = from_provider(error) if isinstance(error, ErrorResponse) else error
        failure.location, failure.steps = _LOCATION, steps
        raise failure from None
    written: Json = {"request_id": request_id, "final_result": result | {"model": model.name}}
    return written | ({"intermediate_results": steps} if steps else {})


def _model(name: str) -> Model:
    """Return an embedding model by name; raises `ModuleFailure` if there is none."""
    known = {key: model for key, model in orchestrated().items() if model.embeds}
    if name not in known:
        raise ModuleFailure(f"Model name must be one of dict_keys({list(known)}).")
    return known[name]


def _vectors(model: Model, texts: list[str], params: Json) -> Json:
    """Return the embeddings of texts; raises if there are more than the vendor accepts."""
    if model.family is Family.GEMINI_EMBEDDING:
        check_batch(len(texts))
    if isinstance(params.get("encoding_format"), list):
        raise ModuleFailure("Several encoding formats are not supported for this model.")
    dimensions = params.get("dimensions") or model.dimensions
    if not 1 <= dimensions <= model.dimensions:
        raise ModuleFailure(f"Invalid value for 'dimensions' = {dimensions}. Must be between 1 and {model.dimensions}.")
    return render_list(model, {"input": texts, "encoding_format": params.get("encoding_format")}, dimensions)
