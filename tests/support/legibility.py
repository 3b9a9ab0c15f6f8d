"""How well a page can be read: the contrast of its texts and of the edges of its controls, as WCAG 2 counts it."""

from dataclasses import dataclass
from typing import Any

_COLOURS = """
() => {
  const isSeen = (element) => element.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true })
    && !element.closest(".unseen, .skip, :disabled");
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "none";
  };
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (nodes.nextNode()) {
    const text = nodes.currentNode.data.trim();
    const element = nodes.currentNode.parentElement;
    if (!text || !isSeen(element) || element.closest("option, noscript")) continue;
    found.push(["text", text.slice(0, 40), getComputedStyle(element).color, behind(element)]);
  }
  for (const field of document.querySelectorAll("input:not([type=radio]), select, textarea")) {
    if (!isSeen(field)) continue;
    const style = getComputedStyle(field);
    found.push(["text", field.id, style.color, behind(field)]);
    found.push(["edge", field.id, style.borderTopColor, behind(field.parentElement)]);
  }
  return found;
}
"""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A text, or the edge of a control, and its contrast to what is behind it."""

    kind: str
    what: str
    ratio: float
    background: str


def contrasts(page: Any) -> list[Contrast]:
    """Measure what is seen of a page now; a colour that one can see through is a mistake of the page."""
    return [Contrast(kind, what, _ratio(front, back), back) for kind, what, front, back in page.evaluate(_COLOURS)]


def _ratio(front: str, back: str) -> float:
    lighter, darker = sorted((_luminance(front), _luminance(back)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    assert colour.startswith("rgb("), f"{colour} can be seen through"
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
