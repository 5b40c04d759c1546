"""What can be measured of how a page looks and reads: run in the page, gives a list of complaints."""

COMPLAINTS = r"""
() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (each) => each.checkVisibility() && each.getClientRects().length > 0;
  const about = (each) => each.outerHTML.slice(0, 120);
  const must = (good, said) => { if (!good) found.push(said); };

  must(document.documentElement.lang === "en", "no language");
  must(document.title.includes(" · "), "no title");
  for (const [selector, many] of [["h1", 1], ["main", 1], ["body > header", 1]])
    must(all(selector).length === many, `${all(selector).length} of ${selector}`);
  const levels = all("h1,h2,h3,h4").map((each) => Number(each.tagName[1]));
  levels.forEach((level, at) => must(at === 0 || level <= levels[at - 1] + 1, `a heading skips to ${level}`));
  const ids = all("[id]").map((each) => each.id);
  must(new Set(ids).size === ids.length, "an id comes twice");
  for (const each of all("[aria-labelledby],[aria-describedby]"))
    for (const id of `${each.getAttribute("aria-labelledby") ?? ""} ${each.getAttribute("aria-describedby") ?? ""}`.split(" ").filter(Boolean))
      must(document.getElementById(id), `nothing has the id ${id}`);
  for (const each of all("input:not([type=hidden])")) must(each.labels.length === 1, `no label: ${about(each)}`);
  for (const each of all("button,a,summary"))
    must((each.getAttribute("aria-label") ?? each.innerText).trim() || !shown(each), `no name: ${about(each)}`);
  for (const each of all("section,nav")) if (each.getAttribute("role") !== "alert" && each.matches("nav"))
    must(each.getAttribute("aria-label"), "a landmark without a name");

  must(document.documentElement.scrollWidth <= innerWidth, `wider than the screen: ${document.documentElement.scrollWidth}`);
  for (const each of all("button,input:not([type=hidden]),summary,.button").filter(shown)) {
    const box = each.getBoundingClientRect();
    must(box.height >= 40 && box.width >= 24, `hard to hit (${box.width} x ${box.height}): ${about(each)}`);
  }

  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((each) => each / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((parts(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (one, two) => {
    const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  for (const each of all("body *").filter(shown)) {
    const style = getComputedStyle(each);
    const text = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (text || each.matches("input")) {
      const ratio = contrast(style.color, behind(each));
      must(ratio >= 4.5, `contrast ${ratio.toFixed(2)}: ${about(each)}`);
    }
    if (each.matches("input")) {
      const ratio = contrast(style.borderTopColor, behind(each.parentElement));
      must(ratio >= 3, `the edge has a contrast of ${ratio.toFixed(2)}: ${about(each)}`);
    }
  }
  return found;
}
"""

NUMBERED = """
() => {
  const usable = [...document.querySelectorAll("a[href],button,input:not([type=hidden]),summary")];
  const shown = usable.filter((each) => each.checkVisibility());
  shown.forEach((each, at) => (each.dataset.number = at));
  return shown.length;
}
"""

FOCUSED = """
() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  const seen = box.width > 0 && box.right > 0 && box.bottom > 0 && style.outlineStyle !== "none";
  return {what: at.outerHTML.slice(0, 100), number: at.dataset.number, seen};
}
"""
