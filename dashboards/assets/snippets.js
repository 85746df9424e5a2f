export function render({ model }) {
  const root = document.createElement("div")
  root.className = "same"
  const draw = () => root.replaceChildren(...model.items.map(({ label, text }) => {
    const row = document.createElement("div"), b = document.createElement("button"), pre = document.createElement("pre")
    pre.textContent = text; pre.tabIndex = 0; pre.setAttribute("aria-label", `The ${label}`)
    b.type = "button"; b.textContent = "Copy"; b.setAttribute("aria-label", `Copy the ${label}`)
    b.onclick = async () => {
      try { await navigator.clipboard.writeText(text); b.textContent = "Copied" }
      // Browsers give the clipboard to secure pages only: elsewhere the text is selected, ready for Ctrl-C.
      catch { getSelection().selectAllChildren(pre); b.textContent = "Selected" }
      setTimeout(() => { b.textContent = "Copy" }, 2000)
    }
    row.append(b, pre)
    return row
  }))
  draw()
  model.on("items", draw)
  return root
}
