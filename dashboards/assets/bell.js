export function render({ model }) {
  // A browser lets a page sound only after somebody has touched it: until then the sound waits, and old ones are dropped.
  let audio = null
  const tones = { critical: [880, 880, 1175], warning: [660, 880], info: [660] }
  const ring = async (severity) => {
    audio ??= new AudioContext()
    if (audio.state === "suspended") await Promise.race([audio.resume(), new Promise((done) => setTimeout(done, 300))])
    if (audio.state !== "running") return
    ;(tones[severity] ?? tones.warning).forEach((pitch, n) => {
      const at = audio.currentTime + n * 0.18, tone = audio.createOscillator(), loud = audio.createGain()
      tone.frequency.value = pitch
      loud.gain.setValueAtTime(0, at); loud.gain.linearRampToValueAtTime(0.14, at + 0.015); loud.gain.exponentialRampToValueAtTime(0.0008, at + 0.16)
      tone.connect(loud).connect(audio.destination)
      tone.start(at); tone.stop(at + 0.17)
    })
    root.dataset.rung = Number(root.dataset.rung ?? 0) + 1
  }
  const note = ({ id, title, text }) => {
    try {
      const shown = new Notification(title, { body: text, tag: id })
      shown.onclick = () => { window.focus(); shown.close(); if (id) model.send_msg({ open: id }) }
    } catch { /* a phone that wants a service worker: the page's own message is there */ }
  }
  // The same event in several tabs sounds in the first that hears it; a notification's tag does that by itself.
  const first = (id) => {
    const KEY = "spreadwatch.rung"
    if (!id) return true
    if (localStorage.getItem(KEY) === id) return false
    localStorage.setItem(KEY, id)
    return true
  }
  const root = document.createElement("span")
  root.hidden = true
  const worst = (news) => ["critical", "warning", "info"].find((severity) => news.some((one) => one.severity === severity))
  model.on("news", () => {
    if (!model.news.length) return
    if (model.sound && first(model.news.at(-1).id)) ring(worst(model.news))
    if (model.notify && "Notification" in window && Notification.permission === "granted") model.news.forEach(note)
  })
  // Who switches one on hears or sees at once what it is like.
  model.on("sound", () => { if (model.sound) ring("warning") })
  model.on("notify", () => { if (model.notify) note({ id: "", title: "Spreadwatch", text: "Firing alerts will show like this." }) })
  return root
}
