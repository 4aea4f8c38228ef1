// Measurements within a Race page: paints, the first events, long tasks, frames, drawings.

/** Runs in the page before other scripts; stores its measurements in `globalThis.meter`. */
export function install() {
  const meter = { laneAt: {}, longTasks: [], frames: [], drawings: 0, loops: 0, wasmMemory: undefined }
  globalThis.meter = meter
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) meter.longTasks.push({ at: entry.startTime, took: entry.duration })
  }).observe({ type: 'longtask', buffered: true })
  globalThis.addEventListener('TrunkApplicationStarted', (event) => { meter.wasmMemory = event.detail?.wasm?.memory })

  // When the card of each lane first shows an event.
  const watch = new MutationObserver(() => {
    const cards = [...document.querySelectorAll('[data-technique]')]
    if (cards.length > 0) meter.builtAt ??= performance.now()
    for (const card of cards) {
      const name = card.dataset.technique
      const shown = card.querySelector('[data-testid="events"]')?.textContent ?? ''
      if (!(name in meter.laneAt) && /[1-9]/.test(shown)) meter.laneAt[name] = performance.now()
    }
    if (cards.length > 0 && cards.every((card) => card.dataset.technique in meter.laneAt)) watch.disconnect()
  })
  watch.observe(document, { subtree: true, childList: true, characterData: true })

  // The browser's frames, and the number of those in which the sequence diagram was redrawn.
  let last
  let cleared = false
  const clear = CanvasRenderingContext2D.prototype.clearRect
  CanvasRenderingContext2D.prototype.clearRect = function (...area) {
    cleared ||= this.canvas.dataset.testid === 'sequence'
    return clear.apply(this, area)
  }
  const onFrame = (now) => {
    if (last !== undefined) meter.frames.push(now - last)
    last = now
    if (cleared) meter.drawings += 1
    cleared = false
    requestAnimationFrame(onFrame)
  }
  requestAnimationFrame(onFrame)
}

/** Returns and resets the measurements since the last call, with the time since then on the page's clock. */
export async function collect(page) {
  return page.evaluate(() => {
    const { meter } = globalThis
    const now = performance.now()
    const sinceMs = now - (meter.collectedAt ?? 0)
    meter.collectedAt = now
    const taken = { sinceMs, longTasks: meter.longTasks, frames: meter.frames, drawings: meter.drawings }
    Object.assign(meter, { longTasks: [], frames: [], drawings: 0 })
    return { ...taken, laneAt: meter.laneAt, builtAt: meter.builtAt, wasmBytes: meter.wasmMemory?.buffer.byteLength ?? 0 }
  })
}

/** `first-paint` and `first-contentful-paint`, ms after the navigation began. */
export async function paints(page) {
  return page.evaluate(() => Object.fromEntries(performance.getEntriesByType('paint').map(({ name, startTime }) => [name, startTime])))
}

/** Processor time (ms) of each task of the main thread with the most tasks, from a trace of the category `toplevel`. */
export function tasksOfMainThread(trace) {
  const { traceEvents } = JSON.parse(trace.toString())
  const thread = ({ pid, tid }) => `${pid}:${tid}`
  const isMain = ({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain'
  const tasks = new Map(traceEvents.filter(isMain).map((event) => [thread(event), []]))
  for (const event of traceEvents) {
    if (event.ph === 'X' && event.name.endsWith('RunTask')) tasks.get(thread(event))?.push((event.tdur ?? event.dur) / 1_000)
  }
  return [...tasks.values()].sort((one, other) => other.length - one.length)[0] ?? []
}
