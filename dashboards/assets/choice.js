export function render({ model }) {
  const root = document.createElement("div")
  root.className = "row " + model.kind
  root.setAttribute("role", model.kind === "tabs" ? "tablist" : "radiogroup")
  root.setAttribute("aria-label", model.label)
  const draw = () => {
    const taken = model.options.some((option) => (Array.isArray(option) ? option[0] : option) === model.value)
    root.replaceChildren(...model.options.map((option, i) => {
      const [value, text] = Array.isArray(option) ? option : [option, option]
      const b = document.createElement("button")
      const on = value === model.value
      b.type = "button"; b.textContent = text; b.className = on ? "on" : ""
      b.setAttribute("role", model.kind === "tabs" ? "tab" : "radio")
      b.setAttribute(model.kind === "tabs" ? "aria-selected" : "aria-checked", on)
      b.tabIndex = on || (i === 0 && !taken) ? 0 : -1
      b.onclick = () => pick(value)
      b.onkeydown = (e) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
        if (!step) return
        e.preventDefault()
        const next = model.options[(i + step + model.options.length) % model.options.length]
        pick(Array.isArray(next) ? next[0] : next)
        root.querySelector("button.on")?.focus()
      }
      return b
    }))
    root.querySelector("button.on")?.scrollIntoView?.({ block: "nearest", inline: "nearest" })
  }
  const pick = (value) => { if (value !== model.value) { model.value = value; draw() } }
  draw()
  model.on("value", draw); model.on("options", draw)
  return root
}
