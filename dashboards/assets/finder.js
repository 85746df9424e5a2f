export function render({ model }) {
  const MOST = 12
  const root = document.createElement("div")
  root.className = "row"
  const views = model.views
  const keys = [
    [views.map((_, i) => i + 1), `Open a view: ${views.map(([, text], i) => `${i + 1} ${text}`).join(", ")}`],
    [["/"], "Find a symbol, a pair or a view"],
    [["?"], "This list"],
    [["Esc"], "Close what is open"],
    [["Tab"], "To the next control; Shift and Tab to the one before"],
    [["\u2190", "\u2192"], "Another choice of a row: views, timeframes, formats"],
    [["\u2191", "\u2193"], "One more, one less in a field of numbers; Page up and down for ten"],
    [["Enter"], "Open the row of a table that has the focus"],
    [["Wheel"], "Zoom a chart in time; drag to move it"],
  ]
  const glass = `<svg viewBox="0 0 24 24" width="17" height="17" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round"><circle cx="10.5" cy="10.5" r="6"/><path d="M15 15l5 5"/></svg>`
  root.innerHTML = `<button type="button" class="search" aria-haspopup="dialog" aria-label="Find a symbol, a pair or a view" title="Find (/)">${glass}<span>Find</span><kbd aria-hidden="true">/</kbd></button>
    <button type="button" class="icon help" aria-haspopup="dialog" aria-label="Help: keys" title="Keys (?)"><svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"
      fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"><circle cx="12" cy="12" r="9"/><path d="M9.5 9.3a2.6 2.6 0 1 1 3.6 2.4c-.7.3-1.1.8-1.1 1.6v.4M12 17v.1"/></svg></button>
    <dialog class="finder" aria-label="Find"><div class="find"><input type="text" role="combobox" aria-expanded="true" aria-controls="found" aria-autocomplete="list"
      aria-label="Symbol, pair or view" placeholder="Symbol, pair or view" autocomplete="off" spellcheck="false"></div>
      <ul role="listbox" id="found" aria-label="Found"></ul><div class="none" role="status" hidden></div></dialog>
    <dialog class="keys" aria-labelledby="head"><header><h2 id="head">Keys</h2><button type="button" class="icon close" aria-label="Close the list of keys">
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"><path d="M6 6l12 12M18 6L6 18"/></svg></button></header>
      <dl>${keys.map(([names, text]) => `<dt>${names.map((name) => `<kbd>${name}</kbd>`).join("")}</dt><dd>${text}</dd>`).join("")}</dl></dialog>`
  const [search, help, finder, list] = root.children
  const input = finder.querySelector("input"), ul = finder.querySelector("ul"), none = finder.querySelector(".none")
  let found = [], at = 0

  // What begins with the words comes first, then what has them all, in the order views, pairs, symbols.
  const rank = () => {
    const words = input.value.trim().toUpperCase().split(/[\s/]+/).filter(Boolean)
    const pairs = model.pairs.map((pair) => ({ text: pair, say: "pair", view: "pair", query: { pair } }))
    const symbols = model.symbols.map((symbol) => ({ text: symbol, say: "symbol", view: "overview", query: { symbol } }))
    const all = [...views.map(([view, text], i) => ({ text, say: `view, key ${i + 1}`, view, query: {} })), ...pairs, ...symbols]
    const score = ({ text }) => {
      const t = text.toUpperCase()
      if (!words.every((word) => t.includes(word))) return 0
      return t.startsWith(words.join("/")) ? 3 : t.split("/").some((leg) => leg.startsWith(words[0] ?? "")) ? 2 : 1
    }
    const ranked = all.map((one) => [score(one), one]).filter(([s]) => s > 0).sort((a, b) => b[0] - a[0]).map(([, one]) => one)
    // Two symbols that nobody configured as a pair can be fitted all the same.
    if (words.length === 2) {
      const [y, x] = words.map((word) => model.symbols.find((s) => s === word) ?? model.symbols.find((s) => s.startsWith(word)))
      if (y && x && y !== x && !model.pairs.includes(`${y}/${x}`)) ranked.push({ text: `${y}/${x}`, say: "pair, computed when opened", view: "pair", query: { pair: `${y}/${x}` } })
    }
    return ranked.slice(0, MOST)
  }
  const mark = (n) => {
    at = found.length ? (n + found.length) % found.length : 0
    ;[...ul.children].forEach((li, i) => li.setAttribute("aria-selected", i === at))
    ul.children[at]?.scrollIntoView({ block: "nearest" })
    if (found.length) input.setAttribute("aria-activedescendant", `found-${at}`)
    else input.removeAttribute("aria-activedescendant")
  }
  const draw = () => {
    found = rank()
    ul.replaceChildren(...found.map((one, i) => {
      const li = document.createElement("li"), small = document.createElement("small")
      li.id = `found-${i}`; li.setAttribute("role", "option"); li.textContent = one.text; small.textContent = one.say
      li.append(small)
      li.onclick = () => take(i)
      return li
    }))
    ul.hidden = !found.length; none.hidden = !!found.length
    none.textContent = found.length ? "" : `Nothing is called ${input.value.trim()}. Symbols are added with “spreadwatch universe add”.`
    mark(0)
  }
  const take = (n) => {
    const one = found[n]
    finder.close()
    if (one) model.send_msg({ view: one.view, query: one.query })
  }
  const open = () => { input.value = ""; draw(); finder.showModal(); input.focus() }
  input.oninput = draw
  input.onkeydown = (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key]
    if (step) { e.preventDefault(); mark(at + step) }
    else if (e.key === "Enter") { e.preventDefault(); take(at) }
  }
  search.onclick = open
  help.onclick = () => list.showModal()
  list.querySelector(".close").onclick = () => list.close()
  for (const dialog of [finder, list]) dialog.onclick = (e) => { if (e.target === dialog) dialog.close() }

  const typing = (e) => {
    const on = e.composedPath()[0]
    return on instanceof HTMLElement && (on.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(on.tagName) || on.closest("[role=listbox], [role=menu], [role=combobox], dialog[open]"))
  }
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || typing(e)) return
    if (e.key === "/") { e.preventDefault(); open() }
    else if (e.key === "?") { e.preventDefault(); list.showModal() }
    else if (/^[1-9]$/.test(e.key) && views[e.key - 1]) model.send_msg({ view: views[e.key - 1][0], query: null })
  })
  return root
}
