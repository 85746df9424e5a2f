export function render({ model }) {
  const root = document.createElement("div")
  root.className = "drop"
  const input = document.createElement("input")
  input.type = "file"; input.id = "file"; input.accept = ".csv,.txt,.tsv,.gz,.zst,.zip"; input.setAttribute("aria-label", "Your CSV file")
  const label = document.createElement("label")
  label.htmlFor = "file"
  label.innerHTML = '<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6" ' +
    'stroke-linecap="round" stroke-linejoin="round"><path d="M12 16V4m0 0L7 9m5-5l5 5"/><path d="M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3"/></svg>'
  const text = document.createElement("span")
  label.append(text)
  const note = document.createElement("p")
  note.className = "note"
  const bar = document.createElement("div")
  bar.className = "bar"; bar.setAttribute("role", "progressbar"); bar.setAttribute("aria-label", "Upload")
  const fill = document.createElement("i")
  bar.append(fill)
  root.append(input, label, bar, note)
  let request = null
  const idle = "Drop a CSV file here, or <u>choose one</u>"
  const say = (html) => { text.innerHTML = html }
  const named = (file) => { const b = document.createElement("b"); b.textContent = file.name; return b.outerHTML }
  const draw = () => {
    input.disabled = model.disabled
    root.classList.toggle("off", model.disabled)
    note.textContent = model.note
    if (!request) { say(idle); bar.style.visibility = "hidden" }
  }
  const send = (file) => {
    if (!file || model.disabled) return
    if (request) request.abort()
    if (model.most_bytes && file.size > model.most_bytes) {
      const mb = (n) => (n / 1e6).toFixed(1)
      model.send_msg({ problem: `${file.name} has ${mb(file.size)} MB and the limit is ${mb(model.most_bytes)} MB; compress it (.gz, .zst), or raise upload_max_mb` })
      return
    }
    const r = request = new XMLHttpRequest()
    r.open("POST", new URL("upload", document.baseURI).pathname + "?name=" + encodeURIComponent(file.name))
    r.setRequestHeader("Content-Type", "application/octet-stream")
    r.upload.onprogress = (e) => {
      if (!e.lengthComputable) return
      const share = 100 * e.loaded / e.total
      fill.style.width = share + "%"; bar.setAttribute("aria-valuenow", share.toFixed(0))
      say(`Bringing ${named(file)}: ${share.toFixed(0)} %`)
    }
    const done = (message) => { if (request === r) { request = null; draw(); if (message) model.send_msg(message) } }
    r.onload = () => {
      if (r.status !== 200) return done({ problem: r.responseText.trim() || `the server answered ${r.status}` })
      done(JSON.parse(r.responseText))
      say(`${named(file)} is here. Drop another, or <u>choose one</u>`)
    }
    r.onerror = () => done({ problem: "the upload broke off; the file may be too large, or the dashboard has stopped. Try again" })
    r.onabort = () => done(null)
    bar.style.visibility = "visible"; fill.style.width = "0"
    say(`Bringing ${named(file)}…`)
    r.send(file)
  }
  input.onchange = () => { send(input.files[0]); input.value = "" }
  root.ondragover = (e) => { e.preventDefault(); if (!model.disabled) root.classList.add("over") }
  root.ondragleave = () => root.classList.remove("over")
  root.ondrop = (e) => { e.preventDefault(); root.classList.remove("over"); send(e.dataTransfer.files[0]) }
  draw()
  model.on("disabled", draw); model.on("note", draw)
  return root
}
