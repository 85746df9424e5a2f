export function render({ model }) {
  const b = document.createElement("button")
  b.type = "button"
  const draw = () => {
    b.setAttribute("aria-expanded", model.unfolded)
    b.replaceChildren()
    for (const [name, text] of [["mark", ""], ["text", model.text], ["note", model.note]]) {
      const part = document.createElement("span")
      part.className = name; part.textContent = text
      if (name === "mark") part.setAttribute("aria-hidden", "true")
      b.append(part)
    }
  }
  b.onclick = () => { model.unfolded = !model.unfolded }
  draw()
  for (const name of ["unfolded", "text", "note"]) model.on(name, draw)
  return b
}
