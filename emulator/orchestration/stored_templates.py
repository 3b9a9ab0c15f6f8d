"""The templates in a tenant's prompt registry. All tenants of the emulator have the same."""

from emulator.world import Json

SUMMARY_ID = "5d3a7c1e-2f60-4b8e-9c55-7a0d8e21b4f9"
_SUMMARY: Json = {
    "template": [
        {"role": "system", "content": "Summarize what the user says in {{?language}}."},
        {"role": "user", "content": "{{?text}}"},
    ],
    "defaults": {"language": "English"},
}
_BY_ID = {SUMMARY_ID: _SUMMARY}
_BY_NAME = {("writing", "summary"): {"1.0.0": _SUMMARY, "latest": _SUMMARY}}


def find_template(reference: Json) -> Json | None:
    """Return a template by its id, or by its scenario, name and version; None if there is none."""
    if "id" in reference:
        return _BY_ID.get(reference["id"])
    return _BY_NAME.get((reference["scenario"], reference["name"]), {}).get(reference["version"])
