// Which view of the page is seen: the dashboard, or all else. The address says it.

import { byId } from "./dom.js";

const TITLE = document.title;
const dashboard = byId("dashboard");

/** Follow the address; `changed` is called with whether the dashboard is seen. */
export function followAddress(changed) {
  let isDashboard = null;
  const follow = (isFirst) => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const isWanted = target === dashboard ? true : target && target !== byId("main") ? false : isDashboard ?? false;
    if (isWanted === isDashboard) return;
    isDashboard = isWanted;
    for (const section of document.querySelectorAll("main > section")) section.hidden = (section === dashboard) !== isDashboard;
    for (const link of document.querySelectorAll("nav a")) {
      if (isDashboard && link.hash === "#dashboard") link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = isDashboard ? `Dashboard · ${TITLE}` : TITLE;
    const place = byId(isDashboard ? "key-place-of-dashboard" : "key-place");
    if (isDashboard) place.append(byId("key-form"));
    else place.prepend(byId("key-form"));
    changed(isDashboard);
    if (isFirst && isDashboard) addEventListener("load", () => scrollTo({ top: 0, behavior: "instant" }), { once: true });
    if (isFirst) return;
    if (isDashboard) {
      scrollTo({ top: 0, behavior: "instant" });
      byId("dashboard-title").focus({ preventScroll: true });
    } else target.scrollIntoView();
  };
  addEventListener("hashchange", () => follow(false));
  follow(true);
}
